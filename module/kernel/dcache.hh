/* SPDX-License-Identifier: GPL-2.0-only */
/* What the dcache has of a filesystem, and what keeps it there. Any context where nothing else is said. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* Some dentry of @inode; null where there is none. */
inline Ref<struct dentry> any_dentry_of(struct inode &inode)
{
	return Ref<struct dentry>::adopt(aufs_d_find_any_alias(&inode));
}

/* That of @file's inode, on whatever filesystem its path is; borrowed. */
inline struct dentry &file_dentry(struct file &file)
{
	return *aufs_file_dentry(&file);
}

/*
 * What @dir has by @name, cached or looked up; it may be negative. For who reads @dir: its i_rwsem is held
 * shared. Sleeps.
 */
inline Result<Ref<struct dentry>> look_up_in_parallel(struct dentry &dir, StringView name)
{
	return adopt_or_error(
		aufs_d_alloc_parallel(&dir, name.data(), static_cast<unsigned int>(name.size())));
}

/* Takes the negative @dentry out of the dcache. False where it is not negative any more. */
inline bool drop_negative(struct dentry &dentry)
{
	return aufs_d_drop_negative(&dentry);
}

/* Whether the VFS asks ->d_revalidate before it believes @dentry. */
inline void set_revalidated(struct dentry &dentry, bool asked)
{
	aufs_d_set_asked(&dentry, asked);
}

/* As aufs_dcache_children(). */
inline unsigned int dcache_children(struct dentry &dir, struct dentry **children, unsigned int size)
{
	return aufs_dcache_children(&dir, children, size);
}

/* Who refers to @dentry, its children as well. */
inline unsigned int references_to(const struct dentry &dentry)
{
	return aufs_dentry_users(&dentry);
}

inline bool is_mount_point(const struct dentry &dentry)
{
	return aufs_is_mount_point(&dentry);
}

/* As aufs_lone_inodes(). */
inline unsigned int lone_inodes(struct super_block &sb, struct inode **inodes, unsigned int size)
{
	return aufs_lone_inodes(&sb, inodes, size);
}

} // namespace aufs
