// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h: running programs, and the kernel's log of a process. */
#include <linux/binfmts.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kmsg_dump.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "shim.h"

bool aufs_test_has_mmu(void)
{
	return IS_ENABLED(CONFIG_MMU);
}

bool aufs_test_has_kcsan(void)
{
	return IS_ENABLED(CONFIG_KCSAN);
}

static int run_beside(void *data)
{
	struct aufs_test_process *process = data;

	do_exit((process->body(process->data) & 0xff) << 8);
}

int aufs_test_start(struct aufs_test_process *process)
{
	struct kernel_clone_args args = {
		.flags = IS_ENABLED(CONFIG_MMU) ? 0 : CLONE_VM,
		.exit_signal = SIGCHLD,
		.fn = run_beside,
		.fn_arg = process,
	};
	pid_t pid;

	/* As in aufs_test_run_child(). */
	kernel_sigaction(SIGCHLD, SIG_DFL);
	pid = kernel_clone(&args);
	process->pid = pid;
	if (pid < 0)
		kernel_sigaction(SIGCHLD, SIG_IGN);
	return min(pid, 0);
}

int aufs_test_end(struct aufs_test_process *process)
{
	int status = 0;
	pid_t ended = kernel_wait(process->pid, &status);

	kernel_sigaction(SIGCHLD, SIG_IGN);
	if (ended != process->pid)
		return -ECHILD;
	return status & 0x7f ? -EINTR : status >> 8;
}

void aufs_test_give_way(void)
{
	schedule();
}

ssize_t aufs_test_write(const char *path, const char *text)
{
	return aufs_test_write_bytes(path, text, strlen(text));
}

ssize_t aufs_test_write_bytes(const char *path, const void *bytes, size_t size)
{
	struct file *file = filp_open(path, O_WRONLY, 0);
	unsigned long addr;
	loff_t pos = 0;
	ssize_t done;

	if (IS_ERR(file))
		return PTR_ERR(file);
	if (!file->f_op->write) {
		done = kernel_write(file, bytes, size, &pos);
		goto put;
	}
	addr = vm_mmap(NULL, 0, PAGE_ALIGN(size), PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_PRIVATE, 0);
	done = addr;
	if (IS_ERR_VALUE(addr))
		goto put;
	done = -EFAULT;
	if (!copy_to_user((void __user *)addr, bytes, size))
		done = file->f_op->write(file, (void __user *)addr, size, &pos);
	vm_munmap(addr, PAGE_ALIGN(size));
put:
	fput(file);
	return done;
}

bool aufs_test_can_dump_core(void)
{
	return IS_ENABLED(CONFIG_MMU) && IS_ENABLED(CONFIG_64BIT) && IS_ENABLED(CONFIG_ELF_CORE) &&
	       IS_ENABLED(CONFIG_BINFMT_ELF) && IS_ENABLED(CONFIG_COREDUMP);
}

struct mm_struct *aufs_test_current_mm(void)
{
	return current->mm;
}

void aufs_test_stay_on_cpu(void)
{
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}

struct program {
	const char *path;
	void (*then)(void *data);
	void *data;
};

static int execute(void *data)
{
	struct program *program = data;
	const char *const argv[] = {program->path, NULL};
	const char *const envp[] = {NULL};

	current->signal->rlim[RLIMIT_CORE] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	if (kernel_execve(program->path, argv, envp))
		do_exit(127 << 8);
	program->then(program->data);
	return 0;
}

int aufs_test_exec(const char *path, void (*then)(void *data), void *data)
{
	struct program program = {.path = path, .then = then, .data = data};

	return aufs_test_run_child(execute, &program);
}

void aufs_test_print_vma_addr(const char *prefix, unsigned long addr)
{
	print_vma_addr((char *)prefix, addr);
	/* print_vma_addr() leaves its line open, and the log has only whole lines. */
	pr_info("aufs: that was the mapping at %lx\n", addr);
}

bool aufs_test_is_logged(const char *text)
{
	return aufs_test_is_logged_with(text, "");
}

bool aufs_test_is_logged_with(const char *text, const char *more)
{
	struct kmsg_dump_iter iter;
	bool found = false;
	size_t size = 1024;
	char *line = kzalloc(size + 1, GFP_KERNEL);
	size_t len;

	if (!line)
		return false;
	kmsg_dump_rewind(&iter);
	while (!found && kmsg_dump_get_line(&iter, false, line, size, &len)) {
		line[len] = '\0';
		found = strstr(line, text) && strstr(line, more);
	}
	kfree(line);
	return found;
}
