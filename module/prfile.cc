// SPDX-License-Identifier: GPL-2.0-only
#include "prfile.hh"

namespace aufs
{

namespace prfile
{

Result<Ref<struct file>> open(const struct file &user, Inode &inode, int flags) noexcept
{
	struct path path = inode.h_path();

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
