/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of a branch's text, for the readers in this folder alone. */
#pragma once

#include "options.hh"

namespace aufs
{

/* The place of the first unescaped @stop of @text, from @at on; the size of @text if there is none. */
StringView::Size find_unescaped(StringView text, StringView::Size at, char stop);

/*
 * Writes the path of @item to @buffer of @size bytes, with a terminating zero. @end becomes the place in @item where
 * the path ends: the first unescaped `=`, or the end of @item. -EINVAL or -ENAMETOOLONG, and @error is set.
 */
Result<StringView> take_path(StringView item, char *buffer, StringView::Size size,
			     OptionError &error, StringView::Size &end);

/* Reads the branch @text; its permission is @otherwise if none is given. Else as take_path(). */
Result<BranchItem> parse_branch(StringView text, BranchPerm otherwise, char *buffer,
				StringView::Size size, OptionError &error);

} // namespace aufs
