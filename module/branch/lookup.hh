/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a name in a directory of a branch, as the mounter. All may sleep. */
#pragma once

#include "dir_lock.hh"
#include "part.hh"

namespace aufs
{

/*
 * @name in the directory @dir, positive, or empty, as it is where a whiteout of overlayfs is that counts there. May
 * take the i_rwsem of @dir. -EREMOTE and -EIO for what the union cannot show.
 */
Result<Ref<struct dentry>> lookup_in(const AsMounter &mounter, PartRef dir, StringView name);

/* The same in the directory of @lock; may be negative, never empty. */
Result<Ref<struct dentry>> lookup_locked(const DirLock &lock, StringView name);
/* The same in the directory that is moved to. */
Result<Ref<struct dentry>> lookup_locked(const RenameLock &lock, StringView name);

/* The whiteout of @name in @dir, or empty. -EIO where its place is taken by something else. */
Result<Ref<struct dentry>> find_whiteout(const AsMounter &mounter, PartRef dir, StringView name);

/* The whiteout of overlayfs that hides @name in @dir, on a branch where they count, or empty. */
Result<Ref<struct dentry>> find_overlay_whiteout(const AsMounter &mounter, PartRef dir,
						 StringView name);

/* Says in the log that the reserved @name in @dir is no whiteout and no mark. -EIO. */
Error wrong_whiteout(PartRef dir, StringView name);

/* Whether the directory @dir hides what lies below it. */
Result<bool> is_opaque(const AsMounter &mounter, PartRef dir);

} // namespace aufs
