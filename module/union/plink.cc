// SPDX-License-Identifier: GPL-2.0-only
#include "find.hh"
#include "gone_names.hh"
#include "plink.hh"
#include "branch/entry.hh"
#include "branch/housekeeping.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

/*
 * The name says which object has the pseudo-link, in any mount:
 *
 *	origin.FILESYSTEM.NUMBER.GENERATION
 *
 * Older versions wrote UNION_NUMBER.NUMBER: the first is the inode's number in the union as that was mounted then
 * (OldPlinks).
 */
class PlinkName final
{
public:
	/* @id lasts(), and @filesystem is the id of its filesystem. */
	PlinkName(const unsigned char *filesystem, const Identity &id)
		: size_(snprintf(text_, sizeof(text_), "origin.%*phN.%llu.%u", UUID_SIZE,
				 filesystem, id.key.number, static_cast<u32>(id.generation)))
	{
	}
	PlinkName(u64 union_number, const IdentityKey &key)
		: size_(snprintf(text_, sizeof(text_), "%llu.%llu", union_number, key.number))
	{
	}
	StringView view() const
	{
		return {text_, static_cast<StringView::Size>(size_)};
	}

private:
	char text_[80];
	int size_;
};

/* Calls @action(name) for each name that a pseudo-link of @id may have on @branch, until @action is true. */
template <class Action>
Result<void> for_each_name(const Super &super, const Branch &branch, const Identity &id,
			   Action &&action)
{
	const unsigned char *filesystem = super.id_of(id.key.filesystem);

	if (!filesystem)
		return {};
	if (id.lasts() && TRY(action(PlinkName(filesystem, id).view())))
		return {};
	return branch.housekeeping().old_plinks().for_each(
		id.key.number, [&](u64 union_number) -> Result<bool> {
			return action(PlinkName(union_number, id.key).view());
		});
}

/* Somebody has made a directory by the name of a pseudo-link. */
Error is_in_the_way(const Branch &branch, StringView name, int error)
{
	log_warning("branch '%s': the directory .wh..wh.plnk/%.*s stays (errno %d); remove it",
		    branch.name().data(), static_cast<int>(name.size()), name.data(), -error);
	return Error{-EUCLEAN};
}

Result<void> make_plink(const Writer &writer, const Super &super, const Identity &id,
			struct dentry &object)
{
	const Branch &branch = writer.branch();
	auto plinks = TRY(branch.housekeeping().directory(writer, HousekeepingDir::plinks));
	auto lock = TRY(DirLock::get(writer, *plinks));
	PlinkName name(super.id_of(id.key.filesystem), id);
	auto plink = TRY(lookup_locked(lock, name.view()));

	/* The name is left of an unfinished copy, or was made directly. */
	if (is_positive(*plink)) {
		auto removed = remove_locked(lock, *plink);

		if (!removed.ok() && is_dir(plink->d_inode->i_mode))
			return is_in_the_way(branch, name.view(), removed.error());
		TRY(move(removed));
		plink = TRY(lookup_locked(lock, name.view()));
	}
	return lock.link(object, *plink);
}

Error names_part(const Branch &branch, umode_t mode)
{
	branch.note_keeps_none(mode);
	log_warning("branch '%s' has no pseudo-links: names of one lower file part at a copy-up",
		    branch.name().data());
	return Error{-ESTALE};
}

} // namespace

Result<void> remove_plink(const Writer &writer, const Super &super, const Identity &id,
			  const struct inode &object)
{
	const Branch &branch = writer.branch();
	auto plinks = branch.housekeeping().existing(branch, HousekeepingDir::plinks);

	if (!plinks)
		return {};

	auto lock = TRY(DirLock::get(writer, *plinks));

	return for_each_name(super, branch, id, [&](StringView name) -> Result<bool> {
		auto plink = TRY(lookup_locked(lock, name));

		if (plink->d_inode != &object)
			return false;
		TRY(lock.unlink(*plink));
		return true;
	});
}

