// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up.hh"
#include "dir.hh"
#include "entry.hh"
#include "namei.hh"
#include "plink.hh"
#include "policy.hh"
#include "presence.hh"
#include "workfile.hh"

namespace aufs
{

namespace
{

/* A directory that users see nothing in may be full of whiteouts. */
Result<void> remove_directory(const Branch &branch, struct dentry &h_dir, StringView name,
			      struct dentry &victim) noexcept
{
	auto removed = remove_entry(branch, h_dir, name, victim.d_inode, &DirLock::rmdir);

	if (removed.ok())
		return {};
	if (removed.error() != -ENOTEMPTY)
		return Error{removed.error()};

	Grave grave = TRY(Grave::bury(branch, h_dir, name, victim));

	return grave.close(h_dir, name);
}

Result<void> remove_name(struct inode &dir, struct dentry &dentry) noexcept
{
	Inode &union_dir = Inode::of(dir);
	Inode &victim = Inode::of(*dentry.d_inode);
	const Super &super = union_dir.super();
	StringView name = name_of(dentry);
	bool directory = is_dir(victim.vfs.i_mode);
	ScopedCreds creds(super.mounter());

	if (directory && !TRY(is_logically_empty(victim)))
		return Error{-ENOTEMPTY};

	/* As the branches have it: a pseudo-link may serve a name that only a lower one has. */
	Found found = TRY(find(union_dir, name));

	if (!found.exists())
		return Error{-ESTALE};

	bool on_rw = super.branch(found.top.branch).writable();
	unsigned int index = on_rw ? found.top.branch :
				     TRY(branch_for_copy(union_dir, found.top.branch));
	auto h_dir = TRY(copy_up_directory(*dentry.d_parent, index));
	const Branch &branch = super.branch(index);
	auto write = TRY(BranchWrite::get(branch.mnt()));
	Going going(dentry);
	bool below = !on_rw ||
		     TRY(find(union_dir, name, union_dir.found().part_on(index) + 1)).exists();
	bool made = below && TRY(make_whiteout(branch, *h_dir, name));
	ScopeExit undo([&] {
		if (made)
			(void)remove_whiteout(branch, *h_dir, name).ok();
	});

	bool removed = on_rw;

	if (!directory) {
		/* A copy-up that was under way may have got there first. */
		removed = TRY(remove_entry(branch, *h_dir, name,
					   on_rw ? found.top.dentry->d_inode : nullptr,
					   &DirLock::unlink));
	} else if (on_rw) {
		TRY(remove_directory(branch, *h_dir, name, *found.top.dentry));
	}
	undo.dismiss();
	going.keep();
	if (directory)
		set_nlink(&victim.vfs, 0);
	else if (removed)
		victim.copy_links();
	else
		note_lower_name_gone(victim);
	union_dir.copy_links();
	return {};
}

} // namespace

int unlink(struct inode *dir, struct dentry *dentry) noexcept
{
	return to_errno(remove_name(*dir, *dentry));
}

int rmdir(struct inode *dir, struct dentry *dentry) noexcept
{
	return to_errno(remove_name(*dir, *dentry));
}

} // namespace aufs
