/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copy-up: an object of a branch that is not written to gets a copy on a rw branch above it, and the same inode of the
 * union stands for the copy from then on. The copy is made as a workfile, and gets its name in one step when it is
 * finished: after any failure, and after a kill, the name leads to the old object or to the copy.
 *
 * Where it is decided that an object is copied up:
 *	a file is opened to be written to	copy_up_to_write.cc
 *	a file is opened with O_TRUNC		vfs/attr.cc, when the VFS truncates it after the open
 *	an object is opened to be read		copy_up_to_read.cc: only if its branch has `+coo_reg` or `+coo_all`
 *	an attribute changes			vfs/attr.hh (change()), vfs/attr.cc
 *	a name comes or moves			vfs/namei.cc (link()), vfs/rename.hh
 *	a directory gets or loses an entry	vfs/namei.cc, vfs/remove.cc, vfs/rename.cc: copy_up_directory()
 *
 * Nothing is copied up in ->mmap. Data is copied without any lock of the branch. All functions may sleep, and take and
 * drop write access to the branch. The caller has none; which credentials it has, and which locks of the VFS on the
 * union, does not matter. The caller holds the union's freeze protection, since a copy-up changes a branch: the VFS
 * takes it for each change, but not for an open, so copy_up_to_write() and copy_up_to_read() take it themselves.
 *
 * -EROFS: no rw branch is above. -EINTR: a fatal signal. -EOVERFLOW: the mounter's user namespace does not know the
 * owner.
 */
#pragma once

#include "union/inode.hh"
#include "union/list_lock.hh"
#include "branch/dir_lock.hh"

namespace aufs
{

inline constexpr loff_t whole_file = LLONG_MAX;

/*
 * The union's dentry of @file. A filesystem that stacks on the union may have opened @file at a path of its own: then
 * it is any dentry of the inode, or -ESTALE if none is left.
 */
Result<Ref<struct dentry>> dentry_of(const struct file &file);

/*
 * Brings the object of @dentry to a rw branch, where it can be changed. Of a regular file the first @size bytes are
 * copied.
 */
Result<void> copy_up(struct dentry &dentry, loff_t size = whole_file);
/* The same for a caller who has the list of branches locked. */
Result<void> copy_up(const ListLock &list, struct dentry &dentry);

/*
 * The same, and runs @finish(writer, copy) on the copy before anybody can see it. If @finish fails, there is no copy,
 * and nothing has changed. Returns whether @finish was run: it is not for a directory, nor if the object was on a rw
 * branch already, nor if another task was faster.
 */
using FinishCopy = FunctionRef<Result<void>(const Writer &, struct dentry &)>;
Result<bool> copy_up_and(struct dentry &dentry, loff_t size, FinishCopy finish);

/*
 * The same, and the copy has the name of @dentry: if the object was copied up by another of its names, the copy gets
 * a link. For a rename.
 */
Result<void> copy_up_with_name(const ListLock &list, struct dentry &dentry);

/*
 * For the regular file @file, which is being opened to be written to: copies it up, or, on a rw branch, checks its
 * presence. With O_DIRECT, @opens(writer, copy) tries to open the copy in this way: if it fails, the copy-up fails,
 * and there is no copy.
 */
Result<void> copy_up_to_write(const struct file &file, FinishCopy opens);

/*
 * For a file or directory @file that is being opened to be read: copies it up if its branch has the attribute for that
 * (`+coo_reg`, `+coo_all`). If no branch takes the copy, for want of room or rights, the object is opened where it is:
 * a reader needs no copy.
 */
Result<void> copy_up_if_wanted(const struct file &file);
inline Result<void> copy_up_to_read(const struct file &file)
{
	const Inode &inode = Inode::of(*file.f_inode);

	/* Hardly a branch has it. That of a directory is known under the list's lock alone. */
	if (!is_dir(inode.vfs.i_mode) && inode.branch().copy_on_open() == CopyOnOpen::nothing)
		return {};
	return copy_up_if_wanted(file);
}

/*
 * Gives the union directory @dir, and all directories above it, a part on the rw branch @branch. -EXDEV if users would
 * not see the part.
 */
Result<Ref<struct dentry>> copy_up_directory(const ListLock &list, struct dentry &dir,
					     const Branch &branch);

/*
 * Copies the first @size bytes of @from, a file of @source, to @to, a file of @branch. Holes stay holes, as a rule:
 * those of a file of tmpfs do if it has fewer blocks than its length takes. Sleeps; -EINTR on a fatal signal.
 */
Result<void> copy_data(struct file &from, const Branch &source, struct file &to,
		       const Branch &branch, loff_t size);

/*
 * Copies owner, mode, extended attributes, ACLs and times of @from to the new object @to, on the branch of @writer.
 */
Result<void> copy_attributes(PartRef from, const Writer &writer, struct dentry &to);

} // namespace aufs
