// SPDX-License-Identifier: GPL-2.0-only
#include "branch/inherited.hh"
#include "branch/keep_times.hh"
#include "branch/whiteout.hh"
#include "branch/workfile.hh"
#include "copy_up.hh"
#include "copy_place.hh"
#include "union/copy_lock.hh"
#include "union/gone_names.hh"
#include "union/names_now.hh"
#include "union/plink.hh"
#include "union/policy.hh"
#include "union/presence.hh"
#include "kernel/dcache.hh"
#include "kernel/files.hh"
#include "kernel/security.hh"

namespace aufs
{

namespace
{

/* The part of @dir on @branch, or empty. */
Ref<struct dentry> part_of(const Inode &dir, const Branch &branch)
{
	return Ref<struct dentry>::retain(dir.stack().dentry_on(branch));
}

/* How a workfile is made: without a name if the branch can do that, or with one. */
enum class Naming : unsigned char { late, at_once };

/* Makes an empty workfile of the kind of @source, in @shop unless that is null. */
Result<Workfile> make_alike(const AsMounter &mounter, struct dentry &dentry, struct dentry &source,
			    const Branch &branch, struct dentry *shop, Naming naming)
{
	auto creds = TRY(creds_for_copy(dentry));
	ScopedCreds as_wanted(creds ? *creds : current_cred());
	const struct inode &h_inode = *source.d_inode;
	umode_t kind = h_inode.i_mode & S_IFMT;

	auto make = [&mounter, &branch, shop](const NewObject &object) {
		return Workfile::create(mounter, branch, object, shop);
	};

	switch (kind) {
	case S_IFREG:
		if (naming == Naming::late) {
			const struct cred &opener = Super::of(*dentry.d_sb).mounter();
			auto unnamed = Workfile::create_unnamed(mounter, branch, opener);

			if (unnamed.error() != -EOPNOTSUPP)
				return unnamed;
		}
		return make(NewObject::file(S_IRUSR | S_IWUSR));
	case S_IFDIR:
		return make(NewObject::directory(S_IRWXU));
	case S_IFLNK: {
		struct delayed_call done = {};
		const char *target = vfs_get_link(&source, &done);

		if (is_error(target))
			return error_of(target);

		auto result = make(NewObject::symlink(target));

		if (done.fn)
			done.fn(done.arg);
		return result;
	}
	default:
		return make(NewObject::special(static_cast<umode_t>(kind | S_IRUSR | S_IWUSR),
					       h_inode.i_rdev));
	}
}

Result<void> copy_content(const Super &super, PartRef source, Workfile &work, loff_t size)
{
	PartRef to = work.part();
	struct path from_path = source.path();
	struct path to_path = to.path();

	if (!is_reg(source.inode().i_mode))
		return {};

	auto in = TRY(adopt_or_error(
		dentry_open(&from_path, O_RDONLY | O_LARGEFILE | O_NOATIME, &super.mounter())));
	auto out = work.take_file();

	if (!out)
		out = TRY(adopt_or_error(
			dentry_open(&to_path, O_WRONLY | O_LARGEFILE, &super.mounter())));

	ScopedCreds as_data_writer(super.data_writer());

	auto copied = copy_data(*in, source.branch, *out, to.branch, size);

	/* Closed at once: a task that runs the copy next must not get -ETXTBSY. */
	put_writer_now(move(out));
	return copied;
}

/*
 * Makes a directory that hands down the project of @h_parent. Symlinks and devices have to be made in it: they get a
 * project from their directory alone.
 */
Result<Workfile> make_workshop(const AsMounter &mounter, PartRef h_parent)
{
	auto shop = TRY(Workfile::create(mounter, h_parent.branch, NewObject::directory(S_IRWXU)));
	auto writer = TRY(h_parent.branch.write(mounter));

	TRY(hand_project_down(writer, shop.dentry(), h_parent.dentry));
	return shop;
}

/* How a copy is made: the number of bytes of data, and a last change of it before it has a name. */
struct CopyPlan {
	loff_t size = 0;
	const FinishCopy *finish = nullptr;
};

/* Where a copy is made: on @branch, in @h_parent, the part of @parent there. If that is empty, it gets no name. */
struct CopyPlace {
	Inode &parent;
	const Branch &branch;
	Ref<struct dentry> h_parent;
};

/*
 * Whether the names of @inode, which are one file on a lower branch, would be one file in memory alone after a
 * copy-up. That was not known when @inode was looked up: else @inode would stand for one name.
 */
bool would_part_unseen(const Inode &inode)
{
	return has_further_names(inode) &&
	       !inode.super().names_stay(inode.branch(), inode.vfs.i_mode, inode.identity());
}

/* Whether @inode has its object's address for a key although that has a number: another inode has the number. */
bool has_anothers_number(const AsMounter &mounter, const Inode &inode)
{
	return inode.key().filesystem == IdentityKey::pointer &&
	       !(identity_of(mounter, inode.super(), inode.top()).key == inode.key());
}

/*
 * Stores the origin of @work, the finished copy of @dentry's object, and moves the copy to its name. @next is the stack
 * that has the copy. Returns what Inode::links() becomes.
 */
Result<unsigned int> give_name(const CopyLock &lock, const Writer &writer, Workfile &work,
			       struct dentry &dentry, const CopyPlace &at, Stack &next)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	const Super &super = inode.super();
	Part copy = Part::of({writer.branch(), work.dentry()});
	const IdentityKey key = inode.key();
	Identified identified;
	ScopeExit undo([&] {
		SignalsBlocked signals(SignalsBlocked::Which::all);

		if (identified.links)
			(void)remove_plink(writer, super, inode.identity(), copy.inode()).ok();
		inode.rehash(lock, key);
	});

