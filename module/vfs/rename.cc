// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up/copy_up.hh"
#include "dir.hh"
#include "branch/entry.hh"
#include "namei.hh"
#include "union/plink.hh"
#include "union/policy.hh"
#include "union/presence.hh"
#include "branch/workfile.hh"

namespace aufs
{

namespace
{

/* One of the two names of a rename. */
struct RenameSide {
	Inode &dir;
	struct dentry &dentry;
	Ref<struct dentry> h_dir; /* once the branch is known */
	bool whiteout_made = false;
	bool opaque_made = false;
	bool held = false;

	RenameSide(struct inode &d, struct dentry &e) : dir(Inode::of(d)), dentry(e)
	{
	}
	StringView name() const
	{
		return name_of(dentry);
	}
	/* Null where the name is free. */
	Inode *inode() const
	{
		return dentry.d_inode ? &Inode::of(*dentry.d_inode) : nullptr;
	}
	/* Whether the union has @h_dentry there. */
	bool shows(const Writer &writer, struct dentry &h_dentry) const
	{
		const Inode *known = inode();

		if (!known)
			return false;
		return known->shows(writer.mounter(), Part::of(writer.branch(), h_dentry));
	}
	bool directory() const
	{
		return dentry.d_inode && is_dir(dentry.d_inode->i_mode);
	}
	/*
	 * What moves lies on the rw branch @branch afterwards, by this name. A directory that lies, in
	 * part, on another branch would have to be copied with all that is below it: rename(2)'s
	 * callers do that.
	 */
	Result<void> prepare_to_move(const ListLock &list, const Branch &branch)
	{
		if (!directory())
			TRY(copy_up_with_name(list, dentry));
		if (inode()->top().branch != &branch)
			return Error{-EXDEV};
		return {};
	}
	/* On which branch it will be then: to be known before anything is changed. */
	Result<const Branch *> branch_to_move() const
	{
		/* Once: a copy-up by somebody else changes it. */
		const Stack &found = inode()->stack();
		const Branch &top = *found.top.branch;
		bool on_rw = top.writable();

		if (directory() && (!on_rw || found.lower_count > 0))
			return Error{-EXDEV};
		if (on_rw)
			return &top;
		return branch_for_copy(dir, top);
	}
	/* What branches below @branch have under this name. */
	Result<Stack> below(const AsMounter &mounter, const Branch &branch) const
	{
		return find(mounter, dir, name(), dir.stack().part_on(branch) + 1);
	}
	/*
	 * It is known to be moving until the VFS has moved it as well. A directory stays on @branch alone
	 * meanwhile: who makes something in it may be about to give it a part on another one.
	 */
	Result<void> hold(const Branch &branch)
	{
		auto lock = TRY(KillableLock::get(inode()->copy_lock()));

		if (directory() && (inode()->merged() || inode()->top().branch != &branch))
			return Error{-EXDEV};
		inode()->begin_move(dentry);
		held = true;
		return {};
	}
	void release() const
	{
		if (!held)
			return;

		MutexLock lock(inode()->copy_lock());

		inode()->cancel_move();
	}
	/* Lets the directory that comes to this name from @from not merge with one below. */
	Result<void> prepare_arrival(const Writer &writer, RenameSide &from) const
	{
		if (!from.directory())
			return {};

		Stack found = TRY(below(writer.mounter(), writer.branch()));

		if (!found.exists() || !is_dir(found.top.inode().i_mode))
			return {};

		struct dentry &h_dentry = from.inode()->h_dentry();

		from.opaque_made = TRY(make_opaque(writer, h_dentry));
		return {};
	}
	/* What is hidden below when this name goes. */
	Result<void> cover(const Writer &writer)
	{
		if (TRY(below(writer.mounter(), writer.branch())).exists())
			whiteout_made = TRY(make_whiteout(writer, *h_dir, name()));
		return {};
	}
	void undo(const Writer &writer) const
	{
		if (whiteout_made)
			(void)remove_whiteout(writer, *h_dir, name()).ok();
		if (opaque_made)
			undo_opaque(writer, inode()->h_dentry());
	}
};

/* What may lie at the new name: what the union has there, or what a branch above hides. */
enum class Replaces : unsigned char { known, hidden };

/* The rename itself; both names are as the union has them. */
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
	/* Somebody has made it directly: nobody asked to replace that. */
	if (replaces == Replaces::known && is_positive(lock.to()) && !to.shows(writer, lock.to()))
		return Error{-ESTALE};
	return lock.rename(flags);
}

/*
 * Moves @from over @to. A directory that is replaced is empty for users, and on its branch is
 * whatever hides what is below it: it is taken away first, and comes back if the rename fails.
 */
Result<void> replace(const Writer &writer, RenameSide &from, RenameSide &to, unsigned int flags,
		     Replaces replaces)
{
	struct dentry *replaced = to.directory() ? to.inode()->stack().dentry_on(writer.branch()) :
						   nullptr;

	if (!replaced)
		return rename_on_branch(writer, from, to, flags, replaces);
	TRY(to.cover(writer));

	Grave grave = TRY(Grave::bury(writer, *to.h_dir, to.name(), *replaced));

	auto renamed = rename_on_branch(writer, from, to, flags, replaces);

	if (!renamed.ok())
		grave.exhume(*to.h_dir, to.name());
	return renamed;
}

/*
 * Gives the file @from, which lies on @branch, the name of @to as well, in place of what that
 * branch has there. False where the filesystem cannot.
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

/* Takes the old name away from the file @from. */
Result<void> unlink_old(const AsMounter &mounter, const Branch &branch, RenameSide &from)
{
	auto writer = TRY(branch.write(mounter));

	TRY(from.cover(writer));

	TRY(remove_entry(writer, *from.h_dir, from.name(), &from.inode()->h_inode(),
			 &DirLock::unlink));
	return {};
}

/* Gives @from its old name alone. */
Result<void> take_back(const AsMounter &mounter, const Branch &branch, const RenameSide &from,
		       const RenameSide &to, bool linked)
{
	auto writer = TRY(branch.write(mounter));

	if (linked) {
		TRY(remove_entry(writer, *to.h_dir, to.name(), &from.inode()->h_inode(),
				 &DirLock::unlink));
		return {};
	}

	auto lock = TRY(RenameLock::get(writer, *to.h_dir, to.name(), *from.h_dir, from.name()));

	if (lock.from().d_inode != &from.inode()->h_inode())
		return Error{-ESTALE};
	return lock.rename();
}

/*
 * Moves @from over @to, which a rw branch above hides. A file has both names for a while, so that
 * whenever the machine stops there is the old state or the new one; the name that is hidden comes
 * first.
 */
Result<void> replace_below(const AsMounter &mounter, const Branch &branch, RenameSide &from,
			   RenameSide &to)
{
	bool linked = false;
	{
		auto writer = TRY(branch.write(mounter));

		linked = !from.directory() && TRY(link_below(writer, from, to));
		if (!linked) {
			TRY(from.cover(writer));
			TRY(replace(writer, from, to, 0, Replaces::hidden));
		}
	}

	auto uncovered = uncover(mounter, to.dir, to.name(), branch, to.inode());

	if (uncovered.ok())
		return linked ? unlink_old(mounter, branch, from) : uncovered;
	if (auto back = take_back(mounter, branch, from, to, linked); !back.ok())
		log_warning("branch '%s': a rename is half done in inode %llu (errno %d)",
			    branch.name().data(), number_of(*to.h_dir->d_inode), -back.error());
	return uncovered;
}

/* What the union knows of the two inodes afterwards. */
void note_moved(const AsMounter &mounter, const Branch &branch, const RenameSide &from,
		const RenameSide &to, bool exchange, bool replaced_on_rw)
{
	/* udba: it was looked at in another directory. */
	AtomicRef(from.dentry.d_time).store(0);
	AtomicRef(to.dentry.d_time).store(0);
	from.inode()->copy_attributes();
	if (Inode *other = to.inode()) {
		if (exchange)
			other->copy_attributes();
		else if (to.directory())
			other->note_removed();
		else if (replaced_on_rw)
			note_name_gone(mounter, *other);
		else
			note_lower_name_gone(mounter, *other, branch);
	}
	from.dir.copy_links();
	to.dir.copy_links();
}

/*
 * The replaced file, if this name is on a rw branch below the target's: rename would leave it there as
 * garbage that nobody can reach.
 */
class ShadowedTarget final
{
public:
	static Result<ShadowedTarget> find(const AsMounter &mounter, const RenameSide &to)
	{
		ShadowedTarget shadowed;

		if (!to.inode() || to.directory() || !to.inode()->on_rw())
			return shadowed;

		const Part &top = to.inode()->top();

		shadowed.h_dir_ = Ref<struct dentry>::retain(to.dir.stack().dentry_on(*top.branch));
		if (!shadowed.h_dir_)
			return shadowed;

		auto h_to = TRY(lookup_in(mounter, *top.branch, *shadowed.h_dir_, to.name()));

		if (h_to && h_to->d_inode == &top.inode())
			shadowed.branch_ = top.branch;
		return shadowed;
	}
	bool exists() const
	{
		return branch_;
	}
	bool is_below(const Branch &branch) const
	{
		return branch_ && branch.is_above(*branch_);
	}
	/* Where it cannot be removed it does no harm. */
	void remove(const AsMounter &mounter, const RenameSide &to) const
	{
		auto writer = branch_->write(mounter);

		if (writer.ok())
			(void)remove_entry(writer.value(), *h_dir_, to.name(),
					   &to.inode()->top().inode(), &DirLock::unlink)
				.ok();
	}

private:
	Ref<struct dentry> h_dir_;
	const Branch *branch_ = nullptr;
};

Result<void> exchange_names(const AsMounter &mounter, const Branch &branch, RenameSide &from,
			    RenameSide &to)
{
	auto writer = TRY(branch.write(mounter));
	ScopeExit undo([&] {
		from.undo(writer);
		to.undo(writer);
	});

	note_arrival(writer, to.dir, *to.h_dir, *from.inode());
	note_arrival(writer, from.dir, *from.h_dir, *to.inode());

	TRY(to.prepare_arrival(writer, from));
	TRY(from.prepare_arrival(writer, to));
	TRY(rename_on_branch(writer, from, to, RENAME_EXCHANGE, Replaces::known));
	undo.dismiss();
	return {};
}

Result<void> move_name(const AsMounter &mounter, const Branch &branch, RenameSide &from,
		       RenameSide &to, unsigned int flags, bool hidden)
{
	auto on_branch = [&](auto &&run) -> Result<void> {
		auto writer = TRY(branch.write(mounter));

		return run(writer);
	};
	auto undo = [&](const Writer &writer) -> Result<void> {
		from.undo(writer);
		to.undo(writer);
		return {};
	};
	auto moved = on_branch([&](const Writer &writer) -> Result<void> {
		note_arrival(writer, to.dir, *to.h_dir, *from.inode());
		TRY(to.prepare_arrival(writer, from));
		if (hidden)
			return {};
		/* The branch has by now what the union does not. */
		if (!to.inode() && TRY(lookup_in(mounter, branch, *to.h_dir, to.name())))
			return Error{-ESTALE};
		TRY(from.cover(writer));
		return replace(writer, from, to, flags, Replaces::known);
	});

	if (moved.ok() && hidden)
		moved = replace_below(mounter, branch, from, to);
	if (!moved.ok()) {
		(void)on_branch(undo).ok();
		return moved;
	}
	/*
	 * The name is there now and comes before the whiteout, which hides what it hid. One that
	 * cannot be removed does no harm, and a rename that has replaced a file cannot be undone.
	 */
	auto removed = on_branch([&](const Writer &writer) {
		return remove_whiteout(writer, *to.h_dir, to.name());
	});

	if (!removed.ok())
		log_warning("branch '%s': a spent whiteout stays in inode %llu (errno %d)",
			    branch.name().data(), number_of(*to.h_dir->d_inode), -removed.error());
	return {};
}

Result<void> rename_checked(RenameSide from, RenameSide to, unsigned int flags)
{
	const Super &super = from.dir.super();
	bool exchange = flags & RENAME_EXCHANGE;

	if (flags & ~static_cast<unsigned int>(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return Error{-EINVAL};
	TRY(check_new_name(to.name()));

	ListLock list(super);
	AsMounter mounter = super.as_mounter();

	/* The list has changed since the VFS looked them up: it does so again. */
	if (!from.dentry.d_hash.pprev || (to.inode() && !to.dentry.d_hash.pprev))
		return Error{-ESTALE};
	if (!exchange && to.directory() && !TRY(is_logically_empty(mounter, *to.inode())))
		return Error{-ENOTEMPTY};

	const Branch &branch = *TRY(from.branch_to_move());

	if (exchange && TRY(to.branch_to_move()) != &branch)
		return Error{-EXDEV};

	Obstacle obstacle = TRY(obstacle_above(mounter, to.dir, to.name(), branch, to.inode()));

	if (obstacle == Obstacle::for_good)
		return Error{-EXDEV};
	TRY(from.prepare_to_move(list, branch));
	if (exchange)
		TRY(to.prepare_to_move(list, branch));
	from.h_dir = TRY(copy_up_directory(list, *from.dentry.d_parent, branch));
	to.h_dir = TRY(copy_up_directory(list, *to.dentry.d_parent, branch));

	TRY(check_seen(mounter, *from.dentry.d_parent, branch));
	TRY(check_seen(mounter, *to.dentry.d_parent, branch));

	ScopeExit let_go([&] {
		from.release();
		to.release();
	});

	TRY(from.hold(branch));
	if (exchange)
		TRY(to.hold(branch));

	if (exchange) {
		TRY(exchange_names(mounter, branch, from, to));
		let_go.dismiss();
		note_moved(mounter, branch, from, to, exchange, false);
		return {};
	}

	auto run = [&]() -> Result<void> {
		ShadowedTarget shadowed = TRY(ShadowedTarget::find(mounter, to));

		RemovalMark going(to.dentry);

		TRY(move_name(mounter, branch, from, to, flags, obstacle == Obstacle::removable));
		going.keep();
		if (shadowed.is_below(branch))
			shadowed.remove(mounter, to);
		/* The VFS goes on. */
		let_go.dismiss();
		note_moved(mounter, branch, from, to, exchange, shadowed.exists());
		return {};
	};

	/*
	 * The names of what is replaced are counted under this, by a copy-up as well; a directory
	 * gets no part meanwhile.
	 */
	auto run_locked = [&]() -> Result<void> {
		auto lock = TRY(KillableLock::get(to.inode()->copy_lock()));

		return run();
	};

	TRY(to.inode() ? run_locked() : run());
	/* It had both names for a while, and another of its names that went then has counted them. */
	if (obstacle == Obstacle::removable && !from.directory()) {
		MutexLock lock(from.inode()->copy_lock());

		from.inode()->copy_links();
	}
	return {};
}

} // namespace

Result<void> rename(AUFS_IDMAP *, struct inode *old_dir, struct dentry *old_dentry,
		    struct inode *new_dir, struct dentry *new_dentry, unsigned int flags)
{
	return rename_checked(RenameSide(*old_dir, *old_dentry), RenameSide(*new_dir, *new_dentry),
			      flags);
}

} // namespace aufs
