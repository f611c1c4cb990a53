// SPDX-License-Identifier: GPL-2.0-only
#include "attr.hh"
#include "mmap/branch_file.hh"
#include "branch/attributes.hh"
#include "kernel/dcache.hh"
#include "kernel/inodes.hh"

namespace aufs
{

int permission(AUFS_IDMAP *idmap, struct inode *vfs_inode, int mask)
{
	int error = generic_permission(idmap, vfs_inode, mask);

	if (error || !(mask & MAY_WRITE))
		return error;

	const Inode &inode = Inode::of(*vfs_inode);
	umode_t mode = vfs_inode->i_mode;

	/* -EROFS as on a read-only filesystem. A device or a pipe is not written to through the filesystem. */
	if (is_dir(mode)) {
		RcuReader reader;
		const Branch *rw = inode.super().top_rw();

		return rw && !inode.stack().bottom->is_above(*rw) ? 0 : -EROFS;
	}
	if (is_reg(mode) || is_lnk(mode)) {
		RcuReader reader;

		return inode.may_change() ? 0 : -EROFS;
	}
	return 0;
}

int getattr(AUFS_IDMAP *, const struct path *path, struct kstat *stat, u32 request_mask,
	    unsigned int flags)
{
	struct inode *vfs_inode = path->dentry->d_inode;
	Inode &inode = Inode::of(*vfs_inode);
	DirListLock list(inode);
	const Part &top = inode.top();
	const Branch &branch = *top.branch;
	struct path h_path = top.path();
	int error;
	{
		AsMounter mounter = inode.super().as_mounter();

		error = vfs_getattr_nosec(&h_path, stat, request_mask, flags);
	}
	if (error)
		return error;
	stat->mode = branch.shown_mode(stat->mode);
	stat->dev = vfs_inode->i_sb->s_dev;
	stat->ino = vfs_inode->i_ino;
	/* Of these objects the branch does not know all names, nor when the last one went. */
	if (inode.merged() || inode.links() || !inode.on_rw()) {
		stat->nlink = vfs_inode->i_nlink;
		inode.correct_ctime(stat->ctime);
	}
	stat->result_mask &= handed_down::results;
	stat->attributes &= handed_down::stat_attributes;
	stat->attributes_mask &= handed_down::stat_attributes;
	return 0;
}

namespace
{

/* Asks the branch of @inode if it changes by itself: the union shows what such a branch has. */
int ask(Inode &inode)
{
	/* As a rule it does not: then the list's lock is not needed, which a task may just have alone. */
	if (!inode.changes_by_itself())
		return 0;

	DirListLock list(inode);
	struct path h_path = inode.h_path();
	struct kstat stat;
	AsMounter mounter = inode.super().as_mounter();

	if (int error = vfs_getattr_nosec(&h_path, &stat, STATX_BASIC_STATS, 0))
		return error;
	inode.learn();
	return 0;
}

} // namespace

int permission_asked(AUFS_IDMAP *idmap, struct inode *vfs_inode, int mask)
{
	if (mask & MAY_NOT_BLOCK)
		return -ECHILD;
	if (int error = ask(Inode::of(*vfs_inode)))
		return error;
	return permission(idmap, vfs_inode, mask);
}

int getattr_asked(AUFS_IDMAP *idmap, const struct path *path, struct kstat *stat, u32 request_mask,
		  unsigned int flags)
{
	Inode &inode = Inode::of(*path->dentry->d_inode);

	if (int error = getattr(idmap, path, stat, request_mask, flags))
		return error;

	DirListLock list(inode);

	inode.learn();
	return 0;
}

namespace
{

/* The part of @attr that a branch is asked for, without the file. */
struct iattr for_branch(const struct iattr &attr)
{
	struct iattr h_attr = attr;

