// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module as the kernel sees it: how it is loaded, which filesystem type it registers, where
 * its inodes come from. The operations themselves are C++, in tables beside their functions: a
 * table's member tells the function template behind it which parameters this kernel passes.
 */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/*
 * As in the original. The names of all branches can be too long for programs that read
 * /proc/mounts, or that replay it in a remount.
 */
int aufs_brs = 1;
module_param_named(brs, aufs_brs, int, 0444);
MODULE_PARM_DESC(brs, "1: branches are shown in sysfs; 0: in /proc/mounts as well");

static struct kmem_cache *aufs_inode_cache;

struct inode *aufs_inode_alloc(struct super_block *sb)
{
	return alloc_inode_sb(sb, aufs_inode_cache, GFP_KERNEL);
}

/* Called after a grace period: path walks under RCU may still look. */
void aufs_inode_free(struct inode *inode)
{
	aufs_inode_free_stacks(inode);
	kmem_cache_free(aufs_inode_cache, inode);
}

static void aufs_kill_sb(struct super_block *sb)
{
	void *super = sb->s_fs_info;

	kill_anon_super(sb);
	aufs_super_free(super);
}

static struct file_system_type aufs_type = {
	.owner = THIS_MODULE,
	.name = "aufs",
	.init_fs_context = aufs_init_fs_context,
	.kill_sb = aufs_kill_sb,
};
MODULE_ALIAS_FS("aufs");

static int __init aufs_init(void)
{
	int err;

	aufs_inode_cache = kmem_cache_create("aufs_inode", aufs_inode_size, 0,
					     SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					     aufs_inode_init_once);
	if (!aufs_inode_cache)
		return -ENOMEM;
	err = aufs_prfile_init();
	if (err)
		goto destroy_cache;
	err = aufs_sysfs_init();
	if (err)
		goto exit_prfile;
	err = register_filesystem(&aufs_type);
	if (err)
		goto exit_sysfs;
	return 0;

exit_sysfs:
	aufs_sysfs_exit();
exit_prfile:
	aufs_prfile_exit();
destroy_cache:
	kmem_cache_destroy(aufs_inode_cache);
	return err;
}

static void __exit aufs_exit(void)
{
	unregister_filesystem(&aufs_type);
	aufs_sysfs_exit();
	aufs_prfile_exit();
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	aufs_watches_exit();
	kmem_cache_destroy(aufs_inode_cache);
}

module_init(aufs_init);
module_exit(aufs_exit);

MODULE_DESCRIPTION("Union filesystem whose mappings report the union's files");
MODULE_LICENSE("GPL");
