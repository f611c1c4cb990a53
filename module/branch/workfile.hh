/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects of a rw branch that have no name that users see: not yet, or no longer. */
#pragma once

#include "entry.hh"
#include "housekeeping.hh"

namespace aufs
{

/*
 * Removes @dentry of the directory for orphans, with what is in it but users do not see: -ENOTEMPTY, and
 * all is as it was, where they do. Once more where it was for want of memory: nobody else comes by before
 * the next mount.
 */
Result<void> remove_orphan(const Writer &writer, struct dentry &orphans, struct dentry &dentry);
/* Says that one stays. */
void warn_of_orphan(const Branch &branch, int error);
/* What lies there by @name: what was not finished, what was to go, or something that is not this filesystem's. */
enum class OrphanKind : unsigned char { other, work, grave };
OrphanKind orphan_kind(StringView name);

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

	/* Null after keep(), as part()'s. */
	struct dentry &dentry() const
	{
		return *dentry_;
	}
	struct dentry &dir() const
	{
		return *dir_;
	}
	PartRef part() const
	{
		return {branch_, *dentry_};
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
 * An object of a rw branch that was taken away in one step, a directory with all that users do not see in it: it was
 * renamed into the directory for orphans. Whoever has it removes it or puts it back, maybe with another Writer than
 * that which buried it: write access to two branches is never held at a time. Else it stays until the branch is used
 * anew.
 */
class Grave final
{
public:
	Grave() = default;
	/*
	 * @victim is @name in @h_dir. -ESTALE where it is no longer there, -ENOTEMPTY where it has what
	 * users see. Takes their locks.
	 */
	static Result<Grave> bury(const Writer &writer, struct dentry &h_dir, StringView name,
				  struct dentry &victim);
	explicit operator bool() const
	{
		return static_cast<bool>(object_);
	}

	/* Removes it; complains to the log where it cannot. */
	void remove(const Writer &writer);
	/*
	 * Removes it now. -ENOTEMPTY, and it is back, where somebody who has it open made something in
	 * it.
	 */
	Result<void> close(const Writer &writer, struct dentry &parent, StringView name);
	/* Puts it back; complains to the log where it cannot. */
	void exhume(const Writer &writer, struct dentry &parent, StringView name);

private:
	static Result<Grave> dig(const Writer &writer, struct dentry &h_dir, StringView name,
				 struct dentry &victim);

	Grave(Ref<struct dentry> orphans, Ref<struct dentry> object)
		: orphans_(move(orphans)), object_(move(object))
	{
	}

	Ref<struct dentry> orphans_;
	Ref<struct dentry> object_;
};

} // namespace aufs
