/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's objects as C++ handles: references and credentials are visible in the scope that has them. Locks are in
 * locks.hh.
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

/* An array from kvmalloc, of a type without a destructor. */
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

	/* @count elements, uninitialised; null without memory. May sleep. */
	[[nodiscard]] static KvArray allocate(__SIZE_TYPE__ count)
	{
		return KvArray(
			static_cast<T *>(aufs_kvmalloc(count * sizeof(T), GFP_KERNEL_ACCOUNT)));
	}
	/* The same, filled with zeroes. */
	[[nodiscard]] static KvArray allocate_zeroed(__SIZE_TYPE__ count)
	{
		return KvArray(static_cast<T *>(
			aufs_kvmalloc(count * sizeof(T), GFP_KERNEL_ACCOUNT | __GFP_ZERO)));
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

/* The error that is_error() has found. */
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

/* The result of a kernel function that returns a number of bytes or a negative errno. */
template <class T> Result<T> check_count(T count)
{
	if (count < 0)
		return Error{static_cast<int>(count)};
	return count;
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

inline bool is_device(umode_t mode)
{
	return (mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK;
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
/* Both are inlines since revert_creds() returns something. */
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

	/* The credentials with which the scope was entered. */
	const struct cred &caller() const
	{
		return *old_;
	}

private:
	const struct cred *old_;
};

} // namespace aufs
