/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a name in a directory of a branch, as the mounter. All may sleep. */
#pragma once

#include "dir_lock.hh"

namespace aufs
{

/*
 * @name in the directory @base of @branch, positive, or empty, as it is where a whiteout of overlayfs is that
 * counts there. Its i_rwsem is not held. -EREMOTE and -EIO for what the union cannot show.
 */
Result<Ref<struct dentry>> lookup_in(const AsMounter &mounter, const Branch &branch,
				     struct dentry &base, StringView name);

/* The same in the directory of @lock; may be negative, never empty. */
Result<Ref<struct dentry>> lookup_locked(const DirLock &lock, StringView name);
/* The same in the directory that is moved to. */
Result<Ref<struct dentry>> lookup_locked(const RenameLock &lock, StringView name);

/* The whiteout of @name in @base, or empty. -EIO where its place is taken by something else. */
Result<Ref<struct dentry>> find_whiteout(const AsMounter &mounter, const Branch &branch,
					 struct dentry &base, StringView name);

/* The whiteout of overlayfs that hides @name in @base, a directory of a branch where they count, or empty. */
Result<Ref<struct dentry>> find_overlay_whiteout(const AsMounter &mounter, const Branch &branch,
						 struct dentry &base, StringView name);

/* Says in the log that the reserved @name in @base is no whiteout and no mark. -EIO. */
Error wrong_whiteout(const Branch &branch, struct dentry &base, StringView name);

/* Whether @dir, a directory of @branch, hides what lies below it. */
Result<bool> is_opaque(const AsMounter &mounter, const Branch &branch, struct dentry &dir);

} // namespace aufs
