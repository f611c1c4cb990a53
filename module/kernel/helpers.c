// SPDX-License-Identifier: GPL-2.0-only
/*
 * One trivial function for each macro or static inline of the kernel that C++
 * needs, in alphabetical order.
 */
#include "linux.h"
#include "generated/declared.h"
#include "api.h"

long aufs_ptr_err(const void *ptr)
{
	return PTR_ERR(ptr);
}

void *cxxrt_alloc(size_t size, unsigned int gfp)
{
	return kmalloc(size, gfp);
}

void cxxrt_bug(const char *what)
{
	pr_emerg("aufs: %s\n", what);
	BUG();
}

void cxxrt_free(const void *ptr)
{
	kfree(ptr);
}
