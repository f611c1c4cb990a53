// SPDX-License-Identifier: GPL-2.0-only
#include "lookup.hh"
#include "answers.hh"
#include "overlay.hh"
#include "whiteout.hh"

namespace aufs
{

namespace
{

/* Whether @dentry is an automount, or its filesystem hashes or compares names in its own way. */
bool is_odd(const struct dentry &dentry)
{
	return dentry.d_flags &
	       (DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT | DCACHE_OP_HASH | DCACHE_OP_COMPARE);
}

} // namespace

Result<bool> is_opaque(const AsMounter &mounter, PartRef dir)
{
	if (dir.branch.has_overlay_whiteouts() && TRY(is_overlay_opaque(mounter, dir)))
		return true;
	return static_cast<bool>(TRY(lookup_in(mounter, dir, opaque_name)));
}

namespace
{

/* What the server of @dir's branch has said of @name, or says now. An ERR_PTR; counted. */
[[gnu::noinline]] struct dentry *look_in(Answers &answers, PartRef dir, StringView name)
{
	auto found = answers.look_up(dir, name);

	return found.ok() ? found.value().leak() : error_pointer<struct dentry>(found.error());
}

/* The object @name in @dir, which may be a whiteout of overlayfs, or empty. */
Result<Ref<struct dentry>> lookup_any(const AsMounter &mounter, PartRef dir, StringView name)
{
	Answers *answers = mounter.answers();
	bool keeps = answers && dir.branch.is_served();
	auto found = adopt_or_error(keeps ? look_in(*answers, dir, name) :
					    aufs_lookup_unlocked(dir.branch.mnt(), name.data(),
								 &dir.dentry,
								 static_cast<int>(name.size())));

	/* A filesystem whose names are shorter does not have this one. */
	if (found.error() == -ENOENT || found.error() == -ENAMETOOLONG)
		return Ref<struct dentry>();

	auto dentry = TRY(move(found));

	if (is_odd(*dentry))
		return Error{-EREMOTE};
	/* An XFS that was made to ignore case does not say so. Then the entry may have another name. */
	if (dir.branch.sb().s_magic == XFS_SUPER_MAGIC && NameSnapshot(*dentry).view() != name)
		return Ref<struct dentry>();
	return dentry;
}

} // namespace

Result<Ref<struct dentry>> lookup_in(const AsMounter &mounter, PartRef dir, StringView name)
{
	auto dentry = TRY(lookup_any(mounter, dir, name));

	if (!dentry || !dir.branch.has_overlay_whiteouts())
		return dentry;
	if (TRY(is_overlay_whiteout(mounter, dir, *dentry)))
		return Ref<struct dentry>();
	TRY(check_overlay_object(mounter, {dir.branch, *dentry}));
	return dentry;
}

namespace
{

/* Whether the dcache has @name in @dir. */
bool is_in_dcache(PartRef dir, StringView name)
{
	return static_cast<bool>(Ref<struct dentry>::adopt(
		aufs_d_lookup(&dir.dentry, name.data(), static_cast<unsigned int>(name.size()))));
}

} // namespace

bool has_none_of(const AsMounter &, PartRef dir, cxxrt::Span<const StringView> names)
{
	return aufs_is_all_in_dcache(&dir.dentry) &&
	       aufs_may_search(dir.branch.mnt(), &dir.dentry) &&
	       !cxxrt::any_of(names, [dir](StringView name) { return is_in_dcache(dir, name); });
}

bool has_no_whiteout(PartRef dir, StringView name)
{
	if (!aufs_is_all_in_dcache(&dir.dentry) || dir.branch.has_overlay_whiteouts())
		return false;
	return name.size() > max_name || !is_in_dcache(dir, WhiteoutName(name).view());
}

Result<Ref<struct dentry>> lookup_locked(const DirLock &lock, StringView name)
{
	return adopt_or_error(aufs_lookup_locked(lock.mnt(), name.data(), &lock.dir(),
						 static_cast<int>(name.size())));
}

namespace
{

/* Whether the locked directory @dir has @name. */
Result<bool> has_name(struct vfsmount *mnt, struct dentry &dir, StringView name)
{
	int has = aufs_has_name(mnt, name.data(), &dir, static_cast<int>(name.size()));

	TRY(check(has));
	return has != 0;
}

} // namespace

Result<bool> has_name(const DirLock &lock, StringView name)
{
	return has_name(lock.mnt(), lock.dir(), name);
}

Result<bool> has_name(const RenameLock &lock, StringView name)
{
	return has_name(lock.mnt(), lock.to_dir(), name);
}

Result<Ref<struct dentry>> find_overlay_whiteout(const AsMounter &mounter, PartRef dir,
						 StringView name)
{
	auto dentry = TRY(lookup_any(mounter, dir, name));

	if (!dentry || !TRY(is_overlay_whiteout(mounter, dir, *dentry)))
		return Ref<struct dentry>();
	return dentry;
}

Error wrong_whiteout(PartRef dir, StringView name)
{
	log_warning("branch '%s': '%.*s' in inode %llu is no regular file; remove it",
		    dir.branch.name().data(), static_cast<int>(name.size()), name.data(),
		    number_of(dir.inode()));
	return Error{-EIO};
}

Result<Ref<struct dentry>> find_whiteout(const AsMounter &mounter, PartRef dir, StringView name)
{
	if (name.size() > max_name)
		return Ref<struct dentry>();
	if (dir.branch.has_overlay_whiteouts()) {
		if (auto dentry = TRY(find_overlay_whiteout(mounter, dir, name)))
			return dentry;
	}

	WhiteoutName whiteout(name);
	auto dentry = TRY(lookup_in(mounter, dir, whiteout.view()));

	if (dentry && !is_reg(dentry->d_inode->i_mode))
		return wrong_whiteout(dir, whiteout.view());
	return dentry;
}

} // namespace aufs
