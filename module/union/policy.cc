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

Result<unsigned int> most_free_space(struct dentry &dir, StringView name)
{
	const Super &super = Inode::of(*dir.d_inode).super();
	unsigned int seconds = super.settings().mfs_seconds;
	unsigned int chosen = Super::none;
	u64 most = 0;

	TRY(for_each_candidate(dir, name, [&](unsigned int index) {
		u64 free = super.branch(index).free_space(seconds);

		if (chosen == Super::none || free > most) {
			chosen = index;
			most = free;
		}
	}));
	return chosen;
}

} // namespace

Result<unsigned int> branch_for_new(struct dentry &dir, StringView name, NewKind kind)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	CreatePolicy policy = inode.super().settings().create;
	unsigned int index = Super::none;

	if (policy == CreatePolicy::rr && kind == NewKind::other)
		index = TRY(round_robin(dir, name));
	else if (policy == CreatePolicy::mfs)
		index = TRY(most_free_space(dir, name));
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
