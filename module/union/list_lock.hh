/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In the scope of one of these, the list of branches and which parts a directory has stay as they are. A task that uses
 * a file needs none: the file's branch does not go meanwhile. Not recursive.
 */
#pragma once

#include "inode.hh"

namespace aufs
{

/* Shares the list with other tasks. Sleeps while it changes. */
class ListLock final
{
public:
	explicit ListLock(const Super &super) : lock_(super.list_lock())
	{
		lock_.share();
	}
	ListLock(const ListLock &) = delete;
	ListLock &operator=(const ListLock &) = delete;
	~ListLock()
	{
		lock_.end_sharing();
	}

private:
	BranchListLock &lock_;
};

/* The same for a task that looks at the top of @inode, if that is a directory. Does nothing for other inodes. */
class DirListLock final
{
public:
	explicit DirListLock(const Inode &inode)
		: lock_(is_dir(inode.vfs.i_mode) ? &inode.super().list_lock() : nullptr)
	{
		if (lock_)
			lock_->share();
	}
	DirListLock(const DirListLock &) = delete;
	DirListLock &operator=(const DirListLock &) = delete;
	~DirListLock()
	{
		if (lock_)
			lock_->end_sharing();
	}

private:
	BranchListLock *lock_;
};

/* Has the list alone, to change it: as BranchListLock::take(). */
class ListChangeLock final
{
public:
	static Result<ListChangeLock> get(const Super &super)
	{
		TRY(super.list_lock().take(BranchListLock::Insists::yes));
		return ListChangeLock(super.list_lock());
	}
	/* For a task that can do without: -EBUSY if others do not let go of the list soon. */
	static Result<ListChangeLock> get_soon(const Super &super)
	{
		TRY(super.list_lock().take(BranchListLock::Insists::no));
		return ListChangeLock(super.list_lock());
	}
	ListChangeLock(ListChangeLock &&other) : lock_(cxxrt::exchange(other.lock_, nullptr))
	{
	}
	ListChangeLock &operator=(ListChangeLock &&) = delete;
	~ListChangeLock()
	{
		if (lock_)
			lock_->give_back();
	}

private:
	explicit ListChangeLock(BranchListLock &lock) : lock_(&lock)
	{
	}

	BranchListLock *lock_;
};

/* Both locks that a change of the list takes. */
struct ListAndRenames {
	RenamesHeld renames;
	ListChangeLock list;

	/*
	 * As ListChangeLock::get(). A task that renames may wait for the list: then the list is let go, and taken again
	 * after the rename. The list is taken first: else renames would have to wait while this task waits for it.
	 */
	static Result<ListAndRenames> get(struct super_block &sb, const Super &super)
	{
		{
			auto list = TRY(ListChangeLock::get(super));

			if (auto renames = RenamesHeld::try_to_get(sb); renames.ok())
				return ListAndRenames{renames.release(), move(list)};
		}

		auto renames = TRY(RenamesHeld::get(sb));
		/* Not within the braces: if it fails there, some compilers forget to destroy what was made before. */
		auto list = TRY(ListChangeLock::get(super));

		return ListAndRenames{move(renames), move(list)};
	}
};

} // namespace aufs
