/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of the format in the root of a rw branch:
 *
 *	.wh..wh.aufs	the file that whiteouts are links of
 *	.wh..wh.plnk	pseudo-links: one more name of each copy whose original has further names
 *	.wh..wh.orph	objects that are not finished yet, and objects that are to go
 *
 * Nobody else may put things there or take them away. So an object with one of these names is used only if the mounter
 * or root owns it, and a directory only if nobody else may write to it. That is looked at each time: a user who may
 * write to the branch's root may move or replace it.
 */
#pragma once

#include "old_plinks.hh"

namespace aufs
{

class AsMounter;
class Branch;
class Writer;

/* The attribute of a copy that tells its original (union/origin.cc). It begins with a format and the links. */
inline constexpr const char *origin_name = "trusted.aufs.origin";

/* The prefix of the files beside pseudo-links that count gone names (union/gone_names.hh). */
inline constexpr StringView gone_prefix{"gone."};

enum class HousekeepingDir : unsigned char { plinks, orphans };

class Housekeeping final
{
public:
	/* For a branch whose filesystem is stacked @depth times. Comes before all else. */
	void init(int depth)
	{
		aufs_mutex_init(&lock_, AUFS_MUTEX_HOUSEKEEPING, depth);
	}
	/* Lets what was found and made go. Nothing uses the branch any more. */
	void forget_dentries()
	{
		base_ = {};
		plinks_ = {};
		orphans_ = {};
	}

	/*
	 * Whether one of the two directories exists, or existed at some time of this mount, or could not be looked for.
	 * If not, no union has written to the branch. Any context.
	 */
	bool used() const
	{
		return used_.load();
	}
	/* Whether there are, were or may be files that count gone names (union/gone_names.hh). Any context. */
	bool has_gone_names() const
	{
		return has_gone_names_.load();
	}
	void note_gone_names()
	{
		has_gone_names_.store(true);
	}
	/* Whether find() is certain to have seen neither the directories nor an opaque mark in the branch's root. */
	bool was_bare() const
	{
		return was_bare_;
	}
	/* The pseudo-links of older versions that find() has seen. Any context. */
	const OldPlinks &old_plinks() const
	{
		return old_plinks_;
	}
	/* Looks for the directories on @branch, for a find() that has to be fast. */
	static void look_up_dirs(const AsMounter &mounter, const Branch &branch);
	/* Looks for the directories, and reads the names of pseudo-links. */
	Result<void> find(const AsMounter &mounter, const Branch &branch);
	/* The same for a caller who cannot go back: names that cannot be read may be there. */
	void find_again(const AsMounter &mounter, const Branch &branch);
	/* Removes unfinished objects and graves that were left there. Takes write access. */
	void clean(const AsMounter &mounter, const Branch &branch);

	/*
	 * The directory @which of @writer's branch, made if it does not exist. Objects that are made in it or linked to
	 * it inherit nothing from it. Takes locks of the branch.
	 */
	Result<Ref<struct dentry>> directory(const Writer &writer, HousekeepingDir which);
	/* The directory @which of @branch, or empty if it does not exist. */
	Ref<struct dentry> existing(const Branch &branch, HousekeepingDir which);

	/* The file that whiteouts are links of, made if it does not exist. Takes locks of the branch. */
	Result<Ref<struct dentry>> whiteout_base(const Writer &writer);
	/* @base can have no more links: the next whiteout_base() is another file. */
	void retire_whiteout_base(const Writer &writer, struct dentry &base);

private:
	static void count_one_more(const Writer &writer, struct dentry &workfile);

	/* An object that was found or made, with its owner and mode at that time. */
	struct Kept {
		Ref<struct dentry> dentry;
		uid_t owner = 0;
		umode_t mode = 0;
		bool hands_nothing_down = false;

		Kept() = default;
		explicit Kept(Ref<struct dentry> found)
			: dentry(move(found)), owner(dentry->d_inode->i_uid.val),
			  mode(dentry->d_inode->i_mode)
		{
		}
		/* Whether the object is the same still, by @name in the root of @branch. */
		bool is_there(const Branch &branch, StringView name) const;
	};

	Kept &slot(HousekeepingDir which)
	{
		return which == HousekeepingDir::plinks ? plinks_ : orphans_;
	}
	void note_used()
	{
		used_.store(true);
	}

	struct mutex lock_; /* guards the next three; taken before the branch's i_rwsem */
	Kept base_;
	Kept plinks_;
	Kept orphans_;
	OldPlinks old_plinks_;
	bool was_bare_ = false;
	Atomic<bool> used_;
	Atomic<bool> has_gone_names_;
};

} // namespace aufs
