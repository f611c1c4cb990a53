// SPDX-License-Identifier: GPL-2.0-only
/* What a change of the list of branches looks up: beside other tasks, and then alone. */
#include "changes.hh"
#include "new_branch.hh"
#include "branch/answers.hh"

namespace aufs
{

bool ListChange::goes(const Branch &branch) const
{
	return cxxrt::any_of(leaving_, [&branch](const Leaving &leaving) {
		return leaving.branch == &branch;
	});
}

Result<Own<Stack>> ListChange::find_root(const AsMounter &mounter, struct fs_context *fc,
					 const struct super_block &sb) const
{
	Array<const Branch *> branches;

	for (const PlannedBranch &entry : list_)
		TRY(branches.push(Gfp{GFP_KERNEL}, entry.branch));

	Stack root = TRY(aufs::find_root(mounter, fc, branches, &Inode::of(*sb.s_root->d_inode)));

	return Stack::create(root);
}

/* Looks up all names in use, for the planned list. */
Result<void> ListChange::prepare(const AsMounter &mounter, struct fs_context *fc,
				 struct super_block &sb, Refresh &refresh) const
{
	auto goes = [this](const Branch &branch) {
		return this->goes(branch);
	};

	return refresh.prepare(mounter, *sb.s_root, TRY(find_root(mounter, fc, sb)),
			       Refresh::Goes(goes));
}

/*
 * Looks up, while other tasks go on, what lock_list() will look up while they wait. Then disks have it in memory, and
 * servers have answered. A name that cannot be looked up now is left to lock_list(). -EINTR if the task is to end.
 */
Result<void> ListChange::warm_up(struct super_block &sb, Answers &answers) const
{
	const Super &super = Super::of(sb);

	shrink_dcache_sb(&sb);

	Refresh refresh(sb, Refresh::Errors::look_on);
	ListLock lock(super);
	AsMounter mounter = super.as_mounter(&answers);

	for (const PlannedBranch &entry : list_) {
		/* They are looked up once more when the branch is claimed. */
		if (entry.is_fresh() && entry.branch->is_served())
			Housekeeping::look_up_dirs(mounter, *entry.branch);
	}

	(void)prepare(mounter, nullptr, sb, refresh).ok();
	return is_being_killed() ? Result<void>(Error{-EINTR}) : Result<void>();
}

/*
 * Takes the list alone, with all names in use looked up. A name may have come into use after warm_up(). If a server has
 * to be asked for it, the list is let go, and the server is asked beside other tasks, in another round. Explains errors
 * in @fc's log.
 */
Result<ListAndRenames> ListChange::lock_list(struct fs_context *fc, struct super_block &sb,
					     Refresh &refresh, Answers &answers) const
{
	const Super &super = Super::of(sb);

	for (int round = 1;; round++) {
		refresh.forget();
		answers.choose(Answers::Asks::all);
		TRY(warm_up(sb, answers));

		auto lock = ListAndRenames::get(sb, super);

		if (lock.error() == -EBUSY) {
			mount_error(
				fc,
				"what has begun on the branches does not end: is one frozen, or its server gone?");
			return Error{-ETIMEDOUT};
		}
		TRY(check(lock.error()));

		AsMounter mounter = super.as_mounter(&answers);

		/* Only a few names have come since. */
		shrink_dcache_sb(&sb);
		answers.choose(round < Answers::most_rounds ? Answers::Asks::nothing :
							      Answers::Asks::missing);

		auto prepared = prepare(mounter, fc, sb, refresh);

		/* An error of another kind is no matter of asking. */
		if (!answers.lacks_some() || (!prepared.ok() && prepared.error() != -EAGAIN)) {
			answers.choose(Answers::Asks::missing);
			TRY(move(prepared));
			return lock;
		}
	}
}

} // namespace aufs
