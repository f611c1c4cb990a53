// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which process uses a file or a directory, for messages. Only processes with a pid for the caller
 * are asked, for half a second. And whether a directory is a mount point.
 */
#include <linux/fdtable.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

static int is_sought(const void *data, struct file *file, unsigned int fd)
{
	struct aufs_search *search = (struct aufs_search *)data;

	return search->is_file(search, file);
}

/* Under the task's alloc_lock, which keeps what is looked at here and in the functions below. */
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

static bool has_mapping(struct mm_struct *mm, struct aufs_search *search)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	for_each_vma(vmi, vma) {
		if (vma->vm_file && search->is_mapped(search, file_inode(vma->vm_file)))
			return true;
	}
	return false;
}

static bool is_mapped_by(struct task_struct *task, struct aufs_search *search)
{
	struct mm_struct *mm = task->mm;
	bool is;

	/* A task that changes its mappings just now is not asked. */
	if (!mm || (task->flags & PF_KTHREAD) || !mmap_read_trylock(mm))
		return false;
	is = has_mapping(mm, search);
	mmap_read_unlock(mm);
	return is;
}

static bool uses(struct task_struct *task, struct aufs_search *search)
{
	if (search->place && is_place_of(task, search->place))
		return true;
	if (task->files && iterate_fd(task->files, 0, is_sought, search))
		return true;
	return search->is_mapped && is_mapped_by(task, search);
}

bool aufs_find_user(struct aufs_search *search, struct aufs_user *user)
{
	/* There may be many processes, with many files: then none is named. */
	unsigned long end = jiffies + HZ / 2;
	struct task_struct *task;

	user->pid = 0;
	cond_resched();
	rcu_read_lock();
	for_each_process(task) {
		/* 0 if the task is not in the caller's namespace. Asked once: the task may end. */
		pid_t pid = task_tgid_vnr(task);

		if (time_after(jiffies, end))
			break;
		if (!pid)
			continue;
		task_lock(task);
		if (uses(task, search)) {
			user->pid = pid;
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
