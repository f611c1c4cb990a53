/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a name in all parts of a directory. */
#pragma once

#include "branch/lookup.hh"
#include "inode.hh"

namespace aufs
{

/* What the parts of @dir from @first on have under @name. Sleeps. */
Result<Stack> find(const AsMounter &mounter, const Inode &dir, StringView name,
		   unsigned int first = 0);
/* The same of a directory that has these @parts. */
Result<Stack> find(const AsMounter &mounter, const Stack &parts, StringView name,
		   unsigned int first = 0);

} // namespace aufs
