/* SPDX-License-Identifier: GPL-2.0-only */
/* The inode operations that every kind of inode has. */
#pragma once

#include "copy_up/copy_up.hh"
#include "method.hh"

namespace aufs
{

/*
 * Checks the caller's rights by the union's copy of mode, owner and ACL, and then whether the union can write there at
 * all. Any context: with MAY_NOT_BLOCK it does not sleep.
 */
int permission(AUFS_IDMAP *idmap, struct inode *vfs_inode, int mask);

int getattr(AUFS_IDMAP *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
	    unsigned int flags);

/*
 * The same for unions in which some branch changes by itself. Such a branch is asked first, as it is for its own
 * files, and the union shows its answer. permission_asked() is -ECHILD if it may not sleep.
 */
int permission_asked(AUFS_IDMAP *idmap, struct inode *vfs_inode, int mask);
int getattr_asked(AUFS_IDMAP *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
		  unsigned int flags);
Result<void> setattr(AUFS_IDMAP *idmap, struct dentry *dentry, struct iattr *attr);
Result<ssize_t> listxattr(struct dentry *dentry, char *list, size_t size);
struct posix_acl *get_acl(struct inode *vfs_inode, int type, bool rcu);
Result<void> fileattr_get(struct dentry *dentry, AUFS_FILEATTR *attr);
Result<void> fileattr_set(AUFS_IDMAP *idmap, struct dentry *dentry, AUFS_FILEATTR *attr);

/* Kernels pass the object of an ACL in two ways. */
struct SetAcl {
	Result<void> operator()(AUFS_IDMAP *idmap, struct dentry *dentry, struct posix_acl *acl,
				int type) const;
	Result<void> operator()(AUFS_IDMAP *idmap, struct inode *vfs_inode, struct posix_acl *acl,
				int type) const;
};

/* Kernels pass the times that are meant in three ways. */
struct UpdateTime {
#ifdef HAVE_FS_UPD_ATIME
	Result<void> operator()(struct inode *vfs_inode, enum fs_update_time which,
				unsigned int flags) const;
#else
	Result<void> operator()(struct inode *vfs_inode, int flags) const;
	Result<void> operator()(struct inode *vfs_inode, struct timespec64 *now, int flags) const;
#endif
};

/*
 * @ops with the operations above. Some kernels have another member for get_acl(). permission(), getattr() and
 * get_acl() are called at each step of a path and at each stat(2): they have the VFS's own types.
 */
template <class Ops> constexpr Ops with_common(Ops ops, bool asks)
{
	ops.permission = asks ? permission_asked : permission;
	ops.getattr = asks ? getattr_asked : getattr;
	ops.setattr = vfs<setattr>;
	ops.listxattr = vfs<listxattr>;
	ops.update_time = vfs<UpdateTime{}>;
	if constexpr (requires { ops.get_inode_acl; })
		ops.get_inode_acl = get_acl;
	else
		ops.get_acl = get_acl;
	ops.set_acl = vfs<SetAcl{}>;
	return ops;
}

/* Runs @change(part) on the object of @dentry, which lies on a rw branch, and copies its attributes to the inode. */
template <class Change>
Result<void> change_in_place(struct dentry &dentry, Change &&change,
			     const struct cred *as = nullptr)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	DirListLock list(inode);
	const Part &top = inode.top();
	auto access = TRY(WriteAccess::get(*top.branch));
	{
		ScopedCreds creds(as ? *as : inode.super().mounter());

		TRY(change(PartRef(top)));
	}
	inode.copy_attributes();
	return {};
}

/*
 * Calls @run(), which copies up @inode's object if need be and then changes it in place; calls it once more if the
 * object's branch has become read-only between the two, or was about to. Takes the lock of the list of branches: the
 * caller does not have it.
 */
template <class Run> Result<void> run_on_rw(const Inode &inode, Run &&run)
{
	Result<void> done = run();

	if (done.error() != -EROFS)
		return done;
	{
		ListLock list(inode.super());
	}
	return run();
}

/*
 * Runs @change(part) on the branch object of @dentry, with write access to the branch and the mounter's credentials,
 * or @as. Copies the object's attributes to the inode. If a copy-up is needed, and the object is no directory, the
 * change comes before the copy takes the original's place: if the change fails, there is no copy. -EROFS if the object
 * cannot come to a rw branch.
 */
template <class Change>
Result<void> change(struct dentry &dentry, Change &&change, const struct cred *as = nullptr)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	auto finish = [&](const Writer &writer, struct dentry &copy) -> Result<void> {
		ScopedCreds creds(as ? *as : inode.super().mounter());

		return change(PartRef(writer.branch(), copy));
	};

	return run_on_rw(inode, [&]() -> Result<void> {
		bool changed = TRY(copy_up_and(dentry, whole_file, FinishCopy(finish)));

		if (!changed)
			return change_in_place(dentry, change, as);
		inode.copy_attributes();
		return {};
	});
}

} // namespace aufs
