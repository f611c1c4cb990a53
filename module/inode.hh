/* SPDX-License-Identifier: GPL-2.0-only */
/* An inode of the union, and the branch dentries behind it. */
#pragma once

#include "super.hh"

namespace aufs
{

/* One branch's part of a union directory, or the branch object behind another inode. */
struct BranchDentry {
	Ref<struct dentry> dentry;
	unsigned int branch = 0;
};

/* What a lookup found in the branches: nothing, one object, or the parts of a merged directory. */
struct Found {
	BranchDentry top;
	/* The parts of a directory below the top one, from the upper branches to the lower. */
	Own<BranchDentry[]> lower;
	unsigned int lower_count = 0;

	bool exists() const noexcept
	{
		return static_cast<bool>(top.dentry);
	}
};

/*
 * Invariants, from the end of get() until the inode is destroyed:
 *  - top is positive and its inode is h_inode(); both are pinned;
 *  - only a directory has lower parts, in the order of the branches;
 *  - i_ino does not change; i_mode, i_uid, i_gid, i_flags and the times are copies of the branch's,
 *    taken when
 *    the inode was made and after each change through the union; sizes and link counts likewise.
 */
class Inode final
{
public:
	/* The VFS's part: first, so that one address serves both. */
	struct inode vfs;

	static Inode &of(struct inode &inode) noexcept
	{
		return reinterpret_cast<Inode &>(inode);
	}
	static const Inode &of(const struct inode &inode) noexcept
	{
		return reinterpret_cast<const Inode &>(inode);
	}

	/*
	 * The union's inode for @found, from the cache or made new; @found is used up. Two names of
	 * one branch inode share one. -ENOMEM. May sleep.
	 */
	[[nodiscard]] static Result<Ref<struct inode>> get(struct super_block &sb,
							   Found &&found) noexcept;

	/* Called by the superblock's operations for memory that the cache gave or takes. */
	void construct() noexcept;
	void begin() noexcept;
	void end() noexcept;

	Super &super() const noexcept
	{
		return Super::of(*vfs.i_sb);
	}
	/* The branch dentry; borrowed. */
	struct dentry &h_dentry() const noexcept
	{
		return *body_.found.top.dentry;
	}
	struct inode &h_inode() const noexcept
	{
		return *h_inode_;
	}
	const Branch &branch() const noexcept
	{
		return super().branch(branch_index());
	}
	unsigned int branch_index() const noexcept
	{
		return body_.found.top.branch;
	}
	struct path h_path() const noexcept
	{
		return branch().path_to(h_dentry());
	}
	/* Whether the object lies where the union may write. */
	bool on_rw() const noexcept
	{
		return branch_index() == super().rw_index();
	}
	bool merged() const noexcept
	{
		return body_.found.lower_count > 0;
	}

	/* The parts of a directory from top to bottom; 1 for all else. */
	unsigned int parts() const noexcept
	{
		return 1 + body_.found.lower_count;
	}
	const BranchDentry &part(unsigned int index) const noexcept
	{
		return index == 0 ? body_.found.top : body_.found.lower[index - 1];
	}
	/* The index of the part that lies on the rw branch, or parts() where there is none. */
	unsigned int rw_part() const noexcept;

	/* Copies what the union shows without asking the branch, but for the links. Any context. */
	void copy_attributes() noexcept;
	/*
	 * Copies the number of links as well. The caller holds the inode's i_rwsem, or nobody else
	 * knows the inode.
	 */
	void copy_links() noexcept;

private:
	/*
	 * What begin() makes and end() puts; the VFS's part and h_inode_ outlive it until readers
	 * under RCU are gone.
	 */
	struct Body {
		Found found;
	};

	static int test(struct inode *inode, void *h_inode) noexcept;
	static int set(struct inode *inode, void *h_inode) noexcept;
	void become(Found &&found) noexcept;

	Body body_;
	/* d_inode of found.top, known while that is still being set; by which we are found. */
	struct inode *h_inode_;
};

/* inode.cc, namei.cc, xattr.cc, dir.cc, file.cc, dentry.cc: what the VFS calls. */
extern const struct ::inode_operations dir_inode_operations;
extern const struct ::inode_operations file_inode_operations;
extern const struct ::inode_operations symlink_inode_operations;
extern const struct ::inode_operations special_inode_operations;
extern const struct ::file_operations dir_operations;
extern const struct ::file_operations file_operations;
extern const struct ::dentry_operations dentry_operations;
extern const struct ::dentry_operations
	remote_dentry_operations; /* where a branch changes by itself */
extern const struct xattr_handler *const xattr_handlers[];

} // namespace aufs
