// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up.hh"
#include "dir.hh"
#include "namei.hh"
#include "workfile.hh"

namespace aufs
{

namespace
{

/* One of the two names of a rename. */
struct Side {
	Inode &dir;
	struct dentry &dentry;
	Ref<struct dentry> h_dir; /* once the branch is known */
	bool whiteout_made = false;
	bool opaque_made = false;

	Side(struct inode &d, struct dentry &e) noexcept : dir(Inode::of(d)), dentry(e)
	{
	}
	StringView name() const noexcept
	{
		return name_of(dentry);
	}
	/* Null where the name is free. */
	Inode *inode() const noexcept
	{
		return dentry.d_inode ? &Inode::of(*dentry.d_inode) : nullptr;
	}
	bool directory() const noexcept
	{
		return dentry.d_inode && is_dir(dentry.d_inode->i_mode);
	}
	/*
	 * What moves lies on a rw branch, by this name. A directory that lies, in part, on another
	 * branch would have to be copied with all that is below it: rename(2)'s callers do that.
	 */
	Result<void> prepare_to_move() noexcept
	{
		if (!directory())
			return copy_up_with_name(dentry);
		if (!inode()->on_rw() || inode()->merged())
			return Error{-EXDEV};
		return {};
	}
	/* What branches below @index have under this name. */
	Result<Found> below(unsigned int index) const noexcept
	{
		return find(dir, name(), dir.found().part_on(index) + 1);
	}
	/* Lets the directory that comes to this name from @from not merge with one below. */
	Result<void> prepare_arrival(Side &from, unsigned int index) noexcept
	{
		if (!from.directory())
			return {};

		Found found = TRY(below(index));

		if (!found.exists() || !is_dir(found.top.dentry->d_inode->i_mode))
			return {};
		from.opaque_made =
			TRY(make_opaque(dir.super().branch(index), from.inode()->h_dentry()));
		return {};
	}
	/* What is hidden below when this name goes. */
	Result<void> cover(unsigned int index) noexcept
	{
		if (TRY(below(index)).exists())
			whiteout_made =
				TRY(make_whiteout(dir.super().branch(index), *h_dir, name()));
		return {};
	}
	void undo(unsigned int index) noexcept
	{
		const Branch &branch = dir.super().branch(index);

		if (whiteout_made)
			(void)remove_whiteout(branch, *h_dir, name()).ok();
		if (opaque_made)
			undo_opaque(branch, inode()->h_dentry());
	}
	/* @came is here now. */
	void arrived(const Inode &came, unsigned int index) noexcept
	{
		if (!came.has_natural_number())
			note_impure(dir, {h_dir.clone(), index});
	}
};

/* The rename itself; both names are as the union has them. */
Result<void> rename_on_branch(const Branch &branch, const Side &from, const Side &to,
			      unsigned int flags) noexcept
{
	bool exchange = flags & RENAME_EXCHANGE;
	RenameLock lock(*from.h_dir, *to.h_dir);

	if (!lock.locked())
		return Error{-EXDEV};

	auto h_from = TRY(lookup_locked(branch, *from.h_dir, from.name()));
	auto h_to = TRY(lookup_locked(branch, *to.h_dir, to.name()));

	if (h_from->d_inode != &from.inode()->h_inode())
		return Error{-ESTALE};
	if (exchange && h_to->d_inode != &to.inode()->h_inode())
		return Error{-ESTALE};
	if (lock.traps(*h_from))
		return Error{-EINVAL};
	if (lock.traps(*h_to))
		return Error{exchange ? -EINVAL : -ENOTEMPTY};
	return check(aufs_rename(branch.mnt(), from.h_dir->d_inode, h_from.get(), to.h_dir->d_inode,
				 h_to.get(), flags));
}

/*
 * Moves @from over @to. A directory that is replaced is empty for users, and on its branch is
 * whatever hides what is below it: it is taken away first, and comes back if the rename fails.
 */
Result<void> replace(const Branch &branch, Side &from, Side &to, unsigned int index,
		     unsigned int flags) noexcept
{
	Inode *replaced = to.directory() ? to.inode() : nullptr;
	unsigned int part = replaced ? replaced->found().part_on(index) : 0;

	if (!replaced || part == replaced->found().parts())
		return rename_on_branch(branch, from, to, flags);
	TRY(to.cover(index));

	Grave grave = TRY(
		Grave::bury(branch, *to.h_dir, to.name(), *replaced->found().part(part).dentry));
	auto renamed = rename_on_branch(branch, from, to, flags);

	if (!renamed.ok())
		grave.exhume(*to.h_dir, to.name());
	return renamed;
}

/* What the union knows of the two inodes afterwards. */
void note_moved(Side &from, Side &to, unsigned int index, bool exchange,
		bool replaced_on_rw) noexcept
{
	to.arrived(*from.inode(), index);
	from.inode()->copy_attributes();
	if (Inode *other = to.inode()) {
		if (exchange)
			from.arrived(*other, index);
		if (exchange || (replaced_on_rw && !to.directory()))
			other->copy_links();
		else if (to.directory())
			set_nlink(&other->vfs, 0);
		else
			note_lower_name_gone(*other);
	}
	from.dir.copy_links();
	to.dir.copy_links();
}

Result<void> rename_checked(Side from, Side to, unsigned int flags) noexcept
{
	const Super &super = from.dir.super();
	bool exchange = flags & RENAME_EXCHANGE;

	if (flags & ~static_cast<unsigned int>(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return Error{-EINVAL};
	TRY(check_new_name(to.name()));

	ScopedCreds creds(super.mounter());

	if (!exchange && to.directory() && !TRY(is_logically_empty(*to.inode())))
		return Error{-ENOTEMPTY};
	TRY(from.prepare_to_move());
	if (exchange)
		TRY(to.prepare_to_move());

	unsigned int index = from.inode()->top().branch;

	if (exchange && to.inode()->top().branch != index)
		return Error{-EXDEV};
	TRY(check_not_hidden(to.dir, to.name(), index));
	from.h_dir = TRY(copy_up_directory(*from.dentry.d_parent, index));
	to.h_dir = TRY(copy_up_directory(*to.dentry.d_parent, index));

	const Branch &branch = super.branch(index);
	auto write = TRY(BranchWrite::get(branch.mnt()));
	ScopeExit undo([&] {
		from.undo(index);
		to.undo(index);
	});
	bool replaced_on_rw = false;

	TRY(to.prepare_arrival(from, index));
	if (exchange) {
		TRY(from.prepare_arrival(to, index));
		TRY(rename_on_branch(branch, from, to, flags));
	} else {
		replaced_on_rw = static_cast<bool>(TRY(lookup_in(branch, *to.h_dir, to.name())));
		TRY(from.cover(index));
		TRY(replace(branch, from, to, index, flags));
	}
	undo.dismiss();
	/*
	 * The name is there now and comes before the whiteout, which hides what it hid. One that
	 * cannot be removed does no harm, and a rename that has replaced a file cannot be undone.
	 */
	if (!exchange) {
		if (auto removed = remove_whiteout(branch, *to.h_dir, to.name()); !removed.ok())
			aufs_warn("branch '%s': a spent whiteout stays in inode %lu (errno %d)",
				  branch.name().data(), to.h_dir->d_inode->i_ino, -removed.error());
	}
	note_moved(from, to, index, exchange, replaced_on_rw);
	return {};
}

} // namespace

int rename(AUFS_IDMAP *, struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
	   struct dentry *new_dentry, unsigned int flags) noexcept
{
	return to_errno(
		rename_checked(Side(*old_dir, *old_dentry), Side(*new_dir, *new_dentry), flags));
}

} // namespace aufs
