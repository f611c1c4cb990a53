// SPDX-License-Identifier: GPL-2.0-only
#include "dir.hh"
#include "inherited.hh"
#include "whiteout.hh"
#include "workfile.hh"

namespace aufs
{

namespace
{

constexpr StringView base_name{".wh..wh.aufs"};
constexpr StringView plinks_name{".wh..wh.plnk"};
constexpr StringView orphans_name{".wh..wh.orph"};
/* What our own names in there begin with; the original's are left alone. */
constexpr StringView work_prefix{"cpup."};

StringView name_of(ReservedDir which) noexcept
{
	return which == ReservedDir::plinks ? plinks_name : orphans_name;
}

/* Whether somebody removed it behind our back. */
bool is_gone(const struct dentry &dentry) noexcept
{
	return !is_positive(dentry) || dentry.d_inode->i_nlink == 0 ||
	       (dentry.d_inode->i_flags & S_DEAD);
}

Result<void> wrong_kind(const Branch &branch, StringView name) noexcept
{
	aufs_warn("branch '%s': '%.*s' is of the wrong kind; remove it", branch.name().data(),
		  static_cast<int>(name.size()), name.data());
	return Error{-EIO};
}

/* @name in the root of @branch, made by @create(mount, directory, dentry) if it is not there. */
template <class Create>
Result<Ref<struct dentry>> find_or_make(const Branch &branch, StringView name,
					Create &&create) noexcept
{
	DirLock lock(*branch.root().d_inode);
	auto dentry = TRY(lookup_locked(branch, branch.root(), name));

	if (!is_positive(*dentry)) {
		TRY(check(create(branch.mnt(), lock.dir(), *dentry)));
		dentry = TRY(find_made(branch, branch.root(), move(dentry)));
		if (!is_positive(*dentry))
			return Error{-EIO};
	}
	return dentry;
}

unsigned int next_number() noexcept
{
	static unsigned int last;

	return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

/* Removes all that is in @dir: whiteouts, and what a broken branch has. One level deep. */
Result<void> empty(const Branch &branch, struct dentry &dir) noexcept
{
	NameList names = TRY(NameList::read(branch, dir));
	DirLock lock(*dir.d_inode);

	return names.for_each([&](StringView name) -> Result<void> {
		auto dentry = TRY(lookup_locked(branch, dir, name));

		if (!is_positive(*dentry))
			return {};
		return remove_locked(branch, lock, *dentry);
	});
}

Result<void> try_remove_orphan(const Branch &branch, struct dentry &orphans,
			       struct dentry &dentry) noexcept
{
	if (is_positive(dentry) && is_dir(dentry.d_inode->i_mode))
		TRY(empty(branch, dentry));

	DirLock lock(*orphans.d_inode);

	if (!is_entry_of(dentry, orphans))
		return {};
	return remove_locked(branch, lock, dentry);
}

/*
 * Removes @dentry of the directory for orphans, with what is in it. Once more where it was for want
 * of memory: nobody else comes by before the next mount.
 */
Result<void> remove_orphan(const Branch &branch, struct dentry &orphans,
			   struct dentry &dentry) noexcept
{
	SignalsBlocked signals(aufs_signals_block_all);
	auto result = try_remove_orphan(branch, orphans, dentry);

	if (result.error() == -ENOMEM)
		result = try_remove_orphan(branch, orphans, dentry);
	return result;
}

void warn_of_orphan(const Branch &branch, int error) noexcept
{
	aufs_warn("branch '%s': a workfile stays in .wh..wh.orph until the next mount (errno %d)",
		  branch.name().data(), -error);
}

} // namespace

Own<Reserved> Reserved::create(int depth) noexcept
{
	return Own<Reserved>::adopt(new (Gfp{GFP_KERNEL}) Reserved(depth));
}

Result<void> Reserved::find(const Branch &branch) noexcept
{
	constexpr ReservedDir all[] = {ReservedDir::plinks, ReservedDir::orphans};

	for (ReservedDir which : all) {
		auto dentry = TRY(lookup_in(branch, branch.root(), name_of(which)));

		if (dentry && is_dir(dentry->d_inode->i_mode)) {
			slot(which).dir = move(dentry);
			note_used();
		}
	}
	return {};
}

void Reserved::clean(const Branch &branch) noexcept
{
	auto orphans = existing(ReservedDir::orphans);

	if (!orphans)
		return;

	auto run = [&]() -> Result<void> {
		NameList names = TRY(NameList::read(branch, *orphans));

		return names.for_each([&](StringView name) -> Result<void> {
			if (!name.starts_with(work_prefix))
				return {};

			auto write = TRY(BranchWrite::get(branch.mnt()));
			auto dentry = TRY(lookup_in(branch, *orphans, name));

			return dentry ? remove_orphan(branch, *orphans, *dentry) : Result<void>();
		});
	};

	if (auto result = run(); !result.ok())
		warn_of_orphan(branch, result.error());
}

Result<Ref<struct dentry>> Reserved::directory(const Branch &branch, ReservedDir which) noexcept
{
	MutexLock lock(lock_);
	Slot &slot = this->slot(which);
	Ref<struct dentry> &dir = slot.dir;

	if (!dir || is_gone(*dir)) {
		slot = {};
		dir = TRY(
			find_or_make(branch, name_of(which),
				     [](struct vfsmount *mnt, struct inode &in, struct dentry &d) {
					     return aufs_mkdir(mnt, &in, &d, S_IRWXU);
				     }));
		if (!is_dir(dir->d_inode->i_mode)) {
			dir = {};
			TRY(wrong_kind(branch, name_of(which)));
		}
		note_used();
	}
	/* It may be an older one's, who let it hand down what the branch's root does. */
	if (!slot.hands_nothing_down)
		hand_nothing_down(branch, *dir);
	slot.hands_nothing_down = true;
	return dir.clone();
}

Ref<struct dentry> Reserved::existing(ReservedDir which) noexcept
{
	if (!used())
		return {};

	MutexLock lock(lock_);
	const Ref<struct dentry> &dir = slot(which).dir;

	return dir && !is_gone(*dir) ? dir.clone() : Ref<struct dentry>();
}

Result<Ref<struct dentry>> Reserved::whiteout_base(const Branch &branch) noexcept
{
	MutexLock lock(lock_);

	if (!base_ || is_gone(*base_)) {
		base_ = {};
		base_ = TRY(find_or_make(
			branch, base_name,
			[](struct vfsmount *mnt, struct inode &in, struct dentry &d) {
				return aufs_create(mnt, &in, &d, S_IRUSR | S_IRGRP | S_IROTH);
			}));
		if (!is_reg(base_->d_inode->i_mode)) {
			base_ = {};
			TRY(wrong_kind(branch, base_name));
		}
		/* Whiteouts are links of it. */
		TRY(remove_acl(branch, *base_, ACL_TYPE_ACCESS));
	}
	return base_.clone();
}

void Reserved::retire_whiteout_base(const Branch &branch, struct dentry &base) noexcept
{
	MutexLock lock(lock_);

	if (base_.get() != &base)
		return;
	base_ = {};

	/* Its other names are whiteouts, and stay. Where links cannot be, it is tried once more. */
	DirLock dir_lock(*branch.root().d_inode);

	if (is_entry_of(base, branch.root()) && base.d_inode->i_nlink > 1)
		aufs_unlink(branch.mnt(), &dir_lock.dir(), &base);
}

Result<Ref<struct dentry>> free_work_name(const Branch &branch, struct dentry &dir) noexcept
{
	for (int tries = 0; tries < 100; tries++) {
		char name[24];
		int size = snprintf(name, sizeof(name), "%s%x", work_prefix.data(), next_number());
		auto dentry = TRY(
			lookup_locked(branch, dir, {name, static_cast<StringView::Size>(size)}));

		if (!is_positive(*dentry))
			return dentry;
	}
	return Error{-EEXIST};
}

Workfile::~Workfile()
{
	if (!dentry_)
		return;

	auto run = [this]() -> Result<void> {
		auto write = TRY(BranchWrite::get(branch_.mnt()));

		return remove_orphan(branch_, *dir_, *dentry_);
	};

	if (auto result = run(); !result.ok())
		warn_of_orphan(branch_, result.error());
}

Result<Grave> Grave::bury(const Branch &branch, struct dentry &h_dir, StringView name,
			  struct dentry &victim) noexcept
{
	auto orphans = TRY(branch.reserved().directory(branch, ReservedDir::orphans));
	RenameLock lock(h_dir, *orphans);

