/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * udba: whether a name of the union still leads to what the branches have by it, as somebody may change them directly.
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/*
 * Looks at the branches. False if @dentry has to be looked up again. With udba=notify its directory is watched from
 * then on, and @changes is what Watches::changes_of() said of it before. A directory that is the same, but has other
 * parts by now, gets these. A file gets the attributes that the branch has. A name that the union is changing (a
 * copy-up, a rename) counts as the same. Takes the list's lock, under whatever lock of the VFS. Sleeps.
 */
Result<bool> is_as_on_branches(struct dentry &dentry, unsigned long &changes);

/*
 * -ESTALE if @dentry, or a directory above it, is only there for tasks that use it, and its name leads to another
 * object by now, or to none: the list of branches has changed, or a branch directly. A copy or a new object would take
 * the place of what is there now. Names that the union itself has removed are left out.
 */
Result<void> check_named(const ListLock &list, const AsMounter &mounter, struct dentry &dentry);

/*
 * The same for the name of @dentry alone, which may be free, in a directory that the VFS has locked. A change of the
 * list drops all free names, and most are free afterwards, too. The VFS walks once more after -ESTALE; after a second
 * change the user would get it.
 */
Result<void> check_name(const ListLock &list, const AsMounter &mounter, struct dentry &dentry);

} // namespace aufs
