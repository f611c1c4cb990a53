/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes of a branch's objects, with ids as they are through its mount. Everything is done with the credentials of
 * the current task, and may sleep. Errors are the branch filesystem's.
 */
#pragma once

#include "branch.hh"

namespace aufs
{

/* The bytes of the value, put into @value, which has @size; of 0, only how many there are. -ERANGE, -ENODATA. */
inline Result<ssize_t> read_xattr(const Branch &branch, struct dentry &dentry, const char *name,
				  void *value, size_t size)
{
	return check_count(aufs_getxattr(branch.mnt(), &dentry, name, value, size));
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

inline Result<void> write_xattr(const Branch &branch, struct dentry &dentry, const char *name,
				const void *value, size_t size, int flags = 0)
{
	return check(aufs_setxattr(branch.mnt(), &dentry, name, value, size, flags));
}

inline Result<void> remove_xattr(const Branch &branch, struct dentry &dentry, const char *name)
{
	return check(aufs_removexattr(branch.mnt(), &dentry, name));
}

/* Null where there is none. */
inline Result<Ref<struct posix_acl>> read_acl(const Branch &branch, struct inode &inode, int type)
{
	return adopt_or_error(aufs_get_acl(branch.mnt(), &inode, type));
}

/* Null removes it. Takes the inode's lock. */
inline Result<void> write_acl(const Branch &branch, struct dentry &dentry, int type,
			      struct posix_acl *acl)
{
	return check(aufs_set_acl(branch.mnt(), &dentry, type, acl));
}

/* Flags and the project. Takes the inode's lock. */
inline Result<void> write_fileattr(const Branch &branch, struct dentry &dentry, AUFS_FILEATTR &attr)
{
	return check(aufs_set_fileattr(branch.mnt(), &dentry, &attr));
}

/* As notify_change(), whose @attr it is. The inode's lock is held. */
inline Result<void> change_attributes(const Branch &branch, struct dentry &dentry,
				      struct iattr &attr)
{
	return check(aufs_notify_change(branch.mnt(), &dentry, &attr));
}

/* Who owns @inode; an id that the mount has none for is invalid. Any context. */
struct Owner {
	kuid_t uid;
	kgid_t gid;
};

inline Owner owner_of(const Branch &branch, const struct inode &inode)
{
	Owner owner = {inode.i_uid, inode.i_gid};

	if (branch.idmapped())
		aufs_owner_through(branch.mnt(), &inode, &owner.uid, &owner.gid);
	return owner;
}

} // namespace aufs
