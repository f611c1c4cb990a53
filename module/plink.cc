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

Result<void> make_plink(const BranchWrite &write, const Super &super, const Key &key,
			struct dentry &object) noexcept
{
	TRY(remove_plink(write, super, key));

	const Branch &branch = write.branch();
	auto plinks = TRY(branch.reserved().directory(branch, ReservedDir::plinks));
	DirLock lock(*plinks->d_inode);
	auto plink = TRY(lookup_locked(branch, *plinks, PlinkName(super, key).view()));

	return check(aufs_link(&object, branch.mnt(), &lock.dir(), plink.get()));
}

Error names_part(const Branch &branch, umode_t mode) noexcept
{
	branch.note_keeps_none(mode);
	aufs_warn("branch '%s' has no pseudo-links: names of one lower file part at a copy-up",
		  branch.name().data());
	return Error{-ESTALE};
}

} // namespace

Result<void> remove_plink(const BranchWrite &write, const Super &super, const Key &key) noexcept
{
	const Branch &branch = write.branch();
	auto plinks = branch.reserved().existing(ReservedDir::plinks);

	if (!plinks)
		return {};

	DirLock lock(*plinks->d_inode);
	auto plink = TRY(lookup_locked(branch, *plinks, PlinkName(super, key).view()));

	return is_positive(*plink) ? check(aufs_unlink(branch.mnt(), &lock.dir(), plink.get())) :
				     Result<void>();
}

Result<Identified> identify(const BranchWrite &write, const Inode &inode, struct dentry &copy,
			    unsigned int index, bool named) noexcept
{
	const Super &super = inode.super();
	/* Not the branch's count: names may have been removed, which it does not know. */
	unsigned int names = is_dir(inode.vfs.i_mode) ? 1 : inode.vfs.i_nlink + (named ? 0 : 1);
	ObjectId identity{inode.key(), names > 1 ? names : 0};
	bool noted = TRY(
		set_identity(write, super, {Ref<struct dentry>::retain(&copy), index}, identity));

	if (names <= 1)
		return Identified{.noted = noted};
	if (!noted)
		return names_part(write.branch(), inode.vfs.i_mode);

	auto linked = make_plink(write, super, inode.key(), copy);

	switch (linked.error()) {
	case 0:
		return Identified{names, noted};
	case -EPERM:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -EMLINK:
	case -EXDEV: /* another project's */
		return names_part(write.branch(), inode.vfs.i_mode);
	default:
		return Error{linked.error()};
	}
}

namespace
{

/* Tells the copy that @inode is how many names there are. It has a pseudo-link. */
Result<void> store_links(Inode &inode, unsigned int links) noexcept
{
	const Super &super = inode.super();
	const BranchDentry &top = inode.top();
	auto write = TRY(BranchWrite::get(super.branch(top.branch)));

	/* All names are on the branch: nobody needs the pseudo-link. */
	if (links == 1 && remove_plink(write, super, inode.key()).ok())
		links = 0;
	inode.set_links(links);
	TRY(set_identity(write, super, top, {inode.key(), links}));
	return {};
}

} // namespace

void note_lower_name_gone(Inode &inode) noexcept
{
	/* A branch that is not written to does not learn of it. */
	if (!inode.on_rw()) {
		inode.drop_link();
		return;
	}
	if (inode.links() <= 1)
		return;

	auto stored = store_links(inode, inode.links() - 1);

	if (!stored.ok())
		aufs_warn("branch '%s': inode %lu keeps a wrong count of names (errno %d)",
			  inode.branch().name().data(), inode.h_inode().i_ino, -stored.error());
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
		auto plinks = branch.reserved().existing(ReservedDir::plinks);

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
