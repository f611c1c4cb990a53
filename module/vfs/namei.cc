// SPDX-License-Identifier: GPL-2.0-only
#include "attr.hh"
#include "copy_up/copy_up.hh"
#include "branch/entry.hh"
#include "branch/inherited.hh"
#include "namei.hh"
#include "union/names_now.hh"
#include "union/plink.hh"
#include "union/policy.hh"
#include "union/presence.hh"
#include "branch/workfile.hh"
#include "kernel/dcache.hh"
#include "kernel/files.hh"
#include "kernel/security.hh"

namespace aufs
{

Result<CreatorCreds> CreatorCreds::create(const Super &super, const struct cred &caller,
					  struct dentry &dentry, umode_t mode)
{
	AsMounter mounter = super.as_mounter();
	struct cred *made = prepare_creds();

	if (!made)
		return Error{-ENOMEM};
	made->fsuid = caller.fsuid;
	made->fsgid = caller.fsgid;

	CreatorCreds result;

	result.creds_ = Ref<const struct cred>::adopt(made);
	if (mode)
		TRY(create_as(dentry, mode, caller, *made));
	return result;
}

Result<void> check_new_name(StringView name)
{
	if (is_reserved(name))
		return Error{-EPERM};
	if (name.size() > max_name)
		return Error{-ENAMETOOLONG};
	return {};
}

namespace
{

/* Whether users see @name although it is reserved. */
bool is_shown(const Super &super, StringView name)
{
	return super.settings().show_whiteouts && is_whiteout_name(name);
}

/* The inode of what the branches have as @name in @dir, or empty. @changes becomes what Inode::watch() returns. */
Result<Ref<struct inode>> inode_by_name(const ListLock &list, Inode &dir, StringView name,
					unsigned long &changes)
{
	const Super &super = dir.super();

	if (name.size() > max_name && !is_reserved(name))
		return Error{-ENAMETOOLONG};
	if (is_reserved(name) && !is_shown(super, name))
		return Ref<struct inode>();

	AsMounter mounter = super.as_mounter();

	changes = TRY(dir.watch(list));

	Stack found = TRY(find(mounter, dir, name, list));

	if (!found.exists())
		return Ref<struct inode>();

	/* The number that a readdir gives for the name; 0 if it looks the name up, too. */
	u64 listed = super.number_for(*found.top.branch, found.top.inode().i_ino);

	TRY(follow_plink(mounter, super, found));

	Part named = found.named ? found.named.clone() : Part();
	auto vfs_inode = TRY(Inode::get(mounter, *dir.vfs.i_sb, move(found)));

	if (Inode::of(*vfs_inode).is_lost())
		return Error{-ESTALE};
	if (named)
		note_further_name(mounter, Inode::of(*vfs_inode), named);
	if (listed && vfs_inode->i_ino != listed)
		dir.set_purity(Inode::Purity::impure);
	return vfs_inode;
}

Result<struct dentry *> lookup(struct inode *vfs_dir, struct dentry *dentry, unsigned int)
{
	Inode &dir = Inode::of(*vfs_dir);
	ListLock list(dir.super());
	unsigned long changes = 0;
	auto vfs_inode = TRY(inode_by_name(list, dir, name_of(*dentry), changes));

	dir.set_asked(*dentry);
	dentry->d_time = changes;
	if (vfs_inode)
		Inode::of(*vfs_inode).forget_move_of(*dentry);

	struct dentry *alias = d_splice_alias(vfs_inode.leak(), dentry);

	/* d_time was the count of changes of another directory. */
	if (alias && !is_error(alias))
		AtomicRef(alias->d_time).store(0);
	return alias;
}

/* Takes back what make() did when a later step fails. */
void unmake(const Writer &writer, struct dentry &h_dir, struct dentry &h_dentry)
{
	SignalsBlocked signals(SignalsBlocked::Which::all);

	if (is_dir(h_dentry.d_inode->i_mode))
		undo_opaque(writer, h_dentry);

	auto remove = [&]() -> Result<void> {
		auto lock = TRY(DirLock::get(writer, h_dir));

		return remove_locked(lock, h_dentry);
	};

	/* An object that somebody has moved or removed by now is not ours to remove. */
	if (auto removed = remove(); !removed.ok() && removed.error() != -ESTALE)
		log_warning("branch '%s': a half-made object stays in inode %llu (errno %d)",
			    writer.branch().name().data(), number_of(*h_dir.d_inode),
			    -removed.error());
}

/* A request to make(), for the union's @dentry: a new object, or a further link of an existing one. */
struct CreationRequest {
	struct dentry &dentry;
	umode_t mode; /* 0 for a link */
	struct inode *existing; /* null but for a link */
	const NewObject *object; /* null for a link */
	const struct cred &caller;
	bool is_hidden = false; /* a branch above hides what lies at its place */
};

/* Makes the object or link that is @wanted, in @h_dir. A new object belongs to the caller. */
Result<Ref<struct dentry>> make_on_branch(const Writer &writer, const Super &super,
					  struct dentry &h_dir, const CreationRequest &wanted)
{
	auto creator = TRY(CreatorCreds::create(super, wanted.caller, wanted.dentry, wanted.mode));
	ScopedCreds creds(creator.get());
	auto lock = TRY(DirLock::get(writer, h_dir));
	auto h_dentry = TRY(lookup_locked(lock, name_of(wanted.dentry)));

