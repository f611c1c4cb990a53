/* SPDX-License-Identifier: GPL-2.0-only */
/* A rename: its two names, and how one takes the other's place on a branch. */
#pragma once

#include "copy_up/copy_up.hh"
#include "dir.hh"
#include "branch/entry.hh"
#include "namei.hh"
#include "union/copy_lock.hh"
#include "union/policy.hh"

namespace aufs
{

/* One of the two names of a rename. */
struct RenameSide {
	const ListLock &list;
	Inode &dir;
	struct dentry &dentry;
	Ref<struct dentry> h_dir; /* once the branch is known */
	bool whiteout_made = false;
	bool opaque_made = false;
	bool held = false;

	RenameSide(const ListLock &l, struct inode &d, struct dentry &e)
		: list(l), dir(Inode::of(d)), dentry(e)
	{
	}
	StringView name() const
	{
		return name_of(dentry);
	}
	/* Null if the name is free. */
	Inode *inode() const
	{
		return dentry.d_inode ? &Inode::of(*dentry.d_inode) : nullptr;
	}
	/* Whether @h_dentry is what the union shows by this name. */
	bool shows(const Writer &writer, struct dentry &h_dentry) const
	{
		const Inode *known = inode();

		if (!known)
			return false;
		return known->shows(writer.mounter(), {writer.branch(), h_dentry});
	}
	bool directory() const
	{
		return dentry.d_inode && is_dir(dentry.d_inode->i_mode);
	}
	/*
	 * Brings the object to the rw branch @branch, by this name. A directory with a part on another branch would
	 * have to be copied with all that is below it: -EXDEV has callers of rename(2) do that.
	 */
	Result<void> prepare_to_move(const Branch &branch)
	{
		if (!directory())
			TRY(copy_up_with_name(list, dentry));
		if (inode()->top().branch != &branch)
			return Error{-EXDEV};
		return {};
	}
	/* The branch on which the rename will happen: it is to be known before anything is changed. */
	Result<const Branch *> branch_to_move() const
	{
		/* Read once: a copy-up by another task changes it. */
		const Stack &found = inode()->stack();
		const Branch &top = *found.top.branch;
		bool on_rw = top.writable();

		if (directory() && (!on_rw || found.lower_count > 0))
			return Error{-EXDEV};
		if (on_rw)
			return &top;
		return branch_for_copy(dir, top);
	}
	/* The object that branches below @branch have under this name. */
	Result<Stack> below(const AsMounter &mounter, const Branch &branch) const
	{
		return find_below(mounter, dir, name(), branch, list);
	}
	/*
	 * Marks the inode as moving, until the VFS has moved it as well. A directory stays on @branch alone meanwhile:
	 * a task that makes something in it may be about to give it a part on another branch.
	 */
	Result<void> hold(const Branch &branch)
	{
		auto lock = TRY(CopyLock::get(*inode()));

		if (directory() && (inode()->merged() || inode()->top().branch != &branch))
			return Error{-EXDEV};
		inode()->begin_move(lock, dentry);
		held = true;
		return {};
	}
	void release() const
	{
		if (!held)
			return;

		CopyLock lock(*inode());

		inode()->cancel_move(lock);
	}
	/*
	 * Makes a directory that comes to this name from @from opaque, if it would merge with one below; with
	 * diropq=always in any case.
	 */
	Result<void> prepare_arrival(const Writer &writer, RenameSide &from) const
	{
		if (!from.directory())
			return {};
		if (!dir.super().settings().always_opaque) {
			Stack found = TRY(below(writer.mounter(), writer.branch()));

			if (!found.exists() || !is_dir(found.top.inode().i_mode))
				return {};
		}

		struct dentry &h_dentry = from.inode()->h_dentry();

		from.opaque_made = TRY(make_opaque(writer, h_dentry));
		return settle_names(writer, h_dentry);
	}
	/* Makes a whiteout, if something below would come to light when this name goes. */
	Result<void> cover(const Writer &writer)
	{
		if (TRY(below(writer.mounter(), writer.branch())).exists()) {
			whiteout_made |= TRY(make_whiteout(writer, *h_dir, name()));
			TRY(settle_names(writer, *h_dir));
		}
		return {};
	}
	void undo(const Writer &writer) const
	{
		SignalsBlocked signals(SignalsBlocked::Which::all);

		if (whiteout_made)
			(void)remove_whiteout(writer, *h_dir, name()).ok();
		if (opaque_made)
			undo_opaque(writer, inode()->h_dentry());
	}
};

/*
 * The kind of object that may lie at the new name on the branch: the one that the union shows there, or one that a
 * branch above hides.
 */
enum class Replaces : unsigned char { known, hidden };

/* The rename itself. -ESTALE if the branch does not have the names as the union has them. */
Result<void> rename_on_branch(const Writer &writer, const RenameSide &from, const RenameSide &to,
			      unsigned int flags, Replaces replaces);
/*
 * Moves @from over @to. A directory that is replaced is empty for users, but on its branch may have what hides
 * something below it: then it is taken away first, and comes back if the rename fails.
 */
Result<void> replace(const Writer &writer, RenameSide &from, RenameSide &to, unsigned int flags,
		     Replaces replaces);
/*
 * Moves @from over @to, which a rw branch above @branch hides. Whenever the machine stops, there is the old state or
 * the new one, whatever filesystems the branches are on. A file is linked to the hidden name first, and has both names
 * for a while. If an object cannot be linked, there is nothing at the new name for a while, and before that a whiteout
 * for what lies below. -EXDEV if it cannot be done in steps that can be taken back. (If an object that cannot be
 * linked replaces a file, a stop may leave neither.)
 */
Result<void> replace_below(const AsMounter &mounter, const Branch &branch, RenameSide &from,
			   RenameSide &to);

} // namespace aufs
