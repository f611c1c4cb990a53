/* SPDX-License-Identifier: GPL-2.0-only */
/* Changes of a branch directory that users do not see. */
#pragma once

#include "dir_lock.hh"

namespace aufs
{

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
		struct iattr attr = {};

		if (!known_)
			return;
		attr.ia_valid = ATTR_ATIME | ATTR_ATIME_SET | ATTR_MTIME | ATTR_MTIME_SET;
		attr.ia_atime = stat_.atime;
		attr.ia_mtime = stat_.mtime;
		aufs_notify_change(mnt_, dir_.get(), &attr);
	}

private:
	KeepTimes(struct vfsmount *mnt, struct dentry &dir, Change change)
		: mnt_(mnt), dir_(Ref<struct dentry>::retain(&dir))
	{
		struct path path = {.mnt = mnt, .dentry = &dir};

		known_ = change == Change::unseen &&
			 vfs_getattr_nosec(&path, &stat_, STATX_ATIME | STATX_MTIME, 0) == 0;
	}

	struct vfsmount *mnt_;
	Ref<struct dentry> dir_;
	struct kstat stat_;
	bool known_;
};

} // namespace aufs
