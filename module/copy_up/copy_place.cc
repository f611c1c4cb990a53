// SPDX-License-Identifier: GPL-2.0-only
#include "copy_place.hh"
#include "branch/entry.hh"
#include "branch/keep_times.hh"
#include "branch/whiteout.hh"
#include "union/presence.hh"

namespace aufs
{

namespace
{

/*
 * For a copy of @dentry's object that cannot get its name: false if the union itself has removed the name or its
 * directory. Else somebody has changed the branch directly: -ESTALE, as no name would lead to the copy.
 */
Result<bool> is_no_place(const struct dentry &dentry)
{
	if (RemovalMark::is(dentry))
		return false;
	return Error{-ESTALE};
}

/*
 * Whether @dir, the directory of @lock, where @name was just looked up as @found, has an object or a whiteout of that
 * name by now.
 */
template <class Lock>
Result<bool> is_taken(const Lock &lock, PartRef dir, StringView name, const struct dentry &found)
{
	if (is_positive(found))
		return true;
	if (name.size() > max_name || has_no_whiteout(dir, name))
		return false;

	WhiteoutName whiteout(name);

	return has_name(lock, whiteout.view());
}

/* place() for a copy that has a name: that becomes @name. */
Result<bool> rename_to(const Writer &writer, Workfile &work, struct dentry &h_dir, StringView name,
		       const struct dentry &dentry)
{
	auto locked = RenameLock::get(writer, work.dir(), work.dentry(), h_dir, name);

	if (locked.error() == -ESTALE)
		return is_no_place(dentry);
	if (!locked.ok())
		return Error{locked.error()};

	const RenameLock &lock = locked.value();
	KeepTimes times(lock);

	if (TRY(is_taken(lock, {writer.branch(), h_dir}, name, lock.to())))
		return is_no_place(dentry);
	TRY(lock.rename());
	work.keep();
	return true;
}

/* place() for a copy without a name: @name becomes its first. */
Result<bool> link_to(const Writer &writer, Workfile &work, struct dentry &h_dir, StringView name,
		     const struct dentry &dentry, Stack &next)
{
	auto locked = DirLock::get(writer, h_dir);

	if (locked.error() == -ESTALE)
		return is_no_place(dentry);
	if (!locked.ok())
		return Error{locked.error()};

	const DirLock &lock = locked.value();
	KeepTimes times(lock);
	auto found = TRY(lookup_locked(lock, name));

	if (TRY(is_taken(lock, {writer.branch(), h_dir}, name, *found)))
		return is_no_place(dentry);
	TRY(lock.link(work.dentry(), *found));
	found = TRY(find_made(lock, move(found)));
	/* That would be a fault of the filesystem: Branch::has_unnamed_files() promises a dentry that is positive. */
	if (found->d_inode != work.dentry().d_inode)
		return Error{-EIO};
	next.top = Part(writer.branch(), move(found));
	work.keep();
	return true;
}

} // namespace

Result<bool> place(const Writer &writer, Workfile &work, struct dentry &h_dir,
		   struct dentry &dentry, Stack &next)
{
	NameSnapshot snapshot(dentry);
	StringView name = snapshot.view();

	if (work.is_unnamed())
		return link_to(writer, work, h_dir, name, dentry, next);
	return rename_to(writer, work, h_dir, name, dentry);
}

} // namespace aufs