	h_attr.ia_valid &= handed_down::attributes;
	/* If one of these is set, the branch's notify_change() makes the mode by itself. */
	if (h_attr.ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID))
		h_attr.ia_valid &= ~static_cast<unsigned int>(ATTR_MODE);
	return h_attr;
}

/*
 * Names the branch file of @user in @h_attr if that is @h_inode's and open for writing: a filesystem that has its own
 * idea of an open file (FUSE, NFS) takes the file for the right to change it. @user may have been opened before a
 * copy-up, or for reading: then its branch file is another one, or gives no such right.
 */
void name_file(struct iattr &h_attr, const struct file &user, const struct inode &h_inode)
{
	struct file *h_file = h_file_or_null(user);

	if (!h_file || h_file->f_inode != &h_inode || !(h_file->f_mode & FMODE_WRITE))
		return;
	h_attr.ia_valid |= ATTR_FILE;
	h_attr.ia_file = h_file;
}

Result<void> change_on(PartRef part, const struct iattr &attr, struct iattr &h_attr)
{
	if (attr.ia_valid & ATTR_FILE)
		name_file(h_attr, *attr.ia_file, part.inode());

	InodeLock lock(part.inode());

	return change_attributes(lock, part, h_attr);
}

/*
 * Changes the size, and the other attributes of @attr. Only here is it certain that the caller may do so. If the file
 * has to be copied up, only the data that stays is copied. Two steps may still fail, and are taken before the copy
 * gets the original's place: the branch truncates the copy, and a file that is being opened with O_TRUNC is opened
 * there.
 */
Result<void> truncate(struct dentry &dentry, const struct iattr &attr, struct iattr &h_attr)
{
	struct file *user = attr.ia_valid & ATTR_FILE ? attr.ia_file : nullptr;
	bool waits = user && (attr.ia_valid & ATTR_OPEN) && h_file_or_null(*user) &&
		     waits_for_truncation(*user);
	const struct cred &caller = current_cred();
	Ref<struct file> opened;
	auto run = [&](PartRef part) -> Result<void> {
		if (waits) {
			ScopedCreds creds(caller);

			opened = TRY(open_copy(*user, part));
		}
		/* A program that runs is not truncated. */
		auto right = TRY(WriteRight::get(part.inode()));

		return change_on(part, attr, h_attr);
	};

	auto finish = [&run](const Writer &writer, struct dentry &copy) {
		return run({writer.branch(), copy});
	};

	if (!TRY(copy_up_and(dentry, attr.ia_size, FinishCopy(finish))))
		TRY(change_in_place(dentry, run));
	if (opened)
		take_truncated(*user, move(opened));
	return {};
}

} // namespace

Result<void> setattr(AUFS_IDMAP *idmap, struct dentry *dentry, struct iattr *attr)
{
	/* This may take S_ISGID out of the mode of @attr, and so comes before for_branch() copies that. */
	TRY(check(setattr_prepare(idmap, dentry, attr)));

	struct iattr h_attr = for_branch(*attr);
	bool truncates = h_attr.ia_valid & ATTR_SIZE;

	/* A copy-up copies no more than the new size. XFS would see no change of it then, and leave the times. */
	if (truncates && size_of(Inode::of(*dentry->d_inode).h_inode()) != attr->ia_size)
		h_attr.ia_valid |= ATTR_MTIME | ATTR_CTIME;

	if (truncates)
		return run_on_rw(Inode::of(*dentry->d_inode), [&] {
			struct iattr again = h_attr;

			return truncate(*dentry, *attr, again);
		});
	return change(*dentry,
		      [&h_attr, attr](PartRef part) { return change_on(part, *attr, h_attr); });
}

struct posix_acl *get_acl(struct inode *vfs_inode, int type, bool rcu)
{
	const Inode &inode = Inode::of(*vfs_inode);
	const Super &super = inode.super();

	if (rcu) {
		/* A cached ACL has the ids of the branch's filesystem. To map them takes memory. */
		if (super.idmapped())
			return error_pointer<struct posix_acl>(-ECHILD);
		return cached_acl(inode.h_inode(), type);
	}

	DirListLock list(inode);
	const Part &top = inode.top();
	AsMounter mounter = super.as_mounter();

	auto acl = read_acl(top, type);

	return acl.ok() ? acl.release().leak() : error_pointer<struct posix_acl>(acl.error());
}

