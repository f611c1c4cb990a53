// SPDX-License-Identifier: GPL-2.0-only
#include "attr.hh"
#include "file.hh"

namespace aufs
{

int permission(AUFS_IDMAP *idmap, struct inode *inode, int mask) noexcept
{
	int error = generic_permission(idmap, inode, mask);

	if (error || !(mask & MAY_WRITE))
		return error;

	const Inode &union_inode = Inode::of(*inode);
	const Found &found = union_inode.found();
	umode_t mode = inode->i_mode;

	/*
	 * What a read-only filesystem refuses; a device or a pipe is not written through the
	 * filesystem.
	 */
	if (is_dir(mode))
		return union_inode.super().rw_above(found.bottom + 1) != Super::none ? 0 : -EROFS;
	if (is_reg(mode) || is_lnk(mode))
		return union_inode.may_change() ? 0 : -EROFS;
	return 0;
}

int getattr(AUFS_IDMAP *, const struct path *path, struct kstat *stat, u32 request_mask,
	    unsigned int flags) noexcept
{
	struct inode *inode = path->dentry->d_inode;
	Inode &union_inode = Inode::of(*inode);
	const BranchDentry &top = union_inode.top();
	const Branch &branch = union_inode.super().branch(top.branch);
	struct path h_path = branch.path_to(*top.dentry);
	int error;
	{
		ScopedCreds creds(union_inode.super().mounter());

		error = vfs_getattr_nosec(&h_path, stat, request_mask, flags);
	}
	if (error)
		return error;
	stat->mode = branch.shown_mode(stat->mode);
	stat->dev = inode->i_sb->s_dev;
	stat->ino = inode->i_ino;
	/* What the branch knows is not all. */
	if (union_inode.merged() || union_inode.links() || !union_inode.on_rw())
		stat->nlink = inode->i_nlink;
#ifdef HAVE_STATX_SUBVOL
	/* What names a part of the branch's filesystem. */
	stat->result_mask &= ~static_cast<u32>(STATX_SUBVOL);
#endif
	return 0;
}

int setattr(AUFS_IDMAP *idmap, struct dentry *dentry, struct iattr *attr) noexcept
{
	/* May take S_ISGID out of the mode, so it comes before the copy. */
	if (int error = setattr_prepare(idmap, dentry, attr))
		return error;

	struct iattr h_attr = *attr;

	if (h_attr.ia_valid & ATTR_FILE)
		h_attr.ia_file = &h_file_of(*attr->ia_file);
	/* The branch's notify_change() makes the mode of these itself. */
	if (h_attr.ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID))
		h_attr.ia_valid &= ~static_cast<unsigned int>(ATTR_MODE);

	bool truncates = h_attr.ia_valid & ATTR_SIZE;

	/* A copy-up for it ends at the new size: then XFS sees no change, and leaves the times. */
	if (truncates && aufs_i_size_read(&Inode::of(*dentry->d_inode).h_inode()) != attr->ia_size)
		h_attr.ia_valid |= ATTR_MTIME | ATTR_CTIME;

	auto run = [&h_attr, truncates](Inode &, struct vfsmount *mnt, struct dentry &h_dentry) {
		struct inode &h_inode = *h_dentry.d_inode;

		/* A program that runs from the branch is not cut. */
		if (truncates) {
			if (int error = aufs_get_write_access(&h_inode))
				return error;
		}

		int error;
		{
			InodeLock lock(h_inode);

			error = aufs_notify_change(mnt, &h_dentry, &h_attr);
		}
		if (truncates)
			aufs_put_write_access(&h_inode);
		return error;
	};

	return change(*dentry, run, truncates ? attr->ia_size : whole_file);
}

struct posix_acl *get_acl(struct inode *inode, int type, bool rcu) noexcept
{
	const Inode &union_inode = Inode::of(*inode);
	const Super &super = union_inode.super();

	if (rcu) {
		/* What is cached has the filesystem's ids; to map them takes memory. */
		if (super.idmapped())
			return error_pointer<struct posix_acl>(-ECHILD);
		return aufs_get_cached_acl_rcu(&union_inode.h_inode(), type);
	}

	const BranchDentry &top = union_inode.top();
	ScopedCreds creds(super.mounter());

	return aufs_get_acl(super.branch(top.branch).mnt(), top.dentry->d_inode, type);
}

