// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers for the file that serves a mapping, and the file that the mapping reports: how a branch
 * file is opened and mapped depends on the carrier of the prfile.
 */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

#if !defined(HAVE_BACKING_FILE_MMAP) || defined(HAVE_VM_PRFILE_REGISTER)
static bool can_map(struct file *file)
{
#ifdef HAVE_CAN_MMAP_FILE
	return can_mmap_file(file);
#else
	return file->f_op->mmap;
#endif
}

static int map(struct file *file, struct vm_area_struct *vma)
{
#ifdef HAVE_VFS_MMAP
	return vfs_mmap(file, vma);
#else
	return call_mmap(file, vma);
#endif
}
#endif

/*
 * Lets @branch serve @vma, which @user was asked to map. mmap_lock is held for writing. -ENODEV if
 * the branch has no ->mmap. The caller of ->mmap puts the file that @vma has, whatever the result.
 * Without an MMU the caller goes on with a copy of @user's content on -ENOSYS, so on failure the
 * mapping is @user's again.
 */
int aufs_branch_mmap(struct file *user, struct file *branch, struct vm_area_struct *vma,
		     const struct cred *cred)
{
#if defined(HAVE_BACKING_FILE_MMAP) && !defined(HAVE_VM_PRFILE_REGISTER)
	struct backing_file_ctx ctx = {
		.cred = cred,
#ifdef HAVE_BACKING_FILE_CTX_USER_FILE
		.user_file = user,
#endif
	};

	return backing_file_mmap(branch, vma, &ctx);
#else
	const struct cred *old;
	int err;

	if (!can_map(branch))
		return -ENODEV;
	vma_set_file(vma, branch);
	old = override_creds(cred);
	err = map(branch, vma);
	revert_creds(old);
	if (err)
		vma_set_file(vma, user);
	return err;
#endif
}

#ifndef HAVE___FMODE_NONOTIFY
/*
 * The branch file is as silent as the user's, and no flag can say that it shall be more so. So it
 * is opened for a likeness of the user's file, of which nobody is notified. The security modules
 * look at the likeness's blob, which is the user's.
 *
 * Of a backing file they have a second blob, beside the file, where a likeness has nothing. It has
 * the user at the top, and the filesystems in between, whose mounters have to be allowed a mapping,
 * too. So a backing file is taken as it is. One that a union has opened is silent; an open for an
 * overlayfs is told to those who watch the branch.
 */
static struct file *open_unnoticed(const struct file *user, int flags, const struct path *path,
				   const struct cred *cred)
{
	struct file likeness;
	struct file *file;

	if (user->f_mode & FMODE_BACKING) {
		file = backing_file_open(user, flags, path, cred);
		if (!IS_ERR(file))
			file_set_fsnotify_mode(file, FMODE_NONOTIFY);
		return file;
	}
	memcpy(&likeness, user, sizeof(likeness));
	file_set_fsnotify_mode(&likeness, FMODE_NONOTIFY);
	return backing_file_open(&likeness, flags, path, cred);
}
#endif

/*
 * Opens the branch file at @path to serve @user. If no vma can carry a prfile, the file does: a
 * mapping of it reports @user. Takes references of its own; an ERR_PTR on failure. The VFS
 * notifies of what is done to @user: nobody is notified once more for the branch file.
 *
 * If the file's own path is the branch's, it is opened as the mounter: AppArmor keeps with a file
 * the label of the task that opened it, and would judge the caller by that path each time that it
 * sees the file.
 */
struct file *aufs_branch_open(const struct file *user, int flags, const struct path *path,
			      struct inode *inode, const struct cred *cred)
{
	struct file *file;

#ifdef HAVE___FMODE_NONOTIFY
	flags |= __FMODE_NONOTIFY;
#endif
#if defined(HAVE_VM_PRFILE_REGISTER) || defined(HAVE_BACKING_FILE_OPEN)
	const struct cred *old = override_creds(cred);

#ifndef HAVE___FMODE_NONOTIFY
	file = open_unnoticed(user, flags, path, cred);
#elif defined(HAVE_VM_PRFILE_REGISTER)
	file = dentry_open(path, flags, cred);
#else
	/* backing_file_open() takes the user's path or, since some 6.12.y, the user's file. */
	file = backing_file_open(
		_Generic(&backing_file_open,
			struct file * (*)(const struct path *, int, const struct path *,
					  const struct cred *): file_user_path(user),
			default: user),
		flags, path, cred);
#endif
	revert_creds(old);
#else
	/* The branch file stands at the user's path. */
	file = open_with_fake_path(&user->f_path, flags, inode, cred);
#endif
	return file;
}

/* The inode that the user of @file sees: another one if @file is the inner file of a union. */
const struct inode *aufs_file_user_inode(const struct file *file)
{
#if defined(HAVE_FILE_USER_INODE) || defined(file_user_inode)
	/* Older kernels want a file without const, and do not write to it. */
	return file_user_inode((struct file *)file);
#else
	return d_inode(file->f_path.dentry);
#endif
}

/* The path that the user of @file opened; borrowed from @file. */
const struct path *aufs_file_user_path(const struct file *file)
{
#if defined(HAVE_FILE_USER_PATH) || defined(file_user_path)
	return file_user_path((struct file *)file);
#else
	return &file->f_path;
#endif
}

/*
 * The address at which @file, the branch's, wants to be mapped. With an MMU that is for huge
 * pages: a mapping that is smaller than one may lie anywhere.
 */
unsigned long aufs_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				     unsigned long pgoff, unsigned long flags)
{
#ifdef CONFIG_MMU
	if (file->f_op->get_unmapped_area && len >= PMD_SIZE)
		return file->f_op->get_unmapped_area(file, addr, len, pgoff, flags);
#if defined(HAVE_MM_GET_UNMAPPED_AREA) && !defined(HAVE_MM_GET_UNMAPPED_AREA_MM)
	return mm_get_unmapped_area(file, addr, len, pgoff, flags);
#elif defined(HAVE_MM_GET_UNMAPPED_AREA)
	return mm_get_unmapped_area(current->mm, file, addr, len, pgoff, flags);
#else
	return current->mm->get_unmapped_area(file, addr, len, pgoff, flags);
#endif
#else
	if (file->f_op->get_unmapped_area)
		return file->f_op->get_unmapped_area(file, addr, len, pgoff, flags);
	return -ENOSYS;
#endif
}

#ifdef HAVE_VM_PRFILE_REGISTER
int aufs_prfile_init(void)
{
	return vm_prfile_register(&aufs_prfile_ops);
}

void aufs_prfile_exit(void)
{
	vm_prfile_unregister(&aufs_prfile_ops);
}
#else
int aufs_prfile_init(void)
{
	return 0;
}

void aufs_prfile_exit(void)
{
}
#endif
