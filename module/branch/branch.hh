/* SPDX-License-Identifier: GPL-2.0-only */
/* A branch: one of the directories that a mount unites. */
#pragma once

#include "kernel/handles.hh"
#include "options/options.hh"
#include "branch_finder.hh"
#include "branch_mount.hh"
#include "housekeeping.hh"
#include "kernel/locks.hh"
#include "kernel/messages.hh"
#include "kernel/tasks.hh"

namespace aufs
{

class AsMounter;
class Writer;

/*
 * A branch lives while it is in its union's list, and after that while something of it is in use (pin()). Then a work
 * unmounts it, as that waits for a grace period.
 */
class Branch final
{
public:
	Branch(const Branch &) = delete;
	Branch &operator=(const Branch &) = delete;
	/* Sleeps, if its mount is still there. */
	~Branch()
	{
		while (struct vfsmount *mnt = detach())
			kern_unmount(mnt);
	}

	/*
	 * Resolves @item's path for the caller of mount(2). The branch is used through a private mount, which attach()
	 * makes. -ENOENT, -ENOTDIR and other errors of a path walk; -EINVAL if the filesystem cannot be a
	 * branch; -EROFS for rw on a read-only filesystem or mount. @fc's log explains each.
	 */
	static Result<Own<Branch>> create(struct fs_context *fc, const BranchItem &item,
					  BranchFinder &finder);

	/*
	 * Makes the private mount (branch_mount.hh). In a first mount, @before is the branch above, which has its mount
	 * already, and @next the one below, which has none: one of them may share it. Both may be null.
	 */
	Result<void> attach(struct fs_context *fc, const Branch *before = nullptr,
			    const Branch *next = nullptr);

	/*
	 * Hands a private mount to the caller, who unmounts it, and calls this again until it is null. Readers under
	 * RCU do not look at the mount nor at the root.
	 */
	struct vfsmount *detach()
	{
		/* These are dentries of the mount. */
		housekeeping_.forget_dentries();
		root_ = {};
		return mount_.detach();
	}

	/*
	 * Comes before use_as(), and asks the filesystem what only a rw branch must be able to do. -EROFS, explained in
	 * @fc's log, if @item says rw and the filesystem or the mount is read-only. @item's path is ignored. @visible
	 * is a path that leads to the root now, or null. Sleeps.
	 */
	Result<void> prepare_use(struct fs_context *fc, const BranchItem &item,
				 const struct path *visible = nullptr);
	/* Its permission and attributes, without a path. */
	BranchItem use() const
	{
		BranchItem use = {};

		use.perm = perm_;
		use.copy_on_open = copy_on_open();
		use.may_miss = may_miss_;
		use.overlay_whiteouts = overlay_whiteouts_;
		use.own_whiteouts = has_own_whiteouts();
		return use;
	}
	/* Uses the branch as @item says from now on. Under ListChangeLock. */
	void use_as(const BranchItem &item);
	/*
	 * The right to change the branch (writer.hh). -EROFS; -ESTALE if it has left the list. Sleeps while it is
	 * frozen.
	 */
	Result<Writer> write(const AsMounter &mounter) const;
	/* For WriteAccess: counts the tasks that are changing the branch. Any context, as the next two. */
	void begin_change() const
	{
		AtomicRef(writers_).fetch_add(1);
	}
	void end_change() const
	{
		AtomicRef(writers_).drop_release();
	}
	bool is_being_changed() const
	{
		return AtomicRef(writers_).load_acquire() != 0;
	}

