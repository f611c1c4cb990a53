/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the format keeps in the root of a branch that is written to:
 *
 *	.wh..wh.aufs	the file that whiteouts are links of
 *	.wh..wh.plnk	pseudo-links: one more name of each copy whose original has further names
 *	.wh..wh.orph	what is not finished yet, and what is to go
 *
 * Nobody else may put things there or take them away: what is found under these names is used only
 * if it is the mounter's or root's, and a directory only if nobody else may write to it. It is
 * looked at each time, for who may write to the branch's root may move and replace it.
 */
#pragma once

#include "old_plinks.hh"

namespace aufs
{

class AsMounter;
class Branch;
class Writer;

/* The attribute of a copy that says what it is a copy of (union/origin.cc): a format, and the links. */
inline constexpr const char *origin_name = "trusted.aufs.origin";

/* What names of files in the directory for pseudo-links begin with that count gone names. */
inline constexpr StringView gone_prefix{"gone."};

enum class HousekeepingDir : unsigned char { plinks, orphans };

class Housekeeping final
{
public:
	/* Of a branch that is stacked @depth times. Null without memory. */
	[[nodiscard]] static Own<Housekeeping> create(int depth);

	/*
	 * Whether the branch has, or had when it was mounted, a directory for orphans: then it has
	 * been written to. Any context.
	 */
	bool used() const
	{
		return used_.load();
	}
	/* Whether there are, or were, names of files that are gone (union/gone_names.hh). Any context. */
	bool has_gone_names() const
	{
		return has_gone_names_.load();
	}
	void note_gone_names()
	{
		has_gone_names_.store(true);
	}
	/* What find() has seen. Any context. */
	const OldPlinks &old_plinks() const
	{
		return old_plinks_;
	}
	/* Looks what is there. */
	Result<void> find(const AsMounter &mounter, const Branch &branch);
	/* The same for who cannot go back: what cannot be looked at may be there. */
	void find_again(const AsMounter &mounter, const Branch &branch);
	/* Removes what was not finished before the branch was mounted. Takes write access. */
	void clean(const AsMounter &mounter, const Branch &branch);

	/*
	 * The directory @which of the branch of @writer, made if it is not there, from which nothing that is
	 * made in it or linked to it inherits anything. Takes locks of the branch.
	 */
	Result<Ref<struct dentry>> directory(const Writer &writer, HousekeepingDir which);
	/* The same of @branch, or empty where it is not there. */
	Ref<struct dentry> existing(const Branch &branch, HousekeepingDir which);

	/* The file that whiteouts are links of; as directory(). */
	Result<Ref<struct dentry>> whiteout_base(const Writer &writer);
	/* It has as many links as it can have: the next whiteout_base() is another file. */
	void retire_whiteout_base(const Writer &writer, struct dentry &base);

private:
	static void count_one_more(const Writer &writer, struct dentry &workfile);

	explicit Housekeeping(int depth)
	{
		aufs_mutex_init(&lock_, AUFS_MUTEX_HOUSEKEEPING, depth);
	}

	/* What was found or made, and who it belonged to then. */
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
		/* Whether it is still what it was, by @name in the root of @branch. */
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

	struct mutex lock_; /* of what follows; outside the branch's i_rwsem */
	Kept base_;
	Kept plinks_;
	Kept orphans_;
	OldPlinks old_plinks_;
	Atomic<bool> used_;
	Atomic<bool> has_gone_names_;
};

} // namespace aufs
