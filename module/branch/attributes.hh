/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes of a branch's objects, with ids as its mount maps them. All functions use the credentials of the current
 * task, and may sleep. Errors are the branch filesystem's.
 */
#pragma once

#include "part.hh"

namespace aufs
{

/*
 * Reads the value of @name into @value of @size bytes; a @size of 0 only asks for its length. Gives the length. -ERANGE
 * if @value is too small, -ENODATA.
 */
inline Result<ssize_t> read_xattr(PartRef part, const char *name, void *value, size_t size)
{
	return check_count(aufs_getxattr(part.branch.mnt(), &part.dentry, name, value, size));
}

/*
 * Walks a list of attributes as a filesystem gave it: names, each with a null at its end. A server may send anything:
 * next() is -EIO if a name has no end.
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
	/* A null follows the name. */
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

/* Null if there is no such ACL. */
inline Result<Ref<struct posix_acl>> read_acl(PartRef part, int type)
{
	return adopt_or_error(aufs_get_acl(part.branch.mnt(), &part.inode(), type));
}

/* A null @acl removes the ACL. Takes the inode's lock. */
inline Result<void> write_acl(PartRef part, int type, struct posix_acl *acl)
{
	return check(aufs_set_acl(part.branch.mnt(), &part.dentry, type, acl));
}

/* Sets the flags and the project. Takes the inode's lock. */
inline Result<void> write_fileattr(PartRef part, AUFS_FILEATTR &attr)
{
	return check(aufs_set_fileattr(part.branch.mnt(), &part.dentry, &attr));
}

/* As notify_change() with @attr. The lock is that of @part's inode. */
inline Result<void> change_attributes(const InodeLock &, PartRef part, struct iattr &attr)
{
	return check(aufs_notify_change(part.branch.mnt(), &part.dentry, &attr));
}

} // namespace aufs
