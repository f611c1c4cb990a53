// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for operations through a mount: the vfs_*() calls want its id mapping. Alphabetical. */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/* The id mapping of a mount, as the vfs_*() of this kernel want it. */
#ifdef HAVE_MNT_IDMAP
#define idmap_of(mnt) mnt_idmap(mnt)
#else
#define idmap_of(mnt) mnt_user_ns(mnt)
#endif

/*
 * On some kernels directories can be delegated, as files can, and a parameter gets the inode to
 * wait for. Without it the call is -EWOULDBLOCK instead.
 */
#ifdef HAVE_DELEGATED_INODE
#define change_dir(function, args...) function(args, NULL)
#else
#define change_dir(function, args...) function(args)
#endif

/* Gives the ids in @acl, of @inode, the values that they have through @mnt. */
static void map_acl(struct vfsmount *mnt, const struct inode *inode, struct posix_acl *acl)
{
	struct user_namespace *fs = i_user_ns(inode);
	struct posix_acl_entry *entry = acl->a_entries;
	AUFS_IDMAP *idmap = idmap_of(mnt);

	for (; entry < acl->a_entries + acl->a_count; entry++) {
		if (entry->e_tag == ACL_USER)
			entry->e_uid = vfsuid_into_kuid(make_vfsuid(idmap, fs, entry->e_uid));
		else if (entry->e_tag == ACL_GROUP)
			entry->e_gid = vfsgid_into_kgid(make_vfsgid(idmap, fs, entry->e_gid));
	}
}

#ifndef HAVE_VFS_SET_ACL
/* The other way round; an id that the filesystem does not have becomes invalid. */
static void unmap_acl(struct vfsmount *mnt, const struct inode *inode, struct posix_acl *acl)
{
	struct user_namespace *fs = i_user_ns(inode);
	struct posix_acl_entry *entry = acl->a_entries;
	AUFS_IDMAP *idmap = idmap_of(mnt);

	for (; entry < acl->a_entries + acl->a_count; entry++) {
		if (entry->e_tag == ACL_USER)
			entry->e_uid = from_vfsuid(idmap, fs, VFSUIDT_INIT(entry->e_uid));
		else if (entry->e_tag == ACL_GROUP)
			entry->e_gid = from_vfsgid(idmap, fs, VFSGIDT_INIT(entry->e_gid));
	}
}
#endif

/* Other credentials for one call of a filesystem that judges by them. */
struct lowered {
	struct cred *cred; /* null: the current ones do */
	const struct cred *old;
};

/* Lowers @cap, and sets the fsuid if @fsuid is valid. */
static int lower(int cap, kuid_t fsuid, struct lowered *as)
{
	as->cred = prepare_creds();
	if (!as->cred)
		return -ENOMEM;
	cap_lower(as->cred->cap_effective, cap);
	if (uid_valid(fsuid))
		as->cred->fsuid = fsuid;
	as->old = override_creds(as->cred);
	return 0;
}

/*
 * XFS lets a task that has CAP_FOWNER exceed quotas when an object gets another owner, group or
 * project. If the current task may exceed none, it does that without this right, as the owner of
 * @inode, who needs no right for it.
 */
static int lower_to_owner(struct vfsmount *mnt, const struct inode *inode, struct lowered *as)
{
	if (inode->i_sb->s_magic != XFS_SUPER_MAGIC || aufs_may_exceed_limits())
		return 0;
	return lower(CAP_FOWNER, vfsuid_into_kuid(i_uid_into_vfsuid(idmap_of(mnt), inode)), as);
}

/*
 * FUSE leaves it to some servers to clear the bits of @attr when they truncate. It tells them to,
 * unless the task has CAP_FSETID. The VFS has found that the caller lacks it.
 */
static int lower_to_truncate(const struct inode *inode, const struct iattr *attr,
			     struct lowered *as)
{
	if (inode->i_sb->s_magic != FUSE_SUPER_MAGIC ||
	    !(attr->ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID)))
		return 0;
	return lower(CAP_FSETID, INVALID_UID, as);
}

