// SPDX-License-Identifier: GPL-2.0-only
#include "namei.hh"

namespace aufs
{

namespace
{

/* One of the two names of a rename. */
struct Side {
	Inode &dir;
	struct dentry &dentry;
	struct dentry &h_dir;

	static Result<Side> create(struct inode &dir, struct dentry &dentry) noexcept
	{
		struct dentry *h_dir = TRY(rw_directory(Inode::of(dir)));

		return Side{Inode::of(dir), dentry, *h_dir};
	}
	StringView name() const noexcept
	{
		return name_of(dentry);
	}
	Inode *inode() const noexcept
	{
		return dentry.d_inode ? &Inode::of(*dentry.d_inode) : nullptr;
	}
	/* What moves must be on the rw branch, whole. */
	Result<void> check_movable() const noexcept
	{
		if (Inode *inode = this->inode(); !inode->on_rw() || inode->merged())
			return Error{-EROFS};
		return {};
	}
	/*
	 * What is replaced: a file of a branch below is covered by what comes. One above would
	 * cover it, and of a directory nothing may shine through.
	 */
	Result<void> check_replaceable() const noexcept
	{
		Inode *inode = this->inode();

		if (!inode)
			return {};
		if (is_dir(inode->vfs.i_mode))
			return check_movable();
		if (inode->branch_index() < dir.super().rw_index())
			return Error{-EROFS};
		return {};
	}
	/* @arrives comes to this name: a directory would merge with one below. */
	Result<void> check_arrival(const Inode &arrives) const noexcept
	{
		if (is_dir(arrives.vfs.i_mode))
			return check_no_directory_below(dir, name());
		return {};
	}
};

/* Both directories of a rename, locked in the VFS's order. */
class RenameLock final
{
public:
	RenameLock(struct dentry &a, struct dentry &b) noexcept
		: a_(a), b_(b), trap_(lock_rename(&a, &b))
	{
	}
	RenameLock(const RenameLock &) = delete;
	RenameLock &operator=(const RenameLock &) = delete;
	~RenameLock()
	{
		if (locked())
			unlock_rename(&a_, &b_);
	}

	/* The directories may have been moved into different trees behind our back. */
	bool locked() const noexcept
	{
		return !is_error(trap_);
	}
	/* What must not be moved: it is above the other name. */
	bool traps(const struct dentry &dentry) const noexcept
	{
		return trap_ == &dentry;
	}

private:
	struct dentry &a_;
	struct dentry &b_;
	struct dentry *trap_;
};

Result<void> rename_on_rw(const Side &from, const Side &to, unsigned int flags) noexcept
{
	const Super &super = from.dir.super();
	const Branch &branch = super.rw();
	bool exchange = flags & RENAME_EXCHANGE;

	TRY(check_new_name(to.name()));
	TRY(from.check_movable());
	TRY(exchange ? to.check_movable() : to.check_replaceable());

	auto write = TRY(BranchWrite::get(branch.mnt()));
	ScopedCreds creds(super.mounter());

	TRY(to.check_arrival(*from.inode()));
	if (exchange)
		TRY(from.check_arrival(*to.inode()));
	else
		TRY(check_nothing_below(from.dir, from.name()));

	auto whiteout = TRY(whiteout_to_remove(to.dir, to.name()));

	if (Inode *replaced = to.inode(); replaced && !exchange && is_dir(replaced->vfs.i_mode))
		TRY(empty_for_removal(*replaced));

	RenameLock lock(from.h_dir, to.h_dir);

	if (!lock.locked())
		return Error{-EXDEV};

	auto h_from = TRY(h_dentry_locked(branch, from.h_dir, from.dentry));
	auto h_to = TRY(h_dentry_locked(branch, to.h_dir, to.dentry));

	if (lock.traps(*h_from))
		return Error{-EINVAL};
	if (lock.traps(*h_to))
		return Error{exchange ? -EINVAL : -ENOTEMPTY};
	TRY(check(aufs_rename(branch.mnt(), from.h_dir.d_inode, h_from.get(), to.h_dir.d_inode,
			      h_to.get(), flags)));
	/*
	 * The name is there now and comes before the whiteout, which hides what it hid. One that
	 * cannot be removed does no harm, and undoing a rename that has replaced a file cannot be
	 * done.
	 */
	if (whiteout) {
		auto removed = remove_whiteout(branch, *to.h_dir.d_inode, *whiteout);

		if (!removed.ok())
			aufs_warn("branch '%s': a spent whiteout stays in inode %lu (errno %d)",
				  branch.name().data(), to.h_dir.d_inode->i_ino, -removed.error());
	}
	return {};
}

Result<void> rename_checked(struct inode &old_dir, struct dentry &old_dentry, struct inode &new_dir,
			    struct dentry &new_dentry, unsigned int flags) noexcept
{
	if (flags & ~static_cast<unsigned int>(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return Error{-EINVAL};

	Side from = TRY(Side::create(old_dir, old_dentry));
	Side to = TRY(Side::create(new_dir, new_dentry));

	TRY(rename_on_rw(from, to, flags));
	from.inode()->copy_attributes();
	if (Inode *other = to.inode())
		other->copy_links();
	from.dir.copy_links();
	to.dir.copy_links();
	return {};
}

} // namespace

int rename(AUFS_IDMAP *, struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
	   struct dentry *new_dentry, unsigned int flags) noexcept
{
	return to_errno(rename_checked(*old_dir, *old_dentry, *new_dir, *new_dentry, flags));
}

} // namespace aufs
