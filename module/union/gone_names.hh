/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many names of a lower file with several names are gone. The branch where it lies is not written to
 * and goes on counting them. So a rw branch gets a file beside the pseudo-links that is as long as there are
 * such names:
 *
 *	.wh..wh.plnk/gone.FILESYSTEM.NUMBER.GENERATION
 *
 * It goes when the file is copied up, which counts the names itself (Identity::links), and with its last
 * name. All sleep.
 */
#pragma once

#include "copy_lock.hh"

namespace aufs
{

/* Of what is @id and lies on @branch, by all branches above. */
Result<unsigned int> count_gone_names(const AsMounter &mounter, const Super &super,
				      const Branch &branch, const Identity &id);

/* One more of what is @id, whose CopyLock that is; on @branch, which is rw. Takes write access. */
Result<void> note_gone_name(const CopyLock &, const AsMounter &mounter, const Super &super,
			    const Branch &branch, const Identity &id);

/* Nobody asks any more: removes what @writer's branch has of it. */
Result<void> forget_gone_names(const Writer &writer, const Super &super, const Identity &id);

} // namespace aufs
