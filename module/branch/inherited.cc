// SPDX-License-Identifier: GPL-2.0-only
#include "inherited.hh"

namespace aufs
{

namespace
{

/* Flags that all filesystems understand alike. */
constexpr u32 common_flags = FS_SYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_DIRSYNC_FL;
/*
 * All flags that some filesystem hands down, except for the project's. Those that are not common say how a file is
 * stored.
 */
constexpr u32 inherited_flags = common_flags | FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL |
				FS_NOCOMP_FL | FS_JOURNAL_DATA_FL | FS_NOTAIL_FL | FS_DAX_FL |
				FS_NOCOW_FL;
/* XFS's own flags that it hands down: how a file is stored, and other settings of its directories. */
constexpr u32 storage_xflags = FS_XFLAG_REALTIME | FS_XFLAG_RTINHERIT | FS_XFLAG_NOSYMLINKS |
			       FS_XFLAG_EXTSIZE | FS_XFLAG_EXTSZINHERIT | FS_XFLAG_NODEFRAG |
			       FS_XFLAG_FILESTREAM | FS_XFLAG_COWEXTSIZE;
/* The flags that protect() sets. */
constexpr u32 late_flags = FS_SYNC_FL | FS_NOATIME_FL | FS_APPEND_FL | FS_IMMUTABLE_FL;

/* The flags that every filesystem tells in an inode's @i_flags. */
u32 flags_from(unsigned int i_flags)
{
	return (i_flags & S_SYNC ? FS_SYNC_FL : 0U) | (i_flags & S_NOATIME ? FS_NOATIME_FL : 0U) |
	       (i_flags & S_APPEND ? FS_APPEND_FL : 0U) |
	       (i_flags & S_IMMUTABLE ? FS_IMMUTABLE_FL : 0U) |
	       (i_flags & S_DIRSYNC ? FS_DIRSYNC_FL : 0U);
}

/* -EOPNOTSUPP but for directories and regular files, and on FUSE: a daemon would have to open the file for it. */
Result<AUFS_FILEATTR> attributes_of(struct dentry &dentry)
{
	AUFS_FILEATTR attr = {};
	umode_t mode = dentry.d_inode->i_mode;

	if ((!is_dir(mode) && !is_reg(mode)) || dentry.d_sb->s_magic == FUSE_SUPER_MAGIC)
		return Error{-EOPNOTSUPP};
	TRY(check(vfs_fileattr_get(&dentry, &attr)));
	return attr;
}

/* Whether a filesystem says by @error that it has no such flag or project. */
bool is_refusal(int error)
{
	switch (error) {
	case -EOPNOTSUPP:
	case -ENOTTY:
	case -ENOIOCTLCMD:
	case -EINVAL:
	case -EPERM:
	case -ENOSYS:
		return true;
	default:
		return false;
	}
}

/* Sets @flags, and XFS's own form of them, which is the one that XFS looks at. */
Result<void> set_flags(const Writer &writer, struct dentry &dentry, u32 flags)
{
	AUFS_FILEATTR attr = {};

	fileattr_fill_flags(&attr, flags);
	return check(aufs_set_fileattr(writer.mnt(), &dentry, &attr));
}

/* Sets the flags of @mask to those of @flags, as far as the filesystem has them. @old: all flags until now. */
Result<void> change_flags(const Writer &writer, struct dentry &dentry, u32 old, u32 mask, u32 flags)
{
	const u32 attempts[] = {flags, flags & common_flags, flags & FS_NODUMP_FL, 0};

	for (u32 attempt : attempts) {
		u32 wanted = (old & ~mask) | (attempt & mask);

		if (wanted == old)
			return {};

		auto set = set_flags(writer, dentry, wanted);

		if (!is_refusal(set.error()))
			return set;
	}
	/* The filesystem refuses to clear what it has handed down. */
	return {};
}

/* How XFS stores a file. Sizes are in bytes, and 0 if the flag for them is not set. */
struct Storage {
	u32 xflags = 0;
	u32 extsize = 0;
	u32 cowextsize = 0;

