/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks as scopes: the code shows what is locked, and where.
 *
 * Lock order of the filesystem, outermost first; what is taken on a branch is always inside what
 * the VFS already holds on the union. Where a branch is a union itself, its whole order comes inside:
 * each depth has lock classes of its own (init_mutex(), annotate()), so that lockdep proves it.
 *
 *	the union's freeze protection, s_vfs_rename_mutex and i_rwsem (taken by the VFS); a change of the list of
 *	  branches, inside s_umount, takes s_vfs_rename_mutex first, or only tries it
 *	  DirFile's lock_: within an open directory's iterate and seek alone
 *	  the list of branches (list_lock.hh), shared; alone, to change it, inside s_umount
 *	  CopyLock: of one inode at a time, and never while a branch directory is locked;
 *	    names of a file come and go under it, and are counted. For filters of names it is only tried
 *	    WriteAccess, Writer: the branch's freeze protection and mount write count
 *	      Housekeeping's lock_
 *	        s_vfs_rename_mutex and i_rwsem of branch directories (DirLock, RenameLock)
 *	          i_rwsem of branch files (taken by the VFS's own functions)
 *	a pipe's lock comes after the freeze protection of what is written to, of the branch as well
 *	mmap_lock, under which ->mmap runs, is inside all of these: ->mmap takes none of them
 *	the mutex of claims.cc: while a union is mounted or ends, its list of branches is exchanged or shown, also
 *	  under namespace_sem; nothing is taken under it
 *	InodeSpinLock, a union inode's i_lock: nothing is taken under it
 */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* Objects that RCU frees stay in memory until the end of the scope, which does not sleep. Any context. */
class RcuReader final
{
public:
	RcuReader()
	{
		aufs_rcu_read_lock();
	}
	RcuReader(const RcuReader &) = delete;
	RcuReader &operator=(const RcuReader &) = delete;
	~RcuReader()
	{
		aufs_rcu_read_unlock();
	}
};

/* Holds the i_rwsem of a branch inode whose attributes are about to change. Sleeps. */
class InodeLock final
{
public:
	explicit InodeLock(struct inode &inode) : inode_(inode)
	{
		aufs_inode_lock_nested(&inode_, I_MUTEX_NORMAL);
	}
	InodeLock(const InodeLock &) = delete;
	InodeLock &operator=(const InodeLock &) = delete;
	~InodeLock()
	{
		aufs_inode_unlock(&inode_);
	}

private:
	struct inode &inode_;
};

/* Holds, for a scope, something of a T that two functions take and give back. */
template <class T, void (&take)(T *), void (&give_back)(T *)> class Held final
{
public:
	explicit Held(T &of) : of_(of)
	{
		take(&of_);
	}
	Held(const Held &) = delete;
	Held &operator=(const Held &) = delete;
	~Held()
	{
		give_back(&of_);
	}

private:
	T &of_;
};

/* Holds the i_lock of one of our inodes, which guards counts that several tasks change. Any context that may spin. */
using InodeSpinLock = Held<struct inode, aufs_inode_spin_lock, aufs_inode_spin_unlock>;

/* Holds a mutex in a scope. */
using MutexLock = Held<struct mutex, aufs_mutex_lock, aufs_mutex_unlock>;

/* A mutex that is held, or none. Locks with a type of their own are made of it. */
class MutexHeld final
{
public:
	MutexHeld() = default;
	/* A fatal signal ends the waiting: -EINTR. */
	static Result<MutexHeld> get(struct mutex &mutex)
	{
		if (aufs_mutex_lock_killable(&mutex) != 0)
			return Error{-EINTR};
		return MutexHeld(mutex);
	}
	/* For a caller that cannot take back what it has done: waits through signals. */
	static MutexHeld wait(struct mutex &mutex)
	{
		aufs_mutex_lock(&mutex);
		return MutexHeld(mutex);
	}
	/* -EBUSY if another task has it. */
	static Result<MutexHeld> try_to_get(struct mutex &mutex)
	{
		if (!aufs_mutex_trylock(&mutex))
			return Error{-EBUSY};
		return MutexHeld(mutex);
	}
	MutexHeld(MutexHeld &&other) : mutex_(cxxrt::exchange(other.mutex_, nullptr))
	{
	}
	MutexHeld &operator=(MutexHeld &&) = delete;
	~MutexHeld()
	{
		if (mutex_)
			aufs_mutex_unlock(mutex_);
	}

private:
	explicit MutexHeld(struct mutex &mutex) : mutex_(&mutex)
	{
	}

	struct mutex *mutex_ = nullptr;
};

/* Prepares a mutex of a union whose branches are stacked @depth times. */
inline void init_mutex(struct mutex &mutex, enum aufs_mutex_kind kind, int depth)
{
	aufs_mutex_init(&mutex, kind, depth);
}

/*
 * The claims of all unions are read and changed in this scope, and lists of branches are exchanged in it. So a task
 * that only shows a list may take this in place of the list's own lock, under whatever lock. Sleeps.
 */
class ClaimsLock final
{
public:
	ClaimsLock()
	{
		aufs_claims_lock();
	}
	ClaimsLock(const ClaimsLock &) = delete;
	ClaimsLock &operator=(const ClaimsLock &) = delete;
	~ClaimsLock()
	{
		aufs_claims_unlock();
	}
};

/* The lock of a union's list of branches; union/list_lock.hh has the scopes in which it is held. */
class BranchListLock final
{
public:
	/* Whether a task that wants it exclusively keeps others from taking it, until those that have it let go. */
	enum class Insists : bool { no, yes };

	/* For a union whose branches are stacked @depth times. */
	void init(int depth)
	{
		aufs_list_lock_init(&lock_, depth);
	}
	/* Sleeps while a task has it exclusively. */
	void share()
	{
		aufs_list_lock_shared(&lock_);
	}
	void end_sharing()
	{
		aufs_list_unlock_shared(&lock_);
	}
	/* Takes it exclusively. -EBUSY if others go on using it, -EINTR on a fatal signal. Sleeps. */
	Result<void> take(Insists insists)
	{
		return check(aufs_list_lock_alone(&lock_, insists == Insists::yes));
	}
	void give_back()
	{
		aufs_list_unlock(&lock_);
	}

private:
	struct aufs_list_lock lock_;
};

/*
 * Nothing moves to another directory in the dcache in this scope. Else a dentry could move from a directory whose
 * entries have not been collected yet to one whose entries have been. The VFS moves it after ->rename, when that has
 * let go of the list.
 */
class RenamesHeld final
{
public:
	/* Waits for renames, as all others do: not under the list's lock. -EINTR on a fatal signal. */
	static Result<RenamesHeld> get(struct super_block &sb)
	{
		TRY(check(aufs_hold_renames(&sb)));
		return RenamesHeld(sb);
	}
	/* -EAGAIN while a task is renaming, from before the VFS calls us until after that. */
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

/*
 * A proof that the VFS has called with the s_umount of @sb, a union's, locked for writing: no other task remounts or
 * unmounts the union. Made where the VFS calls, and handed on to functions that need it.
 */
class UmountHeld final
{
public:
	explicit UmountHeld(struct super_block &sb) : sb_(sb)
	{
	}
	UmountHeld(const UmountHeld &) = delete;
	UmountHeld &operator=(const UmountHeld &) = delete;

	struct super_block &sb() const
	{
		return sb_;
	}

private:
	struct super_block &sb_;
};

/* A filesystem is not frozen in this scope. Sleeps while it is. */
using FreezeProtection = Held<struct super_block, aufs_sb_start_write, aufs_sb_end_write>;

/* The same for the filesystem of a regular file; nothing for another file. */
using FileFreezeProtection = Held<struct file, aufs_file_start_write, aufs_file_end_write>;

/* The caller is in such a scope, or in one of the VFS's: lockdep checks that. */
inline void assert_freeze_protected(const struct super_block &sb)
{
	aufs_assert_sb_write(&sb);
}

} // namespace aufs
