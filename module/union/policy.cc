// SPDX-License-Identifier: GPL-2.0-only
#include "find.hh"
#include "policy.hh"

namespace aufs
{

namespace
{

/* The topmost rw branch that has @dir, where a whiteout of @name does not hide it; else above it. */
Result<unsigned int> top_down(const Inode &dir, StringView name)
{
	const Super &super = dir.super();
	const Found &found = dir.found();

	for (unsigned int i = 0; i < found.parts(); i++) {
		const BranchDentry &part = found.part(i);
		const Branch &branch = super.branch(part.branch);

		if (branch.writable())
			return part.branch;
		/* What is made below it would not be seen. */
		if (TRY(find_whiteout(branch, *part.dentry, name))) {
			if (super.rw_above(part.branch) == Super::none)
				return Error{-EROFS};
			break;
		}
	}

	unsigned int index = super.rw_above(found.top.branch);

	if (index == Super::none)
		index = super.rw_above(found.bottom);
	if (index == Super::none)
		return Error{-EROFS};
	return index;
}

/* The branch from which on a new @name in @dir would be hidden: the first that has a whiteout. */
Result<unsigned int> lowest_for(const Inode &dir, StringView name)
{
	const Super &super = dir.super();
	const Found &found = dir.found();

	for (unsigned int i = 0; i < found.parts(); i++) {
		const BranchDentry &part = found.part(i);

		if (TRY(find_whiteout(super.branch(part.branch), *part.dentry, name)))
			return part.branch;
	}
	return super.count() - 1;
}

} // namespace

Result<bool> shows_below(struct dentry &dir, unsigned int index)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	const Super &super = inode.super();
	const BranchDentry &lowest = inode.found().part(inode.found().parts() - 1);
	auto parent = parent_of(dir);
	NameSnapshot name(dir);

	/* Of the root all branches have a part. */
	if (parent.get() == &dir || TRY(is_opaque(super.branch(lowest.branch), *lowest.dentry)))
		return false;

	const Found &above = Inode::of(*parent->d_inode).found();

	for (unsigned int i = 0; i < above.parts(); i++) {
		const BranchDentry &part = above.part(i);
		const Branch &branch = super.branch(part.branch);

		if (part.branch < lowest.branch || part.branch > index)
			continue;
		if (TRY(find_whiteout(branch, *part.dentry, name.view())))
			return false;
		if (part.branch > lowest.branch &&
		    TRY(lookup_in(branch, *part.dentry, name.view())))
			return false;
	}
	return true;
}

namespace
{

/* Whether what branch @index has in @dir, or gets, is seen there. */
Result<bool> shows(struct dentry &dir, unsigned int index)
{
	auto at = Ref<struct dentry>::retain(&dir);

	for (;;) {
		const Found &found = Inode::of(*at->d_inode).found();

		if (index < found.bottom || found.part_on(index) < found.parts())
			return true;
		if (!TRY(shows_below(*at, index)))
			return false;
		at = parent_of(*at);
	}
}

/* Calls @action(index) for each rw branch on which @name can be made in @dir, from the top. */
template <class Action>
Result<void> for_each_candidate(struct dentry &dir, StringView name, Action &&action)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	const Super &super = inode.super();
	unsigned int lowest = TRY(lowest_for(inode, name));

	for (unsigned int i = 0; i <= lowest; i++) {
		const Branch &branch = super.branch(i);

		if (branch.writable() && !aufs_mnt_is_readonly(branch.mnt()) && TRY(shows(dir, i)))
			action(i);
	}
	return {};
}

Result<unsigned int> round_robin(struct dentry &dir, StringView name)
{
	unsigned int count = 0;
	unsigned int chosen = Super::none;

	TRY(for_each_candidate(dir, name, [&count](unsigned int) { count++; }));
	if (!count)
		return chosen;

	unsigned int turn = Inode::of(*dir.d_inode).super().next_turn() % count;

	count = 0;
	TRY(for_each_candidate(dir, name, [&](unsigned int index) {
		if (count++ <= turn)
			chosen = index;
	}));
	return chosen;
}

