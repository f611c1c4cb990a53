/* SPDX-License-Identifier: GPL-2.0-only */
/* What a mount or remount was asked for, and what it does with that. */
#pragma once

#include "union/changes.hh"
#include "union/super.hh"
#include "options/option_table.hh"

namespace aufs
{

/* One of a struct fs_context. The VFS lets one process at a time use it. All may sleep. */
class MountContext final
{
public:
	static MountContext &of(struct fs_context &fc)
	{
		return *static_cast<MountContext *>(fc.fs_private);
	}

	/* -ENOMEM. */
	static Result<Own<MountContext>> create(const struct fs_context &fc);

	/* Takes one option, @value null where it has none. Each error is explained in @fc's log. */
	Result<void> parse(struct fs_context *fc, StringView key, const char *value);
	/* As ->get_tree's fill_super. Errors are explained. */
	Result<void> fill(struct fs_context *fc, const UmountHeld &held);
	/* As ->reconfigure. All or nothing is done, errors are explained. */
	Result<void> reconfigure(struct fs_context *fc, const UmountHeld &held);
	/* After a mount that failed: its branches are not used any more. */
	void give_up()
	{
		super_ = {};
	}

private:
	explicit MountContext(MountKind kind) : options_(kind)
	{
	}

	Result<void> parse_option(struct fs_context *fc, const RawOption &option);
	Result<void> parse_branches(struct fs_context *fc, OptionKey key, StringView value);
	Result<void> refuse_part(struct fs_context *fc) const;
	Result<void> finish(struct fs_context *fc, bool read_only);
	void note_options(struct fs_context *fc) const;
	Settings changed_from(Settings now) const;
	Result<void> parse_list(struct fs_context *fc, StringView list);
	Result<void> same_branch(struct fs_context *fc, const BranchItem &item);
	Result<void> parse_changes(struct fs_context *fc, OptionKey key, StringView value);
	Result<void> add_first(struct fs_context *fc, const BranchChange &change);

	Own<Super> super_; /* being filled; empty in a remount */
	ListChange change_; /* in a remount: of the branches */
	Super *mounted_ = nullptr; /* in a remount: what is mounted */
	OptionSet options_;
	Settings settings_; /* in a remount: what is not given stays */
	Settings before_; /* what it was then */
	unsigned int given_ = 0; /* branches so far */
	bool is_part_ = false; /* an option about branches has failed, at one of them */
	bool looks_again_ = false; /* in a remount: at all that is cached */
};

} // namespace aufs
