// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended attributes are the branch object's. The first part of the name says who judges the caller:
 *
 *	user.		the VFS asks for the right to read or write the union's file
 *	trusted.	the VFS asks for CAP_SYS_ADMIN; `trusted.aufs.` is nobody's
 *	security.	a security module decides, or else asks for CAP_SYS_ADMIN or CAP_SETFCAP
 *	system.		ACLs: the VFS asks for the owner or CAP_FOWNER
 *	system., other	the VFS asks for nothing and leaves it to the filesystem
 *	all others	as for user., and some filesystems ask for more
 *
 * All this is asked on the union; then the mounter reads or changes the attribute on the branch. For the
 * last two rows the branch's filesystem is the judge, and has to see the caller: the caller's credentials
 * stay. A `system.` attribute is changed only by the owner of the file or with CAP_FOWNER.
 */
#include "attr.hh"
#include "branch/overlay.hh"
#include "branch/attributes.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

constexpr StringView trusted_prefix{"trusted."};

/* Whether users do not see @name on @branch. */
bool is_hidden(const Branch &branch, StringView name)
{
	return name.starts_with(private_prefix) ||
	       (branch.has_overlay_whiteouts() && name.starts_with(overlay_prefix)) ||
	       (name == capability_name && !branch.grants_rights());
}

constexpr StringView security_prefix{"security."};
constexpr StringView system_prefix{"system."};
constexpr StringView user_prefix{"user."};

/* Whether the VFS or a security module alone judges who may read and change @name. */
bool is_judged_on_union(StringView name)
{
	return name.starts_with(user_prefix) || name.starts_with(trusted_prefix) ||
	       name.starts_with(security_prefix);
}

/* The credentials with which @name is read or changed on a branch. */
const struct cred &creds_for(const Super &super, StringView name)
{
	return is_judged_on_union(name) ? super.mounter() : current_cred();
}

/* Whether the object of @inode has the attribute @name, as users see it. */
Result<bool> has(const Inode &inode, const char *name)
{
	DirListLock list(inode);
	const Part &top = inode.top();
	const Branch &branch = *top.branch;

	if (is_hidden(branch, StringView::from_c_string(name)))
		return false;

	auto size = read_xattr(top, name, nullptr, 0);

	switch (size.error()) {
	case -ENODATA:
	case -EOPNOTSUPP:
		return false;
	case 0:
	/* The attribute is there, but cannot be read. */
	case -ERANGE:
	case -EOVERFLOW:
	case -EINVAL:
		return true;
	default:
		return Error{size.error()};
	}
}

/* Gives the error that a filesystem would give, so that nothing is copied up for it. */
Result<void> check_there(const Inode &inode, const char *name, bool removes, int flags)
{
	if (inode.is_on_rw() || !(removes || (flags & (XATTR_CREATE | XATTR_REPLACE))))
		return {};

	bool there = TRY(has(inode, name));

	if (there && (flags & XATTR_CREATE))
		return Error{-EEXIST};
	if (!there && (removes || (flags & XATTR_REPLACE)))
		return Error{-ENODATA};
	return {};
}

Result<int> get(const struct xattr_handler *, struct dentry *, struct inode *vfs_inode,
		const char *name, void *value, size_t size)
{
	const Inode &inode = Inode::of(*vfs_inode);
	DirListLock list(inode);
	const Part &top = inode.top();
	const Branch &branch = *top.branch;
	StringView view = StringView::from_c_string(name);

	if (is_hidden(branch, view))
		return Error{-ENODATA};

	ScopedCreds creds(creds_for(inode.super(), view));
	auto length = read_xattr(top, name, value, size);

	/*
	 * Capabilities for a root user who has no id here give nobody rights; with an error the program could not even
	 * be run.
	 */
	if (length.error() == -EOVERFLOW && view == capability_name)
		return Error{-ENODATA};
	return static_cast<int>(TRY(move(length)));
}

Result<void> set(const struct xattr_handler *, AUFS_IDMAP *, struct dentry *dentry,
		 struct inode *vfs_inode, const char *name, const void *value, size_t size,
		 int flags)
{
	StringView view = StringView::from_c_string(name);
	const Super &super = Inode::of(*vfs_inode).super();

	if (view.starts_with(private_prefix))
		return Error{-EPERM};
	if (view.starts_with(system_prefix) && !inode_owner_or_capable(no_idmap(), vfs_inode))
		return Error{-EPERM};

	const struct cred &as = creds_for(super, view);
	{
		ScopedCreds creds(as);

		TRY(check_there(Inode::of(*vfs_inode), name, !value, flags));
	}

	auto set = [=, &super](PartRef part) {
		/* A value may take a block. */
		ScopedCreds creds(is_judged_on_union(view) ? super.attribute_writer(part.branch) :
							     current_cred());

		if (!value)
			return remove_xattr(part, name);
		return write_xattr(part, name, value, size, flags);
	};

	return change(*dentry, set, &as);
}

template <class Handler> constexpr Handler all_names(Handler handler)
{
	handler.prefix = "";
	handler.get = vfs<get>;
	handler.set = vfs<set>;
	return handler;
}

constinit const struct xattr_handler branch_xattr_handler = all_names(::xattr_handler{});

} // namespace

Result<ssize_t> listxattr(struct dentry *dentry, char *list, size_t size)
{
	const Inode &inode = Inode::of(*dentry->d_inode);
	DirListLock branches(inode);
	const Part &top = inode.top();
	const Branch &branch = *top.branch;
	ssize_t length;
	{
		AsMounter mounter = inode.super().as_mounter();

		length = vfs_listxattr(top.dentry.get(), list, size);
	}
	if (length <= 0 || !list)
		return check_count(length);
	if (static_cast<size_t>(length) > size)
		return Error{-ERANGE};

	/* The mounter may see trusted attributes, and the caller maybe not. Nobody sees the union's own. */
	bool sees = sees_trusted();
	char *out = list;

	for (XattrNames names(list, length); names.more();) {
		StringView name = TRY(names.next());

		if (!is_hidden(branch, name) && (sees || !name.starts_with(trusted_prefix))) {
			__builtin_memmove(out, name.data(), name.size() + 1);
			out += name.size() + 1;
		}
	}
	return out - list;
}

/* On kernels whose VFS does not handle ACLs by itself, the first two bring them to get_acl and set_acl. */
constinit const struct xattr_handler *const xattr_handlers[] = {
#ifdef HAVE_POSIX_ACL_ACCESS_XATTR_HANDLER
	&posix_acl_access_xattr_handler,
	&posix_acl_default_xattr_handler,
#endif
	&branch_xattr_handler,
	nullptr,
};

} // namespace aufs