Result<bool> has_plink(const AsMounter &mounter, const Super &super, PartRef object,
		       const Identity &id)
{
	const Branch &branch = object.branch;
	auto plinks = branch.housekeeping().existing(branch, HousekeepingDir::plinks);
	bool found = false;

	if (!plinks)
		return false;
	TRY(for_each_name(super, branch, id, [&](StringView name) -> Result<bool> {
		auto plink = TRY(lookup_in(mounter, {branch, *plinks}, name));

		found = plink && plink->d_inode == &object.inode();
		return found;
	}));
	return found;
}

namespace
{

/* Whether @inode stands for one name, whatever names its object has. */
bool stands_for_one(const Inode &inode)
{
	return is_dir(inode.vfs.i_mode) || inode.has_one_name();
}

} // namespace

bool has_further_names(const Inode &inode)
{
	return !stands_for_one(inode) && (inode.vfs.i_nlink > 1 || inode.h_inode().i_nlink > 1);
}

Result<Identified> identify(const CopyLock &, const Writer &writer, const Inode &inode,
			    struct dentry &copy, bool named)
{
	const Super &super = inode.super();
	bool one = stands_for_one(inode);
	/* Not the branch's count, which has names that were removed. */
	unsigned int names = one ? 1 : inode.vfs.i_nlink + (named ? 0 : 1);
	Identity identity = inode.identity();
	bool several = has_further_names(inode) || names > 1;

	identity.links = several ? names : 0;

	bool noted = TRY(set_identity(writer, super, copy, identity));

	if (!several)
		return Identified{.noted = noted};
	if (!noted)
		return names_part(writer.branch(), inode.vfs.i_mode);

	auto linked = make_plink(writer, super, identity, copy);

	switch (linked.error()) {
	case 0:
		return Identified{names, noted};
	case -EPERM:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -EMLINK:
	case -EXDEV: /* the copy is another project's */
	case -EIO: /* somebody else's .wh..wh.plnk is in the place of ours */
		return names_part(writer.branch(), inode.vfs.i_mode);
	case -EUCLEAN: /* this name is taken; other copies have other names */
		return Error{-EIO};
	default:
		return Error{linked.error()};
	}
}

namespace
{

/* Stores in the copy behind @inode, which has a pseudo-link, that its links() are @links. */
Result<void> store_links(const CopyLock &lock, const AsMounter &mounter, Inode &inode,
			 unsigned int links)
{
	const Super &super = inode.super();
	const Part &top = inode.top();
	auto writer = TRY(top.branch->write(mounter));

	/*
	 * All names are on the branch: nobody needs the pseudo-link. Where it might go from the disk before the last
	 * name or its whiteout is there, it stays until the file goes.
	 */
	if (links == 1 && top.branch->keeps_order() &&
	    remove_plink(writer, super, inode.identity(), *top.dentry->d_inode).ok())
		links = 0;
	inode.set_links(lock, links);

	Identity identity = inode.identity();

	identity.links = links;
	TRY(set_identity(writer, super, *top.dentry, identity));
	return {};
}

} // namespace

void note_name_gone(const CopyLock &lock, const AsMounter &mounter, Inode &inode)
{
	inode.copy_links();
	if (inode.links() != 1 || inode.vfs.i_nlink > 0)
		return;

	SignalsBlocked signals(SignalsBlocked::Which::all);

	/*
	 * No name leads to the copy any more. If the pseudo-link cannot be removed, the space is lost until somebody
	 * removes it.
	 */
	if (auto writer = inode.branch().write(mounter); writer.ok())
		(void)remove_plink(writer.value(), inode.super(), inode.identity(), inode.h_inode())
			.ok();
	inode.set_links(lock, 0);
}

void note_further_name(const AsMounter &mounter, Inode &inode, const Part &named)
{
	const struct super_block &sb = *inode.vfs.i_sb;

	/* A name that only claims to be one of the file's is not counted. */
	if (inode.links() != 1 || !inode.shows(mounter, named))
		return;

	CopyLock lock(inode);

	if (inode.links() != 1 || !inode.on_rw())
		return;

	/* A count that is too high costs space, one that is too low costs the file. */
	unsigned int links = cxxrt::max(named.inode().i_nlink, 2U);

	/*
	 * A lookup writes nothing to a read-only or frozen filesystem: then the count is known as long as the inode is
	 * in memory.
	 */
	if (is_read_only(sb) || is_frozen(sb) || is_frozen(inode.branch().sb()) ||
	    !store_links(lock, mounter, inode, links).ok())
		inode.set_links(lock, links);
	inode.copy_links();
}

