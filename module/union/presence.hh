/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether what the union shows is still on its branch. Somebody may have removed a file there, or its
 * directory, or hidden it by a whiteout: what is written to it then could be found by nobody. That is
 * -ESTALE, unless the union itself has removed the name: who has such a file open may go on.
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/*
 * Notes that the union is going to remove @dentry, or to replace it, before it does so on a branch: a
 * copy-up may be under way. Taken back by its scope unless keep() says that it was done.
 */
class RemovalMark final
{
public:
	explicit RemovalMark(struct dentry &dentry) : dentry_(dentry)
	{
		note(dentry_, true);
	}
	RemovalMark(const RemovalMark &) = delete;
	RemovalMark &operator=(const RemovalMark &) = delete;
	~RemovalMark()
	{
		if (!kept_)
			note(dentry_, false);
	}

	void keep()
	{
		kept_ = true;
	}

	/* Whether @dentry has been removed through the union, or is about to be. Any context. */
	static bool is(const struct dentry &dentry)
	{
		return AtomicRef(dentry.d_fsdata).load_acquire();
	}
	/* @dentry never had a name: what it stands for may get another one. */
	static void never_named(struct dentry &dentry)
	{
		note(dentry, true);
	}
	/* @dentry, which nobody else has yet, gets an inode again. */
	static void forget(struct dentry &dentry)
	{
		note(dentry, false);
	}

private:
	static void note(struct dentry &dentry, bool going)
	{
		AtomicRef(dentry.d_fsdata).store_release(going ? &dentry : nullptr);
	}

	struct dentry &dentry_;
	bool kept_ = false;
};

/*
 * Whether a name of the branch leads to the file of @dentry, which lies on a rw branch; -ESTALE. May
 * sleep where it is not as it was.
 */
Result<void> check_presence(struct dentry &dentry);
/* The same for who holds the list of branches; of a directory, too. */
Result<void> check_presence(const ListLock &list, struct dentry &dentry);

/*
 * Whether users see what lies in the part of @dir on @branch: no branch above hides the directory, or one
 * above it. -ESTALE. Sleeps.
 */
Result<void> check_seen(const ListLock &list, const AsMounter &mounter, struct dentry &dir,
			const Branch &branch);

} // namespace aufs
