// SPDX-License-Identifier: GPL-2.0-only
#include "entry.hh"
#include "keep_times.hh"
#include "whiteout.hh"

namespace aufs
{

namespace
{

constexpr umode_t whiteout_mode = S_IRUSR | S_IRGRP | S_IROTH;

/*
 * Makes the negative @whiteout in the directory of @lock, as a link of @base, the file that most whiteouts are links
 * of. Where that cannot be, the whiteout is a file of its own.
 */
Result<void> create_in(const DirLock &lock, struct dentry &whiteout, struct dentry *base)
{
	if (base && lock.link(*base, whiteout).ok())
		return {};
	return lock.make(whiteout, NewObject::file(whiteout_mode));
}

/* Makes the reserved @name in @h_dir. False if it is there already. */
Result<bool> make_reserved(const Writer &writer, struct dentry &h_dir, StringView name,
			   KeepTimes::Change change)
{
	Ref<struct dentry> base;

	if (!writer.branch().has_own_whiteouts()) {
		/* A whiteout can do without the base. */
		if (auto found = writer.branch().housekeeping().whiteout_base(writer); found.ok())
			base = found.release();
	}

	bool full = false;
	{
		auto lock = TRY(DirLock::get(writer, h_dir));
		auto whiteout = TRY(lookup_locked(lock, name));

		if (is_positive(*whiteout)) {
			if (is_reg(whiteout->d_inode->i_mode))
				return false;
			return wrong_whiteout({writer.branch(), h_dir}, name);
		}

		KeepTimes times(lock, change);

		TRY(create_in(lock, *whiteout, base.get()));
		full = base && whiteout->d_inode != base->d_inode;
	}
	if (full)
		writer.branch().housekeeping().retire_whiteout_base(writer, *base);
	return true;
}

} // namespace

Result<bool> make_whiteout(const Writer &writer, struct dentry &h_dir, StringView name)
{
	/* A name that is too long to be hidden is not made through the union, either. */
	if (name.size() > max_name)
		return Error{-ENAMETOOLONG};

	WhiteoutName whiteout(name);

	return make_reserved(writer, h_dir, whiteout.view(), KeepTimes::Change::seen);
}

Result<void> remove_whiteout(const Writer &writer, struct dentry &h_dir, StringView name)
{
	if (name.size() > max_name)
		return {};

	WhiteoutName whiteout(name);

	TRY(remove_entry(writer, h_dir, whiteout.view(), nullptr, &DirLock::unlink));
	return {};
}

Result<bool> make_opaque(const Writer &writer, struct dentry &h_dir)
{
	return make_reserved(writer, h_dir, opaque_name, KeepTimes::Change::unseen);
}

void undo_opaque(const Writer &writer, struct dentry &h_dir)
{
	auto lock = DirLock::get(writer, h_dir);

	if (!lock.ok())
		return;

	auto mark = lookup_locked(lock.value(), opaque_name);

	if (!mark.ok() || !is_positive(*mark.value()))
		return;

	KeepTimes times(lock.value());

	(void)lock.value().unlink(*mark.value()).ok();
}

} // namespace aufs
