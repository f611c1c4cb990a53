// SPDX-License-Identifier: GPL-2.0-only
/* What branches above would hide of a new name, and how it goes. */
#include "branch/entry.hh"
#include "branch/workfile.hh"
#include "namei.hh"

namespace aufs
{

namespace
{

/* The object @name of @part, or none; -ESTALE where it is not what is @shown. */
Result<Part> shown_object(const AsMounter &mounter, const Part &part, StringView name,
			  const Inode *shown)
{
	auto found = TRY(lookup_in(mounter, *part.branch, *part.dentry, name));

	if (!found)
		return Part();

	Part object(*part.branch, move(found));

	if (!shown || !shown->shows(mounter, object))
		return Error{-ESTALE};
	return object;
}

} // namespace

Result<Obstacle> obstacle_above(const AsMounter &mounter, const Inode &dir, StringView name,
				const Branch &target, const Inode *shown)
{
	Obstacle obstacle = Obstacle::no;

	for (const Part &part : dir.stack()) {
		const Branch &branch = *part.branch;

		if (!branch.is_above(target))
			break;
		if (!TRY(find_whiteout(mounter, branch, *part.dentry, name)) &&
		    !TRY(shown_object(mounter, part, name, shown)))
			continue;
		if (!branch.writable())
			return Obstacle::for_good;
		obstacle = Obstacle::removable;
	}
	return obstacle;
}

Result<void> uncover(const AsMounter &mounter, const Inode &dir, StringView name,
		     const Branch &target, const Inode *shown)
{
	for (const Part &part : dir.stack()) {
		const Branch &branch = *part.branch;

		if (!branch.is_above(target))
			break;

		auto whiteout = TRY(find_whiteout(mounter, branch, *part.dentry, name));
		auto looked = shown_object(mounter, part, name, shown);

		if (!looked.ok())
			return Error{looked.error()};

		const Part &object = looked.value();

		if (!whiteout && !object)
			continue;

		auto writer = TRY(branch.write(mounter));

		if (whiteout)
			TRY(remove_whiteout(writer, *part.dentry, name));
		if (object && is_dir(object.inode().i_mode)) {
			Grave grave = TRY(Grave::bury(writer, *part.dentry, name, *object.dentry));
		} else if (object) {
			TRY(remove_entry(writer, *part.dentry, name, &object.inode(),
					 &DirLock::unlink));
		}
	}
	return {};
}

} // namespace aufs