	Storage() = default;
	explicit Storage(const AUFS_FILEATTR &attr)
		: xflags(attr.fsx_xflags & storage_xflags), extsize(attr.fsx_extsize),
		  cowextsize(attr.fsx_cowextsize)
	{
	}
	bool operator==(const Storage &) const = default;
};

Result<void> set_extended(const Writer &writer, struct dentry &dentry, u32 xflags, u32 project,
			  const Storage &storage)
{
	AUFS_FILEATTR attr = {};

	fileattr_fill_xflags(&attr, (xflags & ~storage_xflags) | storage.xflags);
	attr.fsx_projid = project;
	attr.fsx_extsize = storage.extsize;
	attr.fsx_cowextsize = storage.cowextsize;
	return check(aufs_set_fileattr(writer.mnt(), &dentry, &attr));
}

Result<void> set_storage(const Writer &writer, struct dentry &dentry, const Storage &storage)
{
	AUFS_FILEATTR have = TRY(attributes_of(dentry));

	if (Storage(have) == storage)
		return {};
	return set_extended(writer, dentry, have.fsx_xflags, have.fsx_projid, storage);
}

Result<void> set_project(const Writer &writer, struct dentry &dentry, u32 project, bool handed_down)
{
	AUFS_FILEATTR have = TRY(attributes_of(dentry));
	bool hands_down = have.fsx_xflags & FS_XFLAG_PROJINHERIT;

	if (have.fsx_projid == project && hands_down == handed_down)
		return {};
	return set_extended(writer, dentry,
			    (have.fsx_xflags & ~FS_XFLAG_PROJINHERIT) |
				    (handed_down ? FS_XFLAG_PROJINHERIT : 0U),
			    project, Storage(have));
}

} // namespace

Result<void> remove_acl(const Writer &writer, struct dentry &dentry, int type)
{
	struct posix_acl *acl = aufs_get_acl(writer.mnt(), dentry.d_inode, type);

	if (!acl || acl == error_pointer<struct posix_acl>(-EOPNOTSUPP))
		return {};
	if (is_error(acl))
		return error_of(acl);
	aufs_posix_acl_release(acl);
	return check(aufs_set_acl(writer.mnt(), &dentry, type, nullptr));
}

void hand_nothing_down(const Writer &writer, struct dentry &dir)
{
	struct inode &h_inode = *dir.d_inode;
	struct iattr attr = {};

	(void)remove_acl(writer, dir, ACL_TYPE_DEFAULT).ok();
	(void)remove_acl(writer, dir, ACL_TYPE_ACCESS).ok();
	if ((h_inode.i_mode & S_IALLUGO) != S_IRWXU) {
		attr.ia_valid |= ATTR_MODE;
		attr.ia_mode = S_IFDIR | S_IRWXU;
	}
	if (h_inode.i_mode & S_ISGID) {
		attr.ia_valid |= ATTR_GID;
		attr.ia_gid = aufs_current_cred()->fsgid;
	}
	if (attr.ia_valid) {
		InodeLock lock(h_inode);

		aufs_notify_change(writer.mnt(), &dir, &attr);
	}
	if (auto have = attributes_of(dir); have.ok()) {
		(void)change_flags(writer, dir, have.value().flags,
				   inherited_flags | FS_PROJINHERIT_FL, 0)
			.ok();
		(void)set_storage(writer, dir, {}).ok();
	}
}

bool hands_project_down(struct dentry &dir)
{
	auto have = attributes_of(dir);

	return have.ok() && (have.value().fsx_xflags & FS_XFLAG_PROJINHERIT);
}

Result<void> hand_project_down(const Writer &writer, struct dentry &dir, struct dentry &h_parent)
{
	return set_project(writer, dir, TRY(attributes_of(h_parent)).fsx_projid, true);
}

namespace
{

/* The inherited_flags, the project and the storage that a copy is to have. */
struct Wanted {
	u32 flags;
	u32 project = 0;
	bool handed_down = false; /* the project goes on to what will be made in it */
	bool given = false; /* the project is that of its directory */
	Storage storage;

	/* Whether an object with the attributes @have has them. */
	bool are_those_of(const AUFS_FILEATTR &have) const
	{
		return !((have.flags ^ flags) & inherited_flags) && Storage(have) == storage &&
		       have.fsx_projid == project &&
		       static_cast<bool>(have.fsx_xflags & FS_XFLAG_PROJINHERIT) == handed_down;
	}
};

/* What a copy of @source on the filesystem @sb is to have, if its directory will be @h_parent, which may be null. */
Wanted wanted_for(PartRef source, const struct super_block &sb, struct dentry *h_parent)
{
	bool dir = is_dir(source.inode().i_mode);
	bool alike = source.dentry.d_sb->s_magic == sb.s_magic;
	auto told = attributes_of(source.dentry);
	Wanted wanted = {.flags = flags_from(source.inode().i_flags)};

	if (told.ok()) {
		/* How a file is stored means nothing on a filesystem of another type. */
		wanted.flags |= told.value().flags & (alike ? ~0U : common_flags);
		/* The supplier of a branch that grants no rights must not fill another user's quota. */
		if (source.branch.grants_rights()) {
			wanted.project = told.value().fsx_projid;
			wanted.handed_down = dir &&
					     (told.value().fsx_xflags & FS_XFLAG_PROJINHERIT);
			if (alike)
				wanted.storage = Storage(told.value());
		}
	}
	wanted.flags &= dir ? inherited_flags : inherited_flags & ~(FS_SYNC_FL | FS_NOATIME_FL);
	if (auto parent = h_parent ? attributes_of(*h_parent) : Error{-ENOENT};
	    parent.ok() && (parent.value().fsx_xflags & FS_XFLAG_PROJINHERIT)) {
		wanted.given = true;
		wanted.project = parent.value().fsx_projid;
		wanted.handed_down = dir;
	}
	return wanted;
}

} // namespace

Result<void> copy_flags(PartRef source, const AsMounter &mounter, PartRef to,
			struct dentry *h_parent)
{
	struct dentry &copy = to.dentry;
	auto have = attributes_of(copy);

