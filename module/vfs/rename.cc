// SPDX-License-Identifier: GPL-2.0-only
#include "rename.hh"
#include "union/names_now.hh"
#include "union/plink.hh"
#include "union/presence.hh"
#include "branch/workfile.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

/*
 * Notes that another object has the name of @replaced now, on @branch. @on_rw: @replaced had the name on a rw branch.
 */
void note_replaced(const CopyLock &lock, const AsMounter &mounter, const Branch &branch,
		   Inode &replaced, bool on_rw)
{
	if (is_dir(replaced.vfs.i_mode))
		replaced.note_removed();
	else if (on_rw)
		note_name_gone(lock, mounter, replaced);
	else
		note_lower_name_gone(lock, mounter, replaced, branch);
}

/* Copies what users see of the inode that moved and of both directories. */
void note_moved(const RenameSide &from, const RenameSide &to)
{
	/* udba: d_time was the count of changes of another directory. */
	AtomicRef(from.dentry.d_time).store(0);
	AtomicRef(to.dentry.d_time).store(0);
	from.inode()->copy_attributes();
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

		auto h_to = TRY(lookup_in(mounter, {*top.branch, *shadowed.h_dir_}, to.name()));

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
	/* Called after @from came to @to on @branch. If the file cannot be removed, that does no harm. */
	void remove(const AsMounter &mounter, const Branch &branch, const RenameSide &from,
		    const RenameSide &to) const
	{
		/* The new file has to be on its disk first. */
		if (!keep_order(branch, *branch_) &&
		    !sync_made(mounter, {branch, *to.h_dir}, &from.inode()->h_dentry()).ok())
			return;

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
		/* The branch has an object by now that the union does not have. */
		if (!to.inode() && TRY(lookup_in(mounter, {branch, *to.h_dir}, to.name())))
			return Error{-ESTALE};
		TRY(from.cover(writer));
		/*
		 * A filesystem starts writeback when one file replaces another. Here the replaced one is on another
		 * branch, so we do it.
		 */
		if (to.inode() && !from.directory() && to.inode()->top().branch != &branch)
			start_writeback(from.inode()->h_inode());
		return replace(writer, from, to, flags, Replaces::known);
	});

	if (moved.ok() && hidden)
		moved = replace_below(mounter, branch, from, to);
	if (!moved.ok()) {
		(void)on_branch(undo).ok();
		return moved;
	}
	/*
	 * A lookup finds the name now before the whiteout. A whiteout that cannot be removed does no harm, and a
	 * rename that has replaced a file cannot be undone.
	 */
	auto removed = on_branch([&](const Writer &writer) {
		return remove_spent_whiteout(writer, *to.h_dir, to.name());
	});

	if (!removed.ok())
		log_warning("branch '%s': a spent whiteout stays in inode %llu (errno %d)",
			    branch.name().data(), number_of(*to.h_dir->d_inode), -removed.error());
	return {};
}

/* The branch on which the names move, and whether the new one is hidden above it. */
struct MovePlan {
	const Branch *branch;
	Obstacle obstacle;
};

/* Checks the move, and copies up both objects and their directories as far as they have to be on the branch. */
Result<MovePlan> plan_move(const ListLock &list, const AsMounter &mounter, RenameSide &from,
			   RenameSide &to, bool exchange)
{
	/* The list may have changed since the VFS looked the names up. */
	TRY(check_name(list, mounter, from.dentry));
	TRY(check_name(list, mounter, to.dentry));
	if (!exchange && to.directory() && !TRY(is_logically_empty(mounter, *to.inode())))
		return Error{-ENOTEMPTY};

	const Branch &branch = *TRY(from.branch_to_move());

	if (exchange && TRY(to.branch_to_move()) != &branch)
		return Error{-EXDEV};

	Obstacle obstacle = TRY(obstacle_above(mounter, to.dir, to.name(), branch, to.inode()));

	if (obstacle == Obstacle::for_good)
		return Error{-EXDEV};
	TRY(from.prepare_to_move(branch));
	if (exchange)
		TRY(to.prepare_to_move(branch));
	from.h_dir = TRY(copy_up_directory(list, *from.dentry.d_parent, branch));
	to.h_dir = TRY(copy_up_directory(list, *to.dentry.d_parent, branch));

	TRY(check_seen(list, mounter, *from.dentry.d_parent, branch));
	TRY(check_seen(list, mounter, *to.dentry.d_parent, branch));
	return MovePlan{&branch, obstacle};
}

