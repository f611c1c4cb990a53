// SPDX-License-Identifier: GPL-2.0-only
#include "overlay.hh"

namespace aufs
{

namespace
{

bool has_attribute(const Branch &branch, struct dentry &dentry, const char *name)
{
	return aufs_getxattr(branch.mnt(), &dentry, name, nullptr, 0) >= 0;
}

/* What says of a directory whether it is opaque, or has whiteouts that are files; 0 where nothing does. */
char mark_of(const Branch &branch, struct dentry &dir)
{
	char mark = 0;

	return aufs_getxattr(branch.mnt(), &dir, "trusted.overlay.opaque", &mark, 1) == 1 ? mark :
											    '\0';
}

} // namespace

bool has_overlay_whiteout_files(const AsMounter &, const Branch &branch, struct dentry &dir)
{
	return mark_of(branch, dir) == 'x';
}

bool is_overlay_opaque(const AsMounter &, const Branch &branch, struct dentry &dir)
{
	return mark_of(branch, dir) == 'y';
}

bool is_overlay_whiteout(const AsMounter &mounter, const Branch &branch, struct dentry &dir,
			 struct dentry &dentry)
{
	const struct inode &inode = *dentry.d_inode;

	if ((inode.i_mode & S_IFMT) == S_IFCHR)
		return inode.i_rdev == 0;
	return is_reg(inode.i_mode) && inode.i_size == 0 &&
	       has_attribute(branch, dentry, "trusted.overlay.whiteout") &&
	       has_overlay_whiteout_files(mounter, branch, dir);
}

Result<void> check_overlay_object(const AsMounter &, const Branch &branch, struct dentry &dentry)
{
	umode_t mode = dentry.d_inode->i_mode;
	const char *feature = nullptr;

	if (is_reg(mode) && has_attribute(branch, dentry, "trusted.overlay.metacopy"))
		feature = "metacopy";
	else if (is_dir(mode) && has_attribute(branch, dentry, "trusted.overlay.redirect"))
		feature = "redirect_dir";
	if (!feature)
		return {};
	aufs_warn("branch '%s': inode %llu needs overlayfs's %s, and is not shown without it",
		  branch.name().data(), number_of(*dentry.d_inode), feature);
	return Error{-EIO};
}

} // namespace aufs