static void end_lowered(const struct lowered *as)
{
	if (!as->cred)
		return;
	revert_creds(as->old);
	put_cred(as->cred);
}

/*
 * Whether a name in @dir exists if and only if the dcache has it, as on tmpfs. Asked for any other
 * name, such a filesystem says that there is none.
 */
bool aufs_is_all_in_dcache(const struct dentry *dir)
{
	return d_inode(dir)->i_op->lookup == simple_lookup &&
	       !(dir->d_flags & (DCACHE_OP_HASH | DCACHE_OP_COMPARE));
}

/*
 * Looks @name up in such a directory, with or without the inode's lock: d_lookup() sees renames as
 * one step. Never negative, an ERR_PTR instead. It makes no dentry, as the VFS would for a name
 * that does not exist. Null if the VFS has to ask whether what is found is valid.
 */
static struct dentry *find_in_dcache(struct vfsmount *mnt, const char *name, struct dentry *dir,
				     int len)
{
	int err = inode_permission(idmap_of(mnt), d_inode(dir), MAY_EXEC);
	struct dentry *found;

	if (err)
		return ERR_PTR(err);
	found = aufs_d_lookup(dir, name, len);
	if (found && !aufs_d_is_positive(found)) {
		dput(found);
		found = NULL;
	}
	if (!found)
		return ERR_PTR(-ENOENT);
	if (!(found->d_flags & DCACHE_OP_REVALIDATE))
		return found;
	dput(found);
	return NULL;
}

int aufs_create(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry, umode_t mode)
{
#ifdef HAVE_DELEGATED_INODE
	return vfs_create(idmap_of(mnt), dentry, mode, NULL);
#else
	return vfs_create(idmap_of(mnt), dir, dentry, mode, true);
#endif
}

/* The ACL, counted, with the ids as seen through @mnt; null for none, or an ERR_PTR. */
struct posix_acl *aufs_get_acl(struct vfsmount *mnt, struct inode *inode, int type)
{
	struct posix_acl *acl;
	struct posix_acl *mapped;

	if (!IS_ENABLED(CONFIG_FS_POSIX_ACL) || !IS_POSIXACL(inode))
		return NULL;
#ifdef HAVE_GET_INODE_ACL
	acl = get_inode_acl(inode, type);
#else
	acl = get_acl(inode, type);
#endif
	if (IS_ERR_OR_NULL(acl) || !is_idmapped_mnt(mnt))
		return acl;
	/* This one is in the filesystem's cache. */
	mapped = posix_acl_clone(acl, GFP_KERNEL);
	posix_acl_release(acl);
	if (!mapped)
		return ERR_PTR(-ENOMEM);
	map_acl(mnt, inode, mapped);
	return mapped;
}

ssize_t aufs_getxattr(struct vfsmount *mnt, struct dentry *dentry, const char *name, void *value,
		      size_t size)
{
	return vfs_getxattr(idmap_of(mnt), dentry, name, value, size);
}

/* Whether @base, whose inode is locked, has @name; or a negative errno. */
int aufs_has_name(struct vfsmount *mnt, const char *name, struct dentry *base, int len)
{
	struct dentry *found = NULL;
	bool has;

	if (aufs_is_all_in_dcache(base))
		found = find_in_dcache(mnt, name, base, len);
	if (!found)
		found = aufs_lookup_locked(mnt, name, base, len);
	if (IS_ERR(found))
		return found == ERR_PTR(-ENOENT) ? 0 : PTR_ERR(found);
	has = d_is_positive(found);
	dput(found);
	return has;
}

int aufs_link(struct dentry *old, struct vfsmount *mnt, struct inode *dir, struct dentry *dentry)
{
	return vfs_link(old, idmap_of(mnt), dir, dentry, NULL);
}

/* @base's inode is locked; may be negative or an ERR_PTR. */
struct dentry *aufs_lookup_locked(struct vfsmount *mnt, const char *name, struct dentry *base,
				  int len)
{
#ifdef HAVE_LOOKUP_ONE_QSTR
	struct qstr qname = QSTR_INIT(name, len);

	return lookup_one(idmap_of(mnt), &qname, base);
#else
	return lookup_one(idmap_of(mnt), name, base, len);
#endif
}