	/* The uppermost part of a directory has its identity: a part below needs no origin. */
	if (copy.branch->is_above(inode.branch())) {
		identified = TRY(identify(lock, writer, inode, *copy.dentry, true));
		/* A lookup of the copy has to find this inode: by the stored origin, or by the copy's own identity. */
		if (!identified.noted)
			inode.rehash(lock, identity_of(writer.mounter(), super, copy).key);
		else if (has_anothers_number(writer.mounter(), inode))
			inode.rehash(lock, IdentityKey::of_pointer(&copy.inode()));
		else /* not the key if a part has come above the original since, with a branch */
			inode.rehash(lock, inode.identity().key);
	}
	if (at.h_parent)
		note_impure(writer, at.parent, *at.h_parent);

	bool placed = at.h_parent && TRY(place(writer, work, *at.h_parent, dentry, next));

	/* Nothing can be changed in a directory that was removed. */
	if (!placed && is_dir(inode.vfs.i_mode))
		return Error{-ENOENT};
	if (!placed)
		identified = TRY(identify(lock, writer, inode, *copy.dentry, false));
	undo.dismiss();
	if (is_reg(inode.vfs.i_mode))
		inode.note_unsynced(lock, copy.inode());
	/* The inode counts its names from now on. A record of gone names that stays does no harm. */
	(void)forget_gone_names(writer, super, inode.identity()).ok();
	return identified.links;
}

/*
 * Makes the copy of @dentry's object, at first in @shop unless that is null. The caller copies the number of links
 * afterwards: until this returns, the workfile's own name may be one of them.
 */
Result<void> make_copy(const CopyLock &lock, const AsMounter &mounter, struct dentry &dentry,
		       const CopyPlace &at, CopyPlan plan, struct dentry *shop)
{
	const Branch &branch = at.branch;
	Inode &inode = Inode::of(*dentry.d_inode);
	const Part &source = inode.top();
	/*
	 * Two kinds of copies have a name in the orphan directory from the beginning: those with a pseudo-link, since
	 * Housekeeping::clean() counts their names after a crash, and those that @plan.finish may open, since the path
	 * of that file would go on to have no name.
	 */
	Naming naming = plan.finish || has_further_names(inode) ? Naming::at_once : Naming::late;
	Workfile work = TRY(make_alike(mounter, dentry, *source.dentry, branch, shop, naming));
	unsigned int links = 0;

	TRY(copy_flags(source, mounter, work.part(), at.h_parent.get()));
	TRY(copy_content(inode.super(), source, work, plan.size));

	auto next = TRY(inode.stack_with(Part::of({branch, work.dentry()})));
	{
		auto writer = TRY(branch.write(mounter));

		TRY(copy_attributes(source, writer, work.dentry()));
		if (plan.finish)
			TRY((*plan.finish)(writer, work.dentry()));
		links = TRY(give_name(lock, writer, work, dentry, at, *next));
	}
	inode.set_links(lock, links);
	inode.publish(lock, move(next));
	return {};
}

Result<void> copy_object(const CopyLock &lock, const AsMounter &mounter, struct dentry &dentry,
			 const CopyPlace &at, CopyPlan plan)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	umode_t mode = inode.vfs.i_mode;

