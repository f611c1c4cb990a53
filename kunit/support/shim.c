// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h. Only built into a kernel: functions for processes are not exported to modules. */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/fault-inject.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/syscalls.h>
#include <linux/uio.h>

#include "internal.h" /* of fs: names */
#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "shim.h"
#include "syscall.h"

/* ---- KUnit ---- */

void aufs_test_fail(struct kunit *test, const char *file, int line, const char *format, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, format);
	vaf.fmt = format;
	vaf.va = &args;
	kunit_err(test, "FAILED at %s:%d: %pV", kbasename(file), line, &vaf);
	va_end(args);
	kunit_set_failure(test);
}

void aufs_test_info(struct kunit *test, const char *format, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, format);
	vaf.fmt = format;
	vaf.va = &args;
	kunit_info(test, "%pV", &vaf);
	va_end(args);
}

void aufs_test_skip(struct kunit *test, const char *why)
{
	kunit_mark_skipped(test, "%s", why);
}

/* ---- filesystems ---- */

bool aufs_test_exists(const char *path)
{
	struct path at;

	if (kern_path(path, LOOKUP_FOLLOW, &at))
		return false;
	path_put(&at);
	return true;
}

int aufs_test_mmap_by(const struct file_operations *ops, struct file *file,
		      struct vm_area_struct *vma)
{
#ifdef HAVE_VFS_MMAP
	const struct file_operations *now = file->f_op;
	int err;

	file->f_op = ops;
	err = vfs_mmap(file, vma);
	file->f_op = now;
	return err;
#else
	return ops->mmap(file, vma);
#endif
}

long aufs_test_truncate(const struct path *path, loff_t length)
{
	return vfs_truncate(path, length);
}

int aufs_test_chown(const char *path, unsigned int uid)
{
	struct path at;
	int err = kern_path(path, LOOKUP_FOLLOW, &at);

	if (err)
		return err;
	err = chown_common(&at, uid, (gid_t)-1);
	path_put(&at);
	return err;
}

static void count_super(struct super_block *sb, void *count)
{
	++*(int *)count;
}

int aufs_test_supers(const char *name)
{
	struct file_system_type *type = get_fs_type(name);
	int count = 0;

	if (!type)
		return -ENODEV;
	iterate_supers_type(type, count_super, &count);
	put_filesystem(type);
	return count;
}

ssize_t aufs_test_read(const char *path, void *buffer, size_t size)
{
	struct file *file = filp_open(path, O_RDONLY, 0);
	ssize_t got, total = 0;
	struct iov_iter iter;
	struct kiocb kiocb;
	struct kvec vec;

	if (IS_ERR(file))
		return PTR_ERR(file);
	init_sync_kiocb(&kiocb, file);
	do {
		vec.iov_base = buffer + total;
		vec.iov_len = size - total;
		iov_iter_kvec(&iter, READ, &vec, 1, vec.iov_len);
		/* Most files of procfs have only ->read, which wants a user's buffer. */
		if (file->f_op->read_iter)
			got = file->f_op->read_iter(&kiocb, &iter);
		else
			got = seq_read_iter(&kiocb, &iter);
		if (got > 0)
			total += got;
	} while (got > 0 && total < size);
	fput(file);
	return got < 0 ? got : total;
}

void aufs_test_sleep(unsigned int milliseconds)
{
	msleep(milliseconds);
}

long aufs_test_file_count(const struct file *file)
{
	/* The argument is const on some kernels only. */
	return file_count((struct file *)file);
}

bool aufs_test_leads_to(const char *link, const struct file *file)
{
	struct path path;
	bool same;

	if (kern_path(link, LOOKUP_FOLLOW, &path))
		return false;
	same = path_equal(&path, &file->f_path);
	path_put(&path);
	return same;
}

u64 aufs_test_encode_dev(dev_t dev)
{
	return new_encode_dev(dev);
}

struct file *aufs_test_inner_file(const struct file *user, const struct file *real)
{
#ifdef HAVE_BACKING_FILE_OPEN
	return backing_file_open(_Generic(&backing_file_open,
					 struct file * (*)(const struct path *, int,
							   const struct path *,
							   const struct cred *): &user->f_path,
					 default: user),
				 O_RDONLY, &real->f_path, current_cred());
#else
	return open_with_fake_path(&user->f_path, O_RDONLY, file_inode(real), current_cred());
#endif
}

/* ---- the kernel's sites ---- */

void aufs_test_vma_get_file(struct vm_area_struct *vma)
{
	vma_get_file(vma);
}

void aufs_test_vma_put_file(struct vm_area_struct *vma)
{
	vma_put_file(vma);
}

bool aufs_test_vma_may_merge(const struct vm_area_struct *vma, const struct file *prfile)
{
	return vma_may_merge(vma, prfile);
}

struct file *aufs_test_vma_reported_file(const struct vm_area_struct *vma)
{
	return vma_reported_file(vma);
}

void aufs_test_region_put_file(struct vm_region *region)
{
	region_put_file(region);
}

struct file *aufs_test_region_reported_file(const struct vm_region *region)
{
	return region_reported_file(region);
}

/* ---- address spaces ---- */

/* As kunit_attach_mm() of newer kernels, but this one works without an MMU as well. */
struct mm_struct *aufs_test_enter_new_mm(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return ERR_PTR(-ENOMEM);
#ifdef CONFIG_MMU
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
#endif
	kthread_use_mm(mm);
	return mm;
}

void aufs_test_enter_mm(struct mm_struct *mm)
{
	kthread_use_mm(mm);
}

void aufs_test_leave_mm(struct mm_struct *mm)
{
	kthread_unuse_mm(mm);
}

