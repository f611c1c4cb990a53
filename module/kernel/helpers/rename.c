// SPDX-License-Identifier: GPL-2.0-only
/* Helpers as those of idmap.c, for renames. How names are locked differs between kernels. */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/* The rename that @names describe, for this kernel's VFS. */
static struct renamedata renamedata_of(struct vfsmount *mnt, const struct aufs_renaming *names,
				       unsigned int flags)
{
	struct renamedata rename = {
#ifdef HAVE_RENAMEDATA_IDMAP
		.mnt_idmap = mnt ? mnt_idmap(mnt) : NULL,
#elif defined(HAVE_MNT_IDMAP)
		.old_mnt_idmap = mnt_idmap(mnt),
		.new_mnt_idmap = mnt_idmap(mnt),
#else
		.old_mnt_userns = mnt_user_ns(mnt),
		.new_mnt_userns = mnt_user_ns(mnt),
#endif
#ifdef HAVE_RENAMEDATA_PARENTS
		.old_parent = names->from_dir,
		.new_parent = names->to_dir,
#else
		.old_dir = d_inode(names->from_dir),
		.new_dir = d_inode(names->to_dir),
#endif
		.old_dentry = names->from,
		.new_dentry = names->to,
		.flags = flags,
	};

	return rename;
}

/* @names are locked. */
int aufs_rename(struct vfsmount *mnt, const struct aufs_renaming *names, unsigned int flags)
{
	struct renamedata rename = renamedata_of(mnt, names, flags);

	return vfs_rename(&rename);
}

#ifdef HAVE_START_RENAMING
int aufs_rename_begin(struct vfsmount *mnt, struct aufs_renaming *names, const char *from,
		      unsigned int from_len, const char *to, unsigned int to_len, bool exchange)
{
	struct renamedata rename = renamedata_of(mnt, names, exchange ? RENAME_EXCHANGE : 0);
	struct qstr from_name = QSTR_INIT(from, from_len);
	struct qstr to_name = QSTR_INIT(to, to_len);
	int err;

	if (names->from)
		err = start_renaming_dentry(&rename, 0, names->from, &to_name);
	else
		err = start_renaming(&rename, 0, &from_name, &to_name);
	switch (err) {
	case 0:
		break;
	case -EINVAL: /* it was moved, or is above the other name */
	case -ENOENT:
	case -ENOTEMPTY: /* the other name is above it */
	case -EXDEV:
		return -ESTALE;
	default:
		return err;
	}
	names->from = rename.old_dentry;
	names->to = rename.new_dentry;
	names->trap = NULL;
	return 0;
}

void aufs_rename_end(const struct aufs_renaming *names)
{
	struct renamedata rename = renamedata_of(NULL, names, 0);

	end_renaming(&rename);
}
#else
/*
 * Locks the two directories of @names, and looks the names up: counted, and one may be negative.
 * The dentry that is moved may be known already. -ESTALE if it cannot be a rename any more: then
 * nothing is locked.
 */
int aufs_rename_begin(struct vfsmount *mnt, struct aufs_renaming *names, const char *from,
		      unsigned int from_len, const char *to, unsigned int to_len, bool exchange)
{
	struct dentry *found;

	names->trap = lock_rename(names->from_dir, names->to_dir);
	/* The directories lie in different trees by now. */
	if (IS_ERR(names->trap))
		return -ESTALE;
	found = names->from ? dget(names->from) :
			      aufs_lookup_locked(mnt, from, names->from_dir, from_len);
	if (IS_ERR(found))
		goto unlock;
	names->from = found;
	found = aufs_lookup_locked(mnt, to, names->to_dir, to_len);
	if (IS_ERR(found))
		goto put_from;
	names->to = found;
	return 0;

put_from:
	dput(names->from);
unlock:
	unlock_rename(names->from_dir, names->to_dir);
	/* A lookup in a removed directory gives -ENOENT. */
	return found == ERR_PTR(-ENOENT) ? -ESTALE : PTR_ERR(found);
}

void aufs_rename_end(const struct aufs_renaming *names)
{
	unlock_rename(names->from_dir, names->to_dir);
	dput(names->from);
	dput(names->to);
}
#endif
