// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h: perf's records of the mappings that the current process makes. */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "shim.h"
#include "syscall.h"

#ifdef CONFIG_PERF_EVENTS

#ifdef SYSCALL_ENTRY
long SYSCALL_ENTRY(perf_event_open)(const struct pt_regs *regs);
#endif

/* The size of the records, behind the page that has their position. */
#define DATA_SIZE (8 * PAGE_SIZE)

/* A record of perf. It ends with the path. */
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

/* An event of the current process; the process closes it when it ends. */
static struct file *open_event(const struct perf_event_attr *attr)
{
	unsigned long addr =
		vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, 0);
	struct file *file;
	long fd;

	if (IS_ERR_VALUE(addr))
		return ERR_PTR(addr);
	if (copy_to_user((void __user *)addr, attr, sizeof(*attr)))
		return ERR_PTR(-EFAULT);
	fd = SYSCALL(perf_event_open, addr, 0, -1, -1, 0);
	if (fd < 0)
		return ERR_PTR(fd);
	file = fget(fd);
	/* The descriptor holds it until the process ends. */
	fput(file);
	return file;
}

long aufs_test_perf_start(void)
{
	const struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.size = sizeof(attr),
		.mmap = 1,
		.mmap2 = 1,
		.mmap_data = 1,
	};
	struct file *file = open_event(&attr);

	if (IS_ERR(file))
		return PTR_ERR(file);
	return vm_mmap(file, 0, PAGE_SIZE + DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
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

/* Filters by address are for hardware that traces. This device traces nothing. */
static int tracer_init(struct perf_event *event)
{
	return event->attr.type == event->pmu->type ? 0 : -ENOENT;
}

static int tracer_add(struct perf_event *event, int flags)
{
	return 0;
}

static void tracer_nop(struct perf_event *event, int flags)
{
}

static void tracer_read(struct perf_event *event)
{
}

static int tracer_validate(struct list_head *filters)
{
	return 0;
}

static struct pmu tracer = {
	.task_ctx_nr = perf_sw_context,
	.capabilities = PERF_PMU_CAP_NO_INTERRUPT,
	.event_init = tracer_init,
	.add = tracer_add,
	.del = tracer_nop,
	.start = tracer_nop,
	.stop = tracer_nop,
	.read = tracer_read,
	.nr_addr_filters = 1,
	.addr_filters_validate = tracer_validate,
};

int aufs_test_perf_tracer(bool there)
{
	if (there)
		return perf_pmu_register(&tracer, "aufs_test", -1);
	perf_pmu_unregister(&tracer);
	return 0;
}

struct file *aufs_test_perf_filter(const char *filter)
{
	const struct perf_event_attr attr = {
		.type = tracer.type,
		.size = sizeof(attr),
		/* perf only looks at new mappings if an event records them. */
		.mmap = 1,
	};
	struct file *file = open_event(&attr);
	char text[64];
	long err;

	if (IS_ERR(file))
		return file;
	strscpy_pad(text, filter, sizeof(text));
	err = aufs_test_ioctl(file, PERF_EVENT_IOC_SET_FILTER, text, sizeof(text));
	return err ? ERR_PTR(err) : file;
}

unsigned long aufs_test_perf_filtered(const struct file *file, unsigned long *size)
{
	const struct perf_event *event = file->private_data;

	*size = event->addr_filter_ranges[0].size;
	return event->addr_filter_ranges[0].start;
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

int aufs_test_perf_tracer(bool there)
{
	return -EOPNOTSUPP;
}

struct file *aufs_test_perf_filter(const char *filter)
{
	return ERR_PTR(-EOPNOTSUPP);
}

unsigned long aufs_test_perf_filtered(const struct file *file, unsigned long *size)
{
	*size = 0;
	return 0;
}

#endif
