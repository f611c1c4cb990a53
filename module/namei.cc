// SPDX-License-Identifier: GPL-2.0-only
#include "attr.hh"
#include "namei.hh"
#include "dir.hh"

namespace aufs
{

Result<CreatorCreds> CreatorCreds::create(const Super &super) noexcept
{
	const struct cred *caller = aufs_current_cred();
	ScopedCreds creds(super.mounter());
	struct cred *made = prepare_creds();

	if (!made)
		return Error{-ENOMEM};
	made->fsuid = caller->fsuid;
	made->fsgid = caller->fsgid;

	CreatorCreds result;

	result.creds_ = Ref<const struct cred>::adopt(made);
	return result;
}

Result<struct dentry *> rw_directory(const Inode &dir) noexcept
{
	unsigned int part = dir.rw_part();

	if (part == dir.parts())
		return Error{-EROFS};
	return dir.part(part).dentry.get();
}

Result<void> check_new_name(StringView name) noexcept
{
	if (is_reserved(name))
		return Error{-EPERM};
	if (name.size() > max_name)
		return Error{-ENAMETOOLONG};
	return {};
}

Result<Ref<struct dentry>> whiteout_to_remove(const Inode &dir, StringView name) noexcept
{
	for (unsigned int i = 0; i <= dir.rw_part(); i++) {
		const BranchDentry &part = dir.part(i);
		auto whiteout =
			TRY(find_whiteout(dir.super().branch(part.branch), *part.dentry, name));

		if (!whiteout)
			continue;
		if (i < dir.rw_part())
			return Error{-EROFS};
		return whiteout;
	}
	return Ref<struct dentry>();
}

Result<void> check_nothing_below(const Inode &dir, StringView name) noexcept
{
	Found below = TRY(find(dir, name, dir.rw_part() + 1));

	if (below.exists())
		return Error{-EROFS};
	return {};
}

Result<void> check_no_directory_below(const Inode &dir, StringView name) noexcept
{
	Found below = TRY(find(dir, name, dir.rw_part() + 1));

	if (below.exists() && is_dir(below.top.dentry->d_inode->i_mode))
		return Error{-EROFS};
	return {};
}

Result<Ref<struct dentry>> h_dentry_locked(const Branch &branch, struct dentry &h_dir,
					   struct dentry &dentry) noexcept
{
	auto h_dentry = TRY(lookup_locked(branch, h_dir, name_of(dentry)));
	struct inode *expected = nullptr;

	/* What lies on another branch is not there on this one. */
	if (dentry.d_inode && &Inode::of(*dentry.d_inode).branch() == &branch)
		expected = &Inode::of(*dentry.d_inode).h_inode();
	if (h_dentry->d_inode != expected)
		return Error{-ESTALE};
	return h_dentry;
}

Result<void> remove_whiteout(const Branch &branch, struct inode &h_dir,
			     struct dentry &whiteout) noexcept
{
	return check(aufs_unlink(branch.mnt(), &h_dir, &whiteout));
}

Result<void> empty_for_removal(Inode &dir) noexcept
{
	const Branch &branch = dir.super().rw();
	NameList names = TRY(NameList::read(branch, dir.h_dentry()));

	if (names.has_visible())
		return Error{-ENOTEMPTY};

	DirLock lock(dir.h_inode());

	return names.for_each_reserved([&](StringView name) -> Result<void> {
		auto whiteout = TRY(lookup_locked(branch, dir.h_dentry(), name));

		if (!is_positive(*whiteout))
			return {};
		return remove_whiteout(branch, lock.dir(), *whiteout);
	});
}

namespace
{

struct dentry *lookup(struct inode *dir, struct dentry *dentry, unsigned int) noexcept
{
	StringView name = name_of(*dentry);
	Inode &union_dir = Inode::of(*dir);
	auto run = [&]() -> Result<Ref<struct inode>> {
		if (name.size() > NAME_MAX)
			return Error{-ENAMETOOLONG};
		if (is_reserved(name))
			return Ref<struct inode>();

		ScopedCreds creds(union_dir.super().mounter());
		Found found = TRY(find(union_dir, name));

		if (!found.exists())
			return Ref<struct inode>();
		return Inode::get(*dir->i_sb, move(found));
	};
	auto inode = run();

