/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects of a rw branch that have no name that users see: not yet, or no longer. */
#pragma once

#include "entry.hh"
#include "reserved.hh"

namespace aufs
{

/*
 * A name in @dir, the directory for orphans or one in it (@nested: a reserved name, which goes with its
 * directory), whose i_rwsem is held: negative.
 */
Result<Ref<struct dentry>> free_work_name(const Branch &branch, struct dentry &dir,
					  bool nested = false);

/*
 * An object without a name that users see, in the directory for orphans: it gets one, or goes with
 * its scope. No write access to the branch is held by who lets it go.
 */
class Workfile final
{
public:
	/*
	 * Makes one by @create(mount, directory inode, dentry); in @shop, which is the directory of
	 * another one that outlives it, unless that is null. The mounter's credentials are held,
	 * and write access is not.
	 */
	template <class Create>
	static Result<Workfile> create(const Branch &branch, Create &&create,
				       struct dentry *shop = nullptr)
	{
		auto write = TRY(BranchWrite::get(branch));
		auto dir = shop ? Ref<struct dentry>::retain(shop) :
				  TRY(branch.reserved().directory(branch, ReservedDir::orphans));
		auto lock = TRY(DirLock::get(branch.mnt(), *dir));
		auto dentry = TRY(free_work_name(branch, *dir, shop != nullptr));

		TRY(lock.make(*dentry, create));
		dentry = TRY(find_made(branch, *dir, move(dentry)));
		if (!is_positive(*dentry))
			return Error{-EIO};
		return Workfile(branch, move(dir), move(dentry));
	}

	Workfile(Workfile &&other)
		: branch_(other.branch_), dir_(move(other.dir_)), dentry_(move(other.dentry_))
	{
	}
	Workfile &operator=(Workfile &&) = delete;
	~Workfile();

	/* Null after keep(). */
	struct dentry &dentry() const
	{
		return *dentry_;
	}
	struct dentry &dir() const
	{
		return *dir_;
	}
	const Branch &branch() const
	{
		return branch_;
	}
	/* It has another name by now. */
	void keep()
	{
		dentry_ = {};
	}

private:
	Workfile(const Branch &branch, Ref<struct dentry> dir, Ref<struct dentry> dentry)
		: branch_(branch), dir_(move(dir)), dentry_(move(dentry))
	{
	}
	const Branch &branch_;
	Ref<struct dentry> dir_;
	Ref<struct dentry> dentry_;
};

/*
 * Takes a directory of a rw branch away in one step, with all that users do not see in it: renames
 * it into the directory for orphans, where it is removed with this scope. Until then it can come
 * back. Write access is held all the time, and the mounter's credentials.
 */
class Grave final
{
public:
	/*
	 * @victim is @name in @h_dir. -ESTALE where it is no longer there, -ENOTEMPTY where it has what
	 * users see. Takes their locks.
	 */
	static Result<Grave> bury(const Branch &branch, struct dentry &h_dir, StringView name,
				  struct dentry &victim);
	Grave(Grave &&other)
		: branch_(other.branch_), orphans_(move(other.orphans_)), dir_(move(other.dir_))
	{
	}
	Grave &operator=(Grave &&) = delete;
	~Grave();

	/*
	 * Removes it now. -ENOTEMPTY, and it is back, where somebody who has it open made something in
	 * it.
	 */
	Result<void> close(struct dentry &parent, StringView name);
	/* Puts it back; complains to the log where it cannot. */
	void exhume(struct dentry &parent, StringView name);

private:
	static Result<Grave> dig(const Branch &branch, struct dentry &h_dir, StringView name,
				 struct dentry &victim);

	Grave(const Branch &branch, Ref<struct dentry> orphans, Ref<struct dentry> dir)
		: branch_(branch), orphans_(move(orphans)), dir_(move(dir))
	{
	}

	const Branch &branch_;
	Ref<struct dentry> orphans_;
	Ref<struct dentry> dir_;
};

} // namespace aufs
