/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One task at a time copies up the object of an inode, and makes, removes and counts its names. Who only reads needs
 * no lock. The order is in kernel/locks.hh.
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/* It is this task, to the end of the scope. Sleeps. */
class CopyLock final
{
public:
	/* For who may be killed while waiting: -EINTR. */
	static Result<CopyLock> get(const Inode &inode)
	{
		return CopyLock(TRY(MutexHeld::get(inode.copy_lock_)));
	}
	/* -EBUSY where it is another: does not sleep. */
	static Result<CopyLock> try_to_get(const Inode &inode)
	{
		return CopyLock(TRY(MutexHeld::try_to_get(inode.copy_lock_)));
	}
	/* For who has no way back. */
	explicit CopyLock(const Inode &inode) : held_(MutexHeld::wait(inode.copy_lock_))
	{
	}
	/* Who holds the list alone holds this as well: all who would take it share the list. */
	explicit CopyLock(const ListChangeLock &)
	{
	}

private:
	explicit CopyLock(MutexHeld &&held) : held_(move(held))
	{
	}

	MutexHeld held_;
};

} // namespace aufs
