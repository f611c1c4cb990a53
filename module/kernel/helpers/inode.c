// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for inodes, the union's and the branches'. Alphabetical. */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/*
 * Inodes of stacked mounts nest: a union in a union locks two inodes of one
 * filesystem type. Tell lockdep the depth instead of switching it off.
 */
void aufs_annotate_inode(struct inode *inode, int depth)
{
#ifdef CONFIG_LOCKDEP
	static struct lock_class_key dir_key[FILESYSTEM_MAX_STACK_DEPTH];
	static struct lock_class_key key[FILESYSTEM_MAX_STACK_DEPTH];

	if (WARN_ON_ONCE(depth < 0 || depth >= FILESYSTEM_MAX_STACK_DEPTH))
		depth = 0;
	if (S_ISDIR(inode->i_mode))
		lockdep_set_class(&inode->i_rwsem, &dir_key[depth]);
	else
		lockdep_set_class(&inode->i_rwsem, &key[depth]);
#endif
}

void aufs_dont_cache_acls(struct inode *inode)
{
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
}

/* The cached ACL, with the filesystem's ids: borrowed under rcu_read_lock(); null for none. */
struct posix_acl *aufs_get_cached_acl_rcu(struct inode *inode, int type)
{
	if (!IS_ENABLED(CONFIG_FS_POSIX_ACL) || !IS_POSIXACL(inode))
		return NULL;
	return get_cached_acl_rcu(inode, type);
}

int aufs_get_write_access(struct inode *inode)
{
	return get_write_access(inode);
}

bool aufs_has_key(const struct inode *inode)
{
	return fscrypt_has_encryption_key(inode);
}

loff_t aufs_i_size_read(const struct inode *inode)
{
	return i_size_read(inode);
}

void aufs_inode_lock_nested(struct inode *inode, unsigned int subclass)
{
	inode_lock_nested(inode, subclass);
}

void aufs_inode_spin_lock(struct inode *inode) __acquires(&inode->i_lock)
{
	spin_lock(&inode->i_lock);
}

void aufs_inode_spin_unlock(struct inode *inode) __releases(&inode->i_lock)
{
	spin_unlock(&inode->i_lock);
}

void aufs_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

bool aufs_is_written_to(const struct inode *inode)
{
	return inode_is_open_for_write(inode);
}

/* Whether the task that makes @inode has not finished it yet. */
static bool is_unfinished(struct inode *inode)
{
	bool is;

	spin_lock(&inode->i_lock);
#ifdef HAVE_INODE_STATE_READ_ONCE
	is = inode_state_read_once(inode) & I_NEW;
#else
	is = inode->i_state & I_NEW;
#endif
	spin_unlock(&inode->i_lock);
	return is;
}

unsigned int aufs_lone_inodes(struct super_block *sb, struct inode **inodes, unsigned int size)
{
	struct inode *inode;
	unsigned int count = 0;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		if (!hlist_empty(&inode->i_dentry) || is_unfinished(inode))
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

void aufs_posix_acl_release(struct posix_acl *acl)
{
	posix_acl_release(acl);
}

void aufs_put_write_access(struct inode *inode)
{
	put_write_access(inode);
}
