// SPDX-License-Identifier: GPL-2.0-only
#include "entries.hh"
#include "inherited.hh"
#include "lookup.hh"
#include "whiteout.hh"
#include "workfile.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

constexpr StringView base_name{".wh..wh.aufs"};
constexpr StringView plinks_name{".wh..wh.plnk"};
constexpr StringView orphans_name{".wh..wh.orph"};

constexpr HousekeepingDir all_dirs[] = {HousekeepingDir::plinks, HousekeepingDir::orphans};

StringView name_of(HousekeepingDir which)
{
	return which == HousekeepingDir::plinks ? plinks_name : orphans_name;
}

Error not_usable(const Branch &branch, StringView name)
{
	log_warning("branch '%s': '%.*s' is of the wrong kind or somebody else's; remove it",
		    branch.name().data(), static_cast<int>(name.size()), name.data());
	return Error{-EIO};
}

/*
 * Whether @part belongs to the mounter, of this mount or an earlier one, or to root, and a directory is writable for
 * nobody else. Another user may have written to a file of his own. In a directory that he can write to, he could move
 * or replace what the union makes.
 */
bool is_ours(PartRef part, umode_t kind)
{
	const struct inode &h_inode = part.inode();

	if ((h_inode.i_mode & S_IFMT) != kind)
		return false;
	if (is_dir(kind) && (h_inode.i_mode & (S_IWGRP | S_IWOTH)))
		return false;

	uid_t owner = part.branch.shown_owner(h_inode).uid.val;

	return owner == 0 || owner == current_cred().fsuid.val;
}

/*
 * @name in the root of the branch. If it does not exist, or is an empty directory of another user, it is made as
 * @object. What is made counts as ours, whoever the filesystem gives it to.
 */
Result<Ref<struct dentry>> find_or_make(const Writer &writer, StringView name, umode_t kind,
					const NewObject &object)
{
	const Branch &branch = writer.branch();
	auto lock = TRY(DirLock::get(writer, branch.root()));
	auto dentry = TRY(lookup_locked(lock, name));

	if (is_positive(*dentry)) {
		if (is_ours({branch, *dentry}, kind))
			return dentry;
		if (!is_dir(kind) || !is_dir(dentry->d_inode->i_mode) || !lock.rmdir(*dentry).ok())
			return not_usable(branch, name);
		dentry = TRY(lookup_locked(lock, name));
		if (is_positive(*dentry))
			return Error{-EIO};
	}
	TRY(lock.make(*dentry, object));
	dentry = TRY(find_made(lock, move(dentry)));
	if (!is_positive(*dentry) || (dentry->d_inode->i_mode & S_IFMT) != kind)
		return Error{-EIO};
	return dentry;
}

} // namespace

bool Housekeeping::Kept::is_there(const Branch &branch, StringView name) const
{
	if (!dentry || !is_entry_of(*dentry, branch.root()))
		return false;

	const struct inode &h_inode = *dentry->d_inode;

	return !(h_inode.i_flags & S_DEAD) && h_inode.i_uid.val == owner &&
	       h_inode.i_mode == mode && NameSnapshot(*dentry).view() == name;
}

void Housekeeping::look_up_dirs(const AsMounter &mounter, const Branch &branch)
{
	for (HousekeepingDir which : all_dirs)
		(void)lookup_in(mounter, PartRef::root_of(branch), name_of(which)).ok();
}

Result<void> Housekeeping::find(const AsMounter &mounter, const Branch &branch)
{
	/* Most branches were never written to by a union. */
	constexpr StringView sought[] = {plinks_name, orphans_name, opaque_name};

	was_bare_ = has_none_of(mounter, PartRef::root_of(branch),
				{sought, sizeof(sought) / sizeof(sought[0])});
	if (was_bare_)
		return {};
	for (HousekeepingDir which : all_dirs) {
		auto dentry = TRY(lookup_in(mounter, PartRef::root_of(branch), name_of(which)));

		if (!dentry || !is_dir(dentry->d_inode->i_mode))
			continue;
		note_used();
		if (is_ours({branch, *dentry}, S_IFDIR))
			slot(which) = Kept(move(dentry));
	}
	if (!plinks_.dentry)
		return {};

	auto read = NameList::read(mounter, {branch, *plinks_.dentry});

	/* Somebody has removed the directory since the lookup. */
	if (read.error() == -ENOENT)
		return {};

	NameList names = TRY(move(read));

	return names.for_each([this](StringView name) -> Result<void> {
		old_plinks_.note(name);
		if (name.starts_with(gone_prefix))
			note_gone_names();
		return {};
	});
}

void Housekeeping::find_again(const AsMounter &mounter, const Branch &branch)
{
	if (find(mounter, branch).ok())
		return;
	/* Unread names may be there: later searches look for them. */
	note_used();
	note_gone_names();
}

