// SPDX-License-Identifier: GPL-2.0-only
#include "attr.hh"
#include "copy_up.hh"
#include "inherited.hh"
#include "plink.hh"
#include "policy.hh"
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

/* A new object of the kind of @source, empty; in @shop unless that is null. */
Result<Workfile> make_alike(struct dentry &dentry, struct dentry &source, const Branch &branch,
			    struct dentry *shop) noexcept
{
	auto creds = TRY(copy_creds(dentry));
	ScopedCreds as_wanted(*creds);
	const struct inode &inode = *source.d_inode;
	umode_t kind = inode.i_mode & S_IFMT;

	auto make = [&branch, shop](auto &&create) noexcept {
		return Workfile::create(branch, create, shop);
	};

	switch (kind) {
	case S_IFREG:
		return make([](struct vfsmount *mnt, struct inode &dir, struct dentry &d) {
			return aufs_create(mnt, &dir, &d, S_IRUSR | S_IWUSR);
		});
	case S_IFDIR:
		return make([](struct vfsmount *mnt, struct inode &dir, struct dentry &d) {
			return aufs_mkdir(mnt, &dir, &d, S_IRWXU);
		});
	case S_IFLNK: {
		struct delayed_call done = {};
		const char *target = vfs_get_link(&source, &done);

		if (is_error(target))
			return error_of(target);

		auto result =
			make([target](struct vfsmount *mnt, struct inode &dir, struct dentry &d) {
				return aufs_symlink(mnt, &dir, &d, target);
			});

		if (done.fn)
			done.fn(done.arg);
		return result;
	}
	default:
		return make([kind, &inode](struct vfsmount *mnt, struct inode &dir,
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
 * Renames @work to the name of the union's @dentry, in @h_dir. False where the name has been taken
 * away meanwhile, or its directory. Write access is held.
 */
Result<bool> place(Workfile &work, struct dentry &h_dir, const struct dentry &dentry) noexcept
{
	const Branch &branch = work.branch();
	StringView name = name_of(dentry);
	KeepTimes times(branch, h_dir);
	RenameLock lock(work.dir(), h_dir);

	if (!lock.locked() || (h_dir.d_inode->i_flags & S_DEAD))
		return false;
	if (!is_entry_of(work.dentry(), work.dir()))
		return Error{-ESTALE};
	if (name.size() <= max_name) {
		WhiteoutName whiteout(name);

		if (is_positive(*TRY(lookup_locked(branch, h_dir, whiteout.view()))))
			return false;
	}

	auto to = TRY(lookup_locked(branch, h_dir, name));

	if (is_positive(*to)) {
		/* It was removed, and another has its name by now. */
		if (!dentry.d_hash.pprev)
			return false;
		/* The union would show it, had it been there. */
		return Error{-ESTALE};
	}
	TRY(check(aufs_rename(branch.mnt(), work.dir().d_inode, &work.dentry(), h_dir.d_inode,
			      to.get(), 0)));
	work.keep();
	return true;
}

/*
 * A directory for the making of what lies in a project by its directory alone, as symlinks and
 * devices do: it hands down the project of @h_parent.
 */
Result<Workfile> make_workshop(const Branch &branch, struct dentry &h_parent) noexcept
{
	auto shop = TRY(Workfile::create(branch, [](struct vfsmount *mnt, struct inode &dir,
						    struct dentry &d) {
		return aufs_mkdir(mnt, &dir, &d, S_IRWXU);
	}));
	auto write = TRY(BranchWrite::get(branch.mnt()));

	TRY(hand_project_down(branch, shop.dentry(), h_parent));
	return shop;
}

/*
 * Makes the copy of what @dentry is on @branch, in @h_parent, or without a name if that is empty; in
 * @shop at first, unless that is null. The links are counted when it is done, for the workfile's
 * name is one until then.
 */
Result<void> make_copy(struct dentry &dentry, Inode &parent, const Ref<struct dentry> &h_parent,
		       unsigned int index, loff_t size, struct dentry *shop) noexcept
{
	Inode &inode = Inode::of(*dentry.d_inode);
	const Super &super = inode.super();
	const Branch &branch = super.branch(index);
	const BranchDentry &source = inode.top();
	struct path from = super.branch(source.branch).path_to(*source.dentry);
	Workfile work = TRY(make_alike(dentry, *source.dentry, branch, shop));
	unsigned int links = 0;

	{
		auto write = TRY(BranchWrite::get(branch.mnt()));

		TRY(copy_flags(super.branch(source.branch), *source.dentry, branch, work.dentry(),
			       h_parent.get()));
	}
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
	Inode &inode = Inode::of(*dentry.d_inode);
	umode_t mode = inode.vfs.i_mode;

	if (h_parent && !is_reg(mode) && !is_dir(mode) && hands_project_down(*h_parent)) {
		Workfile shop = TRY(make_workshop(inode.super().branch(index), *h_parent));

		TRY(make_copy(dentry, parent, h_parent, index, size, &shop.dentry()));
	} else {
		TRY(make_copy(dentry, parent, h_parent, index, size, nullptr));
	}
	inode.copy_links();
	return {};
}

/* @dir, whose parent has a part on @index, gets one. */
Result<void> copy_one_directory(struct dentry &dir, struct dentry &parent,
				unsigned int index) noexcept
{
	Inode &inode = Inode::of(*dir.d_inode);
	auto lock = TRY(KillableLock::get(inode.copy_lock()));

	if (part_of(inode, index))
		return {};
	/* Its copy could not be protected like this and be copied into. */
	if (inode.h_inode().i_flags & (S_IMMUTABLE | S_APPEND))
		return Error{-EPERM};

	Inode &union_parent = Inode::of(*parent.d_inode);

	return copy_object(dir, union_parent, part_of(union_parent, index), index, 0);
}

/* Sets last what stops all else. */
void protect(Inode &inode, unsigned int from) noexcept
{
	const BranchDentry &top = inode.top();
	const Branch &branch = inode.super().branch(top.branch);

	if (!(from & (S_APPEND | S_IMMUTABLE | S_SYNC | S_NOATIME)))
		return;
	if (auto write = BranchWrite::get(branch.mnt()); write.ok())
		protect(branch, *top.dentry, from);
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
		TRY(copy_one_directory(*lacks, *parent, branch));
	}
}

Result<void> copy_up(struct dentry &dentry, loff_t size) noexcept
{
	Inode &inode = Inode::of(*dentry.d_inode);

	if (inode.on_rw())
		return {};

	ScopedCreds creds(inode.super().mounter());
	auto parent = parent_of(dentry);
	Inode &union_parent = Inode::of(*parent->d_inode);
	unsigned int index = TRY(branch_for_copy(union_parent, inode.top().branch));

	if (is_dir(inode.vfs.i_mode)) {
		TRY(copy_up_directory(dentry, index));
		return {};
	}

	auto h_parent = copy_up_directory(*parent, index);

	/* Its directory is gone, and so is its name. */
	if (!h_parent.ok() && h_parent.error() != -ENOENT)
		return Error{h_parent.error()};

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

	if (what == CopyOnOpen::nothing || aufs_sb_rdonly(inode.vfs.i_sb) ||
	    (is_dir(inode.vfs.i_mode) && what != CopyOnOpen::all))
		return {};

	auto copied = copy_up(*TRY(dentry_of(file)));

	switch (copied.error()) {
	case -EROFS:
	case -ENOSPC:
	case -E2BIG:
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
		DirLock dir_lock(*h_parent->d_inode);
		auto h_dentry = TRY(lookup_locked(branch, *h_parent, name_of(dentry)));

		if (h_dentry->d_inode == top.dentry->d_inode)
			return {};
		if (is_positive(*h_dentry))
			return Error{-ESTALE};
		TRY(check(aufs_link(top.dentry.get(), branch.mnt(), &dir_lock.dir(),
				    h_dentry.get())));
	}
	note_impure(Inode::of(*parent->d_inode), {move(h_parent), top.branch});
	note_lower_name_gone(inode);
	return {};
}

} // namespace aufs
