// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers for filters of names: memory at which readers under RCU may still look when it is freed.
 * Alphabetical.
 */
#include <linux/overflow.h>

#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

struct aufs_name_filter *aufs_name_filter_alloc(unsigned int words)
{
	struct aufs_name_filter *filter;

	return kvzalloc(struct_size(filter, words, words), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
}

void aufs_name_filter_free(struct aufs_name_filter *filter)
{
	kvfree_rcu(filter, rcu);
}

struct aufs_name_filters *aufs_name_filters_alloc(unsigned int count)
{
	struct aufs_name_filters *filters;

	filters = kvzalloc(struct_size(filters, filter, count), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (filters)
		filters->count = count;
	return filters;
}

void aufs_name_filters_free(struct aufs_name_filters *filters)
{
	unsigned int i;

	if (!filters)
		return;
	for (i = 0; i < filters->count; i++)
		aufs_name_filter_free(filters->filter[i]);
	kvfree_rcu(filters, rcu);
}
