// SPDX-License-Identifier: GPL-2.0-only
#include "overlay.hh"

namespace aufs
{

namespace
{

/* What one cannot know is not as if there were nothing: a file could be shown that is hidden. */
Result<bool> has_attribute(const Branch &branch, struct dentry &dentry, const char *name)
{
	ssize_t size = aufs_getxattr(branch.mnt(), &dentry, name, nullptr, 0);

	if (size == -ENODATA || size == -EOPNOTSUPP)
		return false;
	if (size < 0)
		return Error{static_cast<int>(size)};
	return true;
}

/* What says of a directory whether it is opaque, or has whiteouts that are files; 0 where nothing does. */
Result<char> mark_of(const Branch &branch, struct dentry &dir)
{
	char mark = 0;
	ssize_t size = aufs_getxattr(branch.mnt(), &dir, "trusted.overlay.opaque", &mark, 1);

	/* A longer one means nothing. */
	if (size == -ENODATA || size == -EOPNOTSUPP || size == -ERANGE)
		return '\0';
	if (size < 0)
		return Error{static_cast<int>(size)};
	return size == 1 ? mark : '\0';
}

} // namespace

Result<bool> has_overlay_whiteout_files(const AsMounter &, const Branch &branch, struct dentry &dir)
{
	return TRY(mark_of(branch, dir)) == 'x';
}

Result<bool> is_overlay_opaque(const AsMounter &, const Branch &branch, struct dentry &dir)
{
	return TRY(mark_of(branch, dir)) == 'y';
}

Result<bool> is_overlay_whiteout(const AsMounter &mounter, const Branch &branch, struct dentry &dir,
				 struct dentry &dentry)
{
	const struct inode &inode = *dentry.d_inode;

	if ((inode.i_mode & S_IFMT) == S_IFCHR)
		return inode.i_rdev == 0;
	return is_reg(inode.i_mode) && inode.i_size == 0 &&
	       TRY(has_attribute(branch, dentry, "trusted.overlay.whiteout")) &&
	       TRY(has_overlay_whiteout_files(mounter, branch, dir));
}

Result<void> check_overlay_object(const AsMounter &, const Branch &branch, struct dentry &dentry)
{
	umode_t mode = dentry.d_inode->i_mode;
	const char *feature = nullptr;

	if (is_reg(mode) && TRY(has_attribute(branch, dentry, "trusted.overlay.metacopy")))
		feature = "metacopy";
	/* An opaque directory has all that it shows. */
	else if (is_dir(mode) && TRY(has_attribute(branch, dentry, "trusted.overlay.redirect")) &&
		 TRY(mark_of(branch, dentry)) != 'y')
		feature = "redirect_dir";
	if (!feature)
		return {};
	log_warning("branch '%s': inode %llu needs overlayfs's %s, and is not shown without it",
		    branch.name().data(), number_of(*dentry.d_inode), feature);
	return Error{-EIO};
}

} // namespace aufs