/* A rw branch, or none, and how much of it is free. */
struct Space {
	unsigned int index = Super::none;
	u64 free = 0;
};

/* Of which branches: all on which the new object is seen, or those that have its directory. */
enum class Among : unsigned char { all, with_parent };

bool is_among(const Inode &dir, unsigned int index, Among among)
{
	const Found &found = dir.found();

	return among == Among::all || found.part_on(index) < found.parts();
}

Result<Space> most_free(struct dentry &dir, StringView name, Among among)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	const Super &super = inode.super();
	unsigned int seconds = super.settings().mfs_seconds;
	Space most;

	TRY(for_each_candidate(dir, name, [&](unsigned int index) {
		if (!is_among(inode, index, among))
			return;

		u64 free = super.branch(index).free_space(seconds);

		if (most.index == Super::none || free > most.free)
			most = {index, free};
	}));
	return most;
}

/* The topmost with as much space as the watermark says, whether or not it has the directory. */
Result<unsigned int> topmost_with_space(struct dentry &dir, StringView name)
{
	const Super &super = Inode::of(*dir.d_inode).super();
	Settings settings = super.settings();
	unsigned int chosen = Super::none;

	TRY(for_each_candidate(dir, name, [&](unsigned int index) {
		if (chosen == Super::none &&
		    super.branch(index).free_space(settings.mfs_seconds) >= settings.watermark)
			chosen = index;
	}));
	return chosen;
}

/* By mfs, or by rr where no branch has as much space as the watermark says. */
Result<unsigned int> most_free_or_robin(struct dentry &dir, StringView name, NewKind kind)
{
	Space most = TRY(most_free(dir, name, Among::all));

	if (most.free >= Inode::of(*dir.d_inode).super().settings().watermark ||
	    kind == NewKind::directory)
		return most.index;
	return round_robin(dir, name);
}

/* None where @policy has no opinion, or finds no branch. */
Result<unsigned int> branch_by(CreatePolicy policy, struct dentry &dir, StringView name,
			       NewKind kind)
{
	Space most;

	switch (policy) {
	case CreatePolicy::tdp:
		break;
	case CreatePolicy::rr:
		if (kind == NewKind::other)
			return round_robin(dir, name);
		break;
	case CreatePolicy::mfs:
		most = TRY(most_free(dir, name, Among::all));
		break;
	case CreatePolicy::mfsrr:
		return most_free_or_robin(dir, name, kind);
	case CreatePolicy::pmfs:
		most = TRY(most_free(dir, name, Among::with_parent));
		break;
	case CreatePolicy::pmfsrr:
		most = TRY(most_free(dir, name, Among::with_parent));
		if (most.index == Super::none ||
		    most.free < Inode::of(*dir.d_inode).super().settings().watermark)
			return most_free_or_robin(dir, name, kind);
		break;
	case CreatePolicy::tdmfs:
		most.index = TRY(topmost_with_space(dir, name));
		if (most.index == Super::none)
			most = TRY(most_free(dir, name, Among::all));
		break;
	}
	return most.index;
}

} // namespace

Result<unsigned int> branch_for_new(struct dentry &dir, StringView name, NewKind kind)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	CreatePolicy policy = inode.super().settings().create;
	unsigned int index = TRY(branch_by(policy, dir, name, kind));

	return index == Super::none ? top_down(inode, name) : Result<unsigned int>(index);
}

Result<unsigned int> branch_for_copy(const Inode &parent, unsigned int source)
{
	const Super &super = parent.super();
	const Found &found = parent.found();
	CopyPolicy policy = super.settings().copy_up;
	unsigned int index = Super::none;

	if (policy != CopyPolicy::bu) {
		for (unsigned int i = 0; i < found.parts() && found.part(i).branch < source; i++) {
			if (!super.branch(found.part(i).branch).writable())
				continue;
			index = found.part(i).branch;
			if (policy == CopyPolicy::tdp)
				break;
		}
	}
	if (index == Super::none)
		index = super.rw_above(source);
	if (index == Super::none)
		return Error{-EROFS};
	return index;
}

} // namespace aufs
