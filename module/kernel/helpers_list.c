// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the list of branches, which changes while the union is mounted: what is left of
 * the union in the dcache and in memory, who uses it, and the lock of the list.
 */
#include "linux.h"
#include "generated/declared.h"
#include "api.h"

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

/* All dentries have the operation from their beginning: somebody may just be about to call it. */
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
 * Takes a name that nothing had out of the dcache, unless something has been made there
 * meanwhile. Whether it did.
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

/* The same for who holds others: whether nobody is renaming just now. */
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

bool aufs_is_written_to(const struct inode *inode)
{
	return inode_is_open_for_write(inode);
}

unsigned int aufs_lone_inodes(struct super_block *sb, struct inode **inodes, unsigned int size)
{
	struct inode *inode;
	unsigned int count = 0;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		if (!hlist_empty(&inode->i_dentry))
			continue;
		if (count < size) {
			inodes[count] = igrab(inode);
			if (!inodes[count])
				continue;
		}
		count++;
	}
	spin_unlock(&sb->s_inode_list_lock);
	return count;
}

/*
 * Who shares the list may have write access to a filesystem on which a union below
 * takes it as well, while it has its own list; and that one's users wait for write
 * access. So nobody waits for who is waiting to be alone: that one only tries.
 */
void aufs_list_lock_init(struct aufs_list_lock *lock, int depth)
{
	static struct lock_class_key keys[FILESYSTEM_MAX_STACK_DEPTH];

	if (WARN_ON_ONCE(depth < 0 || depth >= FILESYSTEM_MAX_STACK_DEPTH))
		depth = 0;
	__init_rwsem(&lock->sem, "aufs_list", &keys[depth]);
	init_waitqueue_head(&lock->wait);
	lock->wanted = false;
}

/*
 * Who comes while somebody wants to be alone lets him go first, for a moment: else a few who
 * always come again would keep him out for ever.
 */
void aufs_list_lock_shared(struct aufs_list_lock *lock)
{
	if (unlikely(READ_ONCE(lock->wanted)))
		wait_event_timeout(lock->wait, !READ_ONCE(lock->wanted), HZ / 20);
	if (!down_read_trylock(&lock->sem))
		wait_event(lock->wait, down_read_trylock(&lock->sem));
}

/*
 * Who insists waits half a minute, as for a large file's copy-up, and others let him go first;
 * else some ticks. -EBUSY then, -EINTR on a fatal signal.
 */
int aufs_list_lock_alone(struct aufs_list_lock *lock, bool insists)
{
	unsigned long end = jiffies + (insists ? 30 * HZ : HZ / 20);
	int err = 0;

	while (!down_write_trylock(&lock->sem)) {
		if (insists)
			WRITE_ONCE(lock->wanted, true);
		if (fatal_signal_pending(current))
			err = -EINTR;
		else if (time_after(jiffies, end))
			err = -EBUSY;
		if (err)
			break;
		schedule_timeout_killable(1);
	}
	if (insists)
		WRITE_ONCE(lock->wanted, false);
	/* With PREEMPT_RT even a try may have kept out who wanted to share. */
	if (err)
		wake_up_all(&lock->wait);
	return err;
}

void aufs_list_unlock(struct aufs_list_lock *lock)
{
	up_write(&lock->sem);
	wake_up_all(&lock->wait);
}

void aufs_list_unlock_shared(struct aufs_list_lock *lock)
{
	up_read(&lock->sem);
}

/*
 * A private mount. A remount of its filesystem sets and clears a flag beside ours, by which it
 * holds up writers: that must never come back.
 */
void aufs_mnt_set_readonly(struct vfsmount *mnt, bool readonly)
{
	int flags = MNT_READONLY | MNT_NOATIME;
	int old, new;

	do {
		old = READ_ONCE(mnt->mnt_flags);
		new = readonly ? old | flags : old & ~flags;
	} while (cmpxchg(&mnt->mnt_flags, old, new) != old);
}

void aufs_synchronize_rcu(void)
{
	synchronize_rcu();
}
