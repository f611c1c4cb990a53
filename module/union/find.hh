/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a name in all parts of a directory. */
#pragma once

#include "branch/lookup.hh"
#include "inode.hh"

namespace aufs
{

/* What the parts of @dir have under @name. Sleeps. */
Result<Stack> find(const AsMounter &mounter, const Inode &dir, StringView name,
		   const ListLock &list);
/* The same of those below @branch, on which @dir has one. */
Result<Stack> find_below(const AsMounter &mounter, const Inode &dir, StringView name,
			 const Branch &branch, const ListLock &list);
/* The same of a directory that has these @parts. */
Result<Stack> find(const AsMounter &mounter, const Stack &parts, StringView name);

} // namespace aufs
