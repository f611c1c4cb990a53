/* SPDX-License-Identifier: GPL-2.0-only */
/* What keeps the list of branches from changing, said to who wants to change it. */
#pragma once

#include "refresh.hh"

namespace aufs
{

/* Whether @error comes from a use that may end in a moment. */
inline bool is_passing(int error)
{
	return error == -EBUSY || error == -EAGAIN;
}

/* Says in @fc's log which name in use cannot be looked up, a branch having an @error for it. */
void explain(struct fs_context *fc, const Refresh &refresh, int error);

/*
 * -EBUSY where @branch is in use, as @refresh has seen. With @say, @fc's log gets what uses it: up to eight names, with
 * a process that has each. May sleep.
 */
Result<void> refuse_use(struct fs_context *fc, const Refresh &refresh, const Branch &branch,
			BranchUse use, bool say);

} // namespace aufs
