// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up/copy_up.hh"
#include "dir.hh"
#include "branch/entry.hh"
#include "namei.hh"
#include "union/names_now.hh"
#include "union/plink.hh"
#include "union/policy.hh"
#include "union/presence.hh"
#include "branch/workfile.hh"

namespace aufs
{

namespace
{

/* Removes a directory in which users see nothing: it may be full of whiteouts. */
Result<void> remove_directory(const Writer &writer, struct dentry &h_dir, StringView name,
			      struct dentry &victim)
{
	auto removed = remove_entry(writer, h_dir, name, victim.d_inode, &DirLock::rmdir);

	if (removed.ok())
		return {};
	if (removed.error() != -ENOTEMPTY)
		return Error{removed.error()};

	Grave grave = TRY(Grave::bury(writer, h_dir, name, victim));

	return grave.close(writer, h_dir, name);
}

/* Where the branches have a name: a pseudo-link may serve a name that only a lower branch has. */
struct RemovalSite {
	Stack found;
	bool on_rw = false; /* the name is removed from its branch; else a whiteout hides it */
	const Branch *branch = nullptr; /* the branch that is changed */

	static Result<RemovalSite> find(const ListLock &list, const AsMounter &mounter,
					const Inode &dir, StringView name)
	{
		RemovalSite site;

		site.found = TRY(aufs::find(mounter, dir, name, list));
		if (!site.found.exists())
			return Error{-ESTALE};

		const Branch &top = *site.found.top.branch;

		site.on_rw = top.writable();
		site.branch = site.on_rw ? &top : TRY(branch_for_copy(dir, top));
		return site;
	}
};

/*
 * Removes @victim, which is @name in @h_dir, the part of @dir, or hides it there. Returns whether the name was
 * removed.
 */
Result<bool> remove_at(const ListLock &list, const AsMounter &mounter, const Inode &dir,
		       struct dentry &h_dir, StringView name, const RemovalSite &site,
		       const Inode &victim)
{
	/* Somebody has made that object directly: nobody has asked to remove it. */
	if (site.on_rw && !victim.shows(mounter, site.found.top))
		return Error{-ESTALE};

	const Branch &branch = *site.branch;
	auto writer = TRY(branch.write(mounter));
	bool below = !site.on_rw || TRY(find_below(mounter, dir, name, branch, list)).exists();
	bool made = below && TRY(make_whiteout(writer, h_dir, name));
	ScopeExit undo([&] {
		SignalsBlocked signals(SignalsBlocked::Which::all);

		if (made)
			(void)remove_whiteout(writer, h_dir, name).ok();
	});

	bool removed = site.on_rw;

	if (below && removed)
		TRY(settle_names(writer, h_dir));
	if (!site.on_rw) {
		/* Somebody has made that object directly, too. */
		if (TRY(lookup_in(mounter, {branch, h_dir}, name)))
			return Error{-ESTALE};
	} else if (!is_dir(victim.vfs.i_mode)) {
		removed = TRY(remove_entry(writer, h_dir, name, &site.found.top.inode(),
					   &DirLock::unlink));
	} else {
		TRY(remove_directory(writer, h_dir, name, *site.found.top.dentry));
	}
	undo.dismiss();
	return removed;
}

/* Notes that the name of @victim at @site is gone; @removed: from its branch. */
void note_gone(const CopyLock &lock, const AsMounter &mounter, Inode &victim,
	       const RemovalSite &site, bool removed)
{
	if (is_dir(victim.vfs.i_mode))
		victim.note_removed();
	/* A pseudo-link may serve a name on a lower branch that is written to by now. */
	else if (removed && (victim.links() <= 1 || &site.found.top.inode() == &victim.h_inode()))
		note_name_gone(lock, mounter, victim);
	/* The name only claimed to be one of @victim's, and was not counted (claimed_identity_of()). */
	else if (!removed && victim.on_rw() && !victim.shows(mounter, site.found.top))
		victim.copy_links();
	else
		note_lower_name_gone(lock, mounter, victim, *site.branch);
}

Result<void> remove_object(const AsMounter &mounter, const ListLock &list, Inode &dir,
			   struct dentry &dentry, Inode &victim)
{
	StringView name = name_of(dentry);

	if (is_dir(victim.vfs.i_mode) && !TRY(is_logically_empty(mounter, victim)))
		return Error{-ENOTEMPTY};

	for (;;) {
		const Branch *branch = TRY(RemovalSite::find(list, mounter, dir, name)).branch;
		auto h_dir = TRY(copy_up_directory(list, *dentry.d_parent, *branch));
		/*
		 * A name is removed and counted under one lock: a copy-up counts, too. And an open or a file without a
		 * name may be giving a directory a part, which needs no lock of the VFS.
		 */
		auto lock = TRY(CopyLock::get(victim));
		RemovalSite site = TRY(RemovalSite::find(list, mounter, dir, name));

		/* A copy-up that was under way has brought the name to another branch. */
		if (site.branch != branch)
			continue;

		RemovalMark going(dentry);

		note_gone(lock, mounter, victim, site,
			  TRY(remove_at(list, mounter, dir, *h_dir, name, site, victim)));
		going.keep();
		touch_top(mounter, dir, *branch);
		return {};
	}
}

Result<void> remove_name(struct inode &vfs_dir, struct dentry &dentry)
{
	Inode &dir = Inode::of(vfs_dir);
	Inode &victim = Inode::of(*dentry.d_inode);
	ListLock list(dir.super());
	AsMounter mounter = dir.super().as_mounter();

	/* The list may have changed since the VFS looked the name up. */
	TRY(check_name(list, mounter, dentry));
	TRY(remove_object(mounter, list, dir, dentry, victim));
	dir.copy_links();
	return {};
}

} // namespace

Result<void> unlink(struct inode *vfs_dir, struct dentry *dentry)
{
	return remove_name(*vfs_dir, *dentry);
}

Result<void> rmdir(struct inode *vfs_dir, struct dentry *dentry)
{
	return remove_name(*vfs_dir, *dentry);
}

} // namespace aufs
