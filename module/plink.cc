// SPDX-License-Identifier: GPL-2.0-only
#include "lookup.hh"
#include "plink.hh"
#include "reserved.hh"

namespace aufs
{

namespace
{

class PlinkName final
{
public:
	PlinkName(const Super &super, const Key &key) noexcept
		: size_(snprintf(text_, sizeof(text_), "%llu.%llu", super.number_of(key),
				 key.number))
	{
	}
	StringView view() const noexcept
	{
		return {text_, static_cast<StringView::Size>(size_)};
	}

private:
	char text_[48];
	int size_;
};

Result<void> make_plink(const Super &super, const Branch &branch, const Key &key,
			struct dentry &object) noexcept
{
	TRY(remove_plink(super, branch, key));

	auto plinks = TRY(branch.reserved().directory(branch, ReservedDir::plinks));
	auto lock = TRY(DirLock::get(branch.mnt(), *plinks));
	auto plink = TRY(lookup_locked(branch, *plinks, PlinkName(super, key).view()));

	return lock.link(object, *plink);
}

} // namespace

Result<void> remove_plink(const Super &super, const Branch &branch, const Key &key) noexcept
{
	auto plinks = branch.reserved().existing(branch, ReservedDir::plinks);

	if (!plinks)
		return {};

	auto lock = TRY(DirLock::get(branch.mnt(), *plinks));
	auto plink = TRY(lookup_locked(branch, *plinks, PlinkName(super, key).view()));

	return is_positive(*plink) ? lock.unlink(*plink) : Result<void>();
}

Result<unsigned int> identify(const Inode &inode, const BranchDentry &copy, bool named) noexcept
{
	const Super &super = inode.super();
	/* Not the branch's count: names may have been removed, which it does not know. */
	unsigned int names = is_dir(inode.vfs.i_mode) ? 1 : inode.vfs.i_nlink + (named ? 0 : 1);
	ObjectId identity{inode.key(), names > 1 ? names : 0};

	if (!TRY(set_identity(super, copy, identity)) || names <= 1)
		return 0U;

	const Branch &branch = super.branch(copy.branch);
	auto linked = make_plink(super, branch, inode.key(), *copy.dentry);

	if (linked.ok())
		return names;
	/* Then the other names stay what they are. */
	aufs_warn("branch '%s': no pseudo-link for inode %lu (errno %d): its names part",
		  branch.name().data(), inode.vfs.i_ino, -linked.error());
	identity.links = 0;
	TRY(set_identity(super, copy, identity));
	return 0U;
}

void note_lower_name_gone(Inode &inode) noexcept
{
	const BranchDentry &top = inode.top();
	const Super &super = inode.super();

	if (inode.links() <= 1) {
		if (!inode.on_rw() && inode.vfs.i_nlink > 0)
			set_nlink(&inode.vfs, inode.vfs.i_nlink - 1);
		return;
	}

	unsigned int links = inode.links() - 1;

	/* All names are on the branch: nobody needs the pseudo-link. */
	if (links == 1 && remove_plink(super, super.branch(top.branch), inode.key()).ok())
		links = 0;
	inode.set_links(links);
	if (!set_identity(super, top, {inode.key(), links}).ok())
		aufs_warn("branch '%s': inode %lu keeps a wrong count of names",
			  super.branch(top.branch).name().data(), top.dentry->d_inode->i_ino);
	inode.copy_links();
}

Result<void> follow_plink(const Super &super, Found &found) noexcept
{
	const struct inode &h_inode = *found.top.dentry->d_inode;

	if (is_dir(h_inode.i_mode) || h_inode.i_nlink <= 1)
		return {};
	for (unsigned int i = super.rw_above(found.top.branch); i != Super::none;
	     i = super.rw_above(i)) {
		const Branch &branch = super.branch(i);
		auto plinks = branch.reserved().existing(branch, ReservedDir::plinks);

		if (!plinks)
			continue;

		Key key = identity_of(super, found.top).key;

		if (key.filesystem == Key::pointer)
			continue;

		auto copy = TRY(lookup_in(branch, *plinks, PlinkName(super, key).view()));

		if (copy && identity_of(super, {copy.clone(), i}).key == key) {
			found.top = {move(copy), i};
			break;
		}
	}
	return {};
}

} // namespace aufs