/*
 * @workfile never got its name. If it has a pseudo-link, the copy lives on by that. The name is then still on a lower
 * branch alone. It is counted as one of those, so that the pseudo-link does not go too early.
 */
void Housekeeping::count_one_more(const Writer &writer, struct dentry &workfile)
{
	struct {
		u32 format;
		u32 links;
		char rest[56];
	} origin;

	if (is_dir(workfile.d_inode->i_mode) || workfile.d_inode->i_nlink <= 1)
		return;

	ssize_t size = aufs_getxattr(writer.mnt(), &workfile, origin_name, &origin, sizeof(origin));

	if (size < static_cast<ssize_t>(2 * sizeof(u32)) || !origin.links)
		return;
	origin.links++;
	if (int error = aufs_setxattr(writer.mnt(), &workfile, origin_name, &origin,
				      static_cast<size_t>(size), 0))
		warn_of_orphan(writer.branch(), error);
}

void Housekeeping::clean(const AsMounter &mounter, const Branch &branch)
{
	auto orphans = existing(branch, HousekeepingDir::orphans);

	if (!orphans)
		return;

	auto run = [&]() -> Result<void> {
		NameList names = TRY(NameList::read(mounter, {branch, *orphans}));
		bool is_empty = true;

		TRY(names.for_each([&is_empty](StringView name) -> Result<void> {
			is_empty = is_empty && orphan_kind(name) == OrphanKind::other;
			return {};
		}));
		if (is_empty)
			return {};

		/* Tasks that need the list of branches may wait for this one. They must not wait for a thaw. */
		if (is_frozen(branch.sb())) {
			log_warning("branch '%s' is frozen: what is in .wh..wh.orph stays for now",
				    branch.name().data());
			return {};
		}

		/* Once for all of them: a freeze that begins now waits until they are removed. */
		auto writer = TRY(branch.write(mounter));

		return names.for_each([&](StringView name) -> Result<void> {
			OrphanKind kind = orphan_kind(name);

			if (kind == OrphanKind::other)
				return {};

			auto dentry = TRY(lookup_in(mounter, {branch, *orphans}, name));

			if (dentry && kind == OrphanKind::work)
				count_one_more(writer, *dentry);

			auto removed = dentry ? remove_orphan(writer, *orphans, *dentry) :
						Result<void>();

			/* Somebody has made something in the directory. */
			if (removed.error() != -ENOTEMPTY)
				return removed;
			warn_of_orphan(branch, removed.error());
			return {};
		});
	};

	if (auto result = run(); !result.ok())
		warn_of_orphan(branch, result.error());
}

Result<Ref<struct dentry>> Housekeeping::directory(const Writer &writer, HousekeepingDir which)
{
	MutexLock lock(lock_);
	Kept &dir = slot(which);

	if (!dir.is_there(writer.branch(), name_of(which))) {
		dir = Kept();
		dir = Kept(TRY(find_or_make(writer, name_of(which), S_IFDIR,
					    NewObject::directory(S_IRWXU))));
		note_used();
	}
	/* An older version may have made the directory. Then it hands down what the branch's root hands down. */
	if (!dir.hands_nothing_down) {
		hand_nothing_down(writer, *dir.dentry);
		/* That may have changed the mode, which existing() compares. */
		dir.mode = dir.dentry->d_inode->i_mode;
	}
	dir.hands_nothing_down = true;
	return dir.dentry.clone();
}

Ref<struct dentry> Housekeeping::existing(const Branch &branch, HousekeepingDir which)
{
	if (!used())
		return {};

	MutexLock lock(lock_);
	const Kept &dir = slot(which);

	return dir.is_there(branch, name_of(which)) ? dir.dentry.clone() : Ref<struct dentry>();
}

Result<Ref<struct dentry>> Housekeeping::whiteout_base(const Writer &writer)
{
	MutexLock lock(lock_);

	if (!base_.is_there(writer.branch(), base_name)) {
		base_ = Kept();
		base_ = Kept(TRY(find_or_make(writer, base_name, S_IFREG,
					      NewObject::file(S_IRUSR | S_IRGRP | S_IROTH))));
		/* Whiteouts are links of this file: none may have an ACL. */
		TRY(remove_acl(writer, *base_.dentry, ACL_TYPE_ACCESS));
	}
	return base_.dentry.clone();
}

void Housekeeping::retire_whiteout_base(const Writer &writer, struct dentry &base)
{
	MutexLock lock(lock_);

	if (base_.dentry.get() != &base)
		return;
	base_ = Kept();

	/*
	 * The file's other names are whiteouts, and stay. If it has none, the filesystem may refuse links: then the
	 * file stays, and is tried again.
	 */
	auto dir_lock = DirLock::get(writer, writer.branch().root());

	if (dir_lock.ok() && base.d_inode->i_nlink > 1)
		(void)dir_lock.value().unlink(base).ok();
}

} // namespace aufs
