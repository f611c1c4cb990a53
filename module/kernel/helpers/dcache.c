// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers for the dcache: its dentries, their names, and that nothing in it moves. Helpers for the
 * whole dcache come last.
 */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

bool aufs_asks_for_key(const struct dentry_operations *op)
{
#ifdef CONFIG_FS_ENCRYPTION
	return op->d_revalidate == fscrypt_d_revalidate;
#else
	return false;
#endif
}

/*
 * The dentry @name in @parent, cached or looked up, whose i_rwsem is held
 * shared: a readdir of the union. May be negative or an ERR_PTR.
 */
struct dentry *aufs_d_alloc_parallel(struct dentry *parent, const char *name, unsigned int len)
{
#ifdef HAVE_D_ALLOC_PARALLEL_QUEUE
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(wq);
#endif
	struct qstr qname = QSTR_INIT(name, len);
#ifdef HAVE_TRY_LOOKUP_NOPERM
	struct dentry *dentry = try_lookup_noperm(&qname, parent);
#else
	struct dentry *dentry = d_hash_and_lookup(parent, &qname);
#endif
	struct dentry *found;

	/*
	 * If the VFS would ask ->d_revalidate, a cached negative dentry is no answer: the name was
	 * just read.
	 */
	if (!IS_ERR_OR_NULL(dentry) && d_is_negative(dentry) &&
	    (dentry->d_flags & DCACHE_OP_REVALIDATE)) {
		d_drop(dentry);
		dput(dentry);
		dentry = NULL;
	}
	if (dentry)
		return dentry;
#ifdef HAVE_D_ALLOC_PARALLEL_QUEUE
	dentry = d_alloc_parallel(parent, &qname, &wq);
#else
	dentry = d_alloc_parallel(parent, &qname);
#endif
	if (IS_ERR(dentry) || !d_in_lookup(dentry))
		return dentry;
	/*
	 * A task that waits for this lookup sleeps on our stack: the lookup ends before we return.
	 */
	found = d_inode(parent)->i_op->lookup(d_inode(parent), dentry, 0);
	d_lookup_done(dentry);
	if (found) {
		dput(dentry);
		dentry = found;
	}
	return dentry;
}

/* Whether it is positive by now. Then it stays so for a caller who counts it. */
bool aufs_d_is_positive(const struct dentry *dentry)
{
	/* What made it positive has set d_inode first (__d_set_inode_and_type()). */
	return !d_flags_negative(smp_load_acquire(&dentry->d_flags));
}

/* The hash of @name in @dir, where the filesystem has no hash of its own. */
unsigned int aufs_name_hash(const struct dentry *dir, const char *name, unsigned int len)
{
	return full_name_hash(dir, name, len);
}

/*
 * The dentry @name that the dcache has in @dir, counted, or null. Its filesystem is not asked
 * whether that is still valid. Names in @dir are hashed as the VFS does it.
 */
struct dentry *aufs_d_lookup(struct dentry *dir, const char *name, unsigned int len)
{
	struct qstr qname = QSTR_INIT(name, len);

	qname.hash = aufs_name_hash(dir, name, len);
	return d_lookup(dir, &qname);
}

/* A dentry of @inode, counted, or null. */
struct dentry *aufs_d_find_any_alias(struct inode *inode)
{
	return d_find_any_alias(inode);
}

void aufs_dget(struct dentry *dentry)
{
	dget(dentry);
}

struct dentry *aufs_dget_parent(struct dentry *dentry)
{
	return dget_parent(dentry);
}

/* Under @dir's d_lock. */
static struct dentry *first_child(struct dentry *dir)
{
#ifdef HAVE_DENTRY_CHILDREN
	return hlist_entry_safe(dir->d_children.first, struct dentry, d_sib);
#else
	return list_first_entry_or_null(&dir->d_subdirs, struct dentry, d_child);
#endif
}

static struct dentry *next_child(struct dentry *dir, struct dentry *child)
{
#ifdef HAVE_DENTRY_CHILDREN
	return hlist_entry_safe(child->d_sib.next, struct dentry, d_sib);
#else
	if (list_is_last(&child->d_child, &dir->d_subdirs))
		return NULL;
	return list_next_entry(child, d_child);
#endif
}

/* All dentries have the operation from their beginning: a task may just be about to call it. */
void aufs_d_set_asked(struct dentry *dentry, bool asked)
{
	spin_lock(&dentry->d_lock);
	if (asked)
		dentry->d_flags |= DCACHE_OP_REVALIDATE;
	else
		dentry->d_flags &= ~DCACHE_OP_REVALIDATE;
	spin_unlock(&dentry->d_lock);
}

/*
 * Takes the dentry of a name that nothing had out of the dcache, unless something has been made
 * there meanwhile. Returns whether it did.
 */
bool aufs_d_drop_negative(struct dentry *dentry)
{
	bool negative;

	spin_lock(&dentry->d_lock);
	negative = d_is_negative(dentry);
	if (negative)
		__d_drop(dentry);
	spin_unlock(&dentry->d_lock);
	return negative;
}

/*
 * Nothing of @sb moves to another directory in the dcache until aufs_renames_go_on(). -EINTR on a
 * fatal signal. The mutex comes before all locks but s_umount.
 */
int aufs_hold_renames(struct super_block *sb)
{
	return mutex_lock_killable(&sb->s_vfs_rename_mutex);
}

/* The same for a caller that holds other locks, as a try: false while a task is renaming. */
bool aufs_try_to_hold_renames(struct super_block *sb)
{
	return mutex_trylock(&sb->s_vfs_rename_mutex);
}

void aufs_renames_go_on(struct super_block *sb)
{
	mutex_unlock(&sb->s_vfs_rename_mutex);
}

unsigned int aufs_dcache_children(struct dentry *dir, struct dentry **children, unsigned int size)
{
	struct dentry *child;
	unsigned int count = 0;

	spin_lock(&dir->d_lock);
	for (child = first_child(dir); child; child = next_child(dir, child)) {
		spin_lock_nested(&child->d_lock, DENTRY_D_LOCK_NESTED);
		if ((int)d_count(child) >= 0 &&
		    !(child->d_flags & (DCACHE_PAR_LOOKUP | DCACHE_DENTRY_CURSOR))) {
			if (count < size)
				children[count] = dget_dlock(child);
			count++;
		}
		spin_unlock(&child->d_lock);
	}
	spin_unlock(&dir->d_lock);
	return count;
}

unsigned int aufs_dentry_users(const struct dentry *dentry)
{
	return d_count(dentry);
}
