/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing names on the rw branch: what namei.cc and rename.cc share. */
#pragma once

#include "union/find.hh"
#include "branch/whiteout.hh"
#include "branch/workfile.hh"

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
 * What hides @name in @dir, made on @target, on the branches above. removable: whiteouts and objects that
 * Uncovering takes away. for_good: one on a branch that is not written to, or an object that another
 * branch hides, and which would come to light.
 */
enum class Obstacle : unsigned char { no, removable, for_good };

/*
 * @shown: what the union shows there, or null. -ESTALE where what lies uppermost is another object: somebody
 * has made it directly. May sleep.
 */
Result<Obstacle> obstacle_above(const AsMounter &mounter, const Inode &dir, StringView name,
				const Branch &target, const Inode *shown);

/* Brings to disk that @object, a file or null, is in the directory @h_dir of its branch. Sleeps. */
Result<void> sync_made(const AsMounter &mounter, PartRef h_dir, struct dentry *object);

/*
 * What hides a name on the branches above is taken away in this scope: whiteouts, and what is replaced. At its end it
 * is back, unless end() was called.
 */
class Uncovering final
{
public:
	/*
	 * @name is, or is to be, in @made_in, a part of @dir. @shown is what the union shows there, or null;
	 * directories of it are empty for users. @made, if it is there already, is brought to disk with its name
	 * before anything goes that is on another filesystem. -ESTALE where there is an object that the union does
	 * not show, -ENOTEMPTY where a
	 * directory has what another part hides. Takes write access to each.
	 */
	static Result<Uncovering> begin(const AsMounter &mounter, const Inode &dir, StringView name,
					const Part &made_in, struct dentry *made,
					const Inode *shown);
	Uncovering(Uncovering &&) = default;
	Uncovering &operator=(Uncovering &&) = delete;
	~Uncovering();

	/* Brings to disk that it is taken away, where that is another one than the name's. Sleeps. */
	Result<void> sync() const;
	/* It is gone for good. */
	void end();

private:
	/* What hides the name in one part. */
	struct Cover {
		const Part *part = nullptr;
		Part object; /* or none */
		Grave grave; /* of that */
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
	bool is_elsewhere_ = false;
};

/*
 * Names have come or gone in the part of @dir on @branch. Users see the times of the uppermost part: where that is
 * another one that may be written to, its times are of now. What cannot be done is left. Takes write access.
 */
void touch_top(const AsMounter &mounter, const Inode &dir, const Branch &branch);

/* remove.cc, rename.cc */
Result<void> unlink(struct inode *vfs_dir, struct dentry *dentry);
Result<void> rmdir(struct inode *vfs_dir, struct dentry *dentry);
Result<void> rename(AUFS_IDMAP *idmap, struct inode *old_dir, struct dentry *old_dentry,
		    struct inode *new_dir, struct dentry *new_dentry, unsigned int flags);

} // namespace aufs