void aufs_test_put_mm(struct mm_struct *mm)
{
	mmput(mm);
}

struct forked {
	int (*body)(void *data);
	void *data;
};

static int child(void *data)
{
	struct forked *forked = data;

	do_exit((forked->body(forked->data) & 0xff) << 8);
}

int aufs_test_run_child(int (*body)(void *data), void *data)
{
	struct kernel_clone_args args = {
		.flags = IS_ENABLED(CONFIG_MMU) ? 0 : CLONE_VM,
		.exit_signal = SIGCHLD,
		.fn = body,
		.fn_arg = data,
	};
	__sighandler_t before = current->sighand->action[SIGCHLD - 1].sa.sa_handler;
	int status = 0;
	pid_t pid;

	/* Kernel threads ignore SIGCHLD, and then could not wait. */
	kernel_sigaction(SIGCHLD, SIG_DFL);
	pid = kernel_clone(&args);
	if (pid > 0 && kernel_wait(pid, &status) != pid)
		pid = -ECHILD;
	kernel_sigaction(SIGCHLD, before);
	return pid < 0 ? pid : status;
}

int aufs_test_fork(int (*body)(void *data), void *data)
{
	struct forked forked = {.body = body, .data = data};
	int status = aufs_test_run_child(child, &forked);

	if (status < 0)
		return status;
	/* A signal is no result of the body. */
	return status & 0x7f ? -EINTR : status >> 8;
}

static int keep_mm(void *data)
{
	*(struct mm_struct **)data = get_task_mm(current);
	return 0;
}

struct mm_struct *aufs_test_fork_mm(void)
{
	struct mm_struct *mm = NULL;
	int err = aufs_test_fork(keep_mm, &mm);

	return err ? ERR_PTR(err) : mm;
}

int aufs_test_pid(void)
{
	return task_pid_nr(current);
}

void aufs_test_each_vma(struct mm_struct *mm, void (*visit)(struct vm_area_struct *vma, void *data),
			void *data)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	for_each_vma(vmi, vma)
		visit(vma, data);
	mmap_read_unlock(mm);
}

bool aufs_test_change_vma(unsigned long addr,
			  void (*change)(struct vm_area_struct *vma, void *data), void *data)
{
	struct vm_area_struct *vma;

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma)
		change(vma, data);
	mmap_write_unlock(current->mm);
	return vma;
}

void aufs_test_vma_dont_dump(struct vm_area_struct *vma)
{
	/* Nobody else sees it yet. Newer kernels have a function for it, older ones do not. */
	*(unsigned long *)&vma->vm_flags |= VM_DONTDUMP;
}

/* ---- system calls ---- */

#ifdef SYSCALL_ENTRY
long SYSCALL_ENTRY(madvise)(const struct pt_regs *regs);
long SYSCALL_ENTRY(mprotect)(const struct pt_regs *regs);
long SYSCALL_ENTRY(mremap)(const struct pt_regs *regs);
long SYSCALL_ENTRY(remap_file_pages)(const struct pt_regs *regs);
#endif

long aufs_test_mmap(struct file *file, unsigned long addr, unsigned long len, unsigned long prot,
		    unsigned long flags, unsigned long offset)
{
	return vm_mmap(file, addr, len, prot, flags, offset);
}

int aufs_test_brk(unsigned long addr, unsigned long len)
{
#ifdef CONFIG_MMU
	return vm_brk_flags(addr, len, 0);
#else
	return -EOPNOTSUPP;
#endif
}

long aufs_test_madvise(unsigned long addr, size_t len, int advice)
{
	return SYSCALL(madvise, addr, len, advice);
}

long aufs_test_mprotect(unsigned long addr, size_t len, unsigned long prot)
{
	return SYSCALL(mprotect, addr, len, prot);
}

long aufs_test_mremap(unsigned long addr, unsigned long old_len, unsigned long new_len,
		      unsigned long flags, unsigned long new_addr)
{
	return SYSCALL(mremap, addr, old_len, new_len, flags, new_addr);
}

long aufs_test_remap_file_pages(unsigned long addr, unsigned long size, unsigned long pgoff)
{
	return SYSCALL(remap_file_pages, addr, size, 0, pgoff, 0);
}

long aufs_test_ioctl(struct file *file, unsigned int cmd, void *data, size_t size)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_ALIGN(size), PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	long err;

	if (IS_ERR_VALUE(addr))
		return addr;
	err = -EFAULT;
	if (!copy_to_user((void __user *)addr, data, size)) {
		err = file->f_op->unlocked_ioctl(file, cmd, addr);
		if (copy_from_user(data, (void __user *)addr, size))
			err = -EFAULT;
	}
	vm_munmap(addr, PAGE_ALIGN(size));
	return err;
}

int aufs_test_read_user(unsigned long addr, void *buffer, size_t size)
{
	return copy_from_user(buffer, (void __user *)addr, size) ? -EFAULT : 0;
}

int aufs_test_write_user(unsigned long addr, const void *buffer, size_t size)
{
	return copy_to_user((void __user *)addr, buffer, size) ? -EFAULT : 0;
}

/* ---- allocations that fail ---- */

bool aufs_test_can_fail(void)
{
	/* The tests say through debugfs which allocations. */
	return IS_ENABLED(CONFIG_FAILSLAB) && IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC) &&
	       IS_ENABLED(CONFIG_FAULT_INJECTION_DEBUG_FS);
}

void aufs_test_fail_nth(unsigned int nth)
{
#ifdef CONFIG_FAULT_INJECTION
	current->fail_nth = nth;
#endif
}

bool aufs_test_has_failed(void)
{
#ifdef CONFIG_FAULT_INJECTION
	return !current->fail_nth;
#else
	return false;
#endif
}
