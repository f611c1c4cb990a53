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
		aufs_list_lock_shared(&lock_);
	}
	ListLock(const ListLock &) = delete;
	ListLock &operator=(const ListLock &) = delete;
	~ListLock()
	{
		aufs_list_unlock_shared(&lock_);
	}

private:
	struct aufs_list_lock &lock_;
};

/* The same for who looks at the top of an inode that may be a directory; nothing for another one. */
class DirListLock final
{
public:
	explicit DirListLock(const Inode &inode)
		: lock_(is_dir(inode.vfs.i_mode) ? &inode.super().list_lock() : nullptr)
	{
		if (lock_)
			aufs_list_lock_shared(lock_);
	}
	DirListLock(const DirListLock &) = delete;
	DirListLock &operator=(const DirListLock &) = delete;
	~DirListLock()
	{
		if (lock_)
			aufs_list_unlock_shared(lock_);
	}

private:
	struct aufs_list_lock *lock_;
};

/* Alone, to change the list: as aufs_list_lock_alone(). */
class ListChangeLock final
{
public:
	static Result<ListChangeLock> get(const Super &super)
	{
		TRY(check(aufs_list_lock_alone(&super.list_lock(), true)));
		return ListChangeLock(super.list_lock());
	}
	/* For who can do without it: -EBUSY where others do not let go of it soon. */
	static Result<ListChangeLock> get_soon(const Super &super)
	{
		TRY(check(aufs_list_lock_alone(&super.list_lock(), false)));
		return ListChangeLock(super.list_lock());
	}
	ListChangeLock(ListChangeLock &&other) : lock_(cxxrt::exchange(other.lock_, nullptr))
	{
	}
	ListChangeLock &operator=(ListChangeLock &&) = delete;
	~ListChangeLock()
	{
		if (lock_)
			aufs_list_unlock(lock_);
	}

private:
	explicit ListChangeLock(struct aufs_list_lock &lock) : lock_(&lock)
	{
	}

	struct aufs_list_lock *lock_;
};

/*
 * Nothing moves to another directory in the dcache: else it could come from one whose names have not been collected
 * yet to one whose have. The VFS does it after ->rename, when that holds the list no more.
 */
class RenamesHeld final
{
public:
	/* Waits for who is renaming, as all others do: not under the list's lock. -EINTR on a fatal signal. */
	static Result<RenamesHeld> get(struct super_block &sb)
	{
		TRY(check(aufs_hold_renames(&sb)));
		return RenamesHeld(sb);
	}
	/* -EAGAIN while somebody is renaming, from before the VFS calls until after that. */
	static Result<RenamesHeld> try_to_get(struct super_block &sb)
	{
		if (!aufs_try_to_hold_renames(&sb))
			return Error{-EAGAIN};
		return RenamesHeld(sb);
	}
	RenamesHeld(RenamesHeld &&other) : sb_(cxxrt::exchange(other.sb_, nullptr))
	{
	}
	RenamesHeld &operator=(RenamesHeld &&) = delete;
	~RenamesHeld()
	{
		if (sb_)
			aufs_renames_go_on(sb_);
	}

private:
	explicit RenamesHeld(struct super_block &sb) : sb_(&sb)
	{
	}

	struct super_block *sb_;
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

		return ListAndRenames{move(renames), TRY(ListChangeLock::get(super))};
	}
};

} // namespace aufs
