/* SPDX-License-Identifier: GPL-2.0-only */
/* The options of a mount or remount, and how it is done. */
#pragma once

#include "union/changes.hh"
#include "union/super.hh"
#include "options/option_table.hh"

namespace aufs
{

/*
 * The part of a struct fs_context that is this filesystem's. The VFS lets one task at a time use it. All members may
 * sleep.
 */
class MountContext final
{
public:
	static MountContext &of(struct fs_context &fc)
	{
		return *static_cast<MountContext *>(fc.fs_private);
	}

	/* -ENOMEM. */
	static Result<Own<MountContext>> create(const struct fs_context &fc);

	/* Takes one option. Each error is explained in @fc's log. */
	Result<void> parse(struct fs_context *fc, const RawOption &option)
	{
		return parse_option(fc, option);
	}
	/* The same if a `=` and @tail follow. */
	Result<void> parse(struct fs_context *fc, RawOption option, StringView tail);
	/* As ->get_tree's fill_super. Errors are explained. */
	Result<void> fill(struct fs_context *fc, const UmountHeld &held);
	/* As ->reconfigure. All or nothing is done, errors are explained. */
	Result<void> reconfigure(struct fs_context *fc, const UmountHeld &held);
	/* Lets go the branches of a mount that failed. */
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
	Result<void> add_first(struct fs_context *fc, const BranchChange &change,
			       BranchFinder &finder);

	Own<Super> super_; /* being filled; empty in a remount */
	ListChange change_; /* in a remount: the changes of the branches */
	Super *mounted_ = nullptr; /* in a remount: the union that is mounted */
	OptionSet options_;
	Settings settings_; /* a remount begins with those of the union */
	Settings before_; /* with which a remount has begun */
	unsigned int given_ = 0; /* the branches that were given so far */
	bool is_part_ =
		false; /* an option about branches has failed, and a part of it may have been taken */
	bool looks_again_ = false; /* in a remount: all that is cached is to be looked at */
};

} // namespace aufs
