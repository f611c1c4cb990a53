// SPDX-License-Identifier: GPL-2.0-only
#include "find.hh"
#include "policy.hh"

namespace aufs
{

namespace
{

/*
 * The topmost rw branch that has @dir and no whiteout of @name above it. Else the nearest rw branch above all parts of
 * @dir. Else the nearest one above the uppermost whiteout of @name, or without a whiteout, above the lowest part.
 */
Result<const Branch *> top_down(const AsMounter &mounter, const Inode &dir, StringView name)
{
	const Super &super = dir.super();
	const Stack &found = dir.stack();
	const Branch *below = found.bottom;

	for (const Part &part : found) {
		if (part.branch->writable())
			return part.branch;
		/* An object that is made below the whiteout would not be seen. */
		if (TRY(find_whiteout(mounter, part, name))) {
			below = part.branch;
			break;
		}
	}

	const Branch *rw = super.rw_above(*found.top.branch);

	if (!rw)
		rw = super.rw_above(*below);
	if (!rw)
		return Error{-EROFS};
	return rw;
}

/*
 * The lowest branch on which a new @name in @dir would be seen: the first that has a whiteout of it. Null if that is no
 * limit.
 */
Result<const Branch *> lowest_for(const AsMounter &mounter, const Inode &dir, StringView name)
{
	for (const Part &part : dir.stack()) {
		if (TRY(find_whiteout(mounter, part, name)))
			return part.branch;
	}
	return nullptr;
}

} // namespace

Result<bool> shows_below(const AsMounter &mounter, struct dentry &dir, const Branch &target)
{
	const Part &lowest = Inode::of(*dir.d_inode).stack().lowest();
	auto parent = parent_of(dir);
	NameSnapshot name(dir);

	/* The root has parts on all branches, down to an opaque one. */
	if (parent.get() == &dir || TRY(is_opaque(mounter, lowest)))
		return false;

	for (const Part &part : Inode::of(*parent->d_inode).stack()) {
		const Branch &branch = *part.branch;

		if (branch.is_above(*lowest.branch) || target.is_above(branch))
			continue;
		if (TRY(find_whiteout(mounter, part, name.view())))
			return false;
		if (lowest.branch->is_above(branch) && TRY(lookup_in(mounter, part, name.view())))
			return false;
	}
	return true;
}

namespace
{

/* Whether users see the part of @dir on @branch, or would see it if it is made. */
Result<bool> shows(const AsMounter &mounter, struct dentry &dir, const Branch &branch)
{
	auto at = Ref<struct dentry>::retain(&dir);

	for (;;) {
		const Stack &found = Inode::of(*at->d_inode).stack();

		if (branch.is_above(*found.bottom) || found.has_part_on(branch))
			return true;
		if (!TRY(shows_below(mounter, *at, branch)))
			return false;
		at = parent_of(*at);
	}
}

/* Calls @action(branch) for each rw branch on which @name can be made in @dir, from the top. */
template <class Action>
Result<void> for_each_candidate(const AsMounter &mounter, struct dentry &dir, StringView name,
				Action &&action)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	const Branch *lowest = TRY(lowest_for(mounter, inode, name));

	for (const Branch &branch : inode.super().branches()) {
		if (lowest && lowest->is_above(branch))
			break;
		if (branch.writable() && !branch.mount_is_read_only() &&
		    TRY(shows(mounter, dir, branch)))
			action(branch);
	}
	return {};
}

/* The next branch in turn. Null if there is none. */
Result<const Branch *> round_robin(const AsMounter &mounter, struct dentry &dir, StringView name)
{
	unsigned int count = 0;
	const Branch *chosen = nullptr;

	TRY(for_each_candidate(mounter, dir, name, [&count](const Branch &) { count++; }));
	if (!count)
		return chosen;

	unsigned int turn = Inode::of(*dir.d_inode).super().next_turn() % count;

	count = 0;
	TRY(for_each_candidate(mounter, dir, name, [&](const Branch &branch) {
		if (count++ <= turn)
			chosen = &branch;
	}));
	return chosen;
}

/* A rw branch, or null, and the bytes that are free there. */
struct Space {
	const Branch *branch = nullptr;
	u64 free = 0;
};

/* Which branches may be chosen: all on which the new object is seen, or only those that have its directory. */
enum class Among : unsigned char { all, with_parent };

bool is_among(const Inode &dir, const Branch &branch, Among among)
{
	return among == Among::all || dir.stack().has_part_on(branch);
}

Result<Space> most_free(const AsMounter &mounter, struct dentry &dir, StringView name, Among among)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	unsigned int seconds = inode.super().settings().mfs_seconds;
	Space most;

