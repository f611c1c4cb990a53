// SPDX-License-Identifier: GPL-2.0-only
#include "find.hh"
#include "presence.hh"

namespace aufs
{

namespace
{

/* Whether the branch has by the name of @dentry what stands behind it. */
Result<bool> is_found_by_name(struct dentry &dentry, const Part &top)
{
	const Super &super = Super::of(*dentry.d_sb);
	const Branch &branch = *top.branch;
	ScopedCreds creds(super.mounter());
	auto parent = parent_of(dentry);
	auto h_parent =
		Ref<struct dentry>::retain(Inode::of(*parent->d_inode).found().dentry_on(branch));

	if (!h_parent || !lies_on(*branch.mnt(), *h_parent))
		return false;

	NameSnapshot name(dentry);
	auto found = TRY(lookup_in(branch, *h_parent, name.view()));

	return found && found->d_inode == top.dentry->d_inode;
}

} // namespace

Result<void> check_presence(struct dentry &dentry)
{
	const Inode &inode = Inode::of(*dentry.d_inode);
	const Part &top = inode.top();
	struct dentry &h_dentry = *top.dentry;
	struct vfsmount &mnt = *top.branch->mnt();

	/* As a rule. */
	if (&h_dentry == mnt.mnt_root || (h_dentry.d_hash.pprev && lies_on(mnt, h_dentry)))
		return {};
	/* It never had a name, or the union took it away. */
	if (inode.vfs.i_nlink == 0 || Going::is(dentry))
		return {};
	/* A pseudo-link leads to it. */
	if (inode.links() > 1 && h_dentry.d_inode->i_nlink > 0)
		return {};
	/* It has several names, or had another, or its filesystem has just forgotten this one. */
	if (TRY(is_found_by_name(dentry, top)))
		return {};
	return Error{-ESTALE};
}

} // namespace aufs
