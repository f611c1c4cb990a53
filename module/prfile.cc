// SPDX-License-Identifier: GPL-2.0-only
#include "prfile.hh"

namespace aufs
{

namespace prfile
{

namespace
{

#ifdef HAVE_BACKING_FILE_OPEN
constexpr bool at_users_path = false;
#else
constexpr bool at_users_path = true; /* f_path of the branch file is the user's */
#endif

/*
 * Whether a file of @sb can stand at the path of another filesystem's file. Those that people keep
 * files on find what they need by the inode or by file_dentry(). Some of the kernel's own (debugfs,
 * configfs) take f_path.dentry for theirs and would read our dentry as one: they are not trusted.
 */
bool bears_any_path(const struct super_block &sb) noexcept
{
	if (sb.s_bdev)
		return true;
	switch (sb.s_magic) {
	case BTRFS_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case ECRYPTFS_SUPER_MAGIC:
	case FUSE_SUPER_MAGIC:
	case NFS_SUPER_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case RAMFS_MAGIC:
	case SMB2_SUPER_MAGIC:
	case Super::magic:
	case TMPFS_MAGIC:
	case V9FS_MAGIC:
		return true;
	default:
		return false;
	}
}

} // namespace

Result<Ref<struct file>> open(const struct file &user, Inode &inode, int flags) noexcept
{
	struct path path = inode.h_path();

	/* Then its mappings report the branch's path, which is wrong and safe. */
	if (at_users_path && !bears_any_path(inode.branch().sb()))
		return adopt_or_error(dentry_open(&path, flags, &inode.super().mounter()));
	return adopt_or_error(
		aufs_branch_open(&user, flags, &path, &inode.h_inode(), &inode.super().mounter()));
}

Result<void> map(struct file &user, struct file &branch, struct vm_area_struct &vma) noexcept
{
	const Super &super = Super::of(*user.f_inode->i_sb);

	return check(aufs_branch_mmap(&user, &branch, &vma, &super.mounter()));
}

} // namespace prfile

} // namespace aufs
