/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the branches of a new union lie. A branch that is added need not be compared with all others, so the time that
 * a mount of thousands takes grows with their number only.
 */
#pragma once

#include "branch/branch.hh"
#include "pointer_table.hh"

namespace aufs
{

/* -EINVAL, explained in @fc's log, if @branch, given as @path, is @other, or one lies within the other. */
Result<void> check_apart(struct fs_context *fc, const Branch &branch, const char *path,
			 const Branch &other);

/* The branches in it must live as long as it, or until clear(). All may sleep. */
class Placement final
{
public:
	/* As check_apart(), if @branch is one of the branches in it, or lies within one. */
	Result<void> check(struct fs_context *fc, const Branch &branch, const char *path) const;
	/* The same if @branch, which is in it, lies within another one. If that is true of none, no two overlap. */
	Result<void> check_within(struct fs_context *fc, const Branch &branch) const;
	/* Adds @branch. -ENOMEM. */
	Result<void> add(const Branch &branch);
	/* The first branch in it on the same filesystem, or null. */
	const Branch *beside(const Branch &branch) const;
	void clear();

private:
	/* The branch in it whose directory is the nearest above @branch, or null. */
	const Branch *around(const Branch &branch) const;

	cxxrt::PointerTable<const Branch *> roots_; /* by dentry */
	cxxrt::PointerTable<const Branch *> filesystems_; /* by superblock; the first one on each */
};

} // namespace aufs
