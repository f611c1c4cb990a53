/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many names of a lower file with several names are gone. The file's branch is not written to, and goes on counting
 * them. So a rw branch gets a file beside the pseudo-links, whose size is the number of such names:
 *
 *	.wh..wh.plnk/gone.FILESYSTEM.NUMBER.GENERATION
 *
 * It goes with the lower file's last name. It also goes when the lower file is copied up, as the copy counts the names
 * itself (Identity::links). All sleep.
 */
#pragma once

#include "copy_lock.hh"

namespace aufs
{

/* How many names of the file @id on @branch are gone, as all branches above say. */
Result<unsigned int> count_gone_names(const AsMounter &mounter, const Super &super,
				      const Branch &branch, const Identity &id);

/*
 * One more name of the file @id is gone: notes that on the rw @branch. The lock is that of its inode. Takes write
 * access.
 */
Result<void> note_gone_name(const CopyLock &, const AsMounter &mounter, const Super &super,
			    const Branch &branch, const Identity &id);

/* Removes what @writer's branch has for @id: nobody asks for it any more. */
Result<void> forget_gone_names(const Writer &writer, const Super &super, const Identity &id);

} // namespace aufs
