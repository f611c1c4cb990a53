/* SPDX-License-Identifier: GPL-2.0-only */
/* Changes of a branch directory that users do not see. */
#pragma once

#include "dir_lock.hh"

namespace aufs
{

/* An inode's time of the last change of content. Some kernels have it in one struct, others in two numbers. */
template <class I> struct timespec64 mtime_of(const I &inode)
{
	if constexpr (requires { inode.i_mtime_sec; })
		return {.tv_sec = inode.i_mtime_sec,
			.tv_nsec = static_cast<long>(inode.i_mtime_nsec)};
	else
		return inode.i_mtime;
}

template <class I> void set_mtime(I &inode, const struct timespec64 &time)
{
	if constexpr (requires { inode.i_mtime_sec; }) {
		AtomicRef(inode.i_mtime_sec).store(time.tv_sec);
		AtomicRef(inode.i_mtime_nsec)
			.store(static_cast<decltype(inode.i_mtime_nsec)>(time.tv_nsec));
	} else {
		inode.i_mtime = time;
	}
}

/*
 * The times of a branch directory stay what they are while it is changed in ways that users do not see. The scope lies
 * within that of the directory's lock: else it would also take back the times of what another task does there
 * meanwhile.
 */
class KeepTimes final
{
public:
	/* A change that users see changes the times. */
	enum class Change : unsigned char { unseen, seen };

	explicit KeepTimes(const DirLock &lock, Change change = Change::unseen)
		: KeepTimes(lock.mnt(), lock.dir(), change)
	{
	}
	/* Keeps the times of the directory to which a rename moves. */
	explicit KeepTimes(const RenameLock &lock)
		: KeepTimes(lock.mnt(), lock.to_dir(), Change::unseen)
	{
	}
	KeepTimes(const KeepTimes &) = delete;
	KeepTimes &operator=(const KeepTimes &) = delete;
	~KeepTimes()
	{
		if (!known_)
			return;
		if (in_memory())
			set_mtime(*dir_->d_inode, mtime_);
		else
			restore();
	}

private:
	KeepTimes(struct vfsmount *mnt, struct dentry &dir, Change change)
		: mnt_(mnt), dir_(Ref<struct dentry>::retain(&dir))
	{
		if (change == Change::seen)
			return;
		if (in_memory())
			mtime_ = mtime_of(*dir.d_inode);
		known_ = in_memory() || ask();
	}

	/*
	 * Whether the filesystem keeps the times in the inode alone: then it is neither asked nor told. The time of
	 * access does not change by what is done in the scope.
	 */
	bool in_memory() const
	{
		return dir_->d_sb->s_magic == TMPFS_MAGIC;
	}
	bool ask()
	{
		struct path path = {.mnt = mnt_, .dentry = dir_.get()};
		struct kstat stat;

		if (vfs_getattr_nosec(&path, &stat, STATX_ATIME | STATX_MTIME, 0) != 0)
			return false;
		atime_ = stat.atime;
		mtime_ = stat.mtime;
		return true;
	}
	void restore() const
	{
		struct iattr attr = {};

		attr.ia_valid = ATTR_ATIME | ATTR_ATIME_SET | ATTR_MTIME | ATTR_MTIME_SET;
		attr.ia_atime = atime_;
		attr.ia_mtime = mtime_;
		aufs_notify_change(mnt_, dir_.get(), &attr);
	}

	struct vfsmount *mnt_;
	Ref<struct dentry> dir_;
	struct timespec64 atime_;
	struct timespec64 mtime_;
	bool known_ = false;
};

} // namespace aufs
