// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets branches go: a work unmounts them where the last user may not sleep. And whether an
 * overlayfs has one in use.
 */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

static LLIST_HEAD(aufs_released);

/* Unmounts and frees a list of branches, in the caller's task. Sleeps. */
void aufs_release_now(struct llist_node *first)
{
	struct vfsmount *mnts[32];

	/*
	 * An unmount waits for a grace period, and so for readers of the branch under RCU; also one
	 * of no mount at all. A branch has two mounts at most.
	 */
	while (first) {
		struct llist_node *node = first;
		unsigned int count = 0;

		for (; node && count + 2 <= ARRAY_SIZE(mnts); node = node->next) {
			struct vfsmount *mnt = aufs_branch_detach(node);

			for (; mnt; mnt = aufs_branch_detach(node))
				mnts[count++] = mnt;
		}
		kern_unmount_array(mnts, count);
		while (first != node) {
			struct llist_node *next = first->next;

			aufs_branch_free(first);
			first = next;
		}
	}
}

static void release_branches(struct work_struct *work)
{
	aufs_release_now(llist_del_all(&aufs_released));
}

static DECLARE_WORK(aufs_release_work, release_branches);

/* Waits for all branches for which aufs_release_later() was called. */
void aufs_release_flush(void)
{
	flush_work(&aufs_release_work);
}

/* Unmounts and frees the branch of @node in a work: an unmount sleeps, and the caller may not. */
void aufs_release_later(struct llist_node *node)
{
	llist_add(node, &aufs_released);
	schedule_work(&aufs_release_work);
}

#ifdef HAVE_I_OVL_INUSE
static bool is_marked(struct inode *inode)
{
#ifdef HAVE_INODE_STATE_READ_ONCE
	return inode_state_read_once(inode) & I_OVL_INUSE;
#else
	return READ_ONCE(inode->i_state) & I_OVL_INUSE;
#endif
}
#endif

bool aufs_is_overlays(const struct dentry *dentry)
{
	bool found = false;
#ifdef HAVE_I_OVL_INUSE
	const struct dentry *child;

	/* RCU keeps directories in memory that are moved or removed meanwhile, and their inodes. */
	rcu_read_lock();
	do {
		struct inode *inode = d_inode_rcu(dentry);

		found = inode && is_marked(inode);
		child = dentry;
		dentry = READ_ONCE(child->d_parent);
	} while (!found && dentry != child);
	rcu_read_unlock();
#endif
	return found;
}
