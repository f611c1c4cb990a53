/* SPDX-License-Identifier: GPL-2.0-only */
/* One entry of a directory of a rw branch, made or taken away. */
#pragma once

#include "lookup.hh"

namespace aufs
{

/*
 * The entry that was just made as @dentry in the directory of @lock. Some filesystems leave @dentry negative after a
 * mkdir: then it is looked up. Negative if it is not there after all.
 */
Result<Ref<struct dentry>> find_made(const DirLock &lock, Ref<struct dentry> dentry);

/* Removes the positive @dentry from the directory of @lock. A directory must be empty. */
Result<void> remove_locked(const DirLock &lock, struct dentry &dentry);

/*
 * Removes @name from @h_dir by @remove (&DirLock::unlink or rmdir) if it is there; tells whether it was. -ESTALE if it
 * is not @expected, unless that is null, or is not of @remove's kind. Takes the i_rwsem of @h_dir.
 */
using RemoveEntry = Result<void> (DirLock::*)(struct dentry &dentry) const;
Result<bool> remove_entry(const Writer &writer, struct dentry &h_dir, StringView name,
			  const struct inode *expected, RemoveEntry remove);

} // namespace aufs
