// SPDX-License-Identifier: GPL-2.0-only
/* A copy gets a further one of the names that its original has. */
#include "branch/keep_times.hh"
#include "branch/workfile.hh"
#include "copy_up.hh"
#include "union/plink.hh"

namespace aufs
{

namespace
{

/* Gives @h_dentry the name @name in @h_parent as well; false if it has that name already. */
Result<bool> link_name(const Writer &writer, struct dentry &h_dentry, struct dentry &h_parent,
		       StringView name)
{
	auto lock = TRY(DirLock::get(writer, h_parent));
	KeepTimes times(lock);
	auto found = TRY(lookup_locked(lock, name));

	if (found->d_inode == h_dentry.d_inode)
		return false;
	if (is_positive(*found))
		return Error{-ESTALE};
	TRY(lock.link(h_dentry, *found));
	return true;
}

} // namespace

Result<void> copy_up_with_name(const ListLock &list, struct dentry &dentry)
{
	Inode &inode = Inode::of(*dentry.d_inode);

	TRY(copy_up(list, dentry));
	if (inode.links() == 0)
		return {};

	const Part &top = inode.top();
	const Branch &branch = *top.branch;
	auto parent = parent_of(dentry);
	auto h_parent = TRY(copy_up_directory(list, *parent, branch));
	auto lock = TRY(CopyLock::get(inode));
	AsMounter mounter = inode.super().as_mounter();
	{
		auto writer = TRY(branch.write(mounter));

		note_impure(writer, Inode::of(*parent->d_inode), *h_parent);
		if (!TRY(link_name(writer, *top.dentry, *h_parent, name_of(dentry))))
			return {};
	}
	note_lower_name_gone(lock, mounter, inode, branch);
	return {};
}

} // namespace aufs
