/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a name in all parts of a directory. */
#pragma once

#include "branch/lookup.hh"
#include "inode.hh"

namespace aufs
{

/* Looks @name up in the parts of @dir. Sleeps. */
Result<Stack> find(const AsMounter &mounter, const Inode &dir, StringView name,
		   const ListLock &list);
/* The same for the parts below @branch, on which @dir has a part. */
Result<Stack> find_below(const AsMounter &mounter, const Inode &dir, StringView name,
			 const Branch &branch, const ListLock &list);
/* The same for a directory that has these @parts. */
Result<Stack> find(const AsMounter &mounter, const Stack &parts, StringView name);

} // namespace aufs
