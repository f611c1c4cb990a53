// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h: mappings in traces, for BPF programs, and with a damaged page table. */
#include <linux/bpf.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#ifdef CONFIG_TRACING
#include "trace.h" /* of kernel/trace */
#include "trace_output.h"
#endif

#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "shim.h"

#ifdef CONFIG_TRACING

/* For kernels on which each flag has a name of its own. */
#ifndef TRACE_ITER
#define TRACE_ITER(flag) TRACE_ITER_##flag
#endif

/* An entry that userstacktrace makes in the ring buffer, and its reader with sym-userobj. */
struct traced {
	struct userstack_entry entry;
	struct trace_array array;
	struct trace_iterator iter;
};

int aufs_test_trace_user_addr(unsigned long addr, char *text, size_t size)
{
	struct trace_event *event = ftrace_find_event(TRACE_USER_STACK);
	struct traced *traced = kvzalloc(sizeof(*traced), GFP_KERNEL);

	if (!traced)
		return -ENOMEM;
	traced->entry.ent.type = TRACE_USER_STACK;
	traced->entry.tgid = task_tgid_vnr(current);
	traced->entry.caller[0] = addr;
	traced->array.trace_flags = TRACE_ITER(SYM_USEROBJ);
	traced->iter.ent = &traced->entry.ent;
	traced->iter.tr = &traced->array;
	trace_seq_init(&traced->iter.seq);
	event->funcs->trace(&traced->iter, 0, event);
	scnprintf(text, size, "%.*s", (int)trace_seq_used(&traced->iter.seq),
		  trace_seq_buffer_ptr(&traced->iter.seq) - trace_seq_used(&traced->iter.seq));
	kvfree(traced);
	return 0;
}

#else

int aufs_test_trace_user_addr(unsigned long addr, char *text, size_t size)
{
	return -EOPNOTSUPP;
}

#endif

/* The iterator that a program uses as bpf_for_each(task_vma, ...); no header declares it. */
struct bpf_iter_task_vma {
	u64 opaque;
} __aligned(8);

int __weak bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, u64 addr);
struct vm_area_struct *__weak bpf_iter_task_vma_next(struct bpf_iter_task_vma *it);
void __weak bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it);

int aufs_test_bpf_each_vma(void (*visit)(const struct vm_area_struct *copy, void *data), void *data)
{
	const struct vm_area_struct *copy;
	struct bpf_iter_task_vma it;
	int err;

	if (!bpf_iter_task_vma_new)
		return -EOPNOTSUPP;
	/* BPF programs run without migration. */
	migrate_disable();
	err = bpf_iter_task_vma_new(&it, current, 0);
	while (!err && (copy = bpf_iter_task_vma_next(&it)))
		visit(copy, data);
	bpf_iter_task_vma_destroy(&it);
	migrate_enable();
	return err;
}

#ifdef CONFIG_MMU

bool aufs_test_print_bad_pte(unsigned long addr)
{
	/* Not max_pfn + 1: user-mode Linux on 6.1 has more pages than that. */
	const unsigned long no_page = 1UL << 30;
	struct vm_area_struct *vma;
	bool there = false;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma) {
		pr_info("aufs: the kernel is to complain about a page table, from here ...\n");
		there = !vm_normal_page(vma, addr, pfn_pte(no_page, PAGE_READONLY));
		pr_info("aufs: ... to here\n");
	}
	mmap_read_unlock(current->mm);
	return there;
}

#else

bool aufs_test_print_bad_pte(unsigned long addr)
{
	return false;
}

#endif
