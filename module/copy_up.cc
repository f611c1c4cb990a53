// SPDX-License-Identifier: GPL-2.0-only
#include "attr.hh"
#include "copy_up.hh"
#include "plink.hh"
#include "policy.hh"
#include "presence.hh"
#include "whiteout.hh"
#include "workfile.hh"

namespace aufs
{

namespace
{

/* The part of @dir on @branch, or empty. */
Ref<struct dentry> part_of(const Inode &dir, unsigned int branch) noexcept
{
	return Ref<struct dentry>::retain(dir.found().dentry_on(branch));
}

/* The credentials that a security module wants a copy of @dentry to be made with. */
Result<Ref<const struct cred>> copy_creds(struct dentry &dentry) noexcept
{
	struct cred *creds;

	TRY(check(aufs_copy_up_creds(&dentry, &creds)));
	return Ref<const struct cred>::adopt(creds);
}

/* A new object of the kind of @source, empty. */
Result<Workfile> make_alike(struct dentry &dentry, struct dentry &source,
			    const Branch &branch) noexcept
{
	auto creds = TRY(copy_creds(dentry));
	ScopedCreds as_wanted(*creds);
	const struct inode &inode = *source.d_inode;
	umode_t kind = inode.i_mode & S_IFMT;

	switch (kind) {
	case S_IFREG:
		return Workfile::create(branch, [](struct vfsmount *mnt, struct inode &dir,
						   struct dentry &d) {
			return aufs_create(mnt, &dir, &d, S_IRUSR | S_IWUSR);
		});
	case S_IFDIR:
		return Workfile::create(branch, [](struct vfsmount *mnt, struct inode &dir,
						   struct dentry &d) {
			return aufs_mkdir(mnt, &dir, &d, S_IRWXU);
		});
	case S_IFLNK: {
		struct delayed_call done = {};
		const char *target = vfs_get_link(&source, &done);

		if (is_error(target))
			return error_of(target);

		auto result =
			Workfile::create(branch, [target](struct vfsmount *mnt, struct inode &dir,
							  struct dentry &d) {
				return aufs_symlink(mnt, &dir, &d, target);
			});

		if (done.fn)
			done.fn(done.arg);
		return result;
	}
	default:
		return Workfile::create(branch, [kind, &inode](struct vfsmount *mnt,
							       struct inode &dir,
							       struct dentry &d) {
			return aufs_mknod(mnt, &dir, &d, kind | S_IRUSR | S_IWUSR, inode.i_rdev);
		});
	}
}

/*
 * With whose credentials data is written. The root of a disk is known by CAP_SYS_RESOURCE and by
 * its fsuid alike: where the caller may not have the blocks that are kept for it, nobody writes.
 */
Result<Ref<const struct cred>> data_creds(const Super &super) noexcept
{
	constexpr uid_t nobody = 65534;
	struct cred *creds;

	if (aufs_may_exceed_limits())
		return Ref<const struct cred>::retain(&super.mounter());
	creds = prepare_creds();
	if (!creds)
		return Error{-ENOMEM};
	creds->fsuid.val = nobody;
	return Ref<const struct cred>::adopt(creds);
}

Result<void> copy_content(const Super &super, const struct path &from, const Workfile &work,
			  loff_t size) noexcept
{
	struct path to_path = work.branch().path_to(work.dentry());

	if (!is_reg(from.dentry->d_inode->i_mode))
		return {};

	auto in = TRY(adopt_or_error(
		dentry_open(&from, O_RDONLY | O_LARGEFILE | O_NOATIME, &super.mounter())));
	auto out = TRY(
		adopt_or_error(dentry_open(&to_path, O_WRONLY | O_LARGEFILE, &super.mounter())));

	auto creds = TRY(data_creds(super));
	ScopedCreds writer(*creds);

	return copy_data(*in, *out, size);
}

/*
 * What is not as the union has it, where @dentry was to get its copy: false where the union itself has
 * taken the name away, or its directory. Else somebody else did, and nobody would find the copy.
 */
Result<bool> is_no_place(const struct dentry &dentry) noexcept
{
	if (Going::is(dentry))
		return false;
	return Error{-ESTALE};
}

/*
 * Renames @work to the name of the union's @dentry, in @h_dir. False where the union has taken the name
 * away meanwhile, or its directory; -ESTALE where somebody else did. Write access is held.
 */
Result<bool> place(Workfile &work, struct dentry &h_dir, struct dentry &dentry) noexcept
{
	const Branch &branch = work.branch();
	NameSnapshot snapshot(dentry);
	StringView name = snapshot.view();
	KeepTimes times(branch, h_dir);
	auto locked = RenameLock::get(branch.mnt(), work.dir(), h_dir);

	if (!locked.ok())
		return is_no_place(dentry);

	const RenameLock &lock = locked.value();

	if (name.size() <= max_name) {
		WhiteoutName whiteout(name);

		if (is_positive(*TRY(lookup_locked(branch, h_dir, whiteout.view()))))
			return is_no_place(dentry);
	}

	auto to = TRY(lookup_locked(branch, h_dir, name));

	/* Another has its name by now. */
	if (is_positive(*to))
		return is_no_place(dentry);
	TRY(lock.rename(work.dentry(), *to));
	work.keep();
	return true;
}

/*
 * Gives @work, which is empty yet, the project of @h_parent where that is handed down: with another
 * it could not be renamed there, and its data would count for nobody.
 */
Result<void> inherit_project(struct dentry &h_parent, const Workfile &work) noexcept
{
	struct vfsmount *mnt = work.branch().mnt();
	struct fileattr parent = {};
	struct fileattr attr = {};

	if (vfs_fileattr_get(&h_parent, &parent) != 0 ||
	    !(parent.fsx_xflags & FS_XFLAG_PROJINHERIT))
		return {};
	/* Not for symlinks and devices: the rename tells whether they can come there. */
	if (vfs_fileattr_get(&work.dentry(), &attr) != 0)
		return {};
	attr.fsx_projid = parent.fsx_projid;
	if (is_dir(work.dentry().d_inode->i_mode))
		attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	attr.flags_valid = false;
	attr.fsx_valid = true;

	auto write = TRY(BranchWrite::get(mnt));

	return check(aufs_set_fileattr(mnt, &work.dentry(), &attr));
}

/*
 * Makes the copy of what @dentry is on @branch, in @h_parent, or without a name if that is empty. The
 * links are counted when it is done, for the workfile's name is one until then.
 */
Result<void> make_copy(struct dentry &dentry, Inode &parent, const Ref<struct dentry> &h_parent,
		       unsigned int index, loff_t size) noexcept
{
	Inode &inode = Inode::of(*dentry.d_inode);
	const Super &super = inode.super();
	const Branch &branch = super.branch(index);
	const BranchDentry &source = inode.top();
	struct path from = super.branch(source.branch).path_to(*source.dentry);
	Workfile work = TRY(make_alike(dentry, *source.dentry, branch));
	unsigned int links = 0;

	if (h_parent)
		TRY(inherit_project(*h_parent, work));
	TRY(copy_content(super, from, work, size));

	auto next = TRY(inode.found_with(Ref<struct dentry>::retain(&work.dentry()), index));
	{
		auto write = TRY(BranchWrite::get(branch.mnt()));
		const BranchDentry copy{Ref<struct dentry>::retain(&work.dentry()), index};

		TRY(copy_attributes(from, super.branch(source.branch), branch, work.dentry()));
		/* Of a directory the upper part says who it is. */
		if (index < source.branch)
			links = TRY(identify(inode, copy, true));

		auto placed = h_parent ? place(work, *h_parent, dentry) : Result<bool>(false);

		if (!placed.ok()) {
			if (links)
				TRY(remove_plink(super, branch, inode.key()));
			return Error{placed.error()};
		}
		/* A directory that is gone has nothing that could be changed. */
		if (!placed.value() && is_dir(inode.vfs.i_mode))
			return Error{-ENOENT};
		if (placed.value())
			note_impure(parent, {h_parent.clone(), index});
		else
			links = TRY(identify(inode, copy, false));
	}
	inode.set_links(links);
	inode.publish(move(next));
	return {};
}

Result<void> copy_object(struct dentry &dentry, Inode &parent, const Ref<struct dentry> &h_parent,
			 unsigned int index, loff_t size) noexcept
{
	TRY(make_copy(dentry, parent, h_parent, index, size));
	Inode::of(*dentry.d_inode).copy_links();
	return {};
}

/*
 * @dir, whose parent has a part on @index, gets one. False where it is being renamed, or has another
 * parent by now; -EXDEV where a part there would not be seen.
 */
Result<bool> copy_one_directory(struct dentry &dir, struct dentry &parent,
				unsigned int index) noexcept
{
	Inode &inode = Inode::of(*dir.d_inode);
	auto lock = TRY(KillableLock::get(inode.copy_lock()));

	if (part_of(inode, index))
		return true;
	if (inode.is_moving(dir) || parent_of(dir).get() != &parent)
		return false;
	if (index > inode.found().bottom && !TRY(shows_below(dir, index)))
		return Error{-EXDEV};
	/* Its copy could not be protected like this and be copied into. */
	if (inode.h_inode().i_flags & (S_IMMUTABLE | S_APPEND))
		return Error{-EPERM};

	Inode &union_parent = Inode::of(*parent.d_inode);

	TRY(copy_object(dir, union_parent, part_of(union_parent, index), index, 0));
	return true;
}

/* What a rw branch lacks of what was copied to it, and is set last because it stops all else. */
void protect(Inode &inode, unsigned int from) noexcept
{
	const BranchDentry &top = inode.top();
	struct vfsmount *mnt = inode.super().branch(top.branch).mnt();
	struct fileattr attr = {};

	if (!(from & (S_APPEND | S_IMMUTABLE | S_SYNC | S_NOATIME)))
		return;

	auto write = BranchWrite::get(mnt);

	if (!write.ok() || vfs_fileattr_get(top.dentry.get(), &attr) != 0)
		return;
	/* XFS looks at its own form of the flags, which this sets as well. */
	fileattr_fill_flags(&attr, attr.flags | (from & S_APPEND ? FS_APPEND_FL : 0U) |
					   (from & S_IMMUTABLE ? FS_IMMUTABLE_FL : 0U) |
					   (from & S_SYNC ? FS_SYNC_FL : 0U) |
					   (from & S_NOATIME ? FS_NOATIME_FL : 0U));
	aufs_set_fileattr(mnt, top.dentry.get(), &attr);
	inode.copy_attributes();
}

} // namespace

Result<Ref<struct dentry>> dentry_of(const struct file &file) noexcept
{
	if (file.f_path.dentry->d_sb == file.f_inode->i_sb)
		return Ref<struct dentry>::retain(file.f_path.dentry);

	auto dentry = Ref<struct dentry>::adopt(aufs_d_find_any_alias(file.f_inode));

	if (!dentry)
		return Error{-ESTALE};
	return dentry;
}

Result<Ref<struct dentry>> copy_up_directory(struct dentry &dir, unsigned int branch) noexcept
{
	const Inode &inode = Inode::of(*dir.d_inode);
	ScopedCreds creds(inode.super().mounter());

	for (;;) {
		if (auto part = part_of(inode, branch))
			return part;

		auto lacks = Ref<struct dentry>::retain(&dir);
		auto parent = parent_of(*lacks);

		while (!part_of(Inode::of(*parent->d_inode), branch)) {
			/* The branch's root is hidden. */
			if (parent.get() == lacks.get())
				return Error{-EROFS};
			lacks = move(parent);
			parent = parent_of(*lacks);
		}
		if (parent.get() == lacks.get())
			return Error{-EROFS};
		if (aufs_signal_pending())
			return Error{-EINTR};
		if (!TRY(copy_one_directory(*lacks, *parent, branch)))
			aufs_pause();
	}
}

Result<void> copy_up(struct dentry &dentry, loff_t size) noexcept
{
	Inode &inode = Inode::of(*dentry.d_inode);

	if (inode.on_rw())
		return check_presence(dentry);

	ScopedCreds creds(inode.super().mounter());
	auto parent = parent_of(dentry);
	Inode &union_parent = Inode::of(*parent->d_inode);
	unsigned int index = TRY(branch_for_copy(union_parent, inode.top().branch));

	if (is_dir(inode.vfs.i_mode)) {
		TRY(copy_up_directory(dentry, index));
		return {};
	}

	auto h_parent = copy_up_directory(*parent, index);

	if (!h_parent.ok()) {
		bool gone = h_parent.error() == -ENOENT || h_parent.error() == -ESTALE;

		/* The union has removed it, and then its directory. */
		if (!gone || !Going::is(dentry))
			return Error{gone ? -ESTALE : h_parent.error()};
	}

	auto lock = TRY(KillableLock::get(inode.copy_lock()));

	if (inode.on_rw())
		return {};

	unsigned int flags = inode.h_inode().i_flags;

	TRY(copy_object(dentry, union_parent,
			h_parent.ok() ? h_parent.release() : Ref<struct dentry>(), index, size));
	protect(inode, flags);
	return {};
}

Result<void> copy_up_on_open(const struct file &file) noexcept
{
	const Inode &inode = Inode::of(*file.f_inode);
	CopyOnOpen what = inode.branch().copy_on_open();

	if (what == CopyOnOpen::nothing || inode.on_rw() || aufs_sb_rdonly(inode.vfs.i_sb) ||
	    (is_dir(inode.vfs.i_mode) && what != CopyOnOpen::all))
		return {};

	auto copied = copy_up(*TRY(dentry_of(file)));

	switch (copied.error()) {
	case -EROFS:
	case -ENOSPC:
	case -EDQUOT:
	case -EPERM:
	case -EOVERFLOW:
		return {};
	default:
		return copied;
	}
}

Result<void> copy_up_with_name(struct dentry &dentry) noexcept
{
	Inode &inode = Inode::of(*dentry.d_inode);

	TRY(copy_up(dentry));
	if (inode.links() <= 1)
		return {};

	const BranchDentry &top = inode.top();
	const Branch &branch = inode.super().branch(top.branch);
	auto parent = parent_of(dentry);
	auto h_parent = TRY(copy_up_directory(*parent, top.branch));
	auto lock = TRY(KillableLock::get(inode.copy_lock()));
	ScopedCreds creds(inode.super().mounter());
	auto write = TRY(BranchWrite::get(branch.mnt()));
	{
		KeepTimes times(branch, *h_parent);
		auto dir_lock = TRY(DirLock::get(branch.mnt(), *h_parent));
		auto h_dentry = TRY(lookup_locked(branch, *h_parent, name_of(dentry)));

		if (h_dentry->d_inode == top.dentry->d_inode)
			return {};
		if (is_positive(*h_dentry))
			return Error{-ESTALE};
		TRY(dir_lock.link(*top.dentry, *h_dentry));
	}
	note_impure(Inode::of(*parent->d_inode), {move(h_parent), top.branch});
	note_lower_name_gone(inode);
	return {};
}

} // namespace aufs
