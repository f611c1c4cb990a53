/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The prfile of a mapping: the file that it reports, while vm_file is the branch file that serves
 * it. How a kernel carries the prfile is its carrier; this is the one interface in front of all of
 * them:
 *
 *	vm_prfile	a member of the vma (a kernel with the patch in vm_prfile/): the mapping
 *			itself holds the user's file, by the bookkeeping of mapping.hh
 *	backing_file	the branch file remembers the user's path (6.8 and later)
 *	fake path	the branch file stands at the user's path (up to 6.7): observers that ask
 *			for the inode, and not for the path, get the branch's
 *
 * The last two keep the prfile in the branch file, so that the kernel's own counting of vm_file is
 * the bookkeeping: fork, split, merge, mremap and munmap need nothing from us. A mapping that two
 * union files would share does not exist, because each open has a branch file of its own.
 */
#pragma once

#include "union/inode.hh"

namespace aufs
{

namespace prfile
{

/*
 * Opens the branch file at @path, of a branch of @super, with @flags, to serve @user. If the branch
 * file is the carrier, the result alone pins the user's path. Errors of an open. May sleep.
 */
Result<Ref<struct file>> open(const struct file &user, const Super &super, const struct path &path,
			      int flags);

/*
 * Whether @branch stands at another path than it would if it was opened again: open() gave it for
 * @user before the union knew the inode of @branch.
 */
bool is_misplaced(const struct file &user, const struct file &branch);

/*
 * The credentials of the task that security modules take for the opener of @branch, which open() gave for @user: the
 * mounter, or, if @branch stands at the user's path, the task that opened @user. Borrowed.
 */
const struct cred &opener_of(const struct file &user, const struct file &branch);

/*
 * Maps @branch, which open() gave for @user, into @vma, which reports @user from then on. The caller
 * of ->mmap puts the file that @vma has, whatever the result.
 * -ENODEV if the branch has no ->mmap. mmap_lock is held for writing; takes no lock.
 */
Result<void> map(struct file &user, struct file &branch, struct vm_area_struct &vma);

} // namespace prfile

} // namespace aufs