	/* The number of pins, with the list's own. */
	unsigned int pins() const
	{
		return AtomicRef(pins_).load();
	}
	/* Something of the branch is in use. Any context. */
	void pin() const
	{
		AtomicRef(pins_).fetch_add(1);
	}
	/* Ends a pin. After the last one the branch goes. Any context. */
	void unpin() const
	{
		if (AtomicRef(pins_).take_last())
			aufs_release_later(&released_);
	}
	/*
	 * Ends the list's pin. If that was the last, adds the branch to @gone, for release(): so the filesystem is free
	 * when the caller's task returns to the user.
	 */
	struct llist_node *unpin_onto(struct llist_node *gone) const
	{
		if (!AtomicRef(pins_).take_last())
			return gone;
		released_.next = gone;
		return &released_;
	}
	/* Unmounts and frees the branches on @gone. Sleeps. */
	static void release(struct llist_node *gone)
	{
		aufs_release_now(gone);
	}
	/* Waits until the branches that unpin() let go are gone. Sleeps. */
	static void wait_for_released()
	{
		aufs_release_flush();
	}
	/* The branch whose released_ is @released. */
	static Branch &of(struct llist_node &released);

	/* A task that goes on with a mount keeps the pointer: a branch that becomes rw may get another. */
	struct vfsmount *mnt() const
	{
		return mount_.get();
	}
	/* Its directory. The mount may have a larger part of the filesystem. */
	struct dentry &root() const
	{
		return *root_;
	}
	struct super_block &sb() const
	{
		return *root().d_sb;
	}
	/* The path to @dentry on this branch; borrows. */
	struct path path_to(struct dentry &dentry) const
	{
		return {.mnt = mnt(), .dentry = &dentry};
	}
	/* Whether its mount or its filesystem is read-only just now. Any context. */
	bool mount_is_read_only() const
	{
		return aufs_mnt_is_readonly(mnt());
	}
	/*
	 * If write-back on its filesystem has failed since the last call, the log says so, and the next sync of
	 * @union_sb, the union's superblock, reports it.
	 */
	void tell_write_errors(struct super_block &union_sb) const;
	/* Writes out its filesystem, under the s_umount of that. Sleeps. */
	Result<void> sync() const
	{
		return check(aufs_sync_super(&sb()));
	}
	CopyOnOpen copy_on_open() const
	{
		return AtomicRef(copy_on_open_).load();
	}
	/* Whether it is used as @item says; paths are not compared. */
	bool used_as(const BranchItem &item) const
	{
		return perm_ == item.perm && copy_on_open_ == item.copy_on_open &&
		       may_miss_ == item.may_miss && overlay_whiteouts_ == item.overlay_whiteouts &&
		       own_whiteouts_ == item.own_whiteouts;
	}
	/*
	 * Whether overlayfs's whiteouts and marks hide what lies below (overlay.hh), beside the format's own. Does not
	 * change while the branch is in a list: names in use would have to be looked up again.
	 */
	bool has_overlay_whiteouts() const
	{
		return overlay_whiteouts_;
	}
	/* Only for a branch that is in no list yet. */
	void set_overlay_whiteouts(bool has)
	{
		overlay_whiteouts_ = has;
	}
	/* Whether each whiteout that is made there is a file of its own, and not a hard link. */
	bool has_own_whiteouts() const
	{
		return AtomicRef(own_whiteouts_).load();
	}
	/* Extended attributes that copies from or to it may do without. */
	XattrClasses may_miss() const
	{
		return may_miss_;
	}
	BranchPerm perm() const
	{
		return AtomicRef(perm_).load();
	}
	bool writable() const
	{
		return perm() == BranchPerm::rw;
	}
	/* Its absolute path; a zero follows. /proc/mounts shows it escaped, this is not. */
	StringView name() const
	{
		return name_.view();
	}
	/*
	 * Whether setuid and setgid bits and capabilities of its files count. They do not if the branch is not rw and
	 * its mount is nosuid or of another user namespace. Users do not see them then, so that a copy-up, which leaves
	 * them out, changes nothing. Otherwise the supplier of the branch would get setuid programs on the rw one.
	 */
	bool grants_rights() const
	{
		return AtomicRef(grants_rights_).load();
	}
	/*
	 * Whether its devices can be opened, and copied up. They cannot if the branch is not rw, and its mount is nodev
	 * or of another user namespace. A copy could be opened on the rw branch: the supplier would have a device.
	 */
	bool grants_devices() const
	{
		return AtomicRef(grants_devices_).load();
	}
	/* @mode as users see it. */
	umode_t shown_mode(umode_t mode) const
	{
		constexpr umode_t rights = S_ISUID | S_ISGID;

		return grants_rights() || is_dir(mode) ? mode :
							 static_cast<umode_t>(mode & ~rights);
	}
	/*
	 * Whether its mount maps ids. Then users see the owners and ACLs of its files as mapped, and what they set is
	 * mapped back. Ids without a counterpart are invalid.
	 */
	bool idmapped() const
	{
		return idmapped_;
	}
	struct Owner {
		kuid_t uid;
		kgid_t gid;
	};
	/* The owner of its @h_inode, as users see it. Any context. */
	Owner shown_owner(const struct inode &h_inode) const
	{
		Owner owner = {h_inode.i_uid, h_inode.i_gid};

		if (idmapped())
			aufs_owner_through(mnt(), &h_inode, &owner.uid, &owner.gid);
		return owner;
	}
	/* Whether two inodes of this branch may have one number. Then the union's inodes get fresh numbers. */
	bool numbers_by_inode() const
	{
		return numbers_by_inode_;
	}

