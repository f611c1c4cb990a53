// SPDX-License-Identifier: GPL-2.0-only
/*
 * See shim.h: makes, removes and changes names by path. The kernel's functions for that differ
 * between kernels, so these use the ones that the module calls.
 */
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../../module/kernel/linux.h"
#include "generated/declared.h"
#include "../../module/kernel/api.h"
#include "begin.h"
#include "shim.h"

int aufs_test_begin(struct kunit *test)
{
#ifdef HAVE_USERSPACE_INIT_FS
	/* The root of kernel threads is empty, and nothing can be made there. */
	struct path root;
	int err = unshare_fs_struct();

	if (err)
		return err;
	get_fs_root(userspace_init_fs, &root);
	set_fs_root(current->fs, &root);
	set_fs_pwd(current->fs, &root);
	path_put(&root);
#endif
	return 0;
}

/* Gets the directory of @path, which is absolute. *@name: its last component. */
static int get_parent(const char *path, struct path *parent, const char **name)
{
	char *dir = kstrdup(path, GFP_KERNEL), *slash;
	int err;

	if (!dir)
		return -ENOMEM;
	slash = strrchr(dir, '/');
	*name = path + (slash - dir) + 1;
	*slash = 0;
	err = kern_path(*dir ? dir : "/", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, parent);
	kfree(dir);
	return err;
}

/*
 * Calls @change with the directory of @path, locked, and with the dentry of the name in it, which
 * may be negative.
 */
static int change_name(const char *path,
		       int (*change)(const struct path *parent, struct dentry *dentry))
{
	struct dentry *dentry;
	struct path parent;
	const char *name;
	int err = get_parent(path, &parent, &name);

	if (err)
		return err;
	err = mnt_want_write(parent.mnt);
	if (err)
		goto put;
	inode_lock_nested(d_inode(parent.dentry), I_MUTEX_PARENT);
	dentry = aufs_lookup_locked(parent.mnt, name, parent.dentry, strlen(name));
	if (IS_ERR(dentry)) {
		err = PTR_ERR(dentry);
	} else {
		err = change(&parent, dentry);
		dput(dentry);
	}
	inode_unlock(d_inode(parent.dentry));
	mnt_drop_write(parent.mnt);
put:
	path_put(&parent);
	return err;
}

static int make_dir(const struct path *parent, struct dentry *dentry)
{
	if (d_is_positive(dentry))
		return 0;
	return aufs_mkdir(parent->mnt, d_inode(parent->dentry), dentry, 0755);
}

int aufs_test_mkdir(const char *path)
{
	return change_name(path, make_dir);
}

static int remove_file(const struct path *parent, struct dentry *dentry)
{
	if (d_is_negative(dentry))
		return -ENOENT;
	return aufs_unlink(parent->mnt, d_inode(parent->dentry), dentry);
}

int aufs_test_unlink(const char *path)
{
	return change_name(path, remove_file);
}

int aufs_test_rename(const char *from, const char *to)
{
	struct path from_dir, to_dir;
	struct aufs_renaming names = {};
	const char *name, *next;
	int err;

	err = get_parent(from, &from_dir, &name);
	if (err)
		return err;
	err = get_parent(to, &to_dir, &next);
	if (err)
		goto put_from;
	err = mnt_want_write(from_dir.mnt);
	if (err)
		goto put_to;
	names.from_dir = from_dir.dentry;
	names.to_dir = to_dir.dentry;
	err = aufs_rename_begin(from_dir.mnt, &names, name, strlen(name), next, strlen(next),
				false);
	if (!err) {
		err = d_is_negative(names.from) ? -ENOENT : aufs_rename(from_dir.mnt, &names, 0);
		aufs_rename_end(&names);
	}
	mnt_drop_write(from_dir.mnt);
put_to:
	path_put(&to_dir);
put_from:
	path_put(&from_dir);
	return err;
}
