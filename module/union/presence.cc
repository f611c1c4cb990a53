// SPDX-License-Identifier: GPL-2.0-only
#include "copy_lock.hh"
#include "find.hh"
#include "names_now.hh"
#include "plink.hh"
#include "presence.hh"

namespace aufs
{

namespace
{

/*
 * The part of @dir on @branch, or null. A task without the list's lock, @list, is under RCU and finds it only if it is
 * the uppermost part: a change of the list takes the lower parts out of a stack that others look at.
 */
const struct dentry *part_of(const Inode &dir, const Branch &branch, const ListLock *list)
{
	const Stack &found = dir.stack();

	if (list)
		return found.dentry_on(branch);
	return found.top.branch == &branch ? found.top.dentry.get() : nullptr;
}

/*
 * Whether the branch has @top by the name of @dentry, in its part of the directory, as far as the dcache knows. Names
 * may change meanwhile: after a "no" the caller looks again. RCU keeps both names in memory, and a name always ends
 * with a zero.
 */
bool has_same_name(const struct dentry &dentry, const Part &top, const ListLock *list)
{
	RcuReader reader;
	const struct dentry &parent = *AtomicRef(dentry.d_parent).load_acquire();
	const struct inode *dir = AtomicRef(parent.d_inode).load_acquire();
	const struct dentry *h_parent = AtomicRef(top.dentry->d_parent).load_acquire();
	const auto *name = AtomicRef(dentry.d_name.name).load_acquire();
	const auto *h_name = AtomicRef(top.dentry->d_name.name).load_acquire();

	return dir && part_of(Inode::of(*dir), *top.branch, list) == h_parent &&
	       strcmp(reinterpret_cast<const char *>(name),
		      reinterpret_cast<const char *>(h_name)) == 0;
}

bool is_in_place(const struct dentry &dentry, const Part &top, const ListLock *list)
{
	return top.dentry.get() == &top.branch->root() ||
	       (top.dentry->d_hash.pprev && lies_on_branch(top) &&
		has_same_name(dentry, top, list));
}

/* Whether a lookup of the name of @dentry on the branch finds @top. */
Result<bool> is_found_by_name(const AsMounter &mounter, struct dentry &dentry, const Part &top)
{
	const Branch &branch = *top.branch;
	auto parent = parent_of(dentry);
	auto h_parent =
		Ref<struct dentry>::retain(Inode::of(*parent->d_inode).stack().dentry_on(branch));

	if (!h_parent || !lies_on_branch({branch, *h_parent}))
		return false;

	NameSnapshot name(dentry);
	auto found = TRY(lookup_in(mounter, {branch, *h_parent}, name.view()));

	return found && found->d_inode == &top.inode();
}

/* Whether a branch above @branch hides the name of @dentry in @parent, its directory. */
Result<bool> is_hidden_in(const AsMounter &mounter, struct dentry &dentry, const Inode &parent,
			  const Branch &branch)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	NameSnapshot name(dentry);

	for (const Part &part : parent.stack().above(branch)) {
		if (TRY(find_whiteout(mounter, part, name.view())) || TRY(is_opaque(mounter, part)))
			return true;

		auto found = TRY(lookup_in(mounter, part, name.view()));

		if (!found)
			continue;

		PartRef object(*part.branch, *found);

		if (inode.shows(mounter, object))
			continue;

		/* If the directory is just getting its part there, it has it when the lock is free. */
		auto lock = TRY(CopyLock::get(inode));

		if (!inode.shows(mounter, object))
			return true;
	}
	return false;
}

/* The same for @dentry and all directories above it. */
Result<bool> is_hidden(const AsMounter &mounter, struct dentry &dentry, const Branch &branch)
{
	auto at = Ref<struct dentry>::retain(&dentry);

	for (;;) {
		auto parent = parent_of(*at);

		if (parent.get() == at.get())
			return false;
		if (TRY(is_hidden_in(mounter, *at, Inode::of(*parent->d_inode), branch)))
			return true;
		at = move(parent);
	}
}

/* Whether a name of the branch leads to @top: that of @dentry, or a pseudo-link wherever the name is. */
Result<bool> is_found(const ListLock &list, const AsMounter &mounter, struct dentry &dentry,
		      const Part &top)
{
	const Inode &inode = Inode::of(*dentry.d_inode);

	if (is_in_place(dentry, top, &list))
		return true;
	if (inode.links() > 0 && top.inode().i_nlink > 0 &&
	    TRY(has_plink(mounter, inode.super(), top, inode.identity())))
		return true;
	/* @top may have several names, or have had another one, or its filesystem may have just forgotten this one. */
	return is_found_by_name(mounter, dentry, top);
}

Result<bool> is_present(const ListLock &list, struct dentry &dentry)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	AsMounter mounter = inode.super().as_mounter();

	if (inode.branch().has_left())
		return false;
	if (!inode.branch().is_topmost() && TRY(is_hidden(mounter, dentry, inode.branch())))
		return false;
	if (TRY(is_found(list, mounter, dentry, inode.top())))
		return true;

	/* Between the rename on the branch and that in the VFS it has two names. */
	auto lock = TRY(CopyLock::get(inode));

	return inode.is_moving(dentry) || TRY(is_found(list, mounter, dentry, inode.top()));
}

} // namespace

namespace
{

/*
 * Whether the union has removed the name of @dentry, or it is that of a file that never had one. That the file has no
 * name left does not say who removed this one. But if no walk finds @dentry any more, only tasks that have the file
 * open come here. They may go on: the last name may have gone by another dentry.
 */
bool is_gone_by_the_union(const struct dentry &dentry, const Inode &inode)
{
	return RemovalMark::is(dentry) || (inode.vfs.i_nlink == 0 && !dentry.d_hash.pprev);
}

/*
 * Whether no second look is needed. As a rule it is in its place on the topmost branch. Or its name is gone through the
 * union. Needs no lock.
 */
bool is_undoubted(const struct dentry &dentry, const Inode &inode)
{
	const Part &top = inode.top();

	return (top.branch->is_topmost() && is_in_place(dentry, top, nullptr)) ||
	       is_gone_by_the_union(dentry, inode);
}

} // namespace

Result<void> check_presence(const ListLock &list, struct dentry &dentry)
{
	const Inode &inode = Inode::of(*dentry.d_inode);

	if (is_undoubted(dentry, inode) || TRY(is_present(list, dentry)))
		return {};
	return Error{-ESTALE};
}

Result<void> check_presence(struct dentry &dentry)
{
	const Inode &inode = Inode::of(*dentry.d_inode);

	if (is_undoubted(dentry, inode))
		return {};

	ListLock list(inode.super());

	return check_presence(list, dentry);
}

Result<void> check_seen(const ListLock &list, const AsMounter &mounter, struct dentry &dir,
			const Branch &branch)
{
	TRY(check_named(list, mounter, dir));
	return !branch.is_topmost() && TRY(is_hidden(mounter, dir, branch)) ? Error{-ESTALE} :
									      Result<void>();
}

} // namespace aufs