	if (at.h_parent && !is_reg(mode) && !is_dir(mode) && hands_project_down(*at.h_parent)) {
		Workfile shop = TRY(make_workshop(mounter, {at.branch, *at.h_parent}));

		TRY(make_copy(lock, mounter, dentry, at, plan, &shop.dentry()));
	} else {
		TRY(make_copy(lock, mounter, dentry, at, plan, nullptr));
	}
	inode.copy_links();
	return {};
}

/*
 * Gives @dir a part on @branch, where its @parent has one. False if @dir is being renamed, or has another parent by
 * now. -EXDEV if users would not see a part there.
 */
Result<bool> copy_one_directory(const ListLock &list, const AsMounter &mounter, struct dentry &dir,
				struct dentry &parent, const Branch &branch)
{
	Inode &inode = Inode::of(*dir.d_inode);
	auto lock = TRY(CopyLock::get(inode));

	if (part_of(inode, branch))
		return true;
	/* The union has removed @dir: a part would be another directory of that name. */
	if (RemovalMark::is(dir))
		return Error{-ENOENT};
	TRY(check_named(list, mounter, dir));
	if (inode.is_moving(dir) || parent_of(dir).get() != &parent)
		return false;
	if (inode.stack().bottom->is_above(branch) && !TRY(shows_below(mounter, dir, branch)))
		return Error{-EXDEV};
	/* A copy could not have these flags and be copied into as well. */
	if (inode.h_inode().i_flags & (S_IMMUTABLE | S_APPEND))
		return Error{-EPERM};

	Inode &parent_inode = Inode::of(*parent.d_inode);

	TRY(copy_object(lock, mounter, dir, {parent_inode, branch, part_of(parent_inode, branch)},
			{}));
	return true;
}

/* Gives the copy the flags of its original, @from, that have to come last: two of them stop all other changes. */
void protect(const AsMounter &mounter, Inode &inode, unsigned int from)
{
	const Part &top = inode.top();
	const Branch &branch = *top.branch;

	if (!(from & (S_APPEND | S_IMMUTABLE | S_SYNC | S_NOATIME)))
		return;
	if (auto writer = branch.write(mounter); writer.ok())
		protect(writer.value(), *top.dentry, from);
	inode.copy_attributes();
}

} // namespace

Result<Ref<struct dentry>> dentry_of(const struct file &file)
{
	if (file.f_path.dentry->d_sb == file.f_inode->i_sb)
		return Ref<struct dentry>::retain(file.f_path.dentry);

	auto dentry = any_dentry_of(*file.f_inode);

	if (!dentry)
		return Error{-ESTALE};
	return dentry;
}

