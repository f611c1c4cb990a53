/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is cached follows the list of branches when that changes. What nobody uses is dropped; what is left is
 * in use and is looked at name by name, from the root: directories get other parts, and a name that leads to
 * something else by now, or has come or gone, is looked up anew by who asks next.
 *
 * All that can fail comes first: prepare() looks everything up on the branches that there will be, and commit()
 * only exchanges pointers. From the one to the other the list is held alone.
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/* Whether @inode, a directory, is the one that will have these parts; whether it has just these. */
bool is_same_directory(const AsMounter &mounter, const Inode &inode, const Stack &next);
bool has_same_parts(const Inode &inode, const Stack &found);

/*
 * Gives the directory @dentry, and those below it that are in use, the parts that the branches have for them by
 * now. False where its name leads to another object; -EAGAIN, -EBUSY where that cannot be said now, or others do not
 * let go of the list soon. Takes the list's lock. Sleeps.
 */
Result<bool> refresh_directory(struct dentry &dentry);

/* What keeps a branch from being taken away, or from being made read-only. */
enum class BranchUse : unsigned char { any, writing };

class Refresh final
{
public:
	/* What to do with a name in use that a branch has an error for: not to go on, or to leave it as it is. */
	enum class Errors : unsigned char { end, leave };
	explicit Refresh(struct super_block &sb, Errors errors = Errors::end)
		: sb_(sb), errors_(errors)
	{
	}
	Refresh(const Refresh &) = delete;
	Refresh &operator=(const Refresh &) = delete;
	/* Lets the old parts go, after a grace period. Without the list's lock. */
	~Refresh();

	/* Whether a branch is not in the list any more. */
	using Goes = FunctionRef<bool(const Branch &)>;
	/*
	 * From the directory @dir on, which will have @next on the branches that there will be; @goes() is asked of
	 * the others. -ENOMEM, -EINTR, -EAGAIN where something is moving and it should be tried again. Changes
	 * nothing. Sleeps.
	 */
	Result<void> prepare(const AsMounter &mounter, struct dentry &dir, Own<Stack> next,
			     Goes goes);
	/* What prepare() could not look up, or null; borrowed. */
	struct dentry *failed() const
	{
		return failed_.get();
	}
	/*
	 * How many of what is in use have a part on @branch that they would still have, or @use it so; into
	 * @holders are put those that something else holds than what lies in them, as far as there is room. After
	 * prepare().
	 */
	unsigned int users_of(const ListChangeLock &, const Branch &branch, BranchUse use,
			      Span<struct dentry *> holders) const;
	/* How many parts on @branch all that is in use has now. */
	unsigned int parts_on(const ListChangeLock &, const Branch &branch) const;
	/* The list has been exchanged, if it changes; @goes(branch): of what is not in it any more. */
	void commit(const AsMounter &mounter, const ListChangeLock &list, Goes goes);

private:
	/* A name in use. */
	struct Item {
		Ref<struct dentry> dentry;
		/* Where it stays what it is, and has other parts then: these. */
		Own<Stack> next;
		Own<Stack> spare;
		bool stale = false; /* it leads to something else */
		bool is_left = false; /* as it is, with all below it */
		bool has_users_of_its_own = false;
	};

	Result<void> add(const AsMounter &mounter, const struct dentry &dir,
			 Ref<struct dentry> dentry, const Stack *parent, Goes goes);
	Result<void> look_at(const AsMounter &mounter, Item &item, const struct dentry &dir,
			     const Stack &parent, Goes goes) const;
	Result<void> add_children(const AsMounter &mounter, Array<Item>::Size index, Goes goes);
	void commit_parts(const AsMounter &mounter, const ListChangeLock &list, Item &item,
			  Inode &inode);
	Result<void> find_lone();

	struct super_block &sb_;
	Errors errors_;
	Array<Item> items_;
	Ref<struct dentry> failed_;
	/* What is watched and has no dentry any more. */
	Array<Ref<struct inode>> lone_;
	Stack *retired_ = nullptr;
};

} // namespace aufs
