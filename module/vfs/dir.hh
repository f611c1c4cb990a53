/* SPDX-License-Identifier: GPL-2.0-only */
/* The union's directories. */
#pragma once

#include "union/inode.hh"

namespace aufs
{

/*
 * Whether users see nothing in @dir, whatever its parts have. -ESTALE where one of these has been removed
 * directly. The mounter's credentials are held.
 */
Result<bool> is_logically_empty(Inode &dir);

} // namespace aufs
