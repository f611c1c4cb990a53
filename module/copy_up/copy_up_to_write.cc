// SPDX-License-Identifier: GPL-2.0-only
/*
 * The usual case of a copy-up: a regular file is opened to be written to. copy_up_to_read.cc decides for a file that is
 * opened to be read; copy_up.hh lists the other cases.
 */
#include "copy_up.hh"
#include "union/presence.hh"
#include "kernel/locks.hh"

namespace aufs
{

Result<void> copy_up_to_write(const struct file &file, FinishCopy opens)
{
	const Inode &inode = Inode::of(*file.f_inode);
	auto dentry = TRY(dentry_of(file));

	if (inode.on_rw())
		return check_presence(*dentry);

	/* The copy-up waits while the union is frozen, since it changes a branch. */
	FreezeProtection protection(*inode.vfs.i_sb);

	/* O_DIRECT is the only flag that the branch of the copy may refuse. */
	if (!(file.f_flags & O_DIRECT))
		return copy_up(*dentry);
	TRY(copy_up_and(*dentry, whole_file, opens));
	return {};
}

} // namespace aufs
