/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mount options of this filesystem, and all options of the original, in one table. As in options.hh: no kernel
 * calls, no allocation, any context, tested on the host.
 */
#pragma once

#include "options.hh"

namespace aufs
{

/* The kind of change that an accepted option makes; nothing for options that are accepted without effect. */
enum class OptionKey : unsigned char {
	nothing,
	setting, /* Settings */
	udba, /* the same, and all that is cached is looked at, whatever the value is */
	branches, /* comes first */
	append, /* adds branches to the end; may be given again, as fsconfig(2) takes at most 255 bytes */
	add, /* this and the next ones: branch_change.hh */
	prepend,
	del,
	detach,
	mod,
	replace,
};

/* Whether a new union is mounted, or a union is remounted. */
enum class MountKind : unsigned char { first, remount };

struct OptionRow;

/*
 * The options that one mount was given. Changes of branches are made in the order in which they are given. A first
 * mount has only options that add branches, and begins without branches.
 */
class OptionSet final
{
public:
	explicit constexpr OptionSet(MountKind kind) : kind_(kind)
	{
	}

	/*
	 * Notes @option, and changes @settings if it is a setting; a list changes nothing yet. On -EINVAL @error is
	 * set, and @settings is unchanged: the option is unknown, lacks its value, has a value that it cannot have, or
	 * is not possible here; or `br` is given twice or after an option that changes branches.
	 */
	Result<OptionKey> accept(const RawOption &option, Settings &settings, OptionError &error);

	/*
	 * Called when all options are known, and have set @settings. On -EINVAL @error is set: an option needs a
	 * read-only mount, and the mount will not be @read_only.
	 */
	Result<void> finish(bool read_only, const Settings &settings, OptionError &error) const;

	/* Whether there are options without effect that somebody might expect to have one. */
	bool has_notes() const
	{
		return noted_ != 0;
	}
	/* Writes the names of these options, and why, to @out, as OptionError::describe() does. */
	StringView::Size describe_notes(char *out, StringView::Size size) const;

private:
	Result<void> accept_branches(StringView name, OptionError &error);
	Result<void> accept_change(const OptionRow &row, StringView name, OptionError &error);

	MountKind kind_;
	bool branches_ = false;
	OptionKey change_ = OptionKey::nothing; /* the first change that was given, append too */
	unsigned long long noted_ = 0; /* a bit for each row of the table */
	const OptionRow *opposite_ = nullptr; /* for a read-only mount alone */
};

/*
 * Writes @settings as options to @out, each after a comma, as OptionError::describe() does. Options at their default
 * are left out.
 */
StringView::Size describe_settings(const Settings &settings, char *out, StringView::Size size);

} // namespace aufs
