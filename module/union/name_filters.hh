/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Filters of the names in the parts of a directory (branch/name_filter.hh): a lookup asks only branches that may have
 * something. Filters are made when lookups have asked branches in vain often enough to pay for them. They lie in memory
 * as long as the inode, and are charged to the task that made them.
 */
#pragma once

#include "branch/name_filter.hh"
#include "inode.hh"

namespace aufs
{

/* A very rough number of the names in all of @parts, as far as their filesystems let it be known. Any context. */
unsigned int estimate_names(const Stack &parts);

/* A lookup of one name in the parts of one directory. */
class FilteredLookup final
{
public:
	/* @parts are those of @dir. */
	FilteredLookup(const AsMounter &mounter, const Inode &dir, const Stack &parts,
		       StringView name, const ListLock &)
		: mounter_(mounter), dir_(dir), parts_(parts)
	{
		if (AtomicRef(dir.filters_).load())
			name_ = NameHash(dir.super().name_key(), name);
	}
	FilteredLookup(const FilteredLookup &) = delete;
	FilteredLookup &operator=(const FilteredLookup &) = delete;
	/* Makes filters if they would have been of use. May sleep. */
	~FilteredLookup();

	/*
	 * The number of the first part from @index on that may have the name or a whiteout of it; else the number of
	 * parts.
	 */
	unsigned int next(unsigned int index) const;

	/* A part that next() gave has neither. */
	void note_vain()
	{
		vain_++;
	}

private:
	const AsMounter &mounter_;
	const Inode &dir_;
	const Stack &parts_;
	/* Empty if the directory had no filters at the beginning. */
	NameHash name_;
	unsigned int vain_ = 0;
};

} // namespace aufs
