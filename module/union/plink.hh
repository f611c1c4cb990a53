/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of one lower file stay names of one file when it is copied up. The copy gets a further name
 * in .wh..wh.plnk, by which the other names, which lie on lower branches alone, find it.
 */
#pragma once

#include "copy_lock.hh"

namespace aufs
{

/* What identify() did. */
struct Identified {
	unsigned int links = 0; /* what Inode::links() becomes */
	bool noted = false; /* the copy says what it is a copy of */
};

/*
 * Stores the origin of @copy, of what @inode was until now, on the branch of @writer; adds a pseudo-link
 * if the original has other names than the one that the copy gets, or any, if it gets none (@named is
 * false). -ESTALE where the branch cannot keep that, which it is known for
 * from then on: the inode stands for names that would part unseen. May sleep.
 */
Result<Identified> identify(const CopyLock &, const Writer &writer, const Inode &inode,
			    struct dentry &copy, bool named);

/* Removes the pseudo-link that @object has as a copy of what is @id, if there is one. */
Result<void> remove_plink(const Writer &writer, const Super &super, const Identity &id,
			  const struct inode &object);

/* Whether @object has the pseudo-link on its branch of what is @id. Sleeps. */
Result<bool> has_plink(const AsMounter &mounter, const Super &super, PartRef object,
		       const Identity &id);

/*
 * One name of @inode, which lay on lower branches alone, is gone or has been linked, on the rw @branch.
 * Takes write access.
 */
void note_lower_name_gone(const CopyLock &lock, const AsMounter &mounter, Inode &inode,
			  const Branch &branch);

/*
 * A further name, @named on a lower branch, has led to @inode by a pseudo-link: it counts, whoever took it for gone,
 * and so may others of its names. Takes a CopyLock and write access.
 */
void note_further_name(const AsMounter &mounter, Inode &inode, const Part &named);

/* One name of @inode on its rw branch is gone. Takes write access. */
void note_name_gone(const CopyLock &lock, const AsMounter &mounter, Inode &inode);

/* The copy that @found, which has several names, has by its pseudo-link: takes its place. */
Result<void> follow_plink(const AsMounter &mounter, const Super &super, Stack &found);

} // namespace aufs
