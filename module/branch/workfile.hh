/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects of a rw branch that have no name that users see: not yet, or no longer. */
#pragma once

#include "entry.hh"
#include "housekeeping.hh"

namespace aufs
{

/*
 * A name in the directory of @lock, that for orphans or one in it (@nested: a reserved name, which goes with its
 * directory): negative.
 */
Result<Ref<struct dentry>> free_work_name(const DirLock &lock, bool nested = false);

/*
 * An object without a name that users see, in the directory for orphans: it gets one, or goes with
 * its scope. It takes write access to the branch then: who lets it go has no Writer.
 */
class Workfile final
{
public:
	/*
	 * Makes @object as one; in @shop, which is the directory of
	 * another one that outlives it, unless that is null. Takes write access, and lets it go.
	 */
	static Result<Workfile> create(const AsMounter &mounter, const Branch &branch,
				       const NewObject &object, struct dentry *shop = nullptr);

	Workfile(Workfile &&other)
		: mounter_(other.mounter_), branch_(other.branch_), dir_(move(other.dir_)),
		  dentry_(move(other.dentry_))
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
	Workfile(const AsMounter &mounter, const Branch &branch, Ref<struct dentry> dir,
		 Ref<struct dentry> dentry)
		: mounter_(mounter), branch_(branch), dir_(move(dir)), dentry_(move(dentry))
	{
	}

	const AsMounter &mounter_;
	const Branch &branch_;
	Ref<struct dentry> dir_;
	Ref<struct dentry> dentry_;
};

/*
 * Takes a directory of a rw branch away in one step, with all that users do not see in it: renames
 * it into the directory for orphans, where it is removed with this scope. Until then it can come
 * back. Ends before its Writer.
 */
class Grave final
{
public:
	/*
	 * @victim is @name in @h_dir. -ESTALE where it is no longer there, -ENOTEMPTY where it has what
	 * users see. Takes their locks.
	 */
	static Result<Grave> bury(const Writer &writer, struct dentry &h_dir, StringView name,
				  struct dentry &victim);
	Grave(Grave &&other)
		: writer_(other.writer_), orphans_(move(other.orphans_)), dir_(move(other.dir_))
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
	static Result<Grave> dig(const Writer &writer, struct dentry &h_dir, StringView name,
				 struct dentry &victim);

	Grave(const Writer &writer, Ref<struct dentry> orphans, Ref<struct dentry> dir)
		: writer_(writer), orphans_(move(orphans)), dir_(move(dir))
	{
	}

	const Writer &writer_;
	Ref<struct dentry> orphans_;
	Ref<struct dentry> dir_;
};

} // namespace aufs