	if (!have.ok())
		return {};

	const Wanted wanted = wanted_for(source, *copy.d_sb, h_parent);

	/* As a rule an object has no flags: then nothing is written. */
	if (wanted.are_those_of(have.value()))
		return {};

	auto writer = TRY(to.branch.write(mounter));

	/* Flags that the directory has handed down are cleared in any case. */
	TRY(change_flags(writer, copy, have.value().flags, inherited_flags, wanted.flags));
	/* Another disk may have no realtime device, or blocks of another size. */
	auto stored = set_storage(writer, copy, wanted.storage);

	if (is_refusal(stored.error()))
		stored = set_storage(writer, copy, {});
	if (!is_refusal(stored.error()))
		TRY(move(stored));

	auto set = set_project(writer, copy, wanted.project, wanted.handed_down);

	return !wanted.given && is_refusal(set.error()) ? Result<void>() : set;
}

namespace
{

/* The ACL of @type of @part, or empty. */
Result<Ref<struct posix_acl>> acl_of(PartRef part, int type)
{
	struct posix_acl *acl = aufs_get_acl(part.branch.mnt(), &part.inode(), type);

	if (acl == error_pointer<struct posix_acl>(-EOPNOTSUPP))
		acl = nullptr;
	return adopt_or_error(acl);
}

Result<void> set_or_remove_acl(const Writer &writer, struct dentry &dentry, int type,
			       struct posix_acl *acl)
{
	return acl ? check(aufs_set_acl(writer.mnt(), &dentry, type, acl)) :
		     remove_acl(writer, dentry, type);
}

/* Sets the ACLs of a new object, as the VFS and a filesystem do together. @mode becomes the mode that it is to have. */
Result<void> inherit_acls(PartRef part, const Writer &writer, struct dentry &made, umode_t &mode)
{
	auto handed_down = TRY(acl_of(part, ACL_TYPE_DEFAULT));

	if (is_dir(mode))
		TRY(set_or_remove_acl(writer, made, ACL_TYPE_DEFAULT, handed_down.get()));
	if (!handed_down) {
		mode &= ~aufs_umask();
		return remove_acl(writer, made, ACL_TYPE_ACCESS);
	}

	struct posix_acl *acl = handed_down.leak();
	int needed = aufs_acl_for_new(&acl, &mode);

	TRY(check(needed));

	auto own = Ref<struct posix_acl>::adopt(acl);

	return set_or_remove_acl(writer, made, ACL_TYPE_ACCESS, needed ? own.get() : nullptr);
}

} // namespace

Result<void> inherit_from(PartRef part, const Writer &writer, struct dentry &made, umode_t mode,
			  const struct cred &caller)
{
	struct path path = part.path();
	struct iattr attr = {};
	struct kstat stat;

	TRY(check(vfs_getattr_nosec(&path, &stat, STATX_MODE | STATX_GID, 0)));
	attr.ia_valid = ATTR_GID;
	attr.ia_gid = stat.mode & S_ISGID ? stat.gid : caller.fsgid;
	if (!is_lnk(mode)) {
		if (is_dir(mode))
			mode = static_cast<umode_t>((mode & ~S_ISGID) | (stat.mode & S_ISGID));
		TRY(inherit_acls(part, writer, made, mode));
		attr.ia_valid |= ATTR_MODE;
		attr.ia_mode = mode;
	}

	InodeLock lock(*made.d_inode);

	return check(aufs_notify_change(writer.mnt(), &made, &attr));
}

void protect(const Writer &writer, struct dentry &to, unsigned int i_flags)
{
	u32 flags = flags_from(i_flags) & late_flags;
	u32 rights = flags & (FS_APPEND_FL | FS_IMMUTABLE_FL);

	if (!flags)
		return;

	auto have = attributes_of(to);

	if (!have.ok())
		return;
	/* If the filesystem refuses one of these flags, at least those that protect the file are set. */
	if (!set_flags(writer, to, have.value().flags | flags).ok())
		(void)set_flags(writer, to, have.value().flags | rights).ok();
}

} // namespace aufs
