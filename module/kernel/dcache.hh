/* SPDX-License-Identifier: GPL-2.0-only */
/* The dentries of a filesystem in the dcache, and what refers to them. Any context unless a comment says more. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* Some dentry of @inode; null if there is none. */
inline Ref<struct dentry> any_dentry_of(struct inode &inode)
{
	return Ref<struct dentry>::adopt(aufs_d_find_any_alias(&inode));
}

/* The dentry of @file's inode, on whatever filesystem @file's path is; borrowed. */
inline struct dentry &file_dentry(struct file &file)
{
	return *aufs_file_dentry(&file);
}

/*
 * The dentry @name of @dir, cached or looked up; it may be negative. For a reader of @dir: its i_rwsem is held shared.
 * Sleeps.
 */
inline Result<Ref<struct dentry>> look_up_in_parallel(struct dentry &dir, StringView name)
{
	return adopt_or_error(
		aufs_d_alloc_parallel(&dir, name.data(), static_cast<unsigned int>(name.size())));
}

/* Takes the negative @dentry out of the dcache. False if it is not negative any more. */
inline bool drop_negative(struct dentry &dentry)
{
	return aufs_d_drop_negative(&dentry);
}

/* Sets whether the VFS asks ->d_revalidate before it believes @dentry. */
inline void set_revalidated(struct dentry &dentry, bool asked)
{
	aufs_d_set_asked(&dentry, asked);
}

/* As aufs_dcache_children(). */
inline unsigned int dcache_children(struct dentry &dir, struct dentry **children, unsigned int size)
{
	return aufs_dcache_children(&dir, children, size);
}

/* The number of references to @dentry, those of its children as well. */
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
