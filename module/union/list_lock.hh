/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The list of branches, and which parts a directory has, stay as they are while one of these is held. Who
 * has a file in use needs none: its branch does not go away as long as that lasts. Not recursive.
 */
#pragma once

#include "inode.hh"

namespace aufs
{

/* With others. Sleeps while the list changes. */
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

/* The same for who looks at the top of an inode that may be a directory; nothing for another one. */
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

/* Alone, to change the list: as BranchListLock::take(). */
class ListChangeLock final
{
public:
	static Result<ListChangeLock> get(const Super &super)
	{
		TRY(super.list_lock().take(BranchListLock::Insists::yes));
		return ListChangeLock(super.list_lock());
	}
	/* For who can do without it: -EBUSY where others do not let go of it soon. */
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

/* Both, for who changes the list. */
struct ListAndRenames {
	RenamesHeld renames;
	ListChangeLock list;

	/*
	 * As ListChangeLock::get(). Who renames may wait for the list: then it is let go, and taken again after
	 * the rename. So that renames do not wait for who has the list for long, it is asked for first.
	 */
	static Result<ListAndRenames> get(struct super_block &sb, const Super &super)
	{
		{
			auto list = TRY(ListChangeLock::get(super));

			if (auto renames = RenamesHeld::try_to_get(sb); renames.ok())
				return ListAndRenames{renames.release(), move(list)};
		}

		auto renames = TRY(RenamesHeld::get(sb));
		/* Not within the braces: some compilers forget there what was made before the return. */
		auto list = TRY(ListChangeLock::get(super));

		return ListAndRenames{move(renames), move(list)};
	}
};

} // namespace aufs