namespace
{

/*
 * A name is gone of a file that is not on a rw branch. The file's branch does not learn of it, so @branch keeps the
 * count.
 */
void note_hidden_name(const CopyLock &lock, const AsMounter &mounter, Inode &inode,
		      const Branch &branch)
{
	auto run = [&]() -> Result<void> {
		if (inode.h_inode().i_nlink <= 1 && inode.identity().links <= 1)
			return {};

		SignalsBlocked signals(SignalsBlocked::Which::all);

		if (inode.vfs.i_nlink)
			return note_gone_name(lock, mounter, inode.super(), branch,
					      inode.identity());

		auto writer = TRY(branch.write(mounter));

		return forget_gone_names(writer, inode.super(), inode.identity());
	};

	inode.drop_link(lock);
	if (auto noted = run(); !noted.ok())
		log_warning(
			"branch '%s': names of inode %llu below are counted that are gone (errno %d)",
			branch.name().data(), number_of(inode.h_inode()), -noted.error());
}

} // namespace

void note_lower_name_gone(const CopyLock &lock, const AsMounter &mounter, Inode &inode,
			  const Branch &branch)
{
	if (!inode.on_rw()) {
		note_hidden_name(lock, mounter, inode, branch);
		return;
	}
	if (inode.links() <= 1)
		return;

	SignalsBlocked signals(SignalsBlocked::Which::all);
	auto stored = store_links(lock, mounter, inode, inode.links() - 1);

	if (!stored.ok())
		log_warning("branch '%s': inode %llu keeps a wrong count of names (errno %d)",
			    inode.branch().name().data(), number_of(inode.h_inode()),
			    -stored.error());
	inode.copy_links();
}

namespace
{

/* The copy of @original, the object @id, that a pseudo-link on @branch leads to; or empty. */
Result<Part> find_copy(const AsMounter &mounter, const Super &super, const Branch &branch,
		       const Part &original, const Identity &id)
{
	auto plinks = branch.housekeeping().existing(branch, HousekeepingDir::plinks);
	Part copy;

	if (!plinks)
		return copy;
	TRY(for_each_name(super, branch, id, [&](StringView name) -> Result<bool> {
		auto found = TRY(lookup_in(mounter, {branch, *plinks}, name));

		if (!found)
			return false;

		Part part(branch, move(found));

		if (TRY(is_copy_of(mounter, super, part, original, id)))
			copy = move(part);
		return static_cast<bool>(copy);
	}));
	return copy;
}

} // namespace

namespace
{

/* Puts the copy of @id that a pseudo-link leads to on top of @found. Whether there is one. */
Result<bool> follow_plink_of(const AsMounter &mounter, const Super &super, Stack &found,
			     const Identity &id)
{
	if (!id.lasts())
		return false;
	/* The topmost copy is the newest, whether its branch is still rw or not. */
	for (const Branch &branch : super.branches()) {
		if (!branch.is_above(*found.top.branch))
			break;

		auto copy = find_copy(mounter, super, branch, found.top, id);

		if (!copy.ok())
			return Error{copy.error()};
		if (!copy.value())
			continue;
		found.named = move(found.top);
		found.top = copy.release();
		found.generation = id.generation;
		return true;
	}
	return false;
}

} // namespace

Result<void> follow_plink(const AsMounter &mounter, const Super &super, Stack &found)
{
	const struct inode &h_inode = found.top.inode();

	if (is_dir(h_inode.i_mode) || h_inode.i_nlink <= 1 || found.top.branch->is_topmost())
		return {};

	Identity id = TRY(find_identity(mounter, super, found.top));

	if (TRY(follow_plink_of(mounter, super, found, id)))
		return {};

	/* An object whose origin is not believed may still be another name of a known inode. */
	Identity claimed = TRY(claimed_identity_of(mounter, super, found.top));

	if (!(claimed.key == id.key))
		TRY(follow_plink_of(mounter, super, found, claimed));
	return {};
}

} // namespace aufs
