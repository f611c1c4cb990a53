/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mount options: those of this filesystem and all that the original has, in one table. As
 * options.hh: no kernel calls, no allocation, any context, tested on the host.
 */
#pragma once

#include "options.hh"

namespace aufs
{

/* What an accepted option changes; nothing for all that is accepted without effect. */
enum class OptionKey : unsigned char {
	nothing,
	setting, /* Settings */
	udba, /* the same, and what is cached is asked for anew, whatever its value is */
	branches, /* comes first */
	append, /* adds to the end, as often as one likes: fsconfig(2) takes at most 255 bytes */
	add, /* this and the next ones: branch_change.hh */
	prepend,
	del,
	detach,
	mod,
	replace,
};

/* What is mounted: a new union, or the one that is there once more. */
enum class MountKind : unsigned char { first, remount };

struct OptionRow;

/*
 * Which options one mount was given. Changes of branches are made in the order in which they are given; a
 * first mount has those that add, from no branches on.
 */
class OptionSet final
{
public:
	explicit constexpr OptionSet(MountKind kind) : kind_(kind)
	{
	}

	/*
	 * Notes @option, and changes @settings if it does; a list changes nothing yet. -EINVAL with
	 * @error set, and @settings is unchanged: unknown, without its value or with one that it does
	 * not have, not possible here, `br` given twice or after what changes branches.
	 */
	Result<OptionKey> accept(const RawOption &option, Settings &settings, OptionError &error);

	/*
	 * When all options are known, and have set @settings. -EINVAL with @error set: what is
	 * possible only where nothing is written any more, and the mount will not be @read_only.
	 */
	Result<void> finish(bool read_only, const Settings &settings, OptionError &error) const;

	/* Whether there are options that have no effect, and somebody might think otherwise. */
	bool has_notes() const
	{
		return noted_ != 0;
	}
	/* Writes which these are, and why, to @out, as OptionError::describe() does. */
	StringView::Size describe_notes(char *out, StringView::Size size) const;

private:
	Result<void> accept_branches(StringView name, OptionError &error);
	Result<void> accept_change(const OptionRow &row, StringView name, OptionError &error);

	MountKind kind_;
	bool branches_ = false;
	OptionKey change_ = OptionKey::nothing; /* the first that was given, append too */
	unsigned long long noted_ = 0; /* a bit for each row of the table */
	const OptionRow *opposite_ = nullptr; /* what only a read-only mount may ask for */
};

/*
 * Writes @settings as options to @out, each after a comma, without those that have their default, as
 * OptionError::describe() does.
 */
StringView::Size describe_settings(const Settings &settings, char *out, StringView::Size size);

} // namespace aufs
