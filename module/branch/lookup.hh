/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a name in a directory of a branch, as the mounter. All may sleep. */
#pragma once

#include "dir_lock.hh"
#include "part.hh"

#include "span.hh"

namespace aufs
{

/*
 * The positive dentry @name in the directory @dir, or empty. It is empty for a whiteout of overlayfs, too, on a branch
 * where these count. May take the i_rwsem of @dir. -EREMOTE and -EIO for objects that the union cannot show.
 */
Result<Ref<struct dentry>> lookup_in(const AsMounter &mounter, PartRef dir, StringView name);

/*
 * Whether it is certain, without asking the filesystem, that @dir has none of @names. False if it is not known, also
 * for want of the right to search @dir.
 */
bool has_none_of(const AsMounter &mounter, PartRef dir, cxxrt::Span<const StringView> names);

/* The dentry @name in the directory of @lock; may be negative, never empty. */
Result<Ref<struct dentry>> lookup_locked(const DirLock &lock, StringView name);
/* Whether the directory of @lock has @name; with a RenameLock, the one to which the rename moves. */
Result<bool> has_name(const DirLock &lock, StringView name);
Result<bool> has_name(const RenameLock &lock, StringView name);

/* The whiteout of @name in @dir, or empty. -EIO if another object has its name. */
Result<Ref<struct dentry>> find_whiteout(const AsMounter &mounter, PartRef dir, StringView name);
/*
 * Whether it is certain that @dir has no whiteout of @name, for a caller that has just looked @name up there: the right
 * to search is not asked again.
 */
bool has_no_whiteout(PartRef dir, StringView name);

/* The whiteout of overlayfs that hides @name in @dir, or empty. Only for a branch where these count. */
Result<Ref<struct dentry>> find_overlay_whiteout(const AsMounter &mounter, PartRef dir,
						 StringView name);

/* Logs that the reserved @name in @dir is neither a whiteout nor a mark. -EIO. */
Error wrong_whiteout(PartRef dir, StringView name);

/* Whether the directory @dir hides what lies below it. */
Result<bool> is_opaque(const AsMounter &mounter, PartRef dir);

} // namespace aufs
