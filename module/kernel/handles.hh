/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's objects as C++ handles: who counts, who locks, who runs as whom is visible in the
 * scope.
 *
 * Lock order of the filesystem, outermost first; what is taken on a branch is always inside what
 * the VFS already holds on the union. Where a branch is a union itself, its whole order comes inside:
 * each depth has lock classes of its own (helpers.c), so that lockdep proves it.
 *
 *	the union's freeze protection, s_vfs_rename_mutex and i_rwsem (taken by the VFS); who changes the list of
 *	  branches, inside s_umount, takes s_vfs_rename_mutex first, or only tries it
 *	  DirFile's lock_: within an open directory's iterate and seek alone
 *	  the list of branches (list_lock.hh), shared; alone, to change it, inside s_umount
 *	  Inode::copy_lock(): of one inode at a time, and never while a branch directory is locked;
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

#include "kernel/kernel.hh"

#include "array.hh"
#include "atomic.hh"
#include "function_ref.hh"
#include "own.hh"
#include "ref.hh"
#include "result.hh"
#include "scope_exit.hh"
#include "string_view.hh"

namespace cxxrt
{

template <> struct RefTraits<struct dentry> {
	static void get(struct dentry *dentry)
	{
		aufs_dget(dentry);
	}
	static void put(struct dentry *dentry)
	{
		dput(dentry);
	}
};

template <> struct RefTraits<struct file> {
	static void get(struct file *file)
	{
		aufs_get_file(file);
	}
	static void put(struct file *file)
	{
		fput(file);
	}
};

template <> struct RefTraits<const struct cred> {
	static void get(const struct cred *cred)
	{
		aufs_get_cred(cred);
	}
	static void put(const struct cred *cred)
	{
		aufs_put_cred(cred);
	}
};

template <> struct RefTraits<struct posix_acl> {
	static void put(struct posix_acl *acl)
	{
		aufs_posix_acl_release(acl);
	}
};

template <> struct RefTraits<struct inode> {
	static void get(struct inode *inode)
	{
		ihold(inode);
	}
	static void put(struct inode *inode)
	{
		iput(inode);
	}
};

/* An array that came from kvmalloc, of a type without a destructor. */
template <class T> struct KvArray {
	T *data = nullptr;

	KvArray() = default;
	explicit KvArray(T *array) : data(array)
	{
	}
	KvArray(KvArray &&other) : data(exchange(other.data, nullptr))
	{
	}
	KvArray &operator=(KvArray &&other)
	{
		kvfree(static_cast<void *>(exchange(data, exchange(other.data, nullptr))));
		return *this;
	}
	KvArray(const KvArray &) = delete;
	KvArray &operator=(const KvArray &) = delete;
	~KvArray()
	{
		kvfree(static_cast<void *>(data));
	}

	/* @count elements, uninitialised; null when there is no memory. May sleep. */
	[[nodiscard]] static KvArray allocate(__SIZE_TYPE__ count)
	{
		return KvArray(
			static_cast<T *>(aufs_kvmalloc(count * sizeof(T), GFP_KERNEL_ACCOUNT)));
	}
};

} // namespace cxxrt

namespace aufs
{

using cxxrt::Array;
using cxxrt::Atomic;
using cxxrt::AtomicRef;
using cxxrt::Error;
using cxxrt::full_fence;
using cxxrt::FunctionRef;
using cxxrt::Gfp;
using cxxrt::KvArray;
using cxxrt::move;
using cxxrt::Own;
using cxxrt::Ref;
using cxxrt::Result;
using cxxrt::ScopeExit;
using cxxrt::StringView;

/* The kernel's ERR_PTR convention, at the border. */
template <class T> inline bool is_error(const T *pointer)
{
	return reinterpret_cast<unsigned long>(pointer) >= static_cast<unsigned long>(-4095L);
}

template <class T> inline T *error_pointer(int error)
{
	return reinterpret_cast<T *>(static_cast<long>(error));
}

/* Of what is_error(). */
template <class T> inline Error error_of(const T *pointer)
{
	return Error{static_cast<int>(reinterpret_cast<long>(pointer))};
}

/* Adopts what a kernel function returned, unless it is an ERR_PTR. */
template <class T> inline Result<Ref<T>> adopt_or_error(T *pointer)
{
	if (is_error(pointer))
		return error_of(pointer);
	return Ref<T>::adopt(pointer);
}

inline Result<void> check(int error)
{
	return Result<void>::from(error);
}

/* A Result on its way back to the kernel. */
inline int to_errno(const Result<void> &result)
{
	return result.error();
}

inline bool is_dir(umode_t mode)
{
	return (mode & S_IFMT) == S_IFDIR;
}

inline bool is_reg(umode_t mode)
{
	return (mode & S_IFMT) == S_IFREG;
}

inline bool is_lnk(umode_t mode)
{
	return (mode & S_IFMT) == S_IFLNK;
}

/* For %llu: how wide the member is differs between kernels. */
inline unsigned long long number_of(const struct inode &inode)
{
	return inode.i_ino;
}

inline bool is_positive(const struct dentry &dentry)
{
	return dentry.d_inode != nullptr;
}

inline StringView name_of(const struct dentry &dentry)
{
	return StringView(reinterpret_cast<const char *>(dentry.d_name.name), dentry.d_name.len);
}

inline Ref<struct dentry> parent_of(struct dentry &dentry)
{
	return Ref<struct dentry>::adopt(aufs_dget_parent(&dentry));
}

#ifdef HAVE_REVERT_CREDS_RETURNS
/* Both are inlines since the second returns something. */
inline const struct cred *override_creds(const struct cred *cred)
{
	return aufs_override_creds(cred);
}

inline void revert_creds(const struct cred *old)
{
	aufs_revert_creds(old);
}
#endif

/* Runs the scope with other credentials. Any context. */
class ScopedCreds final
{
public:
	explicit ScopedCreds(const struct cred &cred) : old_(override_creds(&cred))
	{
	}
	ScopedCreds(const ScopedCreds &) = delete;
	ScopedCreds &operator=(const ScopedCreds &) = delete;
	~ScopedCreds()
	{
		revert_creds(old_);
	}

