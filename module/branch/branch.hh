/* SPDX-License-Identifier: GPL-2.0-only */
/* A branch: one of the directories that a mount unites. */
#pragma once

#include "kernel/handles.hh"
#include "options/options.hh"
#include "housekeeping.hh"
#include "kernel/locks.hh"
#include "kernel/messages.hh"
#include "kernel/tasks.hh"

namespace aufs
{

class AsMounter;
class Writer;

/*
 * It is there as long as it stands in its union's list, and after that as long as something of it is
 * in use: then it goes, by a work of its own, for that waits for a grace period.
 */
class Branch final
{
public:
	Branch(const Branch &) = delete;
	Branch &operator=(const Branch &) = delete;
	/* Sleeps, if its mount is still there. */
	~Branch()
	{
		if (struct vfsmount *mnt = detach())
			kern_unmount(mnt);
	}

	/*
	 * Resolves @item for the caller of mount(2) and remembers it; the mount of its own that a
	 * branch is used through is made by attach(). -ENOENT, -ENOTDIR and the other errors of a
	 * path walk; -EINVAL where the filesystem cannot be a branch; -EROFS for rw on what is
	 * read-only. Each is explained in @fc's log.
	 */
	static Result<Own<Branch>> create(struct fs_context *fc, const BranchItem &item);

	/*
	 * Clones the mount that the branch was found on, so that mounts and umounts there no longer
	 * matter.
	 */
	Result<void> attach(struct fs_context *fc);

	/* Gives the private mount to who unmounts it; null where attach() did not get so far. */
	struct vfsmount *detach()
	{
		/* It has dentries. */
		housekeeping_ = {};
		return cxxrt::exchange(mnt_, nullptr);
	}

	/*
	 * Whether it can be used as @item says, whatever that says of its path: -EROFS, explained in @fc's
	 * log, where it is to be rw and its filesystem or its mount is not.
	 */
	Result<void> check_use(struct fs_context *fc, const BranchItem &item) const;
	/* As what it is used; without a path. */
	BranchItem use() const
	{
		BranchItem use = {};

		use.perm = perm_;
		use.copy_on_open = copy_on_open();
		use.may_miss = may_miss_;
		use.overlay_whiteouts = overlay_whiteouts_;
		return use;
	}
	/* It is used so from now on. Under ListChangeLock. */
	void use_as(const BranchItem &item);
	/* Leave to change it (writer.hh). -EROFS, -ESTALE for one that has left. Sleeps while it is frozen. */
	Result<Writer> write(const AsMounter &mounter) const;
	/* Somebody is changing it just now: for WriteAccess. Any context, as the next two. */
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

	/* How many pins there are, the list's as well. */
	unsigned int pins() const
	{
		return AtomicRef(pins_).load();
	}
	/* Something of it is in use. Any context. */
	void pin() const
	{
		AtomicRef(pins_).fetch_add(1);
	}
	/* The last one lets it go. Any context. */
	void unpin() const
	{
		if (AtomicRef(pins_).take_last())
			aufs_release_later(&released_);
	}
	/*
	 * The same for the list's pin: adds it to @gone, for release(), if that was the last. So the
	 * filesystem is free when the caller's task returns to the user.
	 */
	struct llist_node *unpin_onto(struct llist_node *gone) const
	{
		if (!AtomicRef(pins_).take_last())
			return gone;
		released_.next = gone;
		return &released_;
	}
	/* Unmounts and frees those that unpin_onto() has put onto @gone. Sleeps. */
	static void release(struct llist_node *gone)
	{
		aufs_release_now(gone);
	}
	/* Waits for those that unpin() let go. Sleeps. */
	static void wait_for_released()
	{
		aufs_release_flush();
	}
	/* That of @released. */
	static Branch &of(struct llist_node &released);

