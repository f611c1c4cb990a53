/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names of a lower file stay names of one file when it is copied up. The copy gets a further name in .wh..wh.plnk.
 * By that, lookups of the other names, which only lower branches have, find the copy.
 */
#pragma once

#include "copy_lock.hh"

namespace aufs
{

/*
 * Whether @inode's object has names beside the one by which it is copied: then the copy gets a pseudo-link. Hidden
 * names count, too: somebody may take away what hides them, and then they must lead to the copy.
 */
bool has_further_names(const Inode &inode);

/* The result of identify(). */
struct Identified {
	unsigned int links = 0; /* what Inode::links() becomes */
	bool noted = false; /* the copy says what it is a copy of */
};

/*
 * Stores the origin of @copy, a copy of what @inode was until now, on @writer's branch. Adds a pseudo-link if the
 * original has other names than the one that the copy gets; or any name, if the copy gets none (@named is false).
 * -ESTALE if the branch cannot keep a pseudo-link: the inode stands for names that would part unseen. From then on the
 * branch counts as one that keeps no identity. May sleep.
 */
Result<Identified> identify(const CopyLock &, const Writer &writer, const Inode &inode,
			    struct dentry &copy, bool named);

/* Removes the pseudo-link that @object has as a copy of @id, if there is one. */
Result<void> remove_plink(const Writer &writer, const Super &super, const Identity &id,
			  const struct inode &object);

/* Whether @object has a pseudo-link on its branch as a copy of @id. Sleeps. */
Result<bool> has_plink(const AsMounter &mounter, const Super &super, PartRef object,
		       const Identity &id);

/* A name of @inode that only lower branches had is gone, or was linked on the rw @branch. Takes write access. */
void note_lower_name_gone(const CopyLock &lock, const AsMounter &mounter, Inode &inode,
			  const Branch &branch);

/*
 * A pseudo-link has led from @named, a name on a lower branch, to @inode. So the name counts, even if it was taken for
 * gone, and so may others. Takes a CopyLock and write access.
 */
void note_further_name(const AsMounter &mounter, Inode &inode, const Part &named);

/* A name that @inode had on its rw branch is gone. Takes write access. */
void note_name_gone(const CopyLock &lock, const AsMounter &mounter, Inode &inode);

/* If a pseudo-link leads from the top of @found, which has several names, to its copy, that becomes the top. */
Result<void> follow_plink(const AsMounter &mounter, const Super &super, Stack &found);

} // namespace aufs