	/* Whether a readdir of this branch gives the numbers of its inodes, and they are unique. */
	bool lists_numbers() const
	{
		return lists_numbers_;
	}
	/*
	 * Whether the change time of a directory is known to be another one whenever a name has come or gone. It is not
	 * if the filesystem makes up its directories as they are read, or if its data is elsewhere.
	 */
	bool tells_changes() const
	{
		return tells_changes_;
	}
	/* Whether a regular file can be made and synced there without a name, and get one by a link. */
	bool has_unnamed_files() const
	{
		return has_unnamed_files_;
	}

	/*
	 * Whether its names change on disk in the order in which they were changed. On btrfs, a sync of any file takes
	 * along what was removed from a directory that was synced shortly before, but not what was made there since.
	 */
	bool keeps_order() const
	{
		return sb().s_magic != BTRFS_SUPER_MAGIC;
	}

	/*
	 * Whether it changes although nobody writes to it, as a server's or a daemon's does. Then the union's inodes
	 * copy its attributes again each time the branch has been asked for them. With udba=reval every branch counts
	 * as such.
	 */
	bool changes_by_itself() const
	{
		return AtomicRef(changes_by_itself_).load();
	}
	void set_changes_by_itself(bool changes)
	{
		AtomicRef(changes_by_itself_).store(changes);
	}
	/* Whether the answers for it come from a server or a daemon, which may be late. */
	bool is_served() const
	{
		return is_served_;
	}
	void set_served(bool served)
	{
		is_served_ = served;
	}
	/* Whether other unions have to know that it is written to (claims.cc). */
	bool is_claimed_rw(const ClaimsLock &) const
	{
		return claimed_rw_;
	}
	void set_claimed_rw(const ClaimsLock &, bool rw)
	{
		claimed_rw_ = rw;
	}

