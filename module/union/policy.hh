/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which rw branch takes a new object or a copy, by the policies of the original. What is made must be seen: no branch
 * above may hide it. All may sleep.
 */
#pragma once

#include "inode.hh"

namespace aufs
{

enum class NewKind : unsigned char { directory, other };

/*
 * The branch on which @name, which does not exist, is made in @dir; never null:
 *	tdp	the topmost rw branch that has the directory, else the nearest above it
 *	rr	each rw branch in turn; directories as by tdp
 *	mfs	the rw branch with the most space
 *	mfsrr	as by mfs; if that branch has less than the watermark, as by rr, but for directories
 *	pmfs	as by mfs, among the branches that have the directory; else as by tdp
 *	pmfsrr	as by pmfs; as by mfsrr if no such branch has as much as the watermark
 *	tdmfs	the topmost rw branch that has as much as the watermark, else as by mfs
 * -EROFS if there is none, or if a branch above it has a whiteout of the name that cannot be removed.
 */
Result<const Branch *> branch_for_new(const AsMounter &mounter, struct dentry &dir, StringView name,
				      NewKind kind);

/*
 * Whether a copy of @dir on @target, below all its parts, would be visible. No part may hide it, and no branch from the
 * lowest part down to @target may have a whiteout or another object by the name.
 */
Result<bool> shows_below(const AsMounter &mounter, struct dentry &dir, const Branch &target);

/*
 * The branch to which an object in @parent on the branch @source is copied up; never null:
 *	tdp	the topmost rw branch above @source that has the directory, else as by bu
 *	bup	the nearest one above @source that has it, else as by bu
 *	bu	the nearest rw branch above @source
 * -EROFS if there is none.
 */
Result<const Branch *> branch_for_copy(const Inode &parent, const Branch &source);

} // namespace aufs
