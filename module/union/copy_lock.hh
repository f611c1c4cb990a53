/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One task at a time copies up the object of an inode, and makes, removes and counts its names. Tasks that only read
 * need no lock. The order is in kernel/locks.hh.
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/* Makes this the one task, to the end of the scope. Sleeps. */
class CopyLock final
{
public:
	/* For a task that may be killed while it waits: -EINTR. */
	static Result<CopyLock> get(const Inode &inode)
	{
		return CopyLock(TRY(MutexHeld::get(inode.copy_lock_)));
	}
	/* -EBUSY if another task has it: does not sleep. */
	static Result<CopyLock> try_to_get(const Inode &inode)
	{
		return CopyLock(TRY(MutexHeld::try_to_get(inode.copy_lock_)));
	}
	/* For a task that has no way back. */
	explicit CopyLock(const Inode &inode) : held_(MutexHeld::wait(inode.copy_lock_))
	{
	}
	/* A task that has the list alone has this as well: all tasks that would take it share the list. */
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
