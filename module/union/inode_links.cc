// SPDX-License-Identifier: GPL-2.0-only
/* How many names an inode has, and when the last one went that no rw branch had. */
#include "copy_lock.hh"
#include "kernel/inodes.hh"

namespace aufs
{

void Inode::copy_links()
{
	copy_attributes();

	/* Several tasks may copy a directory's links: the last one copies what all have done. */
	InodeSpinLock lock(vfs);
	unsigned int h_links = h_inode().i_nlink;

	if (!is_dir(vfs.i_mode))
		set_nlink(&vfs, visible_links(h_links));
	/* A directory that has been removed does not come back. */
	else if (vfs.i_nlink > 0)
		/* No branch counts all subdirectories of a merged directory. */
		set_nlink(&vfs, merged() ? 1 : h_links);
}

void Inode::drop_link(const CopyLock &)
{
	InodeSpinLock lock(vfs);

	if (vfs.i_nlink > 0)
		set_nlink(&vfs, vfs.i_nlink - 1);
	AtomicRef(gone_).fetch_add(1);
	name_gone_ = current_time(&vfs);
}

void Inode::correct_ctime(struct timespec64 &ctime)
{
	if (!AtomicRef(name_gone_.tv_sec).load())
		return;

	InodeSpinLock lock(vfs);

	if (name_gone_.tv_sec > ctime.tv_sec ||
	    (name_gone_.tv_sec == ctime.tv_sec && name_gone_.tv_nsec > ctime.tv_nsec))
		ctime = name_gone_;
}

void Inode::note_removed()
{
	InodeSpinLock lock(vfs);

	set_nlink(&vfs, 0);
}

} // namespace aufs
