/* SPDX-License-Identifier: GPL-2.0-only */
/* Which of the rw branches takes a new object or a copy. The mounter's credentials are held. */
#pragma once

#include "inode.hh"

namespace aufs
{

/*
 * Where @name, which does not exist, is made in @dir: on the topmost rw branch that has the
 * directory, else on the nearest above it. -EROFS where there is none, or where a branch above it
 * has a whiteout of the name that cannot be removed.
 */
[[nodiscard]] Result<unsigned int> branch_for_new(const Inode &dir, StringView name) noexcept;

/*
 * Where what lies in @parent on the branch @source is copied up to: the topmost rw branch above
 * @source that has the directory, else the nearest above it. -EROFS where there is none.
 */
[[nodiscard]] Result<unsigned int> branch_for_copy(const Inode &parent,
						   unsigned int source) noexcept;

} // namespace aufs
