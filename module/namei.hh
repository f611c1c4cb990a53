/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing names on the rw branch: what namei.cc and rename.cc share. */
#pragma once

#include "lookup.hh"
#include "whiteout.hh"

namespace aufs
{

/*
 * Becomes the mounter, but what is created belongs to the caller.
 */
class CreatorCreds final
{
public:
	/* -ENOMEM. May sleep. */
	[[nodiscard]] static Result<CreatorCreds> create(const Super &super) noexcept;

	const struct cred &get() const noexcept
	{
		return *creds_;
	}

private:
	Ref<const struct cred> creds_;
};

/* The part of the union directory @dir on the rw branch. -EROFS where there is none. */
[[nodiscard]] Result<struct dentry *> rw_directory(const Inode &dir) noexcept;

/* -EPERM for a name that users do not have, -ENAMETOOLONG for one that could not be whiteouted. */
[[nodiscard]] Result<void> check_new_name(StringView name) noexcept;

/*
 * The whiteout of @name on the rw branch, which goes when the name comes back, or empty. -EROFS
 * where a branch above has one, which cannot be removed.
 */
[[nodiscard]] Result<Ref<struct dentry>> whiteout_to_remove(const Inode &dir,
							    StringView name) noexcept;

/*
 * -EROFS where @name is also on a branch below the rw one: without it there, the lower one would
 * appear, and a whiteout would be needed.
 */
[[nodiscard]] Result<void> check_nothing_below(const Inode &dir, StringView name) noexcept;

/* -EROFS where a directory is below under @name, with which a new directory would merge. */
[[nodiscard]] Result<void> check_no_directory_below(const Inode &dir, StringView name) noexcept;

/*
 * The branch dentry of @dentry in @h_dir, whose i_rwsem is held. -ESTALE where the branch has
 * something else there by now.
 */
[[nodiscard]] Result<Ref<struct dentry>> h_dentry_locked(const Branch &branch, struct dentry &h_dir,
							 struct dentry &dentry) noexcept;

/* Removes @whiteout from @h_dir, whose i_rwsem is held. */
[[nodiscard]] Result<void> remove_whiteout(const Branch &branch, struct inode &h_dir,
					   struct dentry &whiteout) noexcept;

/*
 * Makes the directory @dir, which lies on the rw branch alone, as empty there as it is for users:
 * removes its whiteouts. -ENOTEMPTY where it has anything else. Write access and the mounter's
 * credentials are held.
 */
[[nodiscard]] Result<void> empty_for_removal(Inode &dir) noexcept;

int rename(AUFS_IDMAP *idmap, struct inode *old_dir, struct dentry *old_dentry,
	   struct inode *new_dir, struct dentry *new_dentry, unsigned int flags) noexcept;

} // namespace aufs
