/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing names on the rw branch: what namei.cc and rename.cc share. */
#pragma once

#include "union/find.hh"
#include "branch/whiteout.hh"
#include "branch/workfile.hh"

namespace aufs
{

/* The mounter's credentials, but with the owner of new objects: @caller. */
class CreatorCreds final
{
public:
	/*
	 * For the making of the union's @dentry, with the label that security modules give to what @caller makes
	 * there. @mode is 0 for a further link, else it has the kind of the object. -ENOMEM, or the errno of a
	 * security module. May sleep.
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

/* -EPERM for a reserved name, -ENAMETOOLONG for a name that is too long for a whiteout. */
Result<void> check_new_name(StringView name);

/*
 * Whether something on the branches above hides a name that is made on a branch. removable: whiteouts and objects that
 * Uncovering takes away. for_good: a whiteout or object on a branch that is not written to, or an object that is
 * hidden itself and would come to light.
 */
enum class Obstacle : unsigned char { no, removable, for_good };

/*
 * Whether something hides @name in @dir, made on @target. @shown is the inode that the union shows there, or null.
 * -ESTALE if the uppermost object is another one: somebody has made it directly. May sleep.
 */
Result<Obstacle> obstacle_above(const AsMounter &mounter, const Inode &dir, StringView name,
				const Branch &target, const Inode *shown);

/* Syncs @object, if it is a regular file, and then the directory @h_dir, which has it. @object may be null. Sleeps. */
Result<void> sync_made(const AsMounter &mounter, PartRef h_dir, struct dentry *object);

/* Whether a change of names on @first comes to disk before a later one on @second. */
bool keep_order(const Branch &first, const Branch &second);

/*
 * What was made in the directory @h_dir comes to disk before names that are changed later on its branch. Sleeps, takes
 * locks of the branch.
 */
Result<void> settle_names(const Writer &writer, struct dentry &h_dir);

/* Removes the whiteout of @name in @h_dir, where that name was just made: the name comes to disk first. */
Result<void> remove_spent_whiteout(const Writer &writer, struct dentry &h_dir, StringView name);

/*
 * Takes away, for a scope, all that hides a name on the branches above: whiteouts, and replaced objects. The end of
 * the scope puts it back, unless end() was called.
 */
class Uncovering final
{
public:
	/*
	 * @name is, or is to be, in @made_in, a part of @dir. @shown is the inode that the union shows there, or null;
	 * if it is a directory, it is empty for users. If a removal might come to disk before @made, that is synced
	 * first, with its name; it is null if the name is made later. -ESTALE if there is an object that the union does
	 * not show. -ENOTEMPTY if a directory has what another part hides. Takes write access to each branch in turn.
	 */
	static Result<Uncovering> begin(const AsMounter &mounter, const Inode &dir, StringView name,
					const Part &made_in, struct dentry *made,
					const Inode *shown);
	Uncovering(Uncovering &&) = default;
	Uncovering &operator=(Uncovering &&) = delete;
	~Uncovering();

	/* Syncs the removal where a change of the name might come to disk before it. Sleeps. */
	Result<void> sync() const;
	/* Whiteouts and objects that were taken away are gone for good. */
	void end();

private:
	/* The whiteout, the object, or both, that hide the name in one part. */
	struct Cover {
		const Part *part = nullptr;
		Part object; /* or none */
		Grave grave; /* of the object */
		bool has_whiteout = false;
		bool is_taken = false;
	};

	Uncovering(const AsMounter &mounter, const Branch &target, StringView name)
		: mounter_(mounter), target_(target), name_(name)
	{
	}
	Result<void> take(Cover &cover) const;
	void put_back(Cover &cover) const;

	const AsMounter &mounter_;
	const Branch &target_;
	StringView name_;
	Array<Cover> covers_;
	bool syncs_ = false;
};

/*
 * Names have come or gone in the part of @dir on @branch. Users see the times of the uppermost part. If that is
 * another part, on a rw branch, its times become now; failures are ignored. Takes write access.
 */
void touch_top(const AsMounter &mounter, const Inode &dir, const Branch &branch);

/* In remove.cc and rename.cc. */
Result<void> unlink(struct inode *vfs_dir, struct dentry *dentry);
Result<void> rmdir(struct inode *vfs_dir, struct dentry *dentry);
Result<void> rename(AUFS_IDMAP *idmap, struct inode *old_dir, struct dentry *old_dentry,
		    struct inode *new_dir, struct dentry *new_dentry, unsigned int flags);

} // namespace aufs
