/* SPDX-License-Identifier: GPL-2.0-only */
/* The union's directories. */
#pragma once

#include "union/inode.hh"

namespace aufs
{

/*
 * Whether users see nothing in @dir, whatever its parts have. -ESTALE where one of these has been removed
 * directly.
 */
Result<bool> is_logically_empty(const AsMounter &mounter, Inode &dir);

} // namespace aufs
