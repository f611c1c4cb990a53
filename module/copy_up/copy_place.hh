/* SPDX-License-Identifier: GPL-2.0-only */
/* How a finished copy gets its name. */
#pragma once

#include "branch/workfile.hh"
#include "union/stack.hh"

namespace aufs
{

/*
 * Gives @work, a copy of the object of the union's @dentry, the name of that, in @h_dir. @next is the stack with the
 * copy: its top becomes the dentry that has the name. False if the union has removed the name or its directory
 * meanwhile. -ESTALE if somebody else did, or has given the name to another object. Takes locks of the branch.
 */
Result<bool> place(const Writer &writer, Workfile &work, struct dentry &h_dir,
		   struct dentry &dentry, Stack &next);

} // namespace aufs
