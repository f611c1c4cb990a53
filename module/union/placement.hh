/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the branches of a union lie. A branch that is added need not be compared with all others, so the time that a
 * mount or a remount takes grows with the number of branches only.
 */
#pragma once

#include "branch/branch.hh"
#include "pointer_table.hh"

namespace aufs
{

/* A key for tables of filesystem ids, never null. Filesystems with another id may have the same key. Any context. */
const void *slot_of_id(const unsigned char *id);

/*
 * Whether two branches lie in one directory, as they usually do. Then neither lies within the other, and if one lies
 * within a third branch, both do.
 */
bool are_siblings(const Branch &branch, const Branch &other);

/* -EINVAL, explained in @fc's log, if @branch, given as @path, is @other, or one lies within the other. */
Result<void> check_apart(struct fs_context *fc, const Branch &branch, const char *path,
			 const Branch &other);

/* The branches in it must live as long as it, or until clear(). All may sleep. */
class Placement final
{
public:
	/* As check_apart(), if @branch is one of the branches in it, or lies within one. */
	Result<void> check(struct fs_context *fc, const Branch &branch, const char *path) const;
	/* The same if one of @branches, which are in it, lies within another one. If none does, no two overlap. */
	template <class Branches>
	Result<void> check_all(struct fs_context *fc, const Branches &branches) const
	{
		const Branch *before = nullptr;

		for (const Branch &branch : branches) {
			if (!before || !are_siblings(*before, branch))
				TRY(check_within(fc, branch));
			before = &branch;
		}
		return {};
	}
	/* Adds @branch, after check(). -ENOMEM. */
	Result<void> add(const Branch &branch);
	/* The same for is_near() and may_have_id_of() as well. The filesystem has its number. -ENOMEM. */
	Result<void> add_mounted(const Branch &branch);
	/*
	 * Whether @branch may be one of the branches in it, lie within one, or have one within it: check_apart() then
	 * knows. False if it is certain that none does.
	 */
	bool is_near(const Branch &branch) const;
	/* Whether the filesystem of a branch in it may have the id of @branch's. */
	bool may_have_id_of(const Branch &branch) const;
	/* The first branch in it on the same filesystem, or null. */
	const Branch *beside(const Branch &branch) const;
	void clear();

private:
	Result<void> check_within(struct fs_context *fc, const Branch &branch) const;
	/* The branch in it whose directory is the nearest above @branch, or null. */
	const Branch *around(const Branch &branch) const;

	const Branch *last_ = nullptr; /* the last one of add() */
	cxxrt::PointerTable<const Branch *> roots_; /* by dentry */
	cxxrt::PointerTable<const Branch *> filesystems_; /* by superblock; the first one on each */
	/* Of add_mounted(): by each directory above a branch, and by slot_of_id(). */
	cxxrt::PointerTable<const Branch *> above_;
	cxxrt::PointerTable<const Branch *> ids_;
};

} // namespace aufs
