/* SPDX-License-Identifier: GPL-2.0-only */
/* Changes of a branch directory that users do not see. */
#pragma once

#include "branch.hh"

namespace aufs
{

/*
 * The times of a directory of a branch stay what they are while it is changed in ways that users do
 * not see. Write access and the mounter's credentials are held, and the directory's i_rwsem before and
 * after this: else the times of what another does there meanwhile would be taken back as well.
 */
class KeepTimes final
{
public:
	/* What users see changes the times. */
	enum class Change : unsigned char { unseen, seen };

	KeepTimes(const Branch &branch, struct dentry &dir, Change change = Change::unseen)
		: branch_(branch), dir_(Ref<struct dentry>::retain(&dir))
	{
		struct path path = branch.path_to(dir);

		known_ = change == Change::unseen &&
			 vfs_getattr_nosec(&path, &stat_, STATX_ATIME | STATX_MTIME, 0) == 0;
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
		aufs_notify_change(branch_.mnt(), dir_.get(), &attr);
	}

private:
	const Branch &branch_;
	Ref<struct dentry> dir_;
	struct kstat stat_;
	bool known_;
};

} // namespace aufs
