/* SPDX-License-Identifier: GPL-2.0-only */
/* The inode operations that every kind of inode has. */
#pragma once

#include "copy_up/copy_up.hh"

namespace aufs
{

/*
 * The caller's rights, on the union's copy of mode, owner and ACL; then whether the union can write
 * there at all. Any context: with MAY_NOT_BLOCK it does not sleep.
 */
int permission(AUFS_IDMAP *idmap, struct inode *inode, int mask);

int getattr(AUFS_IDMAP *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
	    unsigned int flags);

/*
 * The same of unions in which some branch changes by itself: such a branch is asked first, as it is for
 * its own files, and what it says is what the union shows. Where it may not sleep, permission_asked()
 * is -ECHILD.
 */
int permission_asked(AUFS_IDMAP *idmap, struct inode *inode, int mask);
int getattr_asked(AUFS_IDMAP *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
		  unsigned int flags);
int setattr(AUFS_IDMAP *idmap, struct dentry *dentry, struct iattr *attr);
ssize_t listxattr(struct dentry *dentry, char *list, size_t size);
struct posix_acl *get_acl(struct inode *inode, int type, bool rcu);
int set_acl(AUFS_IDMAP *idmap, struct dentry *dentry, struct posix_acl *acl, int type);
int set_acl(AUFS_IDMAP *idmap, struct inode *inode, struct posix_acl *acl, int type);
int fileattr_get(struct dentry *dentry, AUFS_FILEATTR *attr);
int fileattr_set(AUFS_IDMAP *idmap, struct dentry *dentry, AUFS_FILEATTR *attr);
#ifdef HAVE_FS_UPD_ATIME
int update_time(struct inode *inode, enum fs_update_time which, unsigned int flags);
#else
int update_time(struct inode *inode, int flags);
int update_time(struct inode *inode, struct timespec64 *now, int flags);
#endif

/* @ops with those operations; kernels differ in the names of two of them. */
template <class Ops> constexpr Ops with_common(Ops ops, bool asks)
{
	ops.permission = asks ? permission_asked : permission;
	ops.getattr = asks ? getattr_asked : getattr;
	ops.setattr = setattr;
	ops.listxattr = listxattr;
	ops.update_time = update_time;
	if constexpr (requires { ops.get_inode_acl; })
		ops.get_inode_acl = get_acl;
	else
		ops.get_acl = get_acl;
	ops.set_acl = set_acl;
	return ops;
}

/*
 * Runs @change(its mount, branch dentry) on the object of @dentry, which lies on a rw branch, and copies
 * the result.
 */
template <class Change>
int change_in_place(struct dentry &dentry, Change &&change, const struct cred *as = nullptr)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	DirListLock list(inode);
	const Part &top = inode.top();
	auto access = WriteAccess::get(*top.branch);

	if (!access.ok())
		return access.error();

	int error;
	{
		ScopedCreds creds(as ? *as : inode.super().mounter());

		error = change(top.branch->mnt(), *top.dentry);
	}
	if (!error)
		inode.copy_attributes();
	return error;
}

/*
 * @run(), which copies up @inode's object if need be and then changes it in place, and once more where its branch has
 * become read-only between the two, or was about to. Takes the list of branches: who calls this does not hold it.
 */
template <class Run> int run_on_rw(const Inode &inode, Run &&run)
{
	int error = run();

	if (error != -EROFS)
		return error;
	{
		ListLock list(inode.super());
	}
	return run();
}

/*
 * Runs @change(mount, branch dentry) on the branch object of @dentry, with write access to the branch and
 * the mounter's credentials, or @as, and copies the result. What has to be copied up for it is changed
 * before it takes the original's place: where the change fails, there is no copy. -EROFS where the object
 * cannot come to a rw branch.
 */
template <class Change>
int change(struct dentry &dentry, Change &&change, const struct cred *as = nullptr)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	auto finish = [&](const Writer &writer, struct dentry &copy) {
		ScopedCreds creds(as ? *as : inode.super().mounter());

		return check(change(writer.mnt(), copy));
	};

	return run_on_rw(inode, [&] {
		auto changed = copy_up_and(dentry, whole_file, FinishCopy(finish));

		if (!changed.ok())
			return changed.error();
		if (!changed.value())
			return change_in_place(dentry, change, as);
		inode.copy_attributes();
		return 0;
	});
}

} // namespace aufs