	/* The branch has an object by now that the union does not have. */
	if (is_positive(*h_dentry) && !wanted.is_hidden)
		return Error{-ESTALE};
	/* Or one that a branch above hides. Nobody finds it, so it goes for good. */
	if (is_positive(*h_dentry)) {
		if (is_dir(h_dentry->d_inode->i_mode))
			return Error{-EXDEV};
		TRY(lock.unlink(*h_dentry));
		h_dentry = TRY(lookup_locked(lock, name_of(wanted.dentry)));
	}
	TRY(lock.make(*h_dentry, wanted.object ?
					 *wanted.object :
					 NewObject::link(Inode::of(*wanted.existing).h_dentry())));
	h_dentry = TRY(find_made(lock, move(h_dentry)));
	if (!is_positive(*h_dentry))
		return Error{-ENOENT};
	return h_dentry;
}

/* Where make() makes something. */
struct CreationPlace {
	const Branch &branch;
	Ref<struct dentry> h_dir;

	PartRef part() const
	{
		return {branch, *h_dir};
	}
};

/* Gives a new object what the uppermost part of the directory hands down: that part users see. */
Result<void> inherit(const Writer &writer, const Inode &dir, const CreationRequest &wanted,
		     struct dentry &h_dentry)
{
	const Part &top = dir.top();

	if (!wanted.mode || top.branch == &writer.branch())
		return {};
	return inherit_from(top, writer, h_dentry, wanted.mode, wanted.caller);
}

/*
 * The place for a new @name in @dir. A directory on the way may be renamed while a branch is chosen: then another
 * branch is the right one.
 */
Result<CreationPlace> place_for_new(const AsMounter &mounter, const ListLock &list,
				    struct dentry &dir, StringView name, NewKind kind)
{
	constexpr int most = 10;

