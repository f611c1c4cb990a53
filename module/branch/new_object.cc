// SPDX-License-Identifier: GPL-2.0-only
#include "new_object.hh"

namespace aufs
{

Result<void> NewObject::make(struct vfsmount *mnt, struct inode &dir, struct dentry &dentry) const
{
	switch (kind_) {
	case Kind::file:
		return check(aufs_create(mnt, &dir, &dentry, mode_));
	case Kind::directory:
		return check(aufs_mkdir(mnt, &dir, &dentry, mode_));
	case Kind::symlink:
		return check(aufs_symlink(mnt, &dir, &dentry, target_));
	case Kind::special:
		return check(aufs_mknod(mnt, &dir, &dentry, mode_, device_));
	case Kind::link:
		return check(aufs_link(original_, mnt, &dir, &dentry));
	}
	return Error{-EINVAL};
}

} // namespace aufs
