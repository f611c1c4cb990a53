// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rare case of a copy-up: an object is opened to be read, and its branch has `+coo_reg` or `+coo_all`.
 * copy_up_to_write.cc decides for a file that is opened to be written to; copy_up.hh lists the other cases.
 */
#include "copy_up.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

bool wants_copy_on_open(const Inode &inode)
{
	DirListLock list(inode);
	CopyOnOpen what = inode.branch().copy_on_open();

	if (what == CopyOnOpen::nothing || is_read_only(*inode.vfs.i_sb) ||
	    (is_dir(inode.vfs.i_mode) && what != CopyOnOpen::all))
		return false;
	if (inode.on_rw())
		return false;
	/* A task that only reads must not fail because it may not write a file of this size. */
	if (is_reg(inode.vfs.i_mode) &&
	    static_cast<unsigned long>(size_of(inode.h_inode())) > file_size_limit())
		return false;
	/* On a branch that cannot store these flags the copy would not be protected, and no reader asked for a copy. */
	return !(inode.h_inode().i_flags & (S_IMMUTABLE | S_APPEND));
}

} // namespace

Result<void> copy_up_if_wanted(const struct file &file)
{
	if (!wants_copy_on_open(Inode::of(*file.f_inode)))
		return {};

	const Inode &inode = Inode::of(*file.f_inode);

	auto dentry = TRY(dentry_of(file));
	bool has_name = dentry->d_hash.pprev;

	FreezeProtection protection(*inode.vfs.i_sb);

	auto copied = copy_up(*dentry);

	switch (copied.error()) {
	case -EROFS:
	case -ENOSPC:
	case -E2BIG:
	case -EDQUOT:
	case -EPERM:
	case -EOVERFLOW:
		return {};
	case -ESTALE: /* hidden or gone by now; a file that had no name before is read as it is */
		return has_name ? move(copied) : Result<void>();
	default:
		return copied;
	}
}

} // namespace aufs
