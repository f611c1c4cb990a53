/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copy-up: an object of a branch that is not written to gets a copy on a rw branch above it, and the same inode of the
 * union stands for the copy from then on. The copy is made as a workfile and renamed to its name: after any failure,
 * and after a kill, the name leads to the old object or to the copy.
 *
 * Where it is decided that an object is copied up:
 *	a file is opened to be written to	copy_up_to_write.cc
 *	a file is opened with O_TRUNC		vfs/attr.cc, when the VFS truncates it after the open
 *	an object is opened to be read		copy_up_to_read.cc: only if its branch has `+coo_reg` or `+coo_all`
 *	an attribute changes			vfs/attr.hh (change()), vfs/attr.cc
 *	a name comes or moves			vfs/namei.cc (link()), vfs/rename.hh
 *	a directory gets or loses an entry	vfs/namei.cc, vfs/remove.cc, vfs/rename.cc: copy_up_directory()
 *
 * Never in ->mmap. Data is copied without any lock of the branch. All may sleep and take and
 * drop write access to the branch; the caller holds none, whatever VFS lock of the union it holds,
 * and any credentials. The caller holds the union's freeze protection, for a copy-up changes a branch:
 * the VFS takes it for all that changes something, and an open, for which it does not, takes it by
 * itself. -EROFS where no rw branch is above, -EINTR on a fatal signal, -EOVERFLOW for
 * an owner that the mounter's user namespace does not know.
 */
#pragma once

#include "union/inode.hh"
#include "union/list_lock.hh"
#include "branch/dir_lock.hh"

namespace aufs
{

inline constexpr loff_t whole_file = LLONG_MAX;

/*
 * The union's dentry of @file: another filesystem that stacks on the union may have opened it at a
 * path of its own. -ESTALE where it has none any more.
 */
Result<Ref<struct dentry>> dentry_of(const struct file &file);

/*
 * Makes the object of @dentry one that can be changed: it lies on a rw branch afterwards. Of a
 * regular file the first @size bytes are copied.
 */
Result<void> copy_up(struct dentry &dentry, loff_t size = whole_file);
/* The same for who holds the list of branches. */
Result<void> copy_up(const ListLock &list, struct dentry &dentry);

/*
 * The same, and @finish(writer, copy) is run on the copy before anybody can see it: where that
 * fails, there is no copy, and nothing has changed. Whether it was run: not where there is nothing to be copied, or
 * another was faster.
 */
using FinishCopy = FunctionRef<Result<void>(const Writer &, struct dentry &)>;
Result<bool> copy_up_and(struct dentry &dentry, loff_t size, FinishCopy finish);

/*
 * The same, and it has its name there: one that came up by another of its names is linked. For what
 * moves names.
 */
Result<void> copy_up_with_name(const ListLock &list, struct dentry &dentry);

/*
 * For the regular file @file, which is being opened to be written to: copies it up, or, on a rw branch, checks its
 * presence. With O_DIRECT, @opens(writer, copy) says whether the copy can be opened so; if it fails, so does this, and
 * there is no copy.
 */
Result<void> copy_up_to_write(const struct file &file, FinishCopy opens);

/*
 * For a file or directory @file that is being opened to be read: copies it up if its branch has the attribute for that
 * (`+coo_reg`, `+coo_all`). If no branch takes the copy, for want of room or rights, the object is opened where it is:
 * a reader needs no copy.
 */
Result<void> copy_up_to_read(const struct file &file);

/*
 * Gives the union directory @dir a part on the rw branch @branch, and all above it. -EXDEV where that
 * would not be seen.
 */
Result<Ref<struct dentry>> copy_up_directory(const ListLock &list, struct dentry &dir,
					     const Branch &branch);

/* copy_data.cc: the first @size bytes, to @to of @branch; holes stay holes. Sleeps, killable. */
Result<void> copy_data(struct file &from, const Branch &branch, struct file &to, loff_t size);

/*
 * copy_attributes.cc: owner, mode, extended attributes, ACLs and times of @from to the new object
 * @to, on the branch of @writer.
 */
Result<void> copy_attributes(PartRef from, const Writer &writer, struct dentry &to);

} // namespace aufs