/* The inodes that are held count as moving until the VFS has moved them, too. If nothing moved, they stop here. */
class MovingSides final
{
public:
	MovingSides(RenameSide &from, RenameSide &to) : from_(from), to_(to)
	{
	}
	MovingSides(const MovingSides &) = delete;
	~MovingSides()
	{
		if (moved_)
			return;
		from_.release();
		to_.release();
	}
	/* Both directories were changed on @branch. */
	void have_moved(const AsMounter &mounter, const Branch &branch)
	{
		moved_ = true;
		touch_top(mounter, from_.dir, branch);
		if (&to_.dir != &from_.dir)
			touch_top(mounter, to_.dir, branch);
	}

private:
	RenameSide &from_, &to_;
	bool moved_ = false;
};

Result<void> exchange_sides(const AsMounter &mounter, const Branch &branch, RenameSide &from,
			    RenameSide &to, MovingSides &moving)
{
	TRY(exchange_names(mounter, branch, from, to));
	moving.have_moved(mounter, branch);
	note_moved(from, to);
	to.inode()->copy_attributes();
	return {};
}

/* @lock is that of the replaced inode, or null. */
Result<void> move_side(const AsMounter &mounter, const MovePlan &plan, RenameSide &from,
		       RenameSide &to, unsigned int flags, MovingSides &moving,
		       const CopyLock *lock)
{
	const Branch &branch = *plan.branch;
	ShadowedTarget shadowed = TRY(ShadowedTarget::find(mounter, to));
	RemovalMark going(to.dentry);

	TRY(move_name(mounter, branch, from, to, flags, plan.obstacle == Obstacle::removable));
	going.keep();
	if (shadowed.is_below(branch))
		shadowed.remove(mounter, branch, from, to);
	moving.have_moved(mounter, branch);
	if (lock)
		note_replaced(*lock, mounter, branch, *to.inode(), shadowed.exists());
	note_moved(from, to);
	return {};
}

Result<void> rename_checked(const ListLock &list, RenameSide from, RenameSide to,
			    unsigned int flags)
{
	AsMounter mounter = from.dir.super().as_mounter();
	bool exchange = flags & RENAME_EXCHANGE;
	MovePlan plan = TRY(plan_move(list, mounter, from, to, exchange));
	MovingSides moving(from, to);

	TRY(from.hold(*plan.branch));
	if (exchange) {
		TRY(to.hold(*plan.branch));
		return exchange_sides(mounter, *plan.branch, from, to, moving);
	}
	if (to.inode()) {
		/*
		 * The names of the replaced inode are counted under this lock, by a copy-up as well. A replaced
		 * directory gets no part meanwhile.
		 */
		auto lock = TRY(CopyLock::get(*to.inode()));

		TRY(move_side(mounter, plan, from, to, flags, moving, &lock));
	} else {
		TRY(move_side(mounter, plan, from, to, flags, moving, nullptr));
	}
	/* The file had both names for a while. If another of its names was removed then, both were counted. */
	if (plan.obstacle == Obstacle::removable && !from.directory()) {
		CopyLock lock(*from.inode());

		from.inode()->copy_links();
	}
	return {};
}

} // namespace

Result<void> rename(AUFS_IDMAP *, struct inode *old_dir, struct dentry *old_dentry,
		    struct inode *new_dir, struct dentry *new_dentry, unsigned int flags)
{
	if (flags & ~static_cast<unsigned int>(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return Error{-EINVAL};
	TRY(check_new_name(name_of(*new_dentry)));

	ListLock list(Inode::of(*old_dir).super());

	return rename_checked(list, RenameSide(list, *old_dir, *old_dentry),
			      RenameSide(list, *new_dir, *new_dentry), flags);
}

} // namespace aufs
