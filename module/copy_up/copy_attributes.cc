// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up.hh"
#include "branch/inherited.hh"
#include "branch/overlay.hh"
#include "branch/whiteout.hh"
#include "branch/attributes.hh"
#include "kernel/security.hh"

namespace aufs
{

namespace
{

Result<void> lock_and_change(const Writer &writer, struct dentry &to, struct iattr &attr)
{
	InodeLock lock(*to.d_inode);

	return change_attributes(lock, {writer.branch(), to}, attr);
}

/* What the kernel calls an invalid id. */
constexpr uid_t no_id = ~uid_t{0};

bool is_acl(StringView name)
{
	return name == StringView("system.posix_acl_access") ||
	       name == StringView("system.posix_acl_default");
}

/* Whether @name is not copied as an attribute: the union's own, and ACLs, which copy_acl() copies. */
bool is_copied_otherwise(StringView name)
{
	return name.starts_with(private_prefix) || is_acl(name) ||
	       /* By these names XFS shows ACLs as it stores them, which other filesystems do not read. */
	       name.starts_with(StringView("trusted.SGI_ACL_"));
}

/* The names of an object's attributes. */
class Names final
{
public:
	/* Takes the names that @dentry has. */
	Result<void> read(struct dentry &dentry)
	{
		ssize_t size = vfs_listxattr(&dentry, nullptr, 0);

		if (size == -EOPNOTSUPP || size == 0)
			return {};
		if (size < 0)
			return Error{static_cast<int>(size)};
		/* Some filesystems list more than listxattr(2) gives. */
		if (size > static_cast<ssize_t>(KMALLOC_MAX_SIZE))
			return Error{-E2BIG};
		text_ = KvArray<char>::allocate(static_cast<size_t>(size));
		if (!text_.data)
			return Error{-ENOMEM};

		ssize_t got = vfs_listxattr(&dentry, text_.data, static_cast<size_t>(size));

		if (got < 0)
			return Error{static_cast<int>(got)};
		if (got > size)
			return Error{-ERANGE};
		size_ = got;
		return {};
	}

	/* Calls @visit(name) for each name until a call fails. The name ends with a null. */
	template <class Visit> Result<void> for_each(Visit &&visit) const
	{
		for (XattrNames names(text_.data, size_); names.more();)
			TRY(visit(TRY(names.next())));
		return {};
	}

	bool has(StringView wanted) const
	{
		return !for_each([wanted](StringView name) {
				return name == wanted ? Result<void>(Error{-EEXIST}) :
							Result<void>();
			}).ok();
	}

private:
	KvArray<char> text_;
	ssize_t size_ = 0;
};

/* Reads the attribute @name into @value, which has @room bytes and grows if need be. Returns its size. */
Result<ssize_t> read_whole_xattr(PartRef from, const char *name, KvArray<char> &value, size_t &room)
{
	auto got = read_xattr(from, name, value.data, room);

	if (got.error() != -ERANGE && (!got.ok() || got.value() <= 0 || room))
		return got;

	ssize_t size = TRY(read_xattr(from, name, nullptr, 0));

	if (size == 0)
		return size;
	if (size > XATTR_SIZE_MAX)
		return Error{-E2BIG};
	value = KvArray<char>::allocate(static_cast<size_t>(size));
	if (!value.data)
		return Error{-ENOMEM};
	room = static_cast<size_t>(size);
	return read_xattr(from, name, value.data, room);
}

/* Whether @value of "security.evm" is valid only for the inode for which it was made. */
bool is_bound_to_inode(const char *value, ssize_t size)
{
	constexpr char portable_signature = 5;

	return size < 1 || value[0] != portable_signature;
}

/* Copies an attribute as copy_xattr() does, without asking may_miss(). */
Result<void> copy_needed_xattr(PartRef from, const Writer &writer, struct dentry &to,
			       const char *name, KvArray<char> &value, size_t &room)
{
	StringView view = StringView::from_c_string(name);
	auto got = read_whole_xattr(from, name, value, room);

	if (!got.ok()) {
		/*
		 * An attribute that was listed and is not there was just removed. Capabilities for a
		 * root user who has no id here are not there for users, either.
		 */
		if (got.error() == -ENODATA ||
		    (got.error() == -EOVERFLOW && view == capability_name))
			return {};
		return Error{got.error()};
	}

	/* On some kernels is_left_out() does not say this. */
	if (view == StringView("security.evm") && is_bound_to_inode(value.data, got.value()))
		return {};

	int error = write_xattr({writer.branch(), to}, name, value.data,
				static_cast<size_t>(got.value()))
			    .error();

	/* The value was valid on the source's branch: here its id is not. */
	if (error == -EINVAL && view == capability_name)
		error = -EOVERFLOW;
	if (error == -ENOSPC || error == -E2BIG)
		log_warning(
			"branch '%s' has no room for the attribute '%s' of %zd bytes (errno %d)",
			writer.branch().name().data(), name, got.value(), -error);
	/* Rights may depend on a "security." attribute: it is not left out. */
	if (error == -EOPNOTSUPP && !view.starts_with(StringView("security."))) {
		log_warning("branch '%s' cannot have the attribute '%s'",
			    writer.branch().name().data(), name);
		return {};
	}
	return check(error);
}

/* Whether the mounter lets copies from @from to @to lack the attribute @name. */
bool may_miss(const Branch &from, const Branch &to, StringView name)
{
	return (from.may_miss() | to.may_miss()).has(name);
}

/* Copies the attribute @name by way of the buffer @value, which has @room bytes and grows if need be. */
Result<void> copy_xattr(PartRef from, const Writer &writer, struct dentry &to, const char *name,
			KvArray<char> &value, size_t &room)
{
	auto copied = copy_needed_xattr(from, writer, to, name, value, room);

	if (!copied.ok() && copied.error() != -ENOMEM && copied.error() != -EINTR &&
	    may_miss(from.branch, writer.branch(), StringView::from_c_string(name)))
		return {};
	return copied;
}

/* Whether the security module makes the attribute @name of a copy itself. */
Result<bool> is_left_out(struct dentry &source, StringView name)
{
	return leaves_out(source, name.data());
}

/* Whether @name is an attribute of EVM or IMA: they store it for the object itself, and no directory hands it down. */
bool is_integrity(StringView name)
{
	return name == StringView("security.evm") || name == StringView("security.ima");
}

/*
 * Removes the attributes of @to that @source, whose attributes are @names, does not have: the branch handed them
 * down. If the filesystem or a security module refuses to remove an attribute, it has set it for itself.
 */
Result<void> remove_inherited(struct dentry &source, const Names &names, const Writer &writer,
			      struct dentry &to)
{
	Names found;

