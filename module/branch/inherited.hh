/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A new object inherits from the directory that it is made in: ACLs, S_ISGID and a group, flags (`chattr`), a project.
 * A copy is made in another directory than its own, and must not inherit from that.
 *
 * Functions that take a Writer change its branch. They take locks of it, and may sleep.
 */
#pragma once

#include "part.hh"
#include "writer.hh"

namespace aufs
{

/* Removes the ACL of @type of @dentry, if it has one. */
Result<void> remove_acl(const Writer &writer, struct dentry &dentry, int type);

/*
 * From now on the directory @dir, one of the union's own, hands nothing down, and only its owner may use it. What the
 * branch's filesystem refuses to change stays.
 */
void hand_nothing_down(const Writer &writer, struct dentry &dir);

/* Whether what is made in @dir gets its project, and no object of another project can be moved there. */
bool hands_project_down(struct dentry &dir);

/* From now on @dir, a directory of the union's own, hands down the project of @h_parent. */
Result<void> hand_project_down(const Writer &writer, struct dentry &dir, struct dentry &h_parent);

/*
 * Gives the new and empty @to the flags and the project of @source. If @h_parent, the directory where @to will be,
 * hands a project down, @to gets that one. With another project it could not be renamed there, and its data would count
 * for no project. Some flags of a regular file are left to protect(). Takes write access, if it changes something.
 */
Result<void> copy_flags(PartRef source, const AsMounter &mounter, PartRef to,
			struct dentry *h_parent);

/*
 * Gives @made the ACLs and the group that @part hands down, the uppermost part of a directory, which users see. @made
 * was made in another part of it, with @mode and for the owner of @caller. It loses what that part handed down.
 */
Result<void> inherit_from(PartRef part, const Writer &writer, struct dentry &made, umode_t mode,
			  const struct cred &caller);

/* Sets those flags of the source, @i_flags, that would have stopped or slowed down the copying. */
void protect(const Writer &writer, struct dentry &to, unsigned int i_flags);

} // namespace aufs
