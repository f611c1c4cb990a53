/* SPDX-License-Identifier: GPL-2.0-only */
/* What DirLock::make() and Workfile::create() make of a negative dentry, for each kind of object. */
#pragma once

#include "kernel/handles.hh"

namespace aufs::making
{

struct File {
	umode_t mode;

	int operator()(struct vfsmount *mnt, struct inode &dir, struct dentry &dentry) const
	{
		return aufs_create(mnt, &dir, &dentry, mode);
	}
};

struct Directory {
	umode_t mode;

	int operator()(struct vfsmount *mnt, struct inode &dir, struct dentry &dentry) const
	{
		return aufs_mkdir(mnt, &dir, &dentry, mode);
	}
};

struct Symlink {
	const char *target;

	int operator()(struct vfsmount *mnt, struct inode &dir, struct dentry &dentry) const
	{
		return aufs_symlink(mnt, &dir, &dentry, target);
	}
};

/* A device, a pipe or a socket. */
struct Special {
	umode_t mode;
	dev_t device;

	int operator()(struct vfsmount *mnt, struct inode &dir, struct dentry &dentry) const
	{
		return aufs_mknod(mnt, &dir, &dentry, mode, device);
	}
};

/* A further name of @object. */
struct Link {
	struct dentry &object;

	int operator()(struct vfsmount *mnt, struct inode &dir, struct dentry &dentry) const
	{
		return aufs_link(&object, mnt, &dir, &dentry);
	}
};

} // namespace aufs::making
