// SPDX-License-Identifier: GPL-2.0-only
#include "changes.hh"
#include "new_branch.hh"
#include "branch/answers.hh"
#include "kernel/inodes.hh"

namespace aufs
{

using Kind = BranchChange::Kind;

namespace
{

constexpr Gfp kernel{GFP_KERNEL};

/*
 * A branch may be in use by a task that is just passing. So the change is tried again, a tick between two tries. After
 * most_tries it fails if a process has the branch. Else it is tried for most_seconds in all.
 */
constexpr int most_tries = 20;
constexpr s64 most_seconds = 2;

Result<Own<char[]>> copy_of(StringView text)
{
	auto copy = Own<char[]>::adopt(new (kernel) char[text.size() + 1]);

	if (!copy)
		return Error{-ENOMEM};
	__builtin_memcpy(copy.get(), text.data(), text.size());
	copy[text.size()] = '\0';
	return copy;
}

} // namespace

Result<void> ListChange::add(struct fs_context *fc, const BranchChange &change)
{
	Step step;
	StringView comes = change.kind == Kind::replace ? change.new_path : change.branch.path;

	step.kind = change.kind;
	step.place = change.place;
	step.use = change.branch;
	step.use.path = {};
	if (change.kind != Kind::insert && change.kind != Kind::append) {
		step.target.name = TRY(copy_of(change.branch.path));
		/* A branch may be named by its path as it was given, too, if that leads elsewhere by now. */
		if (kern_path(step.target.name.get(), LOOKUP_FOLLOW, &step.target.path) != 0)
			step.target.path = {};
	}
	if (change.kind == Kind::insert || change.kind == Kind::append ||
	    change.kind == Kind::replace) {
		BranchItem item = change.branch;
		BranchFinder finder;

		item.path = comes;
		step.fresh = TRY(Branch::create(fc, item, finder));
		TRY(step.fresh->attach(fc));
		step.fresh->set_served(volatility_of(*step.fresh) == Volatility::anywhere);
		/* The task that remounts may have other credentials than the mounter. */
		TRY(explained(fc, *step.fresh, "its housekeeping directories cannot be looked up",
			      step.fresh->housekeeping().find(
				      Super::of(*fc->root->d_sb).as_mounter(), *step.fresh)));
	}
	return steps_.push(kernel, move(step));
}

Result<ListChange::PlannedBranch *> ListChange::entry_of(struct fs_context *fc, const Step &step)
{
	unsigned int count = 0;
	PlannedBranch *named = nullptr;

	for (PlannedBranch &entry : list_) {
		if (step.target.leads_to(*entry.branch))
			return &entry;
	}
	/* By the path as it was given, which may lead elsewhere by now. */
	for (PlannedBranch &entry : list_) {
		if (!step.target.names(*entry.branch))
			continue;
		named = &entry;
		count++;
	}
	if (count == 1)
		return named;
	mount_error(fc, "'%s' is %s of this union", step.target.name.get(),
		    count ? "the name of several branches" : "no branch");
	return Error{-EINVAL};
}

Result<void> ListChange::check_fresh(const AsMounter &mounter, struct fs_context *fc,
				     const Branch &branch) const
{
	if (list_.size() == max_branches) {
		mount_error(fc, "branch '%s': more than %u branches", branch.name().data(),
			    max_branches);
		return Error{-E2BIG};
	}
	if (placement_.is_near(branch)) {
		for (const PlannedBranch &entry : list_)
			TRY(check_apart(fc, branch, branch.name().data(), *entry.branch));
	}
	return refuse_locked(mounter, fc, branch);
}

Result<void> ListChange::insert(struct fs_context *fc, const UmountHeld &held, unsigned int place,
				Step &step)
{
	if (place > list_.size()) {
		mount_error(fc, "branch '%s': there is no place %u: 0 to %u",
			    step.fresh->name().data(), place,
			    static_cast<unsigned int>(list_.size()));
		return Error{-EINVAL};
	}
	number(held, step);
	TRY(placement_.add_mounted(*step.fresh));
	return list_.insert(kernel, place, PlannedBranch{step.fresh.get(), &step, false, {}, {}});
}

/* Numbers the branch that comes by @step, before anything on it is looked up. */
void ListChange::number(const UmountHeld &held, Step &step) const
{
	Branch &fresh = *step.fresh;
	const Branch *beside = placement_.beside(fresh);

	Super::of(held.sb()).number(held, fresh, beside);
	step.may_share_id = beside || placement_.may_have_id_of(fresh);
}

/*
 * Finds filesystems of branches that come and only say that they are another's (new_branch.hh). A branch that goes
 * does not count: its image may be replaced by a copy of itself.
 */
void ListChange::tell_filesystems_apart(struct fs_context *fc) const
{
	for (const PlannedBranch &entry : list_) {
		if (!entry.is_fresh() || !entry.comes_by->may_share_id)
			continue;
		for (const PlannedBranch &other : list_) {
			/* The uppermost of several that come is compared first. */
			if (&other >= &entry && other.is_fresh() && other.comes_by->may_share_id)
				continue;
			if (aufs::tell_filesystems_apart(fc, *entry.branch, *other.branch))
				break;
		}
	}
}

Result<void> ListChange::plan_step(const AsMounter &mounter, struct fs_context *fc,
				   const UmountHeld &held, Step &step)
{
	if (step.kind == Kind::insert || step.kind == Kind::append) {
		TRY(check_fresh(mounter, fc, *step.fresh));
		return insert(fc, held,
			      step.kind == Kind::insert ? step.place :
							  static_cast<unsigned int>(list_.size()),
			      step);
	}

	PlannedBranch &entry = *TRY(entry_of(fc, step));

	if (step.kind == Kind::modify) {
		const struct path *visible =
			step.target.leads_to(*entry.branch) ? &step.target.path : nullptr;

		TRY(entry.branch->prepare_use(fc, step.use, visible));
		if (entry.branch->has_overlay_whiteouts() != step.use.overlay_whiteouts) {
			mount_error(
				fc,
				"branch '%s': +owh cannot be changed: use replace:%s=%s=ro+owh, or without it",
				entry.branch->name().data(), entry.branch->name().data(),
				entry.branch->name().data());
			return Error{-EINVAL};
		}
		entry.is_modified = true;
		entry.use = step.use;
		return {};
	}

	auto place = static_cast<unsigned int>(&entry - list_.begin());
	PlannedBranch old = list_.remove(place);

	if (step.kind == Kind::replace) {
		TRY(check_fresh(mounter, fc, *step.fresh));
		TRY(insert(fc, held, place, step));
		/* The new branch is used as the old one, unless the option says otherwise. */
		if (!step.use.perm_given) {
			BranchItem use = old.is_modified ? old.use : old.branch->use();

			TRY(step.fresh->prepare_use(fc, use));
			step.fresh->set_overlay_whiteouts(use.overlay_whiteouts);
			list_[place].is_modified = true;
			list_[place].use = use;
		}
	}
	/* A branch that comes and goes in one remount was never in the union. */
	if (old.is_fresh())
		return {};
	return leaving_.push(kernel, {old.branch, step.kind == Kind::detach});
}

Result<void> ListChange::plan(struct fs_context *fc, const UmountHeld &held)
{
	Super &super = Super::of(held.sb());
	AsMounter mounter = super.as_mounter();
	bool grows = cxxrt::any_of(steps_, [](const Step &step) { return step.fresh.get(); });

	for (Branch &branch : super.branches_to_change()) {
		TRY(list_.push(kernel, PlannedBranch{&branch, nullptr, false, {}, {}}));
		if (grows)
			TRY(placement_.add_mounted(branch));
	}
	for (Step &step : steps_)
		TRY(plan_step(mounter, fc, held, step));
	tell_filesystems_apart(fc);
	if (list_.size() == 0) {
		mount_error(fc, "the last branch cannot be removed: unmount the union");
		return Error{-EINVAL};
	}
	for (const PlannedBranch &entry : list_) {
		if (entry.branch->sb().s_stack_depth >= held.sb().s_stack_depth) {
			mount_error(
				fc,
				"branch '%s' is on a filesystem that is stacked deeper than those that the union was mounted with",
				entry.branch->name().data());
			return Error{-EINVAL};
		}
	}
	/* Room for the whole list, so that nothing can fail when it is exchanged. */
	while (next_.size() < list_.size())
		TRY(next_.push(kernel, Own<Branch>()));
	return {};
}

bool ListChange::has_rw() const
{
	return cxxrt::any_of(list_, [](const PlannedBranch &entry) {
		return entry.perm() == BranchPerm::rw;
	});
}

Volatility ListChange::volatility() const
{
	Volatility volatility = Volatility::never;

	for (const PlannedBranch &entry : list_)
		volatility = cxxrt::max(volatility, volatility_of(*entry.branch));
	return volatility;
}

Result<void> ListChange::check_unused(const ListChangeLock &list, const Refresh &refresh,
				      Busy &busy) const
{
	for (const Leaving &leaving : leaving_) {
		if (!leaving.is_detached)
			TRY(busy.check(list, refresh, *leaving.branch, BranchUse::any));
	}
	return {};
}

/*
 * Takes write access from branches that become read-only, and then looks for tasks that write already. A task that
 * opens a file or takes write access shows itself before it looks at the permission.
 */
Result<void> ListChange::take_write_access(const ListChangeLock &list, struct fs_context *fc,
					   bool last, const Refresh &refresh, Busy &busy)
{
	for (PlannedBranch &entry : list_) {
		if (!entry.is_modified || !entry.branch->writable() ||
		    entry.use.perm == BranchPerm::rw)
			continue;
		entry.before = entry.branch->use();
		entry.is_taken = true;
		entry.branch->use_as(entry.use);
		cxxrt::full_fence();
		if (entry.branch->is_being_changed()) {
			if (last)
				mount_error(fc, "branch '%s' is in use: it is being changed",
					    entry.branch->name().data());
			return Error{-EBUSY};
		}
		TRY(busy.check(list, refresh, *entry.branch, BranchUse::writing));
	}
	return {};
}

void ListChange::give_write_access_back()
{
	for (PlannedBranch &entry : list_) {
		if (cxxrt::exchange(entry.is_taken, false))
			entry.branch->use_as(entry.before);
	}
}

/*
 * A sync of the union leaves out branches that are not rw. So one that becomes read-only is written out before the
 * change, and after it for what was written meanwhile. A broken disk is no reason to go on writing to it. A branch that
 * goes is left to its filesystem.
 */
void ListChange::sync_read_only(struct fs_context *fc) const
{
	for (const PlannedBranch &entry : list_) {
		if (!entry.is_modified || entry.use.perm == BranchPerm::rw)
			continue;
		if (auto synced = entry.branch->sync(); !synced.ok())
			mount_warning(fc, "branch '%s' cannot be written out (errno %d)",
				      entry.branch->name().data(), -synced.error());
		entry.branch->tell_write_errors(*fc->root->d_sb);
	}
}

Result<void> ListChange::claims(Array<Super::Claim> &claims) const
{
	for (const PlannedBranch &entry : list_) {
		if (entry.is_fresh() || (entry.is_modified && entry.perm() == BranchPerm::rw))
			TRY(claims.push(kernel, {entry.branch, entry.perm() == BranchPerm::rw}));
	}
	return {};
}

/* Fills next_ with the planned list, and uses the branches as planned. Cannot fail. */
void ListChange::take_list()
{
	Own<Branch> *next = next_.begin();

	for (PlannedBranch &entry : list_) {
		if (entry.is_modified)
			entry.branch->use_as(entry.use);
		entry.is_taken = false;
		*next++ = Own<Branch>::adopt(entry.branch);
		/* The list owns a new branch from now on. */
		if (entry.is_fresh())
			(void)entry.comes_by->fresh.leak();
	}
}

/* Removes what a crash has left on branches that are rw from now on, before anything is made there. */
void ListChange::clean(const AsMounter &mounter, const struct super_block &sb) const
{
	if (is_read_only(sb) || Super::of(sb).settings().share_rw)
		return;
	for (const PlannedBranch &entry : list_) {
		if ((entry.is_fresh() || entry.is_modified) && entry.branch->writable())
			entry.branch->housekeeping().clean(mounter, *entry.branch);
	}
}

Result<void> ListChange::exchange(struct fs_context *fc, const UmountHeld &held,
				  const Settings &settings, bool last, Refresh &refresh,
				  Answers &answers, Busy &busy)
{
	struct super_block &sb = held.sb();
	Super &super = Super::of(sb);
	Array<Super::Claim> claimed;
	auto goes = [this](const Branch &branch) {
		return this->goes(branch);
	};

	TRY(claims(claimed));

	auto lock = TRY(lock_list(fc, sb, refresh, answers));
	const ListChangeLock &list = lock.list;
	AsMounter mounter = super.as_mounter(&answers);

	TRY(check_unused(list, refresh, busy));

	ScopeExit give_back([this] { give_write_access_back(); });

	TRY(take_write_access(list, fc, last, refresh, busy));

	auto take = [&] {
		super.set_settings(held, settings);
		take_list();
	};

	/* Another union does not give up a branch in a moment. */
	if (auto changed = super.change_branches(list, fc, settings, claimed, next_,
						 FunctionRef<void()>(take));
	    !changed.ok())
		return Error{changed.error() == -EBUSY ? -ETIMEDOUT : changed.error()};
	/* next_ is the old list by now. Its branches are in the new list as well, or go with their last pin. */
	for (Own<Branch> &old : next_)
		(void)old.leak();
	/* Another union may have written to a new branch since the option was given. From now on none does. */
	for (const PlannedBranch &entry : list_) {
		if (entry.is_fresh())
			entry.branch->housekeeping().find_again(mounter, *entry.branch);
	}
	/* Without the answers: an object that is removed must not be pinned. */
	clean(super.as_mounter(), sb);
	refresh.commit(mounter, list, Refresh::Goes(goes));
	return {};
}

Result<void> ListChange::try_to_apply(struct fs_context *fc, const UmountHeld &held,
				      const Settings &settings, Answers &answers, Try which)
{
	Refresh refresh(held.sb());
	Busy busy;
	bool last = which == Try::last;
	auto exchanged = exchange(fc, held, settings, last, refresh, answers, busy);

	/* Without the list's lock: no task waits for the messages. */
	if (!exchanged.ok())
		explain(fc, refresh, exchanged.error());
	if (exchanged.error() != -EBUSY)
		return exchanged;
	if (!last && (which != Try::asks_for_process || !busy.is_of_process()))
		return exchanged;
	busy.explain(fc);
	return Error{-ETIMEDOUT};
}

Result<void> ListChange::apply(struct fs_context *fc, const UmountHeld &held,
			       const Settings &settings)
{
	Super &super = Super::of(held.sb());
	unsigned int before = super.count();
	auto after = static_cast<unsigned int>(list_.size());

	TRY(super.set_places(cxxrt::max(before, after)));
	sync_read_only(fc);

	Answers answers;
	s64 end = ktime_get_seconds() + most_seconds;
	Try which = Try::one_of_many;
	auto applied = try_to_apply(fc, held, settings, answers, which);

	for (int tries = 1; which != Try::last && is_passing(applied.error()); tries++) {
		if (tries == most_tries)
			which = Try::asks_for_process;
		else
			which = tries > most_tries && ktime_get_seconds() >= end ? Try::last :
										   Try::one_of_many;
		pause_shortly();
		applied = try_to_apply(fc, held, settings, answers, which);
	}
	if (applied.ok()) {
		sync_read_only(fc);

		struct llist_node *gone = nullptr;

		for (const Leaving &leaving : leaving_)
			gone = leaving.branch->unpin_onto(gone);
		Branch::release(gone);
	}
	/* This only removes places, which cannot fail. */
	(void)super.set_places(applied.ok() ? after : before).ok();
	if (applied.error() == -ETIMEDOUT)
		return Error{-EBUSY};
	if (applied.error() == -EAGAIN) {
		mount_error(fc, "directories of the union are being renamed: try again");
		return Error{-EBUSY};
	}
	return applied;
}

} // namespace aufs
