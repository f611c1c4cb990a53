// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended attributes are the branch object's; the VFS has checked the caller's rights on the
 * union.
 */
#include "attr.hh"

namespace aufs
{

namespace
{

constexpr StringView trusted_prefix{"trusted."};

/* Whether users do not see @name on @branch. */
bool is_hidden(const Branch &branch, StringView name) noexcept
{
	return name.starts_with(private_prefix) ||
	       (name == capability_name && !branch.grants_rights());
}

int get(const struct xattr_handler *, struct dentry *, struct inode *inode, const char *name,
	void *value, size_t size) noexcept
{
	const Inode &union_inode = Inode::of(*inode);
	const BranchDentry &top = union_inode.top();
	const Branch &branch = union_inode.super().branch(top.branch);
	StringView view = StringView::from_c_string(name);

	if (is_hidden(branch, view))
		return -ENODATA;

	ScopedCreds creds(union_inode.super().mounter());
	ssize_t length = aufs_getxattr(branch.mnt(), top.dentry.get(), name, value, size);

	/*
	 * Capabilities of a root that has no id here give nobody rights; with an error the program
	 * could not even be run.
	 */
	if (length == -EOVERFLOW && view == capability_name)
		return -ENODATA;
	return static_cast<int>(length);
}

int set(const struct xattr_handler *, AUFS_IDMAP *, struct dentry *dentry, struct inode *,
	const char *name, const void *value, size_t size, int flags) noexcept
{
	if (StringView::from_c_string(name).starts_with(private_prefix))
		return -EPERM;
	return change(*dentry, [=](Inode &, struct vfsmount *mnt, struct dentry &h_dentry) {
		if (!value)
			return aufs_removexattr(mnt, &h_dentry, name);
		return aufs_setxattr(mnt, &h_dentry, name, value, size, flags);
	});
}

template <class Handler> constexpr Handler all_names(Handler handler) noexcept
{
	handler.prefix = "";
	handler.get = get;
	handler.set = set;
	return handler;
}

constinit const struct xattr_handler branch_xattr_handler = all_names(::xattr_handler{});

} // namespace

ssize_t listxattr(struct dentry *dentry, char *list, size_t size) noexcept
{
	const Inode &union_inode = Inode::of(*dentry->d_inode);
	const BranchDentry &top = union_inode.top();
	const Branch &branch = union_inode.super().branch(top.branch);
	ssize_t length;
	{
		ScopedCreds creds(union_inode.super().mounter());

		length = vfs_listxattr(top.dentry.get(), list, size);
	}
	if (length <= 0 || !list)
		return length;

	/* The mounter may see trusted attributes, this caller maybe not; the union's own nobody. */
	bool sees_trusted = capable(CAP_SYS_ADMIN);
	char *out = list;

	for (const char *in = list; in < list + length;) {
		StringView name = StringView::from_c_string(in);

		if (!is_hidden(branch, name) &&
		    (sees_trusted || !name.starts_with(trusted_prefix))) {
			__builtin_memmove(out, in, name.size() + 1);
			out += name.size() + 1;
		}
		in += name.size() + 1;
	}
	return out - list;
}

/* Where the VFS does not handle ACLs on its own, these two bring them to get_acl and set_acl. */
constinit const struct xattr_handler *const xattr_handlers[] = {
#ifdef HAVE_POSIX_ACL_ACCESS_XATTR_HANDLER
	&posix_acl_access_xattr_handler,
	&posix_acl_default_xattr_handler,
#endif
	&branch_xattr_handler,
	nullptr,
};

} // namespace aufs