	for (int tries = 1;; tries++) {
		const Branch &branch = *TRY(branch_for_new(mounter, dir, name, kind));
		auto h_dir = copy_up_directory(list, dir, branch);

		if (h_dir.ok())
			return CreationPlace{branch, h_dir.release()};
		if (h_dir.error() != -EXDEV || tries == most)
			return Error{h_dir.error()};
	}
}

/*
 * Makes the object or link that is @wanted, at @place. Returns the union's inode: a new one, or for a link the
 * existing one. Takes and drops write access.
 */
Result<Ref<struct inode>> make_at(const AsMounter &mounter, Inode &dir, const CreationPlace &place,
				  const CreationRequest &wanted)
{
	StringView name = name_of(wanted.dentry);
	const Branch &branch = place.branch;
	struct dentry &h_dir = *place.h_dir;
	auto writer = TRY(branch.write(mounter));
	bool whiteout = static_cast<bool>(TRY(find_whiteout(mounter, place.part(), name)));

	if (wanted.existing)
		note_arrival(writer, dir, h_dir, Inode::of(*wanted.existing));

	auto h_dentry = TRY(make_on_branch(writer, dir.super(), h_dir, wanted));
	ScopeExit undo([&] { unmake(writer, h_dir, *h_dentry); });
	auto vfs_inode = Ref<struct inode>::retain(wanted.existing);

	TRY(inherit(writer, dir, wanted, *h_dentry));
	/* A directory that the whiteout hid must not become a part of a new one. */
	if ((whiteout || dir.super().settings().always_opaque) && is_dir(h_dentry->d_inode->i_mode))
		TRY(make_opaque(writer, *h_dentry));
	if (!vfs_inode) {
		Stack found;

		found.top = Part(branch, h_dentry.clone());
		vfs_inode = TRY(
			Inode::get(mounter, *dir.vfs.i_sb, move(found), Inode::Age::made_just_now));
		if (!Inode::of(*vfs_inode).has_natural_number())
			note_impure(writer, dir, h_dir);
	}
	undo.dismiss();
	/* A lookup finds the name before its whiteout, which does no harm now. */
	if (whiteout) {
		if (auto removed = remove_spent_whiteout(writer, h_dir, name); !removed.ok())
			log_warning("branch '%s': a spent whiteout stays in inode %llu (errno %d)",
				    branch.name().data(), number_of(*h_dir.d_inode),
				    -removed.error());
	}
	return vfs_inode;
}

/* Takes away what hides a further link on branches above; takes the link back if that fails. */
Result<void> uncover_link(const AsMounter &mounter, const Inode &dir, const CreationPlace &place,
			  StringView name, const struct inode &h_inode)
{
	int error = 0;

	{
		auto uncovered = Uncovering::begin(mounter, dir, name,
						   Part(place.branch, place.h_dir.clone()), nullptr,
						   nullptr);

		if (uncovered.ok()) {
			uncovered.value().end();
			return {};
		}
		error = uncovered.error();
	}

	SignalsBlocked signals(SignalsBlocked::Which::all);
	auto writer = TRY(place.branch.write(mounter));

	/* A link that somebody has removed or replaced by now is not ours to remove. */
	if (auto made = TRY(lookup_in(mounter, place.part(), name));
	    made && made->d_inode == &h_inode)
		unmake(writer, *place.h_dir, *made);
	return Error{error};
}

/*
 * Makes @dentry's name on a rw branch: for @object, a new inode of @mode; or, with a null @object and @mode 0, for
 * @existing, which lies on a rw branch.
 */
Result<void> make(struct inode &vfs_dir, struct dentry &dentry, struct inode *existing,
		  umode_t mode, const NewObject *object)
{
	Inode &dir = Inode::of(vfs_dir);
	StringView name = name_of(dentry);

	TRY(check_new_name(name));

	ListLock list(dir.super());
	AsMounter mounter = dir.super().as_mounter();
	Obstacle obstacle = Obstacle::no;
	const Branch *branch = nullptr;

	/* The list may have changed since the VFS looked the name up, and a new branch may have it. */
	TRY(check_name(list, mounter, dentry));

	if (existing) {
		branch = &Inode::of(*existing).branch();
		obstacle = TRY(obstacle_above(mounter, dir, name, *branch, nullptr));
		if (obstacle == Obstacle::for_good)
			return Error{-EXDEV};
	}

	CreationPlace place =
		branch ? CreationPlace{*branch,
				       TRY(copy_up_directory(list, *dentry.d_parent, *branch))} :
			 TRY(place_for_new(mounter, list, *dentry.d_parent, name,
					   is_dir(mode) ? NewKind::directory : NewKind::other));

	TRY(check_seen(list, mounter, *dentry.d_parent, place.branch));

	CreationRequest wanted = {
		dentry, mode, existing, object, mounter.caller(), obstacle == Obstacle::removable};
	auto run = [&]() -> Result<Ref<struct inode>> {
		/*
		 * The policy has chosen a branch that no whiteout hides: what hides the name by now was made directly.
		 */
		if (!existing &&
		    TRY(obstacle_above(mounter, dir, name, place.branch, nullptr)) != Obstacle::no)
			return Error{-ESTALE};

		auto vfs_inode = TRY(make_at(mounter, dir, place, wanted));
		Inode &inode = Inode::of(*vfs_inode);

		if (obstacle == Obstacle::removable)
			TRY(uncover_link(mounter, dir, place, name, inode.h_inode()));
		inode.copy_links();
		return vfs_inode;
	};
	Ref<struct inode> vfs_inode;

	if (existing) {
		/* Names are counted under this lock. */
		auto lock = TRY(CopyLock::get(Inode::of(*existing)));

		vfs_inode = TRY(run());
	} else {
		vfs_inode = TRY(run());
	}
	touch_top(mounter, dir, place.branch);
	dir.copy_links();
	RemovalMark::forget(dentry);
	Inode::of(*vfs_inode).forget_move_of(dentry);
	/* With udba a walk may just drop the dentry: drop it and add it again. Nobody looks the name up meanwhile. */
	if (dir.super().settings().udba != Udba::none)
		d_drop(&dentry);
	if (dentry.d_hash.pprev)
		d_instantiate(&dentry, vfs_inode.leak());
	else
		d_add(&dentry, vfs_inode.leak());
	return {};
}

/* Some kernels also pass that the name must be free. The VFS has made sure of that. */
struct Create {
	template <class... Exclusive>
	Result<void> operator()(AUFS_IDMAP *, struct inode *vfs_dir, struct dentry *dentry,
				umode_t mode, Exclusive...) const
	{
		const NewObject object = NewObject::file(mode);

		return make(*vfs_dir, *dentry, nullptr, S_IFREG | mode, &object);
	}
};

Result<void> mknod(AUFS_IDMAP *, struct inode *vfs_dir, struct dentry *dentry, umode_t mode,
		   dev_t rdev)
{
	const NewObject object = NewObject::special(mode, rdev);

	return make(*vfs_dir, *dentry, nullptr, mode, &object);
}

Result<void> symlink(AUFS_IDMAP *, struct inode *vfs_dir, struct dentry *dentry, const char *target)
{
	const NewObject object = NewObject::symlink(target);

	return make(*vfs_dir, *dentry, nullptr, S_IFLNK | S_IRWXUGO, &object);
}

/* The VFS gets an errno, or on later kernels a dentry: null stands for the caller's. */
Result<void> mkdir(AUFS_IDMAP *, struct inode *vfs_dir, struct dentry *dentry, umode_t mode)
{
	const NewObject object = NewObject::directory(mode);

	return make(*vfs_dir, *dentry, nullptr, S_IFDIR | mode, &object);
}

/* Copies up @old, which gets the further @name in @dir, unless it is known that it cannot get that: -EXDEV. */
Result<void> prepare_link(struct dentry &old, const Inode &dir, StringView name)
{
	const Inode &inode = Inode::of(*old.d_inode);

	TRY(check_new_name(name));

	ListLock list(inode.super());
	/* Read once: a copy-up by another task changes it. */
	const Branch &source = inode.branch();

	if (!source.writable()) {
		AsMounter mounter = inode.super().as_mounter();
		auto parent = parent_of(old);
		const Branch &branch = *TRY(branch_for_copy(Inode::of(*parent->d_inode), source));

		if (TRY(obstacle_above(mounter, dir, name, branch, nullptr)) == Obstacle::for_good)
			return Error{-EXDEV};
	}
	return copy_up(list, old);
}

Result<void> link(struct dentry *old_dentry, struct inode *vfs_dir, struct dentry *new_dentry)
{
	Inode &inode = Inode::of(*old_dentry->d_inode);

	TRY(prepare_link(*old_dentry, Inode::of(*vfs_dir), name_of(*new_dentry)));
	return make(*vfs_dir, *new_dentry, &inode.vfs, 0, nullptr);
}

/* Makes a file without a name on a branch. The file is opened then as any other. */
Result<void> make_tmpfile(struct inode &vfs_dir, struct file &file, umode_t mode)
{
	Inode &dir = Inode::of(vfs_dir);
	const Super &super = dir.super();
	ListLock list(super);
	AsMounter mounter = super.as_mounter();
	CreationPlace place = TRY(
		place_for_new(mounter, list, *file.f_path.dentry->d_parent, {}, NewKind::other));
	const Branch &branch = place.branch;
	struct path parent = place.part().path();
	Ref<struct file> h_file;

	if (!is_live_directory(place.part()))
		return Error{-ESTALE};
	{
		auto writer = TRY(branch.write(mounter));
		auto creator = TRY(CreatorCreds::create(super, mounter.caller(),
							*file.f_path.dentry, S_IFREG | mode));
		ScopedCreds creds(creator.get());

		h_file = TRY(open_unnamed(parent, mode, O_RDWR | O_LARGEFILE, creator.get()));
		TRY(inherit(writer, dir,
			    {*file.f_path.dentry, static_cast<umode_t>(S_IFREG | mode), nullptr,
			     nullptr, mounter.caller()},
			    file_dentry(*h_file)));
	}

	Stack found;

	found.top = Part::of({branch, file_dentry(*h_file)});

	auto vfs_inode =
		TRY(Inode::get(mounter, *vfs_dir.i_sb, move(found), Inode::Age::made_just_now));

	/* d_tmpfile() takes away the one link that a file with a name would have. */
	set_nlink(vfs_inode.get(), 1);
	d_tmpfile(&file, vfs_inode.leak());
	RemovalMark::never_named(*file.f_path.dentry);
	return {};
}

Result<void> tmpfile(AUFS_IDMAP *, struct inode *vfs_dir, struct file *file, umode_t mode)
{
	TRY(make_tmpfile(*vfs_dir, *file, mode));
	return check(finish_open(file, file->f_path.dentry, nullptr));
}

template <class Ops> constexpr Ops for_dir(Ops ops, bool asks)
{
	ops.lookup = vfs<lookup>;
	ops.create = vfs<Create{}>;
	ops.link = vfs<link>;
	ops.unlink = vfs<unlink>;
	ops.symlink = vfs<symlink>;
	ops.mkdir = vfs<mkdir>;
	ops.rmdir = vfs<rmdir>;
	ops.mknod = vfs<mknod>;
	ops.rename = vfs<rename>;
	ops.tmpfile = vfs<tmpfile>;
	ops.fileattr_get = vfs<fileattr_get>;
	ops.fileattr_set = vfs<fileattr_set>;
	return with_common(ops, asks);
}

} // namespace

constinit const struct ::inode_operations dir_inode_operations[] = {
	for_dir(::inode_operations{}, false), for_dir(::inode_operations{}, true)};

} // namespace aufs
