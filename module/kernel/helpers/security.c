// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for new objects: labels, ACLs, modes. Alphabetical. */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/*
 * Uses up the default ACL *@acl, and makes the ACL of a new object of it, which is made with
 * *@mode; and of that ACL the mode. Positive if the ACL says more than the mode.
 */
int aufs_acl_for_new(struct posix_acl **acl, umode_t *mode)
{
	return __posix_acl_create(acl, GFP_KERNEL, mode);
}

/*
 * The credentials to create a copy of @dentry with, as a security module wants them, made from the
 * current ones; the caller puts *@creds. Null if the current ones will do: most modules do not
 * care, and those that do make credentials where they get none.
 */
int aufs_copy_up_creds(struct dentry *dentry, struct cred **creds)
{
	int err;

	*creds = NULL;
	err = security_inode_copy_up(dentry, creds);
	if (err < 0 && *creds)
		put_cred(*creds);
	return err < 0 ? err : 0;
}

/*
 * 1: do not copy the attribute @name of @dentry; 0: copy it; or an error. Modules
 * say 1 or, since 6.11 and with the same prototype, -ECANCELED for "do not", and
 * mean nothing else by either.
 */
int aufs_copy_up_xattr(struct dentry *dentry, const char *name)
{
	/* security_inode_copy_up_xattr() takes the dentry since 6.9. */
	int (*by_name)(const char *name) = (void *)security_inode_copy_up_xattr;
	int (*by_dentry)(struct dentry *dentry, const char *name) =
		(void *)security_inode_copy_up_xattr;
	int ret = __builtin_types_compatible_p(typeof(security_inode_copy_up_xattr),
					       int(const char *)) ?
			  by_name(name) :
			  by_dentry(dentry, name);

	if (ret == -ECANCELED)
		return 1;
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/*
 * Sets up @new to make @dentry, an object of @mode, with the label that security modules give it
 * if @caller makes it.
 */
int aufs_create_files_as(struct dentry *dentry, umode_t mode, const struct cred *caller,
			 struct cred *new)
{
	return security_dentry_create_files_as(dentry, mode, &dentry->d_name, caller, new);
}

/* Takes the security modules' options out of @options. */
int aufs_eat_security_options(struct fs_context *fc, char *options)
{
	return security_sb_eat_lsm_opts(options, &fc->security);
}

umode_t aufs_umask(void)
{
	return current_umask();
}