/* @base's inode is not locked; never negative, an ERR_PTR instead. */
struct dentry *aufs_lookup_unlocked(struct vfsmount *mnt, const char *name, struct dentry *base,
				    int len)
{
#ifdef HAVE_LOOKUP_ONE_QSTR
	struct qstr qname = QSTR_INIT(name, len);
#endif
	struct dentry *found = NULL;

	if (aufs_is_all_in_dcache(base))
		found = find_in_dcache(mnt, name, base, len);
	if (found)
		return found;
#ifdef HAVE_LOOKUP_ONE_QSTR
	return lookup_one_positive_unlocked(idmap_of(mnt), &qname, base);
#else
	return lookup_one_positive_unlocked(idmap_of(mnt), name, base, len);
#endif
}

/* The same, but it may be negative, and become positive at any moment. */
struct dentry *aufs_lookup_negative_too(struct vfsmount *mnt, const char *name, struct dentry *base,
					int len)
{
#ifdef HAVE_LOOKUP_ONE_QSTR
	struct qstr qname = QSTR_INIT(name, len);

	return lookup_one_unlocked(idmap_of(mnt), &qname, base);
#else
	return lookup_one_unlocked(idmap_of(mnt), name, base, len);
#endif
}

bool aufs_may_search(struct vfsmount *mnt, const struct dentry *dir)
{
	return !inode_permission(idmap_of(mnt), d_inode(dir), MAY_EXEC);
}

int aufs_mkdir(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry, umode_t mode)
{
#ifdef HAVE_MKDIR_RETURNS_DENTRY
	struct dentry *made;

	/* vfs_mkdir() puts @dentry if it fails or makes another one. */
	made = change_dir(vfs_mkdir, idmap_of(mnt), dir, dget(dentry), mode);
	if (IS_ERR(made)) {
		/*
		 * Since there is end_dirop(), a failed vfs_mkdir() unlocks @dir. Our caller
		 * unlocks it, too, and does nothing else in it before.
		 */
#ifdef HAVE_END_DIROP
		inode_lock_nested(dir, I_MUTEX_PARENT);
#endif
		return PTR_ERR(made);
	}
	dput(made);
	return 0;
#else
	return vfs_mkdir(idmap_of(mnt), dir, dentry, mode);
#endif
}

int aufs_mknod(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry, umode_t mode,
	       dev_t rdev)
{
	return change_dir(vfs_mknod, idmap_of(mnt), dir, dentry, mode, rdev);
}

/* @dentry's inode is locked. */
int aufs_notify_change(struct vfsmount *mnt, struct dentry *dentry, struct iattr *attr)
{
	struct lowered as = {};
	int err = 0;

	if (attr->ia_valid & (ATTR_UID | ATTR_GID))
		err = lower_to_owner(mnt, d_inode(dentry), &as);
	else if (attr->ia_valid & ATTR_SIZE)
		err = lower_to_truncate(d_inode(dentry), attr, &as);
	if (!err)
		err = notify_change(idmap_of(mnt), dentry, attr, NULL);
	end_lowered(&as);
	return err;
}

/* The owner of @inode as seen through @mnt; invalid if the mount has no id for it. */
void aufs_owner_through(struct vfsmount *mnt, const struct inode *inode, kuid_t *uid, kgid_t *gid)
{
	*uid = vfsuid_into_kuid(i_uid_into_vfsuid(idmap_of(mnt), inode));
	*gid = vfsgid_into_kgid(i_gid_into_vfsgid(idmap_of(mnt), inode));
}

int aufs_removexattr(struct vfsmount *mnt, struct dentry *dentry, const char *name)
{
	return vfs_removexattr(idmap_of(mnt), dentry, name);
}

int aufs_rmdir(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry)
{
	return change_dir(vfs_rmdir, idmap_of(mnt), dir, dentry);
}

