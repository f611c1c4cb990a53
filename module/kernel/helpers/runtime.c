// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for memory and random numbers, and for cxxrt/runtime.cc. */
#undef pr_fmt
#define pr_fmt(fmt) "aufs: " fmt

#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

unsigned int aufs_hash(const unsigned long key[2], const void *data, size_t size)
{
	hsiphash_key_t secret;

	memcpy(secret.key, key, sizeof(secret.key));
	return hsiphash(data, size, &secret);
}

/* Null also for a size of which kvmalloc() would warn: a server may list any number of names. */
void *aufs_kvmalloc(size_t size, gfp_t gfp)
{
	return size > INT_MAX ? NULL : kvmalloc(size, gfp);
}

void aufs_random_key(unsigned long key[2])
{
	key[0] = get_random_long();
	key[1] = get_random_long();
}

void *cxxrt_alloc(size_t size, unsigned int gfp)
{
	/* A list of thousands of branches, and arrays that go with it. */
	if (size > PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER)
		return kvmalloc(size, (__force gfp_t)gfp);
	return kmalloc(size, (__force gfp_t)gfp);
}

void cxxrt_bug(const char *what)
{
	pr_emerg("%s\n", what);
	BUG();
}

void cxxrt_free(const void *memory)
{
	kvfree(memory);
}
