/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes of a branch's objects, with ids as they are through its mount. Everything is done with the credentials of
 * the current task, and may sleep. Errors are the branch filesystem's.
 */
#pragma once

#include "part.hh"

namespace aufs
{

/* The bytes of the value, put into @value, which has @size; of 0, only how many there are. -ERANGE, -ENODATA. */
inline Result<ssize_t> read_xattr(PartRef part, const char *name, void *value, size_t size)
{
	return check_count(aufs_getxattr(part.branch.mnt(), &part.dentry, name, value, size));
}

/*
 * Walks the names of a list of attributes, each with a null at its end, as a filesystem gave it: one that another
 * machine serves may be anything. next() is -EIO where a name does not end.
 */
class XattrNames final
{
public:
	XattrNames(const char *list, ssize_t size) : at_(list), end_(list + size)
	{
	}
	bool more() const
	{
		return at_ < end_;
	}
	/* The null is behind it. */
	Result<StringView> next()
	{
		const char *from = at_;

		while (at_ < end_ && *at_)
			at_++;
		if (at_ == end_)
			return Error{-EIO};
		return StringView(from, static_cast<StringView::Size>(at_++ - from));
	}

private:
	const char *at_;
	const char *end_;
};

inline Result<void> write_xattr(PartRef part, const char *name, const void *value, size_t size,
				int flags = 0)
{
	return check(aufs_setxattr(part.branch.mnt(), &part.dentry, name, value, size, flags));
}

inline Result<void> remove_xattr(PartRef part, const char *name)
{
	return check(aufs_removexattr(part.branch.mnt(), &part.dentry, name));
}

/* Null where there is none. */
inline Result<Ref<struct posix_acl>> read_acl(PartRef part, int type)
{
	return adopt_or_error(aufs_get_acl(part.branch.mnt(), &part.inode(), type));
}

/* Null removes it. Takes the inode's lock. */
inline Result<void> write_acl(PartRef part, int type, struct posix_acl *acl)
{
	return check(aufs_set_acl(part.branch.mnt(), &part.dentry, type, acl));
}

/* Flags and the project. Takes the inode's lock. */
inline Result<void> write_fileattr(PartRef part, AUFS_FILEATTR &attr)
{
	return check(aufs_set_fileattr(part.branch.mnt(), &part.dentry, &attr));
}

/* As notify_change(), whose @attr it is; under the lock of the inode of @part. */
inline Result<void> change_attributes(const InodeLock &, PartRef part, struct iattr &attr)
{
	return check(aufs_notify_change(part.branch.mnt(), &part.dentry, &attr));
}

} // namespace aufs
