// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h: what perf records of the mappings that the current process makes. */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../module/kernel/linux.h"
#include "generated/declared.h"
#include "../module/kernel/api.h"
#include "shim.h"
#include "syscall.h"

#ifdef CONFIG_PERF_EVENTS

#ifdef SYSCALL_ENTRY
long SYSCALL_ENTRY(perf_event_open)(const struct pt_regs *regs);
#endif

/* Of records, after the page that says how far they are. */
#define DATA_SIZE (8 * PAGE_SIZE)

/* Its layout is perf's: it ends with the path. */
struct mmap2 {
	struct perf_event_header header;
	u32 pid;
	u32 tid;
	u64 addr;
	u64 len;
	u64 pgoff;
	u32 major;
	u32 minor;
	u64 ino;
	u64 generation;
	u32 prot;
	u32 flags;
	char path[];
};

long aufs_test_perf_start(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.size = sizeof(attr),
		.mmap = 1,
		.mmap2 = 1,
		.mmap_data = 1,
	};
	unsigned long addr =
		vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, 0);
	struct file *file;
	long result;

	if (IS_ERR_VALUE(addr))
		return addr;
	if (copy_to_user((void __user *)addr, &attr, sizeof(attr)))
		return -EFAULT;
	result = SYSCALL(perf_event_open, addr, 0, -1, -1, 0);
	if (result < 0)
		return result;
	/* The process closes it when it ends. */
	file = fget(result);
	result = vm_mmap(file, 0, PAGE_SIZE + DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	fput(file);
	return result;
}

int aufs_test_perf_find(unsigned long ring, unsigned long addr,
			struct aufs_test_perf_mapping *found)
{
	struct perf_event_mmap_page page;
	struct mmap2 *record;
	int err = -ENOENT;
	char *data;
	u64 at = 0;

	data = kzalloc(DATA_SIZE, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	if (copy_from_user(&page, (void __user *)ring, sizeof(page)) ||
	    copy_from_user(data, (void __user *)(ring + PAGE_SIZE), DATA_SIZE) ||
	    page.data_head > DATA_SIZE) {
		err = -EFAULT;
		page.data_head = 0;
	}
	for (; at < page.data_head; at += record->header.size) {
		record = (struct mmap2 *)(data + at);
		if (!record->header.size)
			break;
		if (record->header.type != PERF_RECORD_MMAP2 || record->addr != addr)
			continue;
		*found = (struct aufs_test_perf_mapping){
			.len = record->len,
			.offset = record->pgoff,
			.ino = record->ino,
			.major = record->major,
			.minor = record->minor,
			.prot = record->prot,
			.flags = record->flags,
		};
		strscpy(found->path, record->path, sizeof(found->path));
		err = 0;
	}
	kfree(data);
	return err;
}

#else

long aufs_test_perf_start(void)
{
	return -EOPNOTSUPP;
}

int aufs_test_perf_find(unsigned long ring, unsigned long addr,
			struct aufs_test_perf_mapping *found)
{
	return -EOPNOTSUPP;
}

#endif
