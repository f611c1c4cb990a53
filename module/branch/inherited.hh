/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a new object gets because of the directory that it is made in: ACLs, S_ISGID and a group,
 * flags (`chattr`), a project. A copy is not made where it will be, and gets none of it.
 *
 * All that take a Writer change its branch; they take locks of it, and may sleep.
 */
#pragma once

#include "part.hh"
#include "writer.hh"

namespace aufs
{

/* Removes the ACL of @type of @dentry, if it has one. */
Result<void> remove_acl(const Writer &writer, struct dentry &dentry, int type);

/*
 * From now on the directory @dir, which is the union's own, hands nothing down, and is for who made
 * it alone. What the branch's filesystem refuses to change stays.
 */
void hand_nothing_down(const Writer &writer, struct dentry &dir);

/* Whether what is made in @dir gets its project, and nothing of another project can be moved there. */
bool hands_project_down(struct dentry &dir);

/* @dir is a directory of the union's own that hands down the project of @h_parent. */
Result<void> hand_project_down(const Writer &writer, struct dentry &dir, struct dentry &h_parent);

/*
 * Gives @to, which is new and empty, the flags of @source and its project, or that of @h_parent,
 * where it will be, if that hands one down: with another it could not be renamed there, and its data
 * would count for nobody. Of a regular file some flags are left to protect().
 */
Result<void> copy_flags(PartRef source, const Writer &writer, struct dentry &to,
			struct dentry *h_parent);

/*
 * Gives @made, which was made with @mode for the owner of @caller in one of the parts of a directory,
 * the ACLs and the group that @part, the upper one and what users see, hands down; and not those of the
 * part that it is in.
 */
Result<void> inherit_from(PartRef part, const Writer &writer, struct dentry &made, umode_t mode,
			  const struct cred &caller);

/* Sets those that stop or slow down what is done before a copy is complete: @i_flags of its source. */
void protect(const Writer &writer, struct dentry &to, unsigned int i_flags);

} // namespace aufs
