/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A user who has rights on a branch may change it directly at any moment: what was looked up once may have been moved
 * or removed since. The VFS believes its arguments, and stops the machine if they are wrong. So names of a branch
 * change only through DirLock and RenameLock, which look again under the locks and answer -ESTALE.
 */
#pragma once

#include "new_object.hh"
#include "part.hh"
#include "writer.hh"

namespace aufs
{

/* Whether @part is the root of its branch, or lies below it. Any context. */
inline bool lies_on_branch(PartRef part)
{
	return is_subdir(&part.dentry, &part.branch.root());
}

/*
 * Whether @dir lies on its branch and can have entries. Under its i_rwsem that stays so. A directory above it may still
 * be moved away: that counts as if it came afterwards.
 */
inline bool is_live_directory(PartRef dir)
{
	return is_positive(dir.dentry) && is_dir(dir.inode().i_mode) &&
	       !(dir.inode().i_flags & S_DEAD) && lies_on_branch(dir);
}

/* Whether @dentry is still an entry of @dir. That stays so only under the i_rwsem of @dir (DirLock::has()). */
inline bool is_entry_of(const struct dentry &dentry, const struct dentry &dir)
{
	return dentry.d_parent == &dir && dentry.d_hash.pprev && is_positive(dentry);
}

/* The name of a dentry that may be renamed meanwhile. */
class NameSnapshot final
{
public:
	explicit NameSnapshot(struct dentry &dentry)
	{
		take_dentry_name_snapshot(&snapshot_, &dentry);
	}
	NameSnapshot(const NameSnapshot &) = delete;
	NameSnapshot &operator=(const NameSnapshot &) = delete;
	~NameSnapshot()
	{
		release_dentry_name_snapshot(&snapshot_);
	}

	StringView view() const
	{
		return StringView(reinterpret_cast<const char *>(snapshot_.name.name),
				  snapshot_.name.len);
	}
	const struct qstr &qstr() const
	{
		return snapshot_.name;
	}

private:
	struct name_snapshot snapshot_;
};

/* Holds the i_rwsem of a branch directory that is about to change. Ends before its Writer. */
class DirLock final
{
public:
	/* -ESTALE if @dir is no directory of the branch any more. Sleeps. */
	static Result<DirLock> get(const Writer &writer, struct dentry &dir)
	{
		aufs_inode_lock_nested(dir.d_inode, I_MUTEX_PARENT);

		DirLock lock(writer.mnt(), dir);

		if (!is_live_directory({writer.branch(), dir}))
			return Error{-ESTALE};
		return lock;
	}
	DirLock(DirLock &&other) : mnt_(other.mnt_), dir_(cxxrt::exchange(other.dir_, nullptr))
	{
	}
	DirLock &operator=(DirLock &&) = delete;
	~DirLock()
	{
		if (dir_)
			aufs_inode_unlock(dir_->d_inode);
	}

	struct vfsmount *mnt() const
	{
		return mnt_;
	}
	struct dentry &dir() const
	{
		return *dir_;
	}
	/* Whether @dentry is still an entry of the locked directory. */
	bool has(const struct dentry &dentry) const
	{
		return is_entry_of(dentry, *dir_);
	}

	/* Makes @object by the name of the negative @dentry. */
	Result<void> make(struct dentry &dentry, const NewObject &object) const
	{
		if (dentry.d_parent != dir_)
			return Error{-ESTALE};
		return object.make(mnt_, *dir_->d_inode, dentry);
	}
	/* Gives @object the name of the negative @dentry. */
	Result<void> link(struct dentry &object, struct dentry &dentry) const
	{
		return make(dentry, NewObject::link(object));
	}
	/* Removes the file @dentry; -ESTALE if it is a directory by now. */
	Result<void> unlink(struct dentry &dentry) const
	{
		if (!has(dentry) || is_dir(dentry.d_inode->i_mode))
			return Error{-ESTALE};
		return check(aufs_unlink(mnt_, dir_->d_inode, &dentry));
	}
	/* Removes the directory @dentry; -ESTALE if it is none. */
	Result<void> rmdir(struct dentry &dentry) const
	{
		if (!has(dentry) || !is_dir(dentry.d_inode->i_mode))
			return Error{-ESTALE};
		return check(aufs_rmdir(mnt_, dir_->d_inode, &dentry));
	}

private:
	DirLock(struct vfsmount *mnt, struct dentry &dir) : mnt_(mnt), dir_(&dir)
	{
	}

	struct vfsmount *mnt_;
	struct dentry *dir_;
};

/* Both directories of a rename, locked in the VFS's order, and both names looked up. Ends before its Writer. */
class RenameLock final
{
public:
	/*
	 * For a rename of @from to @to. -ESTALE if one of the directories is gone or has left the branch. If @from does
	 * not exist, or @to in an exchange, later kernels answer -ESTALE here, and others give a negative dentry.
	 * Sleeps.
	 */
	static Result<RenameLock> get(const Writer &writer, struct dentry &from_dir,
				      StringView from, struct dentry &to_dir, StringView to,
				      bool exchange = false)
	{
		return begin(writer.branch(), {&from_dir, &to_dir, nullptr, nullptr, nullptr}, from,
			     to, exchange);
	}
	/* The same for the dentry @from. If that is in another directory by now, this is -ESTALE, or rename() is. */
	static Result<RenameLock> get(const Writer &writer, struct dentry &from_dir,
				      struct dentry &from, struct dentry &to_dir, StringView to)
	{
		return begin(writer.branch(), {&from_dir, &to_dir, &from, nullptr, nullptr}, {}, to,
			     false);
	}
	RenameLock(RenameLock &&other)
		: mnt_(cxxrt::exchange(other.mnt_, nullptr)), names_(other.names_)
	{
	}
	RenameLock &operator=(RenameLock &&) = delete;
	~RenameLock()
	{
		if (mnt_)
			aufs_rename_end(&names_);
	}

	struct vfsmount *mnt() const
	{
		return mnt_;
	}
	/* The directory to which @from moves. */
	struct dentry &to_dir() const
	{
		return *names_.to_dir;
	}
	struct dentry &from() const
	{
		return *names_.from;
	}
	/* May be negative. */
	struct dentry &to() const
	{
		return *names_.to;
	}
	/*
	 * Renames from() to the name of to(). -ESTALE if they are no entries any more, or a directory would move into
	 * itself.
	 */
	Result<void> rename(unsigned int flags = 0) const
	{
		if (!is_entry_of(from(), *names_.from_dir) || to().d_parent != names_.to_dir ||
		    names_.trap == &from() || names_.trap == &to())
			return Error{-ESTALE};
		return check(aufs_rename(mnt_, &names_, flags));
	}

private:
	RenameLock(struct vfsmount *mnt, const struct aufs_renaming &names)
		: mnt_(mnt), names_(names)
	{
	}
	static Result<RenameLock> begin(const Branch &branch, struct aufs_renaming names,
					StringView from, StringView to, bool exchange);

	struct vfsmount *mnt_;
	struct aufs_renaming names_;
};

} // namespace aufs
