// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h: memory and locks, as the kernel knows them. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "shim.h"

u64 aufs_test_memory(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}

bool aufs_test_is_vmalloc(const void *memory)
{
	return is_vmalloc_addr(memory);
}

bool aufs_test_mutex_is_locked(struct mutex *mutex)
{
	return mutex_is_locked(mutex);
}

bool aufs_test_inode_is_locked(const struct inode *inode)
{
	return inode_is_locked((struct inode *)inode);
}
