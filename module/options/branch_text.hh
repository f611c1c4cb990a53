/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of a branch's text: what the readers in this folder share, and nobody else needs. */
#pragma once

#include "options.hh"

namespace aufs
{

/* Where the first unescaped @stop of @text is, from @at on; its size when there is none. */
StringView::Size find_unescaped(StringView text, StringView::Size at, char stop);

/*
 * Writes the path of @item to @buffer of @size bytes, with a terminating zero; @end is where it ends in
 * @item: at its first unescaped `=`, or with it. -EINVAL or -ENAMETOOLONG with @error set.
 */
Result<StringView> take_path(StringView item, char *buffer, StringView::Size size,
			     OptionError &error, StringView::Size &end);

/* The branch that @text is; its permission is @otherwise where none is given. Else as take_path(). */
Result<BranchItem> parse_branch(StringView text, BranchPerm otherwise, char *buffer,
				StringView::Size size, OptionError &error);

} // namespace aufs
