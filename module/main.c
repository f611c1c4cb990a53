// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

static int __init aufs_init(void)
{
	return aufs_hello();
}

static void __exit aufs_exit(void)
{
}

module_init(aufs_init);
module_exit(aufs_exit);

MODULE_DESCRIPTION("Union filesystem whose mappings report the union's files");
MODULE_LICENSE("GPL");
