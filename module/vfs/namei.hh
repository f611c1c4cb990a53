/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing names on the rw branch: what namei.cc and rename.cc share. */
#pragma once

#include "union/find.hh"
#include "branch/whiteout.hh"

namespace aufs
{

/*
 * Becomes the mounter, but what is created belongs to @caller.
 */
class CreatorCreds final
{
public:
	/*
	 * For the making of the union's @dentry, with the label that security modules give what
	 * @caller makes there; for a further link @mode is 0, else it has the kind of the object.
	 * -ENOMEM, or what a security module says. May sleep.
	 */
	static Result<CreatorCreds> create(const Super &super, const struct cred &caller,
					   struct dentry &dentry, umode_t mode);

	const struct cred &get() const
	{
		return *creds_;
	}

private:
	Ref<const struct cred> creds_;
};

/* -EPERM for a name that users do not have, -ENAMETOOLONG for one that could not be whiteouted. */
Result<void> check_new_name(StringView name);

/*
 * What hides @name in @dir, made on @target, on the branches above: whiteouts and objects that
 * uncover() removes, or some on a branch that is not written to.
 */
enum class Obstacle : unsigned char { no, removable, for_good };

/*
 * -ESTALE where the object is not what the union shows there, @shown, which is null where it shows nothing:
 * somebody has made it directly. May sleep.
 */
Result<Obstacle> obstacle_above(const AsMounter &mounter, const Inode &dir, StringView name,
				const Branch &target, const Inode *shown);

/*
 * Removes what hides @name in @dir, which is on @target, on the branches above: whiteouts,
 * and what was replaced, @shown; directories of these are empty for users. -ESTALE as obstacle_above(). Takes
 * write access to each.
 */
Result<void> uncover(const AsMounter &mounter, const Inode &dir, StringView name,
		     const Branch &target, const Inode *shown);

/* remove.cc, rename.cc */
Result<void> unlink(struct inode *vfs_dir, struct dentry *dentry);
Result<void> rmdir(struct inode *vfs_dir, struct dentry *dentry);
Result<void> rename(AUFS_IDMAP *idmap, struct inode *old_dir, struct dentry *old_dentry,
		    struct inode *new_dir, struct dentry *new_dentry, unsigned int flags);

} // namespace aufs