	TRY(found.read(to));
	return found.for_each([&](StringView name) -> Result<void> {
		if ((is_copied_otherwise(name) && !is_acl(name)) || is_integrity(name) ||
		    names.has(name) || TRY(is_left_out(source, name)))
			return {};

		auto removed = remove_xattr({writer.branch(), to}, name.data());

		switch (removed.error()) {
		case -EACCES:
		case -EINVAL:
		case -ENODATA:
		case -EOPNOTSUPP:
		case -EPERM:
			return {};
		default:
			return removed;
		}
	});
}

Result<void> copy_xattrs(PartRef from, const Writer &writer, struct dentry &to)
{
	struct dentry &source = from.dentry;
	const Branch &branch = from.branch;
	Names names;
	KvArray<char> value;
	size_t room = 0;

	TRY(names.read(source));
	TRY(remove_inherited(source, names, writer, to));
	return names.for_each([&](StringView name) -> Result<void> {
		/* XFS keeps any number of attributes. */
		if (is_being_killed())
			return Error{-EINTR};
		if (is_copied_otherwise(name) ||
		    (name == capability_name && !branch.grants_rights()) ||
		    (branch.has_overlay_whiteouts() && name.starts_with(overlay_prefix)) ||
		    TRY(is_left_out(source, name)))
			return {};
		return copy_xattr(from, writer, to, name.data(), value, room);
	});
}

/* Gives @to the ACL of @from, or removes the ACL of @to if @from has none. */
Result<void> copy_needed_acl(PartRef from, const Writer &writer, struct dentry &to, int type)
{
	auto acl = read_acl(from, type);

	if (acl.error() == -EOPNOTSUPP || (acl.ok() && !acl.value()))
		return remove_acl(writer, to, type);

	auto held = TRY(move(acl));
	int error = write_acl({writer.branch(), to}, type, held.get()).error();

	/* The ACL was valid on the source's branch: here some of its ids are not. */
	return check(error == -EINVAL ? -EOVERFLOW : error);
}

/* The same, unless the mounter lets copies lack it: an ACL is an attribute, too. */
Result<void> copy_acl(PartRef from, const Writer &writer, struct dentry &to, int type)
{
	auto copied = copy_needed_acl(from, writer, to, type);

	if (!copied.ok() && copied.error() != -ENOMEM &&
	    may_miss(from.branch, writer.branch(), "system.posix_acl"))
		return {};
	return copied;
}

} // namespace

namespace
{

/* Whether the new @to has the owner and the group in @stat, those of the original, and both are known ids. */
bool has_owner(PartRef to, const struct kstat &stat)
{
	Branch::Owner owner = to.branch.shown_owner(to.inode());

	return owner.uid.val == stat.uid.val && owner.gid.val == stat.gid.val &&
	       stat.uid.val != no_id && stat.gid.val != no_id;
}

} // namespace

Result<void> copy_attributes(PartRef from, const Writer &writer, struct dentry &to)
{
	struct path path = from.path();
	struct kstat stat;
	struct iattr owner = {};
	struct iattr last = {};

	TRY(check(vfs_getattr_nosec(&path, &stat, STATX_BASIC_STATS, 0)));
	/* Root's files belong to root already. -EOVERFLOW if the owner has no id on that branch. */
	if (!has_owner({writer.branch(), to}, stat)) {
		owner.ia_valid = ATTR_UID | ATTR_GID;
		owner.ia_uid = stat.uid;
		owner.ia_gid = stat.gid;
		TRY(lock_and_change(writer, to, owner));
	}
	/* Attributes come after the owner: a change of owner removes capabilities. */
	TRY(copy_xattrs(from, writer, to));
	if (!is_lnk(stat.mode)) {
		/* The ACL comes before the mode, which would open the mask of an inherited ACL. */
		TRY(copy_acl(from, writer, to, ACL_TYPE_ACCESS));
		if (is_dir(stat.mode))
			TRY(copy_acl(from, writer, to, ACL_TYPE_DEFAULT));
		last.ia_valid = ATTR_MODE;
		last.ia_mode = from.branch.shown_mode(stat.mode);
	}
	last.ia_valid |= ATTR_ATIME | ATTR_ATIME_SET | ATTR_MTIME | ATTR_MTIME_SET;
	last.ia_atime = stat.atime;
	last.ia_mtime = stat.mtime;
	return lock_and_change(writer, to, last);
}

} // namespace aufs