	if (!lock.locked())
		return Error{-EXDEV};

	auto from = TRY(lookup_locked(branch, h_dir, name));

	if (from->d_inode != victim.d_inode)
		return Error{-ESTALE};

	auto to = TRY(free_work_name(branch, *orphans));

	TRY(check(aufs_rename(branch.mnt(), h_dir.d_inode, from.get(), orphans->d_inode, to.get(),
			      0)));
	return Grave(branch, move(orphans), move(from));
}

Grave::~Grave()
{
	if (!dir_)
		return;
	if (auto result = remove_orphan(branch_, *orphans_, *dir_); !result.ok())
		warn_of_orphan(branch_, result.error());
}

void Grave::exhume(struct dentry &parent, StringView name) noexcept
{
	auto dir = move(dir_);
	auto run = [&]() -> Result<void> {
		RenameLock lock(*orphans_, parent);

		if (!lock.locked())
			return Error{-EXDEV};
		if (!is_entry_of(*dir, *orphans_))
			return Error{-ESTALE};

		auto to = TRY(lookup_locked(branch_, parent, name));

		return check(aufs_rename(branch_.mnt(), orphans_->d_inode, dir.get(),
					 parent.d_inode, to.get(), 0));
	};

	if (auto result = run(); !result.ok())
		aufs_warn("branch '%s': a directory stays in .wh..wh.orph instead of '%.*s' (%d)",
			  branch_.name().data(), static_cast<int>(name.size()), name.data(),
			  -result.error());
}

} // namespace aufs
