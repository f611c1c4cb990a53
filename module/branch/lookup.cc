// SPDX-License-Identifier: GPL-2.0-only
#include "lookup.hh"
#include "overlay.hh"
#include "whiteout.hh"

namespace aufs
{

namespace
{

/* Objects that are more than their inode (automounts) or whose names are compared in other ways. */
bool is_odd(const struct dentry &dentry)
{
	return dentry.d_flags &
	       (DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT | DCACHE_OP_HASH | DCACHE_OP_COMPARE);
}

} // namespace

Result<bool> is_opaque(const AsMounter &mounter, const Branch &branch, struct dentry &dir)
{
	if (branch.has_overlay_whiteouts() && TRY(is_overlay_opaque(mounter, branch, dir)))
		return true;
	return static_cast<bool>(TRY(lookup_in(mounter, branch, dir, opaque_name)));
}

namespace
{

/* @name in @base, whatever it is. */
Result<Ref<struct dentry>> lookup_any(const Branch &branch, struct dentry &base, StringView name)
{
	struct dentry *found = aufs_lookup_unlocked(branch.mnt(), name.data(), &base,
						    static_cast<int>(name.size()));

	/* A branch whose names are shorter does not have a longer one. */
	if (found == error_pointer<struct dentry>(-ENOENT) ||
	    found == error_pointer<struct dentry>(-ENAMETOOLONG))
		return Ref<struct dentry>();

	auto dentry = TRY(adopt_or_error(found));

	if (is_odd(*dentry))
		return Error{-EREMOTE};
	/* XFS may have been made to compare without case, and does not say so. It is not that name. */
	if (branch.sb().s_magic == XFS_SUPER_MAGIC && NameSnapshot(*dentry).view() != name)
		return Ref<struct dentry>();
	return dentry;
}

} // namespace

Result<Ref<struct dentry>> lookup_in(const AsMounter &mounter, const Branch &branch,
				     struct dentry &base, StringView name)
{
	auto dentry = TRY(lookup_any(branch, base, name));

	if (!dentry || !branch.has_overlay_whiteouts())
		return dentry;
	if (TRY(is_overlay_whiteout(mounter, branch, base, *dentry)))
		return Ref<struct dentry>();
	TRY(check_overlay_object(mounter, branch, *dentry));
	return dentry;
}

Result<Ref<struct dentry>> lookup_locked(const DirLock &lock, StringView name)
{
	return adopt_or_error(aufs_lookup_locked(lock.mnt(), name.data(), &lock.dir(),
						 static_cast<int>(name.size())));
}

Result<Ref<struct dentry>> lookup_locked(const RenameLock &lock, StringView name)
{
	return adopt_or_error(aufs_lookup_locked(lock.mnt(), name.data(), &lock.to_dir(),
						 static_cast<int>(name.size())));
}

Result<Ref<struct dentry>> find_overlay_whiteout(const AsMounter &mounter, const Branch &branch,
						 struct dentry &base, StringView name)
{
	auto dentry = TRY(lookup_any(branch, base, name));

	if (!dentry || !TRY(is_overlay_whiteout(mounter, branch, base, *dentry)))
		return Ref<struct dentry>();
	return dentry;
}

Error wrong_whiteout(const Branch &branch, struct dentry &base, StringView name)
{
	log_warning("branch '%s': '%.*s' in inode %llu is no regular file; remove it",
		    branch.name().data(), static_cast<int>(name.size()), name.data(),
		    number_of(*base.d_inode));
	return Error{-EIO};
}

Result<Ref<struct dentry>> find_whiteout(const AsMounter &mounter, const Branch &branch,
					 struct dentry &base, StringView name)
{
	if (name.size() > max_name)
		return Ref<struct dentry>();
	if (branch.has_overlay_whiteouts()) {
		if (auto dentry = TRY(find_overlay_whiteout(mounter, branch, base, name)))
			return dentry;
	}

	WhiteoutName whiteout(name);
	auto dentry = TRY(lookup_in(mounter, branch, base, whiteout.view()));

	if (dentry && !is_reg(dentry->d_inode->i_mode))
		return wrong_whiteout(branch, base, whiteout.view());
	return dentry;
}

} // namespace aufs
