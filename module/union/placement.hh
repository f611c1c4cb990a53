/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the branches of a new union lie: one that is added need not be compared with all others, and thousands of them
 * are mounted in a time that grows as they do.
 */
#pragma once

#include "branch/branch.hh"
#include "pointer_table.hh"

namespace aufs
{

/* -EINVAL, explained in @fc's log, where @branch, given as @path, is the other, or one lies within the other. */
Result<void> check_apart(struct fs_context *fc, const Branch &branch, const char *path,
			 const Branch &other);

/* What is in it lives as long as it, or until clear(). All may sleep. */
class Placement final
{
public:
	/* As check_apart(), where @branch, given as @path, is one of those, or lies within one. */
	Result<void> check(struct fs_context *fc, const Branch &branch, const char *path) const;
	/* The same, where one of those lies within @branch, which is one of them. Of all: no two overlap. */
	Result<void> check_within(struct fs_context *fc, const Branch &branch) const;
	/* -ENOMEM. */
	Result<void> add(const Branch &branch);
	/* One on the same filesystem, or null. */
	const Branch *beside(const Branch &branch) const;
	void clear();

private:
	/* The nearest of those that have a directory in which @branch lies, or null. */
	const Branch *around(const Branch &branch) const;

	cxxrt::PointerTable<const Branch *> roots_; /* by dentry */
	cxxrt::PointerTable<const Branch *> filesystems_; /* by superblock; the first one on each */
};

} // namespace aufs