namespace
{

/* Whether the object of @inode has no such ACL: then there is nothing to copy up for its removal. */
bool has_no_acl(const Inode &inode, int type)
{
	DirListLock list(inode);
	const Part &top = inode.top();
	AsMounter mounter = inode.super().as_mounter();
	auto acl = read_acl(top, type);

	return acl.ok() ? !acl.value() : acl.error() == -EOPNOTSUPP;
}

Result<void> set_acl_on(struct dentry &dentry, struct posix_acl *acl, int type)
{
	struct inode &vfs_inode = *dentry.d_inode;
	/* The branch itself checks the mounter's rights, and the mounter may always keep S_ISGID. */
	bool drops_sgid = acl && type == ACL_TYPE_ACCESS && (vfs_inode.i_mode & S_ISGID) &&
			  !in_group_p(vfs_inode.i_gid) &&
			  !capable_wrt_inode_uidgid(no_idmap(), &vfs_inode, CAP_FSETID);

	if (!acl && !Inode::of(vfs_inode).is_on_rw() && has_no_acl(Inode::of(vfs_inode), type))
		return {};

	auto set = [acl, type, drops_sgid, &vfs_inode](PartRef part) -> Result<void> {
		if (drops_sgid) {
			struct iattr attr = {};
			InodeLock lock(part.inode());

			attr.ia_valid = ATTR_KILL_SGID;
			TRY(change_attributes(lock, part, attr));
		}

		/* It may take a block. */
		ScopedCreds creds(Inode::of(vfs_inode).super().attribute_writer(part.branch));

		return write_acl(part, type, acl);
	};

	return change(dentry, set);
}

} // namespace

Result<void> SetAcl::operator()(AUFS_IDMAP *, struct dentry *dentry, struct posix_acl *acl,
				int type) const
{
	return set_acl_on(*dentry, acl, type);
}

Result<void> SetAcl::operator()(AUFS_IDMAP *, struct inode *vfs_inode, struct posix_acl *acl,
				int type) const
{
	auto dentry = any_dentry_of(*vfs_inode);

	return dentry ? set_acl_on(*dentry, acl, type) : Error{-ESTALE};
}

Result<void> fileattr_get(struct dentry *dentry, AUFS_FILEATTR *attr)
{
	Inode &inode = Inode::of(*dentry->d_inode);
	DirListLock list(inode);
	AsMounter mounter = inode.super().as_mounter();

	return check(vfs_fileattr_get(&inode.h_dentry(), attr));
}

namespace
{

/* The new value of @have, if a caller who saw @shown asks for @wanted. */
template <class T> T changed(T have, T shown, T wanted)
{
	return wanted == shown ? have : wanted;
}

/* The same, flag by flag. */
u32 changed_flags(u32 have, u32 shown, u32 wanted)
{
	u32 differ = shown ^ wanted;

	return (have & ~differ) | (wanted & differ);
}

/*
 * FUSE asks its server in one of two ways, each of which shows what the other does not. @question is to be asked in
 * the way of @wanted.
 */
void ask_like(AUFS_FILEATTR &question, const AUFS_FILEATTR &wanted)
{
	question.flags_valid = wanted.flags_valid;
	question.fsx_valid = wanted.fsx_valid;
}

/*
 * Whether there is a flag with which a copy could not be moved to its place, or which protect() sets only when the
 * copy is there.
 */
bool comes_last(u32 flags, u32 xflags)
{
	return (flags & (FS_APPEND_FL | FS_IMMUTABLE_FL | FS_SYNC_FL | FS_NOATIME_FL)) ||
	       (xflags & (FS_XFLAG_APPEND | FS_XFLAG_IMMUTABLE | FS_XFLAG_SYNC | FS_XFLAG_NOATIME));
}

} // namespace

/*
 * A program that sets flags gives back all flags that it was shown: those of the branch where the object lies. The
 * copy may lie on another filesystem, with other flags. So only flags that differ from those shown are changed.
 */
