/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of the rw branches takes a new object or a copy, by the policies of the original. What is
 * made must be seen: no branch above it may hide it. All may sleep.
 */
#pragma once

#include "inode.hh"

namespace aufs
{

enum class NewKind : unsigned char { directory, other };

/*
 * Where @name, which does not exist, is made in @dir; never null:
 *	tdp	on the topmost rw branch that has the directory, else on the nearest above it
 *	rr	on each rw branch in turn; directories as by tdp
 *	mfs	on the rw branch with the most space
 *	mfsrr	the same; as rr where that has less than the watermark
 *	pmfs	on that of those that have the directory, else as tdp
 *	pmfsrr	the same; as mfsrr where none of those has as much as the watermark
 *	tdmfs	on the topmost rw branch that has as much, else as mfs
 * -EROFS where there is none, or where a branch above it has a whiteout of the name that cannot be
 * removed.
 */
Result<const Branch *> branch_for_new(const AsMounter &mounter, struct dentry &dir, StringView name,
				      NewKind kind);

/*
 * Whether a copy of @dir on @target, below all that have it, would be visible: no part hides it, and
 * neither @target nor a branch on the way there has another use for the name.
 */
Result<bool> shows_below(const AsMounter &mounter, struct dentry &dir, const Branch &target);

/*
 * Where what lies in @parent on the branch @source is copied up to; never null:
 *	tdp	the topmost rw branch above @source that has the directory, else as bu
 *	bup	the nearest one above @source that has it, else as bu
 *	bu	the nearest rw branch above @source
 * -EROFS where there is none.
 */
Result<const Branch *> branch_for_copy(const Inode &parent, const Branch &source);

} // namespace aufs