	/* A number that no other branch of this union has or had. */
	unsigned int number() const
	{
		return number_;
	}
	void set_number(unsigned int number)
	{
		number_ = number;
	}
	/* Its place in the list: 0 is the topmost. Larger than any place if it has left the list. */
	unsigned int index() const
	{
		return AtomicRef(index_).load();
	}
	void set_index(unsigned int index)
	{
		AtomicRef(index_).store(index);
	}
	bool is_topmost() const
	{
		return index() == 0;
	}
	/*
	 * Whether it has left the list. If it is still in use, open files and mappings go on; nothing else is changed
	 * there. Any context.
	 */
	bool has_left() const
	{
		return index() == no_place;
	}
	void leave()
	{
		set_index(no_place);
	}
	bool is_above(const Branch &other) const
	{
		return index() < other.index();
	}
	/* The union's number for its filesystem, the same for all branches on that. */
	unsigned int filesystem() const
	{
		return filesystem_;
	}
	void set_filesystem(unsigned int filesystem)
	{
		filesystem_ = filesystem;
	}
	/*
	 * The id of its filesystem, the same in any mount; null if it has none, or shares it with another. attach()
	 * sets it.
	 */
	const unsigned char *filesystem_id() const
	{
		return has_id_ ? id_ : nullptr;
	}
	/* Another filesystem of the union, which was there before, has the same id. */
	void forget_filesystem_id()
	{
		has_id_ = false;
	}
	/* Whether a union may have written to it: then objects may have origins. */
	bool has_origins() const
	{
		return housekeeping_.used();
	}
	/*
	 * Whether a copy with the type of @mode can store its origin and get further names here, as far as is known
	 * without a try.
	 */
	bool keeps_identity(umode_t mode) const
	{
		return !(AtomicRef(keeps_none_).load() & kind_bit(mode));
	}
	/* A try has failed: copies with the type of @mode keep no identity. */
	void note_keeps_none(umode_t mode) const
	{
		AtomicRef(keeps_none_).fetch_or(kind_bit(mode));
	}
	/*
	 * The bytes that users may still write, as the filesystem said at most @seconds ago; 0 if it does not say. May
	 * sleep.
	 */
	u64 free_space(unsigned int seconds) const;
	/* The union's own files in the root of a rw branch (housekeeping.hh); made when they are needed. */
	Housekeeping &housekeeping() const
	{
		return housekeeping_;
	}

private:
	Branch() = default;

	static constexpr unsigned char all_kinds = 3;
	/* Some filesystems keep attributes for files, and not for symlinks and devices. */
	static unsigned char kind_bit(umode_t mode)
	{
		return is_reg(mode) || is_dir(mode) ? 1 : 2;
	}

	Result<void> check_filesystem(struct fs_context *fc, bool perm_given);
	bool may_share_mount(const Branch &other) const;
	Result<void> make_mount(struct fs_context *fc, const Branch *before, const Branch *next);
	void identify_filesystem();
	void identify_squashfs();
	void follow_permission();

	mutable struct llist_node released_ = {};
	mutable unsigned int pins_ = 1; /* one is the list's */
	mutable unsigned int writers_ = 0;
	static constexpr unsigned int no_place = ~0U;
	HeldPath found_; /* until attach() */
	const struct vfsmount *found_on_ = nullptr; /* the mount of it; only compared */
	Ref<struct dentry> root_;
	BranchMount mount_;
	BranchName name_;
	mutable Housekeeping housekeeping_;
	mutable u64 free_ = 0;
	static constexpr s64 never = -1;
	mutable s64 free_asked_ = never; /* when free_ was asked for, in seconds since boot */
	mutable unsigned char keeps_none_ = 0; /* kind_bit()s */
	unsigned char id_[UUID_SIZE];
	bool has_id_ = false;
	unsigned int number_ = 0;
	unsigned int index_ = 0;
	unsigned int filesystem_ = 0;
	BranchPerm perm_ = BranchPerm::ro;
	CopyOnOpen copy_on_open_ = CopyOnOpen::nothing;
	XattrClasses may_miss_;
	bool numbers_by_inode_ = false;
	bool lists_numbers_ = false;
	bool tells_changes_ = false;
	bool has_unnamed_files_ = false;
	bool grants_rights_ = true;
	bool mount_grants_rights_ = true;
	bool grants_devices_ = true;
	bool mount_grants_devices_ = true;
	bool has_private_attributes_ = true;
	bool mount_is_readonly_ = false;
	bool idmapped_ = false;
	bool changes_by_itself_ = false;
	bool is_served_ = false;
	bool claimed_rw_ = false;
	mutable u32 write_errors_ = 0; /* of its filesystem, as far as they were passed on */
	bool overlay_whiteouts_ = false;
	bool own_whiteouts_ = false;
};

} // namespace aufs
