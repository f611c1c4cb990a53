// SPDX-License-Identifier: GPL-2.0-only
#include "prfile.hh"
#include "branch_file.hh"
#include "mapping.hh"
#include "kernel/files.hh"

namespace aufs
{

namespace
{

/*
 * Whether a file of @sb can stand at the path of another filesystem's file. Filesystems that people
 * keep files on find what they need by the inode or by file_dentry(). Some of the kernel's own
 * (debugfs, configfs) take f_path.dentry for a dentry of theirs and would misread ours: they are not
 * trusted.
 */
bool bears_any_path(const struct super_block &sb)
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

/* Whether f_path of the branch file is the user's. */
#ifdef HAVE_BACKING_FILE_OPEN
constexpr bool at_users_path = false;
#else
constexpr bool at_users_path = !Mapping<struct vm_area_struct>;
#endif

/* If the branch file is the carrier, a mapping of it reports the user's file without our help. */
template <class Vma> void carry(Vma &, struct file &)
{
}

/*
 * Comes after the branch's ->mmap. If the branch is a union, too, that union has set a prfile of its
 * own, our branch file. A mapping reports what the outermost union says.
 */
template <Mapping Vma> void carry(Vma &vma, struct file &user)
{
	set_prfile(vma, Ref<struct file>::retain(&user));
}

} // namespace

namespace prfile
{

Result<Ref<struct file>> open(const struct file &user, const Super &super, const struct path &path,
			      int flags)
{
	/*
	 * Mappings of this branch file report the branch's path, which is wrong and safe. By the user's
	 * path d_real() would not find a copy that is not published yet.
	 */
	if (at_users_path && (!Inode::of(*user.f_inode).is_or_was(path.dentry->d_inode) ||
			      !bears_any_path(*path.dentry->d_sb))) {
		/* By a path of the branch's, security modules judge the mounter (aufs_branch_open()). */
		ScopedCreds as_mounter(super.mounter());

		return adopt_or_error(dentry_open(&path, flags | static_cast<int>(FMODE_NONOTIFY),
						  &current_cred()));
	}
	return open_for(user, flags, path, super.mounter());
}

bool is_misplaced(const struct file &user, const struct file &branch)
{
	return at_users_path && branch.f_path.dentry != user.f_path.dentry &&
	       bears_any_path(*branch.f_inode->i_sb);
}

const struct cred &opener_of(const struct file &user, const struct file &branch)
{
	const struct super_block &sb = *user.f_inode->i_sb;

	if (!at_users_path || branch.f_path.dentry != user.f_path.dentry)
		return Super::of(sb).mounter();
	/* @user may itself be the branch file of a union around this one, which has put the labels on. */
	return user.f_path.dentry->d_sb == &sb ? *user.f_cred : current_cred();
}

Result<void> map(struct file &user, struct file &branch, struct vm_area_struct &vma)
{
	const Super &super = Super::of(*user.f_inode->i_sb);

	TRY(map_for(user, branch, vma, super.mounter()));
	carry(vma, user);
	return {};
}

} // namespace prfile

#ifdef HAVE_VM_PRFILE_REGISTER
namespace
{

template <Mapping M> void copied(M *mapping)
{
	prfile_copied(*mapping);
}

template <Mapping M> void put(M *mapping)
{
	put_prfile(*mapping);
}

template <Mapping M> bool agrees(const M *mapping, const struct file *prfile)
{
	return prfile_agrees(*mapping, prfile);
}

/* The inode that has the pages of a mapping of @file: in nested unions it is on a branch of a branch. */
const struct inode &server_of(const struct file &file)
{
	const struct file *server = &file;

	while (const struct file *h_file = h_file_or_null(*server))
		server = h_file;
	return *server->f_inode;
}

template <class Region> bool may_share(const Region *region, const struct file *file)
{
	return &server_of(*region->vm_file) == &server_of(*file);
}

template <Mapping M> struct file *reported(const M *mapping)
{
	return reported_file(*mapping);
}

} // namespace
#endif

} // namespace aufs

#ifdef HAVE_VM_PRFILE_REGISTER
constinit const struct vm_prfile_ops aufs_prfile_ops = {
	.vma_copied = aufs::copied,
	.vma_put = aufs::put,
	.region_put = aufs::put,
	.may_merge = aufs::agrees,
	.may_share = aufs::may_share,
	.vma_reported = aufs::reported,
	.region_reported = aufs::reported,
};
#endif
