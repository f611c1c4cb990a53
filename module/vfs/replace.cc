// SPDX-License-Identifier: GPL-2.0-only
/* How one name takes another's place on a branch. */
#include "rename.hh"
#include "branch/workfile.hh"

namespace aufs
{

Result<void> rename_on_branch(const Writer &writer, const RenameSide &from, const RenameSide &to,
			      unsigned int flags, Replaces replaces)
{
	bool exchange = flags & RENAME_EXCHANGE;
	auto lock = TRY(
		RenameLock::get(writer, *from.h_dir, from.name(), *to.h_dir, to.name(), exchange));

	if (lock.from().d_inode != &from.inode()->h_inode())
		return Error{-ESTALE};
	if (exchange && lock.to().d_inode != &to.inode()->h_inode())
		return Error{-ESTALE};
	/* Somebody has made that object directly: nobody has asked to replace it. */
	if (replaces == Replaces::known && is_positive(lock.to()) && !to.shows(writer, lock.to()))
		return Error{-ESTALE};
	return lock.rename(flags);
}

Result<void> replace(const Writer &writer, RenameSide &from, RenameSide &to, unsigned int flags,
		     Replaces replaces)
{
	struct dentry *replaced = to.directory() ? to.inode()->stack().dentry_on(writer.branch()) :
						   nullptr;

	if (!replaced)
		return rename_on_branch(writer, from, to, flags, replaces);

	/* In one step, if nothing at all is in the directory. */
	auto at_once = rename_on_branch(writer, from, to, flags, replaces);

	if (at_once.error() != -ENOTEMPTY && at_once.error() != -EEXIST)
		return at_once;
	TRY(to.cover(writer));

	Grave grave = TRY(Grave::bury(writer, *to.h_dir, to.name(), *replaced));

	auto renamed = rename_on_branch(writer, from, to, flags, replaces);

	if (renamed.ok())
		grave.remove(writer);
	else
		grave.exhume(writer, *to.h_dir, to.name());
	return renamed;
}

namespace
{

/*
 * Gives the file @from, which lies on @writer's branch, the name of @to as well, in place of what that branch has
 * there. False if that is a directory, or if the filesystem cannot.
 */
Result<bool> link_below(const Writer &writer, const RenameSide &from, const RenameSide &to)
{
	auto lock = TRY(DirLock::get(writer, *to.h_dir));
	auto h_to = TRY(lookup_locked(lock, to.name()));

	if (is_positive(*h_to)) {
		if (is_dir(h_to->d_inode->i_mode))
			return false;
		TRY(lock.unlink(*h_to));
		h_to = TRY(lookup_locked(lock, to.name()));
	}
	return lock.link(from.inode()->h_dentry(), *h_to).ok();
}

/* Removes the old name of the file @from. */
Result<void> unlink_old(const AsMounter &mounter, const Branch &branch, RenameSide &from)
{
	auto writer = TRY(branch.write(mounter));

	TRY(remove_entry(writer, *from.h_dir, from.name(), &from.inode()->h_inode(),
			 &DirLock::unlink));
	return {};
}

/*
 * Takes away the hidden object that @writer's branch has at @to. Empty if there is none, or if it is a part of what
 * users see there.
 */
Result<Grave> bury_hidden(const Writer &writer, const RenameSide &to)
{
	if (to.directory() && to.inode()->stack().dentry_on(writer.branch()))
		return Grave();

	auto hidden = TRY(lookup_in(writer.mounter(), {writer.branch(), *to.h_dir}, to.name()));

	return hidden ? Grave::bury(writer, *to.h_dir, to.name(), *hidden) : Result<Grave>(Grave());
}

} // namespace

Result<void> replace_below(const AsMounter &mounter, const Branch &branch, RenameSide &from,
			   RenameSide &to)
{
	bool linked = false;
	Grave hidden;
	/*
	 * -ENOTEMPTY: a directory that users see as empty has something that another part hides. A caller of rename(2)
	 * has to copy that: -EXDEV.
	 */
	auto in_steps = [](Result<void> &&done) -> Result<void> {
		return done.error() == -ENOTEMPTY ? Result<void>(Error{-EXDEV}) : move(done);
	};
	auto prepare = [&]() -> Result<void> {
		auto writer = TRY(branch.write(mounter));

		/* The whiteout comes before anything goes: there may be no room for it. */
		TRY(from.cover(writer));
		linked = !from.directory() && TRY(link_below(writer, from, to));
		if (linked)
			return {};
		TRY(to.cover(writer));
		hidden = TRY(bury_hidden(writer, to));
		return {};
	};
	auto run = [&]() -> Result<void> {
		auto uncovering = TRY(Uncovering::begin(
			mounter, to.dir, to.name(), Part(branch, to.h_dir.clone()),
			linked ? &from.inode()->h_dentry() : nullptr, to.inode()));

		TRY(uncovering.sync());
		if (linked) {
			TRY(unlink_old(mounter, branch, from));
		} else {
			auto writer = TRY(branch.write(mounter));

			TRY(replace(writer, from, to, 0, Replaces::hidden));
		}
		uncovering.end();
		return {};
	};
	auto take_back = [&]() -> Result<void> {
		SignalsBlocked signals(SignalsBlocked::Which::all);
		auto writer = TRY(branch.write(mounter));

		if (linked)
			TRY(remove_entry(writer, *to.h_dir, to.name(), &from.inode()->h_inode(),
					 &DirLock::unlink));
		if (hidden)
			hidden.exhume(writer, *to.h_dir, to.name());
		return {};
	};

	if (auto prepared = prepare(); !prepared.ok())
		return in_steps(move(prepared));

	auto moved = run();

	if (moved.ok() && hidden) {
		if (auto writer = branch.write(mounter); writer.ok())
			hidden.remove(writer.value());
	}
	if (moved.ok())
		return moved;
	if (auto back = take_back(); !back.ok())
		log_warning("branch '%s': a rename is half done in inode %llu (errno %d)",
			    branch.name().data(), number_of(*to.h_dir->d_inode), -back.error());
	return in_steps(move(moved));
}

} // namespace aufs
