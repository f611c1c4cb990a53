/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * udba: whether a name of the union still stands for what the branches have by it, where somebody changes them
 * directly.
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/*
 * Looks at the branches. False: @dentry has to be looked up anew. With udba=notify its directory is watched
 * then, and @changes is what Watches::changes_of() said of it before. A directory that has other parts by now, but
 * is the same one, gets them; a file the attributes that the branch has. Where something is on its way there (a
 * copy-up, a rename), that counts as the same. Takes the list's lock, under whatever lock of the VFS. Sleeps.
 */
Result<bool> is_as_on_branches(struct dentry &dentry, unsigned long &changes);

/*
 * -ESTALE for what stands in the dcache for users who have it, and by whose name the branches have something else
 * by now, or nothing: the list of branches has changed, or a branch directly. What would be copied up or made there
 * would take the place of what is. Not for what the union itself has removed.
 */
Result<void> check_named(const ListLock &list, const AsMounter &mounter, struct dentry &dentry);

} // namespace aufs
