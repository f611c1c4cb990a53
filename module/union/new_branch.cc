// SPDX-License-Identifier: GPL-2.0-only
#include "new_branch.hh"
#include "branch/lookup.hh"
#include "branch/whiteout.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

/* The operations that the dentries of @sb get. Later kernels keep the member to themselves. */
template <class Sb> const struct dentry_operations *dentry_operations_of(const Sb &sb)
{
	if constexpr (requires { sb.s_d_op; })
		return sb.s_d_op;
	else
		return sb.__s_d_op;
}

/* Whether the filesystem may have encrypted directories. */
template <class Sb> bool can_encrypt(const Sb &sb)
{
	if constexpr (requires { sb.s_cop; })
		return sb.s_cop;
	return false;
}

} // namespace

Volatility volatility_of(const Branch &branch)
{
	const struct super_block &sb = branch.sb();
	const struct dentry &root = branch.root();
	const struct dentry_operations *ops = nullptr;

	/* All dentries of a union have ->d_revalidate. */
	if (sb.s_magic == Super::magic) {
		const Super &inner = Super::of(sb);

		return inner.asks_everywhere() ? Volatility::anywhere : inner.volatility();
	}
	/*
	 * A root may lack ->d_revalidate although all other dentries of the filesystem have it, as on FUSE. On
	 * overlayfs all have it, and the root's flags say whether it is of use.
	 */
	if (root.d_flags & (DCACHE_OP_REVALIDATE | DCACHE_OP_WEAK_REVALIDATE))
		ops = root.d_op;
	else if (sb.s_magic != OVERLAYFS_SUPER_MAGIC)
		ops = dentry_operations_of(sb);
	if (ops && (ops->d_revalidate || ops->d_weak_revalidate) && !asks_for_key(*ops))
		return Volatility::anywhere;
	return can_encrypt(sb) ? Volatility::where_encrypted : Volatility::never;
}

/* Without its key an encrypted branch has none of the names that were made in it. */
Result<void> refuse_locked(const AsMounter &mounter, struct fs_context *fc, const Branch &branch)
{
	struct inode &root = *branch.root().d_inode;

	if (!(root.i_flags & S_ENCRYPTED))
		return {};
	/* A filesystem looks for the key when it is asked for a name. */
	TRY(explained(fc, branch, "it cannot be looked up in",
		      lookup_in(mounter, PartRef::root_of(branch), opaque_name)));
	if (has_key(root))
		return {};
	mount_error(fc, "branch '%s' is encrypted and its key is not there: add it first",
		    branch.name().data());
	return Error{-ENOKEY};
}

namespace
{

/* Whether the root of @branch hides the roots below. If that cannot be read, it does what it did in @before. */
Result<bool> is_opaque_root(const AsMounter &mounter, const Branch &branch, const Inode *before)
{
	/* In a first mount, the root has just been looked at. */
	if (!before && branch.housekeeping().was_bare() && !branch.has_overlay_whiteouts())
		return false;

	auto opaque = is_opaque(mounter, PartRef::root_of(branch));

	if (opaque.ok() || opaque.error() == -ENOMEM || !before ||
	    !before->stack().has_part_on(branch))
		return opaque;
	return before->stack().lowest().branch == &branch &&
	       &branch != &before->super().lowest_branch();
}

} // namespace

Result<Stack> find_root(const AsMounter &mounter, struct fs_context *fc,
			const Array<const Branch *> &branches, const Inode *before)
{
	auto lower = branches.size() - 1;
	Stack found;

	if (lower) {
		found.lower = Own<Part[]>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Part[lower]);
		if (!found.lower)
			return Error{-ENOMEM};
	}
	for (const Branch *branch : branches) {
		bool last = branch == branches[lower];
		Part part = Part::of(PartRef::root_of(*branch));

		if (!found.exists())
			found.top = move(part);
		else
			found.lower[found.lower_count++] = move(part);
		if (!last && TRY(explained(fc, *branch, "it cannot be looked up in",
					   is_opaque_root(mounter, *branch, before))))
			break;
	}
	return found;
}

bool tell_filesystems_apart(struct fs_context *fc, Branch &fresh, const Branch &other)
{
	const unsigned char *id = fresh.filesystem_id();
	const unsigned char *taken = other.filesystem_id();

	if (!id)
		return true;
	if (other.filesystem() == fresh.filesystem()) {
		if (!taken)
			fresh.forget_filesystem_id();
		return true;
	}
	if (!taken || __builtin_memcmp(taken, id, UUID_SIZE) != 0)
		return false;
	mount_warning(
		fc,
		"branch '%s' is on a filesystem that says it is that of branch '%s': inode numbers do not last there",
		fresh.name().data(), other.name().data());
	fresh.forget_filesystem_id();
	return true;
}

} // namespace aufs
