/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a name in a directory of a branch. All run with the mounter's credentials and may sleep. */
#pragma once

#include "branch.hh"
#include "kernel/dir_lock.hh"

namespace aufs
{

/* @name in the directory @base of @branch, positive, or empty. Its i_rwsem is not held. */
Result<Ref<struct dentry>> lookup_in(const Branch &branch, struct dentry &base, StringView name);

/* The same with the i_rwsem of @base held; may be negative, never empty. */
Result<Ref<struct dentry>> lookup_locked(const Branch &branch, struct dentry &base,
					 StringView name);

/* The whiteout of @name in @base, or empty. -EIO where its place is taken by something else. */
Result<Ref<struct dentry>> find_whiteout(const Branch &branch, struct dentry &base,
					 StringView name);

/* Says in the log that the reserved @name in @base is no whiteout and no mark. -EIO. */
Error wrong_whiteout(const Branch &branch, struct dentry &base, StringView name);

/* Whether @dir, a directory of @branch, hides what lies below it. */
Result<bool> is_opaque(const Branch &branch, struct dentry &dir);

} // namespace aufs
