// SPDX-License-Identifier: GPL-2.0-only
#include "find.hh"
#include "branch/whiteout.hh"
#include "copy_lock.hh"
#include "names_now.hh"
#include "plink.hh"
#include "presence.hh"
#include "refresh.hh"

namespace aufs
{

namespace
{

/* Where a name leads by now. */
enum class NameState : unsigned char { same, other, other_parts };

/* Looks up where the name of @dentry, which lies in @dir, leads by now. */
Result<NameState> look(const ListLock &list, const AsMounter &mounter, struct dentry &dentry,
		       const Inode &dir)
{
	NameSnapshot name(dentry);

	/* The union has no such name, whatever the branches have. */
	if (is_reserved(name.view()) || name.view().size() > max_name)
		return NameState::same;

	Stack found = TRY(find(mounter, dir, name.view(), list));

	if (!dentry.d_inode)
		return found.exists() ? NameState::other : NameState::same;
	if (!found.exists())
		return NameState::other;
	TRY(follow_plink(mounter, dir.super(), found));

	const Inode &inode = Inode::of(*dentry.d_inode);

	if (!is_dir(inode.vfs.i_mode))
		return &found.top.inode() == &inode.h_inode() ? NameState::same : NameState::other;
	if (has_same_parts(inode, found))
		return NameState::same;
	return is_same_directory(mounter, inode, found) ? NameState::other_parts : NameState::other;
}

/* Whether the dcache finds @dentry and all directories above it by their names. */
bool is_hashed(const struct dentry &dentry)
{
	RcuReader reader;

	for (const struct dentry *at = &dentry;;) {
		const struct dentry *parent = AtomicRef(at->d_parent).load_acquire();

		if (parent == at)
			return true;
		if (!AtomicRef(at->d_hash.pprev).load())
			return false;
		at = parent;
	}
}

/*
 * The same. If it leads elsewhere, looks once more under a CopyLock: what the union itself is doing there has ended
 * then.
 */
Result<NameState> look_twice(struct dentry &dentry, unsigned long &changes)
{
	unsigned int sequence = Inode::sequence_of(dentry);
	auto parent = parent_of(dentry);
	Inode &dir = Inode::of(*parent->d_inode);
	ListLock list(dir.super());
	AsMounter mounter = dir.super().as_mounter();

	changes = TRY(dir.watch(list));

	NameState now = TRY(look(list, mounter, dentry, dir));

	if (!dentry.d_inode)
		return now;

	Inode &inode = Inode::of(*dentry.d_inode);

	if (now != NameState::same) {
		auto lock = TRY(CopyLock::get(inode));

		if (inode.is_moving(dentry) || RemovalMark::is(dentry))
			now = NameState::same;
		else
			now = TRY(look(list, mounter, dentry, dir));
	}
	/* The dentry was renamed meanwhile: its old name was looked at, or its old directory. */
	if (now != NameState::same && (sequence % 2 || Inode::sequence_of(dentry) != sequence)) {
		changes = 0;
		now = NameState::same;
	}
	if (now == NameState::same)
		inode.copy_attributes();
	return now;
}

} // namespace

Result<void> check_named(const ListLock &list, const AsMounter &mounter, struct dentry &dentry)
{
	/* The usual case. A name that the union has removed leads nowhere. */
	if (is_hashed(dentry) || RemovalMark::is(dentry))
		return {};

	for (auto at = Ref<struct dentry>::retain(&dentry);;) {
		auto parent = parent_of(*at);

		if (parent.get() == at.get())
			return {};
		if (!at->d_hash.pprev && !RemovalMark::is(*at) && at->d_inode->i_nlink > 0 &&
		    TRY(look(list, mounter, *at, Inode::of(*parent->d_inode))) == NameState::other)
			return Error{-ESTALE};
		at = move(parent);
	}
}

Result<void> check_name(const ListLock &list, const AsMounter &mounter, struct dentry &dentry)
{
	if (dentry.d_hash.pprev)
		return {};

	NameState now = TRY(look(list, mounter, dentry, Inode::of(*dentry.d_parent->d_inode)));

	/* A directory that was dropped did not get the parts that it has on the branches now. */
	return now == NameState::same ? Result<void>() : Error{-ESTALE};
}

Result<bool> is_as_on_branches(struct dentry &dentry, unsigned long &changes)
{
	switch (TRY(look_twice(dentry, changes))) {
	case NameState::same:
		return true;
	case NameState::other_parts:
		return refresh_directory(dentry);
	case NameState::other:
		break;
	}
	return false;
}

} // namespace aufs