	if (!inode.ok())
		return error_pointer<struct dentry>(inode.error());
	return d_splice_alias(inode.value().leak(), dentry);
}

/* Takes back what make() did when a later step fails. The directory is locked. */
void unmake(const Branch &branch, struct inode &h_dir, struct dentry &h_dentry) noexcept
{
	int error = is_dir(h_dentry.d_inode->i_mode) ? aufs_rmdir(branch.mnt(), &h_dir, &h_dentry) :
						       aufs_unlink(branch.mnt(), &h_dir, &h_dentry);

	if (error)
		aufs_warn("branch '%s': a half-made object stays in inode %lu (errno %d)",
			  branch.name().data(), h_dir.i_ino, -error);
}

/*
 * Makes @dentry's name on the rw branch by @create(mount, directory, dentry), and then the union's
 * inode for it, or @existing for a further link.
 */
template <class Create>
Result<void> make(struct inode &dir, struct dentry &dentry, struct inode *existing,
		  Create &&create) noexcept
{
	Inode &union_dir = Inode::of(dir);
	StringView name = name_of(dentry);

	TRY(check_new_name(name));

	struct dentry *h_dir = TRY(rw_directory(union_dir));
	const Branch &branch = union_dir.super().rw();
	auto write = TRY(BranchWrite::get(branch.mnt()));
	auto creator = TRY(CreatorCreds::create(union_dir.super()));
	ScopedCreds creds(creator.get());
	auto whiteout = TRY(whiteout_to_remove(union_dir, name));
	DirLock lock(*h_dir->d_inode);
	auto h_dentry = TRY(h_dentry_locked(branch, *h_dir, dentry));

	TRY(check(create(branch.mnt(), lock.dir(), *h_dentry)));
	/* Some filesystems leave it to a lookup to find what mkdir made. */
	if (!is_positive(*h_dentry))
		h_dentry = TRY(lookup_locked(branch, *h_dir, name));
	if (!is_positive(*h_dentry))
		return Error{-ENOENT};

	ScopeExit undo([&] { unmake(branch, lock.dir(), *h_dentry); });
	auto inode = Ref<struct inode>::retain(existing);

	if (!inode) {
		Found found;

		found.top = {h_dentry.clone(), union_dir.super().rw_index()};
		inode = TRY(Inode::get(*dir.i_sb, move(found)));
	}
	if (whiteout)
		TRY(remove_whiteout(branch, lock.dir(), *whiteout));
	undo.dismiss();
	Inode::of(*inode).copy_links();
	union_dir.copy_links();
	d_instantiate(&dentry, inode.leak());
	return {};
}

int create(AUFS_IDMAP *, struct inode *dir, struct dentry *dentry, umode_t mode, bool) noexcept
{
	return to_errno(make(*dir, *dentry, nullptr,
			     [mode](struct vfsmount *mnt, struct inode &h_dir, struct dentry &h) {
				     return aufs_create(mnt, &h_dir, &h, mode);
			     }));
}

int mknod(AUFS_IDMAP *, struct inode *dir, struct dentry *dentry, umode_t mode, dev_t rdev) noexcept
{
	return to_errno(
		make(*dir, *dentry, nullptr,
		     [mode, rdev](struct vfsmount *mnt, struct inode &h_dir, struct dentry &h) {
			     return aufs_mknod(mnt, &h_dir, &h, mode, rdev);
		     }));
}

int symlink(AUFS_IDMAP *, struct inode *dir, struct dentry *dentry, const char *target) noexcept
{
	return to_errno(make(*dir, *dentry, nullptr,
			     [target](struct vfsmount *mnt, struct inode &h_dir, struct dentry &h) {
				     return aufs_symlink(mnt, &h_dir, &h, target);
			     }));
}

Result<void> make_directory(struct inode &dir, struct dentry &dentry, umode_t mode) noexcept
{
	Inode &union_dir = Inode::of(dir);

	/*
	 * Over a whiteout, a directory below would shine through: it would have to be made opaque.
	 */
	TRY(rw_directory(union_dir));
	TRY(check_new_name(name_of(dentry)));
	{
		ScopedCreds creds(union_dir.super().mounter());

		TRY(check_no_directory_below(union_dir, name_of(dentry)));
	}
	return make(dir, dentry, nullptr,
		    [mode](struct vfsmount *mnt, struct inode &h_dir, struct dentry &h) {
			    return aufs_mkdir(mnt, &h_dir, &h, mode);
		    });
}

/* ->mkdir returns an errno, on later kernels a dentry: null where it is the caller's. */
template <class Return>
Return mkdir(AUFS_IDMAP *, struct inode *dir, struct dentry *dentry, umode_t mode) noexcept
{
	int error = to_errno(make_directory(*dir, *dentry, mode));

	if constexpr (cxxrt::same_type<Return, int>)
		return error;
	else
		return error_pointer<struct dentry>(error);
}

int link(struct dentry *old_dentry, struct inode *dir, struct dentry *new_dentry) noexcept
{
	struct inode *inode = old_dentry->d_inode;

	if (!Inode::of(*inode).on_rw())
		return -EROFS;
	return to_errno(make(*dir, *new_dentry, inode,
			     [inode](struct vfsmount *mnt, struct inode &h_dir, struct dentry &h) {
				     return aufs_link(&Inode::of(*inode).h_dentry(), mnt, &h_dir,
						      &h);
			     }));
}

/*
 * Removes @dentry's name, which must be on the rw branch and nowhere below, by @remove(mount,
 * directory, dentry).
 */
template <class Remove>
Result<void> remove(struct inode &dir, struct dentry &dentry, Remove &&remove) noexcept
{
	Inode &union_dir = Inode::of(dir);
	Inode &victim = Inode::of(*dentry.d_inode);
	struct dentry *h_dir = TRY(rw_directory(union_dir));

	if (!victim.on_rw() || victim.merged())
		return Error{-EROFS};

	const Branch &branch = victim.branch();
	auto write = TRY(BranchWrite::get(branch.mnt()));
	ScopedCreds creds(union_dir.super().mounter());

	TRY(check_nothing_below(union_dir, name_of(dentry)));
	if (is_dir(victim.vfs.i_mode))
		TRY(empty_for_removal(victim));
	{
		DirLock lock(*h_dir->d_inode);
		auto h_dentry = TRY(h_dentry_locked(branch, *h_dir, dentry));

		TRY(check(remove(branch.mnt(), &lock.dir(), h_dentry.get())));
	}
	victim.copy_links();
	union_dir.copy_links();
	return {};
}

int unlink(struct inode *dir, struct dentry *dentry) noexcept
{
	return to_errno(remove(*dir, *dentry, aufs_unlink));
}

int rmdir(struct inode *dir, struct dentry *dentry) noexcept
{
	return to_errno(remove(*dir, *dentry, aufs_rmdir));
}

/* An inode without a name: made on the branch without one, then opened as any other file. */
Result<void> make_tmpfile(struct inode &dir, struct file &file, umode_t mode) noexcept
{
	Inode &union_dir = Inode::of(dir);
	struct dentry *h_dir = TRY(rw_directory(union_dir));
	const Branch &branch = union_dir.super().rw();
	struct path parent = branch.path_to(*h_dir);
	Ref<struct file> h_file;
	{
		auto write = TRY(BranchWrite::get(branch.mnt()));
		auto creator = TRY(CreatorCreds::create(union_dir.super()));
		ScopedCreds creds(creator.get());

		h_file = TRY(adopt_or_error(
			aufs_tmpfile_open(&parent, mode, O_RDWR | O_LARGEFILE, &creator.get())));
	}

	Found found;

	found.top = {Ref<struct dentry>::retain(aufs_file_dentry(h_file.get())),
		     union_dir.super().rw_index()};

	auto inode = TRY(Inode::get(*dir.i_sb, move(found)));

	/* d_tmpfile() takes the one link away that a named file would have. */
	set_nlink(inode.get(), 1);
	d_tmpfile(&file, inode.leak());
	return {};
}

int tmpfile(AUFS_IDMAP *, struct inode *dir, struct file *file, umode_t mode) noexcept
{
	int error = to_errno(make_tmpfile(*dir, *file, mode));

	return error ? error : finish_open(file, file->f_path.dentry, nullptr);
}

template <class Ops> constexpr Ops for_dir(Ops ops) noexcept
{
	ops.lookup = lookup;
	ops.create = create;
	ops.link = link;
	ops.unlink = unlink;
	ops.symlink = symlink;
	ops.mkdir = mkdir;
	ops.rmdir = rmdir;
	ops.mknod = mknod;
	ops.rename = rename;
	ops.tmpfile = tmpfile;
	ops.fileattr_get = fileattr_get;
	ops.fileattr_set = fileattr_set;
	return with_common(ops);
}

} // namespace

constinit const struct ::inode_operations dir_inode_operations = for_dir(::inode_operations{});

} // namespace aufs