Result<Ref<struct dentry>> copy_up_directory(const ListLock &list, struct dentry &dir,
					     const Branch &branch)
{
	const Inode &inode = Inode::of(*dir.d_inode);
	AsMounter mounter = inode.super().as_mounter();

	for (;;) {
		if (auto part = part_of(inode, branch))
			return part;
		assert_freeze_protected(*inode.vfs.i_sb);

		auto lacks = Ref<struct dentry>::retain(&dir);
		auto parent = parent_of(*lacks);

		while (!part_of(Inode::of(*parent->d_inode), branch)) {
			/* The union's root has no part on @branch: a branch above hides it. */
			if (parent.get() == lacks.get())
				return Error{-EROFS};
			lacks = move(parent);
			parent = parent_of(*lacks);
		}
		if (parent.get() == lacks.get())
			return Error{-EROFS};
		if (is_being_killed())
			return Error{-EINTR};
		if (!TRY(copy_one_directory(list, mounter, *lacks, *parent, branch)))
			pause_shortly();
	}
}

namespace
{

/* As copy_up_and(), for a caller who has the list of branches locked. */
Result<bool> copy_up_by(const ListLock &list, struct dentry &dentry, CopyPlan plan)
{
	Inode &inode = Inode::of(*dentry.d_inode);
	/* Read once: a copy-up by another task changes it. */
	const Branch &source = inode.branch();

	if (source.writable()) {
		TRY(check_presence(list, dentry));
		return false;
	}
	/* On the rw branch it could be opened. */
	if (is_device(inode.vfs.i_mode) && !inode.grants_devices())
		return Error{-EPERM};
	assert_freeze_protected(*inode.vfs.i_sb);

	AsMounter mounter = inode.super().as_mounter();
	auto parent = parent_of(dentry);
	Inode &parent_inode = Inode::of(*parent->d_inode);
	const Branch &branch = *TRY(branch_for_copy(parent_inode, source));

	if (is_dir(inode.vfs.i_mode)) {
		TRY(copy_up_directory(list, dentry, branch));
		return false;
	}
	TRY(check_named(list, mounter, dentry));

	auto h_parent = copy_up_directory(list, *parent, branch);

	if (!h_parent.ok()) {
		bool gone = h_parent.error() == -ENOENT || h_parent.error() == -ESTALE;

		/* Only an object that the union has removed, and then its directory, can do without a parent. */
		if (!gone || !RemovalMark::is(dentry))
			return Error{gone ? -ESTALE : h_parent.error()};
	}

	auto lock = TRY(CopyLock::get(inode));

	if (inode.on_rw())
		return false;
	/* The removal has failed: the copy needs a parent after all. */
	if (!h_parent.ok() && !RemovalMark::is(dentry))
		return Error{-ESTALE};

	unsigned int flags = inode.h_inode().i_flags;
	ScopeExit settle([&] { inode.set_late_flags(lock, 0); });

	inode.set_late_flags(lock, flags);

	auto copied =
		would_part_unseen(inode) ?
			Result<void>(Error{-ESTALE}) :
			copy_object(lock, mounter, dentry,
				    {parent_inode, branch,
				     h_parent.ok() ? h_parent.release() : Ref<struct dentry>()},
				    plan);

	/* After -ESTALE the VFS looks the name up again, and finds an inode for this name alone. */
	if (would_part_unseen(inode))
		d_drop(&dentry);
	TRY(move(copied));
	protect(mounter, inode, flags);
	return true;
}

} // namespace

namespace
{

Result<bool> copy_up_by(struct dentry &dentry, CopyPlan plan)
{
	const Inode &inode = Inode::of(*dentry.d_inode);

	/* The usual case needs no lock of the list of branches. */
	if (!is_dir(inode.vfs.i_mode) && inode.on_rw()) {
		TRY(check_presence(dentry));
		return false;
	}

	ListLock list(inode.super());

	return copy_up_by(list, dentry, plan);
}

} // namespace

Result<void> copy_up(struct dentry &dentry, loff_t size)
{
	TRY(copy_up_by(dentry, {.size = size}));
	return {};
}

Result<void> copy_up(const ListLock &list, struct dentry &dentry)
{
	TRY(copy_up_by(list, dentry, {.size = whole_file}));
	return {};
}

Result<bool> copy_up_and(struct dentry &dentry, loff_t size, FinishCopy finish)
{
	return copy_up_by(dentry, {.size = size, .finish = &finish});
}

} // namespace aufs