	struct vfsmount *mnt() const
	{
		return mnt_;
	}
	struct dentry &root() const
	{
		return mnt_ ? *mnt_->mnt_root : *found_.path.dentry;
	}
	struct super_block &sb() const
	{
		return *root().d_sb;
	}
	/* The path to @dentry on this branch; borrows. */
	struct path path_to(struct dentry &dentry) const
	{
		return {.mnt = mnt_, .dentry = &dentry};
	}
	/* Whether nothing can be written through its mount just now, or on its filesystem. Any context. */
	bool mount_is_read_only() const
	{
		return aufs_mnt_is_readonly(mnt_);
	}
	/*
	 * Lets who syncs the union, whose superblock @union_sb is, know what its filesystem could not write back since.
	 */
	void tell_write_errors(struct super_block &union_sb) const;
	/* Writes out what its filesystem has in memory. Takes the s_umount of that. Sleeps. */
	Result<void> sync() const
	{
		return check(aufs_sync_super(&sb()));
	}
	CopyOnOpen copy_on_open() const
	{
		return AtomicRef(copy_on_open_).load();
	}
	/* Whether @item, whatever its path is, says that it is used as it is. */
	bool used_as(const BranchItem &item) const
	{
		return perm_ == item.perm && copy_on_open_ == item.copy_on_open &&
		       may_miss_ == item.may_miss && overlay_whiteouts_ == item.overlay_whiteouts;
	}
	/*
	 * Whether overlayfs's whiteouts and marks hide what lies below (overlay.hh), beside the format's own.
	 * That does not change while it is in a list: names in use would have to be looked up anew.
	 */
	bool has_overlay_whiteouts() const
	{
		return overlay_whiteouts_;
	}
	/* For one that is in no list yet. */
	void set_overlay_whiteouts(bool has)
	{
		overlay_whiteouts_ = has;
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
	/* As /proc/mounts shows it: absolute, not escaped. */
	StringView name() const
	{
		return StringView::from_c_string(name_.get());
	}
	/*
	 * Whether setuid and setgid bits and capabilities of its files count. On a branch that is
	 * not written to and whose mount is nosuid, or another user namespace's, they do not, and
	 * users do not see them, so that a copy-up, which leaves them out, changes nothing: else
	 * whoever supplies the branch would get setuid programs on the rw one.
	 */
	bool grants_rights() const
	{
		return AtomicRef(grants_rights_).load();
	}
	/* @mode as users see it. */
	umode_t shown_mode(umode_t mode) const
	{
		constexpr umode_t rights = S_ISUID | S_ISGID;

		return grants_rights() || is_dir(mode) ? mode :
							 static_cast<umode_t>(mode & ~rights);
	}
	/*
	 * Whether its mount maps ids: then users see the owners and ACLs of its files as through
	 * that mount, and what they set goes the other way. Ids without a counterpart are invalid.
	 */
	bool idmapped() const
	{
		return idmapped_;
	}
	struct Owner {
		kuid_t uid;
		kgid_t gid;
	};
	/* Who owns its @h_inode, as users see it. Any context. */
	Owner shown_owner(const struct inode &h_inode) const
	{
		Owner owner = {h_inode.i_uid, h_inode.i_gid};

		if (idmapped())
			aufs_owner_through(mnt_, &h_inode, &owner.uid, &owner.gid);
		return owner;
	}
	/*
	 * Two inodes of this branch may have one number. Then the union's numbers come from its inodes
	 * alone.
	 */
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
	 * Whether the change time of a directory is another one whenever a name has come or gone. On
	 * filesystems that make their directories up as they are read, and on what others have the
	 * data of, one cannot know.
	 */
	bool tells_changes() const
	{
		return tells_changes_;
	}

	/*
	 * Whether it changes although nobody writes to it: a server's or a daemon's. Then what the
	 * union's inodes have copies of is copied again whenever the branch has been asked.
	 */
	bool changes_by_itself() const
	{
		return AtomicRef(changes_by_itself_).load();
	}
	/* Whether other unions have to know that it is written to. */
	bool is_claimed_rw(const ClaimsLock &) const
	{
		return claimed_rw_;
	}
	void set_claimed_rw(const ClaimsLock &, bool rw)
	{
		claimed_rw_ = rw;
	}
	void set_changes_by_itself(bool changes)
	{
		AtomicRef(changes_by_itself_).store(changes);
	}

	/* The mount's number for it, which no other branch has or had. */
	unsigned int number() const
	{
		return number_;
	}
	void set_number(unsigned int number)
	{
		number_ = number;
	}
	/* Its place in the list: 0 is the topmost. Behind all places where it has left the list. */
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
	 * It has left the list, and is in use still: what is open or mapped goes on, and nothing else is changed
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
	/* The number of its filesystem: that of the first branch that lies on the same one. */
	unsigned int filesystem() const
	{
		return filesystem_;
	}
	void set_filesystem(unsigned int filesystem)
	{
		filesystem_ = filesystem;
	}
	/*
	 * What tells its filesystem from others, in any mount; null where nothing does. Filled in by
	 * attach().
	 */
	const unsigned char *filesystem_id() const
	{
		return has_id_ ? id_ : nullptr;
	}
	/* Another filesystem of the union says that it is this one, and was there before. */
	void forget_filesystem_id()
	{
		has_id_ = false;
	}
	/* Whether it has ever been written to by this filesystem: objects may have origins. */
	bool has_origins() const
	{
		return housekeeping_->used();
	}
	/*
	 * Whether a copy of that kind here can be told what it is a copy of, and get further names:
	 * as far as one knows before it is tried.
	 */
	bool keeps_identity(umode_t mode) const
	{
		return !(AtomicRef(keeps_none_).load() & kind_bit(mode));
	}
	/* It was tried, and cannot be. */
	void note_keeps_none(umode_t mode) const
	{
		AtomicRef(keeps_none_).fetch_or(kind_bit(mode));
	}
	/*
	 * Bytes that users may still write, as it said at most @seconds ago; 0 where it does not
	 * say. May sleep.
	 */
	u64 free_space(unsigned int seconds) const;
	/* What the format keeps in the root of a rw branch (housekeeping.hh); made when it is needed. */
	Housekeeping &housekeeping() const
	{
		return *housekeeping_;
	}

private:
	Branch() = default;

	/* A counted struct path that can be moved. */
	struct HeldPath {
		struct path path = {};

		HeldPath() = default;
		HeldPath(HeldPath &&other) : path(other.path)
		{
			other.path = {};
		}
		HeldPath &operator=(HeldPath &&other)
		{
			struct path old = path;

			path = other.path;
			other.path = {};
			if (old.dentry)
				path_put(&old);
			return *this;
		}
		~HeldPath()
		{
			if (path.dentry)
				path_put(&path);
		}
	};

	static constexpr unsigned char all_kinds = 3;
	/* Some filesystems keep attributes for files, and not for symlinks and devices. */
	static unsigned char kind_bit(umode_t mode)
	{
		return is_reg(mode) || is_dir(mode) ? 1 : 2;
	}

	Result<void> check_filesystem(struct fs_context *fc, bool perm_given);
	void identify_filesystem();
	void follow_permission();

	mutable struct llist_node released_ = {};
	mutable unsigned int pins_ = 1; /* of the list's */
	mutable unsigned int writers_ = 0;
	static constexpr unsigned int no_place = ~0U;
	HeldPath found_;
	struct vfsmount *mnt_ = nullptr;
	Own<char[]> name_;
	Own<Housekeeping> housekeeping_;
	mutable u64 free_ = 0;
	static constexpr s64 never = -1;
	mutable s64 free_asked_ = never; /* seconds since boot, when free_ was so */
	mutable unsigned char keeps_none_ = 0; /* kinds */
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
	bool grants_rights_ = true;
	bool mount_grants_rights_ = true;
	bool has_private_attributes_ = true;
	bool mount_is_readonly_ = false;
	bool idmapped_ = false;
	bool changes_by_itself_ = false;
	bool claimed_rw_ = false;
	mutable u32 write_errors_ = 0; /* of its filesystem, up to which the union has told them */
	bool overlay_whiteouts_ = false;
};

} // namespace aufs