/* Sets @acl, with the ids that this kernel's function wants; removes the ACL if it is null. */
static int set_acl(struct vfsmount *mnt, struct dentry *dentry, int type, struct posix_acl *acl)
{
#ifdef HAVE_VFS_SET_ACL
	const char *name = posix_acl_xattr_name(type);

	if (!acl)
		return vfs_remove_acl(idmap_of(mnt), dentry, name);
	return vfs_set_acl(idmap_of(mnt), dentry, name, acl);
#else
	struct inode *inode = d_inode(dentry);
	int err;

	inode_lock(inode);
	err = set_posix_acl(idmap_of(mnt), inode, type, acl);
	inode_unlock(inode);
	return err;
#endif
}

/* Sets @acl, as seen through @mnt; removes the ACL if it is null. Takes the inode's lock. */
int aufs_set_acl(struct vfsmount *mnt, struct dentry *dentry, int type, struct posix_acl *acl)
{
	struct posix_acl *mapped;
	int err;

	if (!acl || !is_idmapped_mnt(mnt))
		return set_acl(mnt, dentry, type, acl);
	/* The kernel, or we below, map the ids in place, and others may have this ACL. */
	mapped = posix_acl_clone(acl, GFP_KERNEL);
	if (!mapped)
		return -ENOMEM;
#ifndef HAVE_VFS_SET_ACL
	unmap_acl(mnt, d_inode(dentry), mapped);
#endif
	err = set_acl(mnt, dentry, type, mapped);
	posix_acl_release(mapped);
	return err;
}

int aufs_set_fileattr(struct vfsmount *mnt, struct dentry *dentry, AUFS_FILEATTR *attr)
{
	struct lowered as = {};
	int err = 0;

	if (attr->fsx_valid)
		err = lower_to_owner(mnt, d_inode(dentry), &as);
	if (!err)
		err = vfs_fileattr_set(idmap_of(mnt), dentry, attr);
	end_lowered(&as);
	return err;
}

int aufs_setxattr(struct vfsmount *mnt, struct dentry *dentry, const char *name, const void *value,
		  size_t size, int flags)
{
	return vfs_setxattr(idmap_of(mnt), dentry, name, value, size, flags);
}

/* Whether a walk that has come to @dentry does not simply end there. */
static bool leads_on(const struct dentry *dentry)
{
	return d_is_symlink(dentry) ||
	       (dentry->d_flags & (DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT));
}

static bool is_named(struct dentry *dentry, const char *name, int len)
{
	bool is;

	spin_lock(&dentry->d_lock);
	is = dentry->d_name.len == len && !memcmp(dentry->d_name.name, name, len);
	spin_unlock(&dentry->d_lock);
	return is;
}

/* The object of the entry @name of @dir, or the root of what is mounted there. */
int aufs_step_down(const struct path *dir, const char *name, int len, struct path *found)
{
	struct dentry *dentry = aufs_lookup_unlocked(dir->mnt, name, dir->dentry, len);

	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	if (!is_named(dentry, name, len)) {
		dput(dentry);
		return -EAGAIN;
	}
	found->mnt = mntget(dir->mnt);
	found->dentry = dentry;
	while (!leads_on(found->dentry) && d_mountpoint(found->dentry) && follow_down_one(found))
		;
	if (!leads_on(found->dentry))
		return 0;
	path_put(found);
	return -EAGAIN;
}

int aufs_symlink(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry, const char *target)
{
	return change_dir(vfs_symlink, idmap_of(mnt), dir, dentry, target);
}

/* Opens an unnamed file below @parent; linkat(2) may name it later. */
struct file *aufs_tmpfile_open(const struct path *parent, umode_t mode, int flags,
			       const struct cred *cred)
{
#ifdef HAVE_KERNEL_TMPFILE_OPEN
	return kernel_tmpfile_open(idmap_of(parent->mnt), parent, mode, flags, cred);
#else
	return vfs_tmpfile_open(idmap_of(parent->mnt), parent, mode, flags, cred);
#endif
}

int aufs_unlink(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry)
{
	return vfs_unlink(idmap_of(mnt), dir, dentry, NULL);
}
