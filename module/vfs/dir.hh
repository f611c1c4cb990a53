/* SPDX-License-Identifier: GPL-2.0-only */
/* The union's directories. */
#pragma once

#include "union/inode.hh"

namespace aufs
{

/*
 * Whether users see nothing in @dir, and no rw branch has a name in it that they do not see (max_name). -ESTALE if
 * somebody has removed a part of it directly.
 */
Result<bool> is_logically_empty(const AsMounter &mounter, Inode &dir);

} // namespace aufs