	TRY(for_each_candidate(mounter, dir, name, [&](const Branch &branch) {
		if (!is_among(inode, branch, among))
			return;

		u64 free = branch.free_space(seconds);

		if (!most.branch || free > most.free)
			most = {&branch, free};
	}));
	return most;
}

/*
 * The topmost branch with as much space as the watermark says, whether or not it has the directory. Null if there is
 * none.
 */
Result<const Branch *> topmost_with_space(const AsMounter &mounter, struct dentry &dir,
					  StringView name)
{
	Settings settings = Inode::of(*dir.d_inode).super().settings();
	const Branch *chosen = nullptr;

	TRY(for_each_candidate(mounter, dir, name, [&](const Branch &branch) {
		if (!chosen && branch.free_space(settings.mfs_seconds) >= settings.watermark)
			chosen = &branch;
	}));
	return chosen;
}

/* By mfs. If no branch has as much space as the watermark says, by rr, except for directories. */
Result<const Branch *> most_free_or_robin(const AsMounter &mounter, struct dentry &dir,
					  StringView name, NewKind kind)
{
	Space most = TRY(most_free(mounter, dir, name, Among::all));

	if (most.free >= Inode::of(*dir.d_inode).super().settings().watermark ||
	    kind == NewKind::directory)
		return most.branch;
	return round_robin(mounter, dir, name);
}

/* The branch that @policy chooses. Null if it chooses none: then it is as by tdp. */
Result<const Branch *> branch_by(const AsMounter &mounter, CreatePolicy policy, struct dentry &dir,
				 StringView name, NewKind kind)
{
	Space most;

	switch (policy) {
	case CreatePolicy::tdp:
		break;
	case CreatePolicy::rr:
		if (kind == NewKind::other)
			return round_robin(mounter, dir, name);
		break;
	case CreatePolicy::mfs:
		most = TRY(most_free(mounter, dir, name, Among::all));
		break;
	case CreatePolicy::mfsrr:
		return most_free_or_robin(mounter, dir, name, kind);
	case CreatePolicy::pmfs:
		most = TRY(most_free(mounter, dir, name, Among::with_parent));
		break;
	case CreatePolicy::pmfsrr:
		most = TRY(most_free(mounter, dir, name, Among::with_parent));
		if (!most.branch ||
		    most.free < Inode::of(*dir.d_inode).super().settings().watermark)
			return most_free_or_robin(mounter, dir, name, kind);
		break;
	case CreatePolicy::tdmfs:
		most.branch = TRY(topmost_with_space(mounter, dir, name));
		if (!most.branch)
			most = TRY(most_free(mounter, dir, name, Among::all));
		break;
	}
	return most.branch;
}

} // namespace

Result<const Branch *> branch_for_new(const AsMounter &mounter, struct dentry &dir, StringView name,
				      NewKind kind)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	CreatePolicy policy = inode.super().settings().create;
	const Branch *branch = TRY(branch_by(mounter, policy, dir, name, kind));

	return branch ? Result<const Branch *>(branch) : top_down(mounter, inode, name);
}

Result<const Branch *> branch_for_copy(const Inode &parent, const Branch &source)
{
	const Super &super = parent.super();
	CopyPolicy policy = super.settings().copy_up;
	const Branch *chosen = nullptr;

	if (policy != CopyPolicy::bu) {
		for (const Part &part : parent.stack().above(source)) {
			if (!part.branch->writable())
				continue;
			chosen = part.branch;
			if (policy == CopyPolicy::tdp)
				break;
		}
	}
	if (!chosen)
		chosen = super.rw_above(source);
	if (!chosen)
		return Error{-EROFS};
	return chosen;
}

} // namespace aufs