namespace
{

/* Whether what is to be removed is not there: then there is nothing to copy up for. */
bool has_no_acl(const Inode &inode, int type) noexcept
{
	const BranchDentry &top = inode.top();
	ScopedCreds creds(inode.super().mounter());
	struct posix_acl *acl =
		aufs_get_acl(inode.super().branch(top.branch).mnt(), top.dentry->d_inode, type);

	if (acl && !is_error(acl))
		aufs_posix_acl_release(acl);
	return !acl || acl == error_pointer<struct posix_acl>(-EOPNOTSUPP);
}

int set_acl_on(struct dentry &dentry, struct posix_acl *acl, int type) noexcept
{
	struct inode &inode = *dentry.d_inode;
	/* The branch's own check asks the mounter, who may always keep S_ISGID. */
	bool drops_sgid = acl && type == ACL_TYPE_ACCESS && (inode.i_mode & S_ISGID) &&
			  !in_group_p(inode.i_gid) &&
			  !capable_wrt_inode_uidgid(aufs_nop_idmap(), &inode, CAP_FSETID);

	if (!acl && !Inode::of(inode).on_rw() && has_no_acl(Inode::of(inode), type))
		return 0;
	return change(dentry, [acl, type, drops_sgid](Inode &, struct vfsmount *mnt,
						      struct dentry &h_dentry) {
		if (drops_sgid) {
			struct iattr attr = {};
			InodeLock lock(*h_dentry.d_inode);

			attr.ia_valid = ATTR_KILL_SGID;
			if (int error = aufs_notify_change(mnt, &h_dentry, &attr))
				return error;
		}
		return aufs_set_acl(mnt, &h_dentry, type, acl);
	});
}

} // namespace

int set_acl(AUFS_IDMAP *, struct dentry *dentry, struct posix_acl *acl, int type) noexcept
{
	return set_acl_on(*dentry, acl, type);
}

int set_acl(AUFS_IDMAP *, struct inode *inode, struct posix_acl *acl, int type) noexcept
{
	auto dentry = Ref<struct dentry>::adopt(aufs_d_find_any_alias(inode));

	return dentry ? set_acl_on(*dentry, acl, type) : -ESTALE;
}

int fileattr_get(struct dentry *dentry, struct fileattr *attr) noexcept
{
	Inode &union_inode = Inode::of(*dentry->d_inode);
	ScopedCreds creds(union_inode.super().mounter());

	return vfs_fileattr_get(&union_inode.h_dentry(), attr);
}

int fileattr_set(AUFS_IDMAP *, struct dentry *dentry, struct fileattr *attr) noexcept
{
	return change(*dentry, [attr](Inode &, struct vfsmount *mnt, struct dentry &h_dentry) {
		return aufs_set_fileattr(mnt, &h_dentry, attr);
	});
}

namespace
{

/*
 * Access times are the branch's where it is written to; what else a kernel asks for, the branch
 * does by itself.
 */
int update_atime(struct inode &inode, int flags) noexcept
{
	Inode &union_inode = Inode::of(inode);

	if (!(flags & S_ATIME) || !union_inode.branch().writable())
		return 0;

	struct path h_path = union_inode.h_path();

	touch_atime(&h_path);
	union_inode.copy_attributes();
	return 0;
}

} // namespace

int update_time(struct inode *inode, int flags) noexcept
{
	return update_atime(*inode, flags);
}

int update_time(struct inode *inode, struct timespec64 *, int flags) noexcept
{
	return update_atime(*inode, flags);
}

namespace
{

/* May not sleep without a dentry: then the walk comes back with one. */
const char *get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done) noexcept
{
	if (!dentry)
		return error_pointer<const char>(-ECHILD);

	ScopedCreds creds(Inode::of(*inode).super().mounter());

	return vfs_get_link(&Inode::of(*inode).h_dentry(), done);
}

int fiemap(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 length) noexcept
{
	struct inode &h_inode = Inode::of(*inode).h_inode();

	if (!h_inode.i_op->fiemap)
		return -EOPNOTSUPP;

	ScopedCreds creds(Inode::of(*inode).super().mounter());

	return h_inode.i_op->fiemap(&h_inode, info, start, length);
}

template <class Ops> constexpr Ops for_file(Ops ops) noexcept
{
	ops.fiemap = fiemap;
	ops.fileattr_get = fileattr_get;
	ops.fileattr_set = fileattr_set;
	return with_common(ops);
}

/* Symlinks have no ACLs. */
template <class Ops> constexpr Ops for_symlink(Ops ops) noexcept
{
	ops = with_common(ops);
	ops.get_link = get_link;
	if constexpr (requires { ops.get_inode_acl; })
		ops.get_inode_acl = nullptr;
	else
		ops.get_acl = nullptr;
	ops.set_acl = nullptr;
	return ops;
}

} // namespace

constinit const struct ::inode_operations file_inode_operations = for_file(::inode_operations{});
constinit const struct ::inode_operations symlink_inode_operations =
	for_symlink(::inode_operations{});
constinit const struct ::inode_operations special_inode_operations =
	with_common(::inode_operations{});

} // namespace aufs
