/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cached names and inodes follow the list of branches when that changes. Names that nobody uses are dropped. The others
 * are looked at one by one, from the root: directories get other parts. A name that leads to another object by now, or
 * has come or gone, is looked up again by the next task that asks.
 *
 * All that can fail comes first: prepare() looks everything up on the branches that there will be, and commit() only
 * exchanges pointers. From the one to the other the caller has the list alone. Another prepare() comes before, beside
 * other tasks: so servers of branches have answered by then (branch/answers.hh).
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/* Whether the directory @inode is the one that will have the parts of @next; whether it has just those of @found. */
bool is_same_directory(const AsMounter &mounter, const Inode &inode, const Stack &next);
bool has_same_parts(const Inode &inode, const Stack &found);

/*
 * Gives the directory @dentry, and those below it that are in use, the parts that the branches have for them by now.
 * False if its name leads to another object. -EAGAIN if something is being renamed, -EBUSY if other tasks do not let go
 * of the list soon. Takes the list's lock. Sleeps.
 */
Result<bool> refresh_directory(struct dentry &dentry);

/* Which use of a branch is looked for: one that keeps it from going, or one that keeps it from becoming read-only. */
enum class BranchUse : unsigned char { any, writing };

class Refresh final
{
public:
	/*
	 * If a branch has an error for a name in use: prepare() ends with it, or leaves the name as it is. With
	 * look_on, for a caller that does not commit, it leaves what is being renamed, too.
	 */
	enum class Errors : unsigned char { end, leave, look_on };
	explicit Refresh(struct super_block &sb, Errors errors = Errors::end)
		: sb_(sb), errors_(errors)
	{
	}
	Refresh(const Refresh &) = delete;
	Refresh &operator=(const Refresh &) = delete;
	/* Lets the old parts go, after a grace period. Without the list's lock. */
	~Refresh();

	/* Whether a branch is not in the list any more, or will not be. */
	using Goes = FunctionRef<bool(const Branch &)>;
	/*
	 * Looks up all names in use from the directory @dir on, which will have the parts of @next. @goes(branch) is
	 * true of branches that will not be in the list. -ENOMEM, -EINTR, -EAGAIN if something is being renamed and it
	 * should be tried again. Changes nothing. Sleeps.
	 */
	Result<void> prepare(const AsMounter &mounter, struct dentry &dir, Own<Stack> next,
			     Goes goes);
	/* Lets go of all that prepare() has found. */
	void forget()
	{
		items_.clear();
		lone_.clear();
		failed_ = {};
	}
	/* The name that prepare() could not look up, or null; borrowed. */
	struct dentry *failed() const
	{
		return failed_.get();
	}
	/*
	 * Counts the names in use that would keep their part on @branch, or @use it so. A name counts only if it has
	 * other users than its children. Stores the names in @holders, as far as there is room. After prepare().
	 */
	unsigned int users_of(const ListChangeLock &, const Branch &branch, BranchUse use,
			      Span<struct dentry *> holders) const;
	/* How many parts on @branch all names in use and all lone inodes have now. */
	unsigned int parts_on(const ListChangeLock &, const Branch &branch) const;
	/*
	 * Exchanges the parts, after the list was exchanged, if it changes. @goes(branch) is true of branches that have
	 * left it.
	 */
	void commit(const AsMounter &mounter, const ListChangeLock &list, Goes goes);

private:
	/* A name in use. */
	struct Item {
		Ref<struct dentry> dentry;
		/* The parts that it will have, if it stays what it is. */
		Own<Stack> next;
		Own<Stack> spare;
		bool stale = false; /* its name leads to something else */
		bool is_left = false; /* it stays as it is, with all below it */
		bool has_users_of_its_own = false;
	};

	Result<void> add(const AsMounter &mounter, const struct dentry &dir,
			 Ref<struct dentry> dentry, const Stack *parent, Goes goes);
	Result<void> look_at(const AsMounter &mounter, Item &item, const struct dentry &dir,
			     const Stack &parent, Goes goes) const;
	Result<void> add_children(const AsMounter &mounter, Array<Item>::Size index, Goes goes);
	void commit_parts(const AsMounter &mounter, const ListChangeLock &list, Item &item,
			  Inode &inode);
	Result<void> find_lone(const AsMounter &mounter, Goes goes);

	struct super_block &sb_;
	Errors errors_;
	Array<Item> items_;
	Ref<struct dentry> failed_;
	/* Inodes that are watched and have no dentry any more. */
	Array<Ref<struct inode>> lone_;
	Stack *retired_ = nullptr;
};

} // namespace aufs
