/* SPDX-License-Identifier: GPL-2.0-only */
/* One entry of a directory of a rw branch, made or taken away. */
#pragma once

#include "lookup.hh"

namespace aufs
{

/*
 * The entry that was just made as @dentry in the directory of @lock: some filesystems leave it to a lookup to find
 * what mkdir made. Negative where it is not there after all.
 */
Result<Ref<struct dentry>> find_made(const DirLock &lock, Ref<struct dentry> dentry);

/* Removes the positive @dentry; @lock is its directory's. What is a directory must be empty. */
Result<void> remove_locked(const DirLock &lock, struct dentry &dentry);

/*
 * Removes @name from @h_dir by @remove (&DirLock::unlink or rmdir) if it is there, and tells whether it
 * was; -ESTALE unless it is @expected, where that is not null, and of @remove's kind. Takes the i_rwsem of
 * @h_dir.
 */
using RemoveEntry = Result<void> (DirLock::*)(struct dentry &dentry) const;
Result<bool> remove_entry(const Writer &writer, struct dentry &h_dir, StringView name,
			  const struct inode *expected, RemoveEntry remove);

} // namespace aufs
