// SPDX-License-Identifier: GPL-2.0-only
/*
 * udba=notify: directories of branches are watched for directories of the union, and each of the
 * latter knows by a number whether something has changed.
 */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

#define AUFS_SLOT_BITS	12
#define AUFS_GROUP_BITS 6

/* A directory of a branch, watched for one of the union. */
struct aufs_watch {
	struct fsnotify_mark mark;
	struct aufs_watch *next;
	unsigned int slot;
};

/*
 * Counts of changes. They live as long as the module, so that a handler of an event needs nothing
 * that may have gone meanwhile. Two directories that share a count are looked at more often than
 * need be.
 */
static atomic_long_t aufs_changes[1 << AUFS_SLOT_BITS];
/*
 * Counts for all directories of a union together: an opaque mark in one directory changes what
 * that directory's own name stands for, in the directory above.
 */
static atomic_long_t aufs_opaque_changes[1 << AUFS_GROUP_BITS];

static const char opaque_mark[] = ".wh..wh..opq";

static unsigned int slot_of(const struct inode *dir)
{
	return hash_ptr(dir, AUFS_SLOT_BITS);
}

static atomic_long_t *opaque_changes_of(const struct fsnotify_group *group)
{
	return &aufs_opaque_changes[hash_ptr(group, AUFS_GROUP_BITS)];
}

unsigned long aufs_changes_of(const struct fsnotify_group *group, const struct inode *dir)
{
	/* Both counts only grow. */
	unsigned long changes = atomic_long_read_acquire(opaque_changes_of(group)) +
				atomic_long_read_acquire(&aufs_changes[slot_of(dir)]);

	return changes << 1 | 1;
}

void aufs_note_change(const struct inode *dir)
{
	(void)atomic_long_inc_return(&aufs_changes[slot_of(dir)]);
}

static int handle_event(struct fsnotify_mark *mark, u32 mask, struct inode *inode,
			struct inode *dir, const struct qstr *name, u32 cookie)
{
	const struct aufs_watch *watch = container_of(mark, struct aufs_watch, mark);

	if (name && name->len == sizeof(opaque_mark) - 1 &&
	    !memcmp(name->name, opaque_mark, name->len))
		(void)atomic_long_inc_return(opaque_changes_of(mark->group));
	/* Ordered after the change itself. */
	(void)atomic_long_inc_return(&aufs_changes[watch->slot]);
	return 0;
}

static void free_watch(struct fsnotify_mark *mark)
{
	kfree(container_of(mark, struct aufs_watch, mark));
}

static const struct fsnotify_ops watch_ops = {
	.handle_inode_event = handle_event,
	.free_mark = free_watch,
};

void aufs_unwatch(struct aufs_watch *watches)
{
	while (watches) {
		struct aufs_watch *next = watches->next;

		fsnotify_destroy_mark(&watches->mark, watches->mark.group);
		fsnotify_put_mark(&watches->mark);
		watches = next;
	}
}

int aufs_watch(struct fsnotify_group *group, struct inode *inode, const struct inode *dir,
	       struct aufs_watch **watches)
{
	struct aufs_watch *watch = kzalloc(sizeof(*watch), GFP_KERNEL_ACCOUNT);
	int error;

	if (!watch)
		return -ENOMEM;
	fsnotify_init_mark(&watch->mark, group);
	watch->mark.mask = FS_CREATE | FS_DELETE | FS_MOVE | FS_ATTRIB | FS_MODIFY |
			   FS_EVENT_ON_CHILD;
	watch->slot = slot_of(dir);
	error = fsnotify_add_inode_mark(&watch->mark, inode, 0);
	if (error) {
		fsnotify_put_mark(&watch->mark);
		return error;
	}
	watch->next = *watches;
	*watches = watch;
	return 0;
}

/* NOFS: an inode may go, with its watches, while memory is reclaimed. */
struct fsnotify_group *aufs_watches_create(void)
{
#ifdef FSNOTIFY_GROUP_NOFS
	return fsnotify_alloc_group(&watch_ops, FSNOTIFY_GROUP_DUPS | FSNOTIFY_GROUP_NOFS);
#else
	return fsnotify_alloc_group(&watch_ops, FSNOTIFY_GROUP_DUPS);
#endif
}

/* All unions are gone; the memory of their watches may still be there. */
void aufs_watches_exit(void)
{
	fsnotify_wait_marks_destroyed();
}

void aufs_watches_put(struct fsnotify_group *group)
{
	fsnotify_put_group(group);
}
