// SPDX-License-Identifier: GPL-2.0-only
/* Whiteouts and objects on the branches above that hide a new name, and how they are taken away. */
#include "branch/attributes.hh"
#include "branch/dir_lock.hh"
#include "branch/entry.hh"
#include "branch/workfile.hh"
#include "namei.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

/* The object @name of @part, or none. */
Result<Part> object_of(const AsMounter &mounter, const Part &part, StringView name)
{
	auto found = TRY(lookup_in(mounter, part, name));

	return found ? Part(*part.branch, move(found)) : Part();
}

/* Whether users see @object as the inode @shown, or as a part of it. */
bool is_shown(const AsMounter &mounter, const Part &object, const Inode *shown)
{
	return shown && shown->shows(mounter, object);
}

} // namespace

Result<Obstacle> obstacle_above(const AsMounter &mounter, const Inode &dir, StringView name,
				const Branch &target, const Inode *shown)
{
	Obstacle obstacle = Obstacle::no;

	for (const Part &part : dir.stack().above(target)) {
		bool has_whiteout = static_cast<bool>(TRY(find_whiteout(mounter, part, name)));
		Part object = TRY(object_of(mounter, part, name));

		if (!has_whiteout && !object)
			continue;
		if (object && !is_shown(mounter, object, shown)) {
			if (obstacle == Obstacle::no)
				return Error{-ESTALE};
			/* The object is hidden itself, and would come to light. */
			return Obstacle::for_good;
		}
		if (!part.branch->writable())
			return Obstacle::for_good;
		obstacle = Obstacle::removable;
	}
	return obstacle;
}

Result<void> sync_made(const AsMounter &, PartRef h_dir, struct dentry *object)
{
	auto sync = [](PartRef part) -> Result<void> {
		struct path path = part.path();
		auto file = TRY(adopt_or_error(
			dentry_open(&path, O_RDONLY | O_LARGEFILE, &current_cred())));
		int error = vfs_fsync_range(file.get(), 0, LLONG_MAX, 0);

		return error == -EINVAL || error == -EOPNOTSUPP ? Result<void>() : check(error);
	};

	if (object && is_reg(object->d_inode->i_mode))
		TRY(sync({h_dir.branch, *object}));
	return sync(h_dir);
}

bool keep_order(const Branch &first, const Branch &second)
{
	return &first.sb() == &second.sb() && first.keeps_order();
}

Result<void> settle_names(const Writer &writer, struct dentry &h_dir)
{
	if (writer.branch().keeps_order())
		return {};
	return sync_made(writer.mounter(), {writer.branch(), h_dir}, nullptr);
}

Result<void> remove_spent_whiteout(const Writer &writer, struct dentry &h_dir, StringView name)
{
	PartRef dir(writer.branch(), h_dir);

	if (!dir.branch.keeps_order() && TRY(find_whiteout(writer.mounter(), dir, name)))
		TRY(settle_names(writer, h_dir));
	return remove_whiteout(writer, h_dir, name);
}

Result<Uncovering> Uncovering::begin(const AsMounter &mounter, const Inode &dir, StringView name,
				     const Part &made_in, struct dentry *made, const Inode *shown)
{
	const Branch &target = *made_in.branch;
	Uncovering self(mounter, target, name);

	for (const Part &part : dir.stack().above(target)) {
		Cover cover;

		cover.part = &part;
		cover.has_whiteout = static_cast<bool>(TRY(find_whiteout(mounter, part, name)));
		cover.object = TRY(object_of(mounter, part, name));
		if (cover.object && !is_shown(mounter, cover.object, shown))
			return Error{-ESTALE};
		if (!cover.has_whiteout && !cover.object)
			continue;
		self.syncs_ |= !keep_order(target, *part.branch);
		TRY(self.covers_.push(Gfp{GFP_KERNEL}, move(cover)));
	}
	if (self.syncs_)
		TRY(sync_made(mounter, made_in, made));
	/* The uppermost cover, which users see, goes last. */
	for (auto i = self.covers_.size(); i > 0; i--)
		TRY(self.take(self.covers_[i - 1]));
	return self;
}

Result<void> Uncovering::take(Cover &cover) const
{
	struct dentry &h_dir = *cover.part->dentry;
	auto writer = TRY(cover.part->branch->write(mounter_));

	if (cover.object)
		cover.grave = TRY(Grave::bury(writer, h_dir, name_, *cover.object.dentry));
	cover.is_taken = static_cast<bool>(cover.grave);
	if (cover.has_whiteout)
		TRY(remove_whiteout(writer, h_dir, name_));
	cover.is_taken = true;
	return {};
}

void Uncovering::put_back(Cover &cover) const
{
	const Branch &branch = *cover.part->branch;
	struct dentry &h_dir = *cover.part->dentry;
	SignalsBlocked signals(SignalsBlocked::Which::all);
	auto run = [&]() -> Result<void> {
		auto writer = TRY(branch.write(mounter_));

		if (cover.grave)
			cover.grave.exhume(writer, h_dir, name_);
		else
			TRY(make_whiteout(writer, h_dir, name_));
		return {};
	};

	if (auto back = run(); !back.ok())
		log_warning("branch '%s': what hid '%.*s' does not come back (errno %d)",
			    branch.name().data(), static_cast<int>(name_.size()), name_.data(),
			    -back.error());
}

Result<void> Uncovering::sync() const
{
	for (const Cover &cover : covers_) {
		if (!keep_order(*cover.part->branch, target_))
			TRY(sync_made(mounter_, *cover.part, nullptr));
	}
	return {};
}

void Uncovering::end()
{
	for (Cover &cover : covers_) {
		cover.is_taken = false;
		if (!cover.grave)
			continue;
		if (auto writer = cover.part->branch->write(mounter_); writer.ok())
			cover.grave.remove(writer.value());
	}
}

Uncovering::~Uncovering()
{
	for (Cover &cover : covers_) {
		if (cover.is_taken)
			put_back(cover);
	}
}

void touch_top(const AsMounter &mounter, const Inode &dir, const Branch &branch)
{
	const Part &top = dir.top();

	/* Nothing else of the operation needs that branch. So nobody waits if it is frozen. */
	if (top.branch == &branch || !top.branch->writable() || is_frozen(top.branch->sb()))
		return;

	auto run = [&]() -> Result<void> {
		auto writer = TRY(top.branch->write(mounter));
		InodeLock lock(top.inode());
		struct iattr attr = {};

		/* Somebody has moved the directory away: it is not ours to change. */
		if (!is_live_directory(top))
			return {};

		attr.ia_valid = ATTR_MTIME | ATTR_CTIME;
		return change_attributes(lock, top, attr);
	};

	(void)run().ok();
}

} // namespace aufs
