/* SPDX-License-Identifier: GPL-2.0-only */
/* Open files, the union's and those of branches. All functions may sleep unless a comment says more. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* Lets @file go: at once if the kernel can do that, else when the task returns to user space. */
inline void put_now(Ref<struct file> file)
{
	aufs_fput_now(file.leak());
}

/* The same for a file that was opened to be written to. On all kernels it counts as a writer no more afterwards. */
inline void put_writer_now(Ref<struct file> file)
{
	aufs_fput_writer_now(file.leak());
}

/* Keeps writers from the regular file @file until allow_writes(). -ETXTBSY if there is one. Any context. */
inline Result<void> deny_writes(struct file &file)
{
	return check(aufs_deny_write_access(&file));
}

inline void allow_writes(struct file &file)
{
	aufs_allow_write_access(&file);
}

/* Gives @h_file those of @virtual_file's flags that are in @mask, and @more. Any context. */
inline void set_flags(struct file &virtual_file, struct file &h_file, unsigned int mask,
		      unsigned int more)
{
	aufs_set_file_flags(&virtual_file, &h_file, mask, more);
}

/* As aufs_iocb_write(). Returns what ->write_iter() returns, as the VFS wants it. */
inline ssize_t write_branch(struct file &file, struct kiocb &iocb, struct iov_iter &iter)
{
	return aufs_iocb_write(&file, &iocb, &iter);
}

/* Ends the freeze protection of a write that write_branch() has queued and that is done. Any context. */
inline void end_queued_write(struct kiocb &iocb)
{
	aufs_kiocb_end_write(&iocb);
}

/* As splice(2): bytes, or a negative errno. */
inline ssize_t splice_from(struct file &file, loff_t &pos, struct pipe_inode_info &pipe, size_t len,
			   unsigned int flags)
{
	return aufs_splice_read(&file, &pos, &pipe, len, flags);
}

/* An unnamed file below @parent; linkat(2) may name it later. */
inline Result<Ref<struct file>> open_unnamed(const struct path &parent, umode_t mode, int flags,
					     const struct cred &cred)
{
	return adopt_or_error(aufs_tmpfile_open(&parent, mode, flags, &cred));
}

/* Opens the file at @path of a branch, to serve @user, as its carrier wants it (mapping.c). */
inline Result<Ref<struct file>> open_for(const struct file &user, int flags,
					 const struct path &path, const struct cred &cred)
{
	return adopt_or_error(aufs_branch_open(&user, flags, &path, path.dentry->d_inode, &cred));
}

/* Maps @branch, which serves @user. mmap_lock is held for writing. */
inline Result<void> map_for(struct file &user, struct file &branch, struct vm_area_struct &vma,
			    const struct cred &cred)
{
	return check(aufs_branch_mmap(&user, &branch, &vma, &cred));
}

/* Whether the mount by which @file was opened, or its filesystem, is read-only. Any context. */
inline bool is_on_readonly_mount(const struct file &file)
{
	return aufs_mnt_is_readonly(file.f_path.mnt);
}

/* The path by which the user of the branch file @file knows it. Any context. */
inline const struct path &user_path_of(const struct file &file)
{
	return *aufs_file_user_path(&file);
}

inline const struct inode &user_inode_of(const struct file &file)
{
	return *aufs_file_user_inode(&file);
}

/* The address at which @file would be mapped, or a negative errno. */
inline unsigned long unmapped_area(struct file &file, unsigned long addr, unsigned long len,
				   unsigned long pgoff, unsigned long flags)
{
	return aufs_get_unmapped_area(&file, addr, len, pgoff, flags);
}

} // namespace aufs