Result<void> fileattr_set(AUFS_IDMAP *, struct dentry *dentry, AUFS_FILEATTR *attr)
{
	AUFS_FILEATTR shown = {};

	ask_like(shown, *attr);
	TRY(fileattr_get(dentry, &shown));

	u32 flags = attr->flags ^ shown.flags;
	u32 xflags = (attr->fsx_xflags ^ shown.fsx_xflags) & ~handed_down::filesystems_xflags;

	if ((flags & ~handed_down::file_flags) ||
	    (attr->fsx_valid && (xflags & ~handed_down::file_xflags)))
		return Error{-EOPNOTSUPP};
	/* The VFS has checked this by the flags that it was shown before. */
	if (((flags & (FS_APPEND_FL | FS_IMMUTABLE_FL)) ||
	     (attr->fsx_valid && (xflags & (FS_XFLAG_APPEND | FS_XFLAG_IMMUTABLE)))) &&
	    !capable(CAP_LINUX_IMMUTABLE))
		return Error{-EPERM};

	auto set = [&, attr](PartRef part) -> Result<void> {
		AUFS_FILEATTR next = {};
		AUFS_FILEATTR have = {};

		ask_like(have, *attr);
		TRY(check(vfs_fileattr_get(&part.dentry, &have)));
		if (attr->flags_valid) {
			fileattr_fill_flags(&next,
					    changed_flags(have.flags, shown.flags, attr->flags));
		} else {
			fileattr_fill_xflags(&next, changed_flags(have.fsx_xflags, shown.fsx_xflags,
								  attr->fsx_xflags));
			next.fsx_projid =
				changed(have.fsx_projid, shown.fsx_projid, attr->fsx_projid);
			next.fsx_extsize =
				changed(have.fsx_extsize, shown.fsx_extsize, attr->fsx_extsize);
			next.fsx_cowextsize = changed(have.fsx_cowextsize, shown.fsx_cowextsize,
						      attr->fsx_cowextsize);
		}
		return write_fileattr(part, next);
	};

	if (!comes_last(flags, xflags) &&
	    (attr->flags_valid || attr->fsx_projid == shown.fsx_projid))
		return change(*dentry, set);
	return run_on_rw(Inode::of(*dentry->d_inode), [&]() -> Result<void> {
		TRY(copy_up(*dentry));
		return change_in_place(*dentry, set);
	});
}

namespace
{

/*
 * The access time is updated on the branch, if the union writes to that. All other times that a kernel asks for, the
 * branch updates by itself.
 */
void update_times(struct inode &vfs_inode, bool atime)
{
	Inode &inode = Inode::of(vfs_inode);

	if (!atime)
		return;

	DirListLock list(inode);

	if (!inode.branch().writable())
		return;

	struct path h_path = inode.h_path();

	touch_atime(&h_path);
	inode.copy_attributes();
}

} // namespace

#ifdef HAVE_FS_UPD_ATIME
Result<void> UpdateTime::operator()(struct inode *vfs_inode, enum fs_update_time which,
				    unsigned int) const
{
	update_times(*vfs_inode, which == FS_UPD_ATIME);
	return {};
}
#else
Result<void> UpdateTime::operator()(struct inode *vfs_inode, int flags) const
{
	update_times(*vfs_inode, flags & S_ATIME);
	return {};
}

Result<void> UpdateTime::operator()(struct inode *vfs_inode, struct timespec64 *, int flags) const
{
	update_times(*vfs_inode, flags & S_ATIME);
	return {};
}
#endif

namespace
{

/* Without a dentry this may not sleep: after -ECHILD the walk comes back with one. */
Result<const char *> get_link(struct dentry *dentry, struct inode *vfs_inode,
			      struct delayed_call *done)
{
	if (!dentry)
		return Error{-ECHILD};

	AsMounter mounter = Inode::of(*vfs_inode).super().as_mounter();

	const char *target = vfs_get_link(&Inode::of(*vfs_inode).h_dentry(), done);

	return is_error(target) ? error_of(target) : Result<const char *>(target);
}

Result<void> fiemap(struct inode *vfs_inode, struct fiemap_extent_info *info, u64 start, u64 length)
{
	struct inode &h_inode = Inode::of(*vfs_inode).h_inode();

	if (!h_inode.i_op->fiemap)
		return Error{-EOPNOTSUPP};

	AsMounter mounter = Inode::of(*vfs_inode).super().as_mounter();

	return check(h_inode.i_op->fiemap(&h_inode, info, start, length));
}

template <class Ops> constexpr Ops for_file(Ops ops, bool asks)
{
	ops.fiemap = vfs<fiemap>;
	ops.fileattr_get = vfs<fileattr_get>;
	ops.fileattr_set = vfs<fileattr_set>;
	return with_common(ops, asks);
}

/* Symlinks have no ACLs. */
template <class Ops> constexpr Ops for_symlink(Ops ops, bool asks)
{
	ops = with_common(ops, asks);
	ops.get_link = vfs<get_link>;
	if constexpr (requires { ops.get_inode_acl; })
		ops.get_inode_acl = nullptr;
	else
		ops.get_acl = nullptr;
	ops.set_acl = nullptr;
	return ops;
}

} // namespace

constinit const struct ::inode_operations file_inode_operations[] = {
	for_file(::inode_operations{}, false), for_file(::inode_operations{}, true)};
constinit const struct ::inode_operations symlink_inode_operations[] = {
	for_symlink(::inode_operations{}, false), for_symlink(::inode_operations{}, true)};

} // namespace aufs
