// SPDX-License-Identifier: GPL-2.0-only
#include "overlay.hh"

namespace aufs
{

namespace
{

/* An attribute that cannot be read does not count as absent: a hidden file might be shown. */
Result<bool> has_attribute(PartRef part, const char *name)
{
	ssize_t size = aufs_getxattr(part.branch.mnt(), &part.dentry, name, nullptr, 0);

	if (size == -ENODATA || size == -EOPNOTSUPP)
		return false;
	if (size < 0)
		return Error{static_cast<int>(size)};
	return true;
}

/* The mark of @dir: 'y' if it is opaque, 'x' if it has whiteouts that are files, 0 without a mark. */
Result<char> mark_of(PartRef dir)
{
	char mark = 0;
	ssize_t size =
		aufs_getxattr(dir.branch.mnt(), &dir.dentry, "trusted.overlay.opaque", &mark, 1);

	/* A longer value means nothing. */
	if (size == -ENODATA || size == -EOPNOTSUPP || size == -ERANGE)
		return '\0';
	if (size < 0)
		return Error{static_cast<int>(size)};
	return size == 1 ? mark : '\0';
}

} // namespace

Result<bool> has_overlay_whiteout_files(const AsMounter &, PartRef dir)
{
	return TRY(mark_of(dir)) == 'x';
}

Result<bool> is_overlay_opaque(const AsMounter &, PartRef dir)
{
	return TRY(mark_of(dir)) == 'y';
}

Result<bool> is_overlay_whiteout(const AsMounter &mounter, PartRef dir, struct dentry &dentry)
{
	const struct inode &h_inode = *dentry.d_inode;

	if ((h_inode.i_mode & S_IFMT) == S_IFCHR)
		return h_inode.i_rdev == 0;
	return is_reg(h_inode.i_mode) && h_inode.i_size == 0 &&
	       TRY(has_attribute({dir.branch, dentry}, "trusted.overlay.whiteout")) &&
	       TRY(has_overlay_whiteout_files(mounter, dir));
}

Result<void> check_overlay_object(const AsMounter &, PartRef part)
{
	umode_t mode = part.inode().i_mode;
	const char *feature = nullptr;

	if (is_reg(mode) && TRY(has_attribute(part, "trusted.overlay.metacopy")))
		feature = "metacopy";
	/* An opaque directory has all that it shows. */
	else if (is_dir(mode) && TRY(has_attribute(part, "trusted.overlay.redirect")) &&
		 TRY(mark_of(part)) != 'y')
		feature = "redirect_dir";
	if (!feature)
		return {};
	log_warning("branch '%s': inode %llu needs overlayfs's %s, and is not shown without it",
		    part.branch.name().data(), number_of(part.inode()), feature);
	return Error{-EIO};
}

} // namespace aufs
