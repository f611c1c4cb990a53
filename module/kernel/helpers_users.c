// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers as those of helpers.c: which process uses a file or a directory, for messages.
 * Alphabetical.
 */
#include <linux/fdtable.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "linux.h"
#include "generated/declared.h"
#include "api.h"

static int is_open_at(const void *dentry, struct file *file, unsigned int fd)
{
	return file->f_path.dentry == dentry;
}

/* Under the task's alloc_lock, which keeps all this; so does what is called. */
static bool is_place_of(struct task_struct *task, const struct dentry *dentry)
{
	struct fs_struct *fs = task->fs;
	bool is;

	if (!fs)
		return false;
#ifdef HAVE_FS_STRUCT_LOCK
	spin_lock(&fs->lock);
	is = fs->pwd.dentry == dentry || fs->root.dentry == dentry;
	spin_unlock(&fs->lock);
#else
	read_seqlock_excl(&fs->seq);
	is = fs->pwd.dentry == dentry || fs->root.dentry == dentry;
	read_sequnlock_excl(&fs->seq);
#endif
	return is;
}

static bool has_mapping(struct mm_struct *mm, const struct inode *h_inode)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	for_each_vma(vmi, vma) {
		if (vma->vm_file && file_inode(vma->vm_file) == h_inode)
			return true;
	}
	return false;
}

static bool is_mapped_by(struct task_struct *task, const struct inode *h_inode)
{
	struct mm_struct *mm = task->mm;
	bool is;

	/* Who changes his mappings just now may do so. */
	if (!mm || (task->flags & PF_KTHREAD) || !mmap_read_trylock(mm))
		return false;
	is = has_mapping(mm, h_inode);
	mmap_read_unlock(mm);
	return is;
}

static bool uses(struct task_struct *task, const struct dentry *dentry, const struct inode *h_inode)
{
	if (is_place_of(task, dentry))
		return true;
	if (task->files && iterate_fd(task->files, 0, is_open_at, dentry))
		return true;
	return h_inode && is_mapped_by(task, h_inode);
}

bool aufs_find_user(const struct dentry *dentry, const struct inode *h_inode,
		    struct aufs_user *user)
{
	/* There may be many of them, with many files, and others wait: then there is no name. */
	unsigned long end = jiffies + HZ / 2;
	struct task_struct *task;

	user->pid = 0;
	cond_resched();
	rcu_read_lock();
	for_each_process(task) {
		if (time_after(jiffies, end))
			break;
		task_lock(task);
		if (uses(task, dentry, h_inode)) {
			/* 0 where it is none of the caller's namespace. */
			user->pid = task_tgid_vnr(task);
			strscpy(user->command, task->comm, sizeof(user->command));
		}
		task_unlock(task);
		if (user->pid)
			break;
	}
	rcu_read_unlock();
	return user->pid;
}

bool aufs_is_mount_point(const struct dentry *dentry)
{
	return d_mountpoint(dentry);
}