	/* Who the scope was entered as. */
	const struct cred &caller() const
	{
		return *old_;
	}

private:
	const struct cred *old_;
};

/*
 * Signals are seen after this scope only: those that the task has handlers for
 * (aufs_signals_block_handled), or all (aufs_signals_block_all, around what is short: what has been
 * killed tidies up as well, on filesystems that then stop reading a directory).
 */
class SignalsBlocked final
{
public:
	explicit SignalsBlocked(void (&block)(sigset_t *))
	{
		block(&old_);
	}
	SignalsBlocked(const SignalsBlocked &) = delete;
	SignalsBlocked &operator=(const SignalsBlocked &) = delete;
	~SignalsBlocked()
	{
		aufs_signals_restore(&old_);
	}

private:
	sigset_t old_;
};

/* What RCU frees stays in memory until the end of the scope, which does not sleep. Any context. */
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

/* Holds the spinlock of one of our inodes, which guards what several sides count. Any task. */
class InodeSpinLock final
{
public:
	explicit InodeSpinLock(struct inode &inode) : inode_(inode)
	{
		aufs_inode_spin_lock(&inode_);
	}
	InodeSpinLock(const InodeSpinLock &) = delete;
	InodeSpinLock &operator=(const InodeSpinLock &) = delete;
	~InodeSpinLock()
	{
		aufs_inode_spin_unlock(&inode_);
	}

private:
	struct inode &inode_;
};

/* Holds a mutex, for who may be killed while waiting: -EINTR. */
class KillableLock final
{
public:
	static Result<KillableLock> get(struct mutex &mutex)
	{
		if (aufs_mutex_lock_killable(&mutex) != 0)
			return Error{-EINTR};
		return KillableLock(mutex);
	}
	KillableLock(KillableLock &&other) : mutex_(cxxrt::exchange(other.mutex_, nullptr))
	{
	}
	KillableLock &operator=(KillableLock &&) = delete;
	~KillableLock()
	{
		if (mutex_)
			aufs_mutex_unlock(mutex_);
	}

private:
	explicit KillableLock(struct mutex &mutex) : mutex_(&mutex)
	{
	}

	struct mutex *mutex_;
};

/* Holds a mutex if nobody else does. */
class MutexTryLock final
{
public:
	explicit MutexTryLock(struct mutex &mutex)
		: mutex_(aufs_mutex_trylock(&mutex) ? &mutex : nullptr)
	{
	}
	MutexTryLock(const MutexTryLock &) = delete;
	MutexTryLock &operator=(const MutexTryLock &) = delete;
	~MutexTryLock()
	{
		if (mutex_)
			aufs_mutex_unlock(mutex_);
	}
	explicit operator bool() const
	{
		return mutex_;
	}

private:
	struct mutex *mutex_;
};

class MutexLock final
{
public:
	explicit MutexLock(struct mutex &mutex) : mutex_(mutex)
	{
		aufs_mutex_lock(&mutex_);
	}
	MutexLock(const MutexLock &) = delete;
	MutexLock &operator=(const MutexLock &) = delete;
	~MutexLock()
	{
		aufs_mutex_unlock(&mutex_);
	}

private:
	struct mutex &mutex_;
};

} // namespace aufs
