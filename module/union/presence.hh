/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether what the union shows is still on its branch. Somebody may have removed a file or its directory there, or
 * hidden it by a whiteout: then nobody could find what is written to it. That is -ESTALE, unless the union itself has
 * removed the name: tasks that have such a file open may go on.
 */
#pragma once

#include "list_lock.hh"

namespace aufs
{

/*
 * Notes that the union is going to remove or to replace @dentry. That comes before it does so on a branch, as a copy-up
 * may be under way. The scope takes it back, unless keep() says that it was done.
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
	/* @dentry never had a name. The file behind it may get one, by another dentry. */
	static void never_named(struct dentry &dentry)
	{
		note(dentry, true);
	}
	/* A new object gets @dentry, which nobody else has yet. */
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
 * -ESTALE unless a name of the branch leads to the file of @dentry, which lies on a rw branch. May sleep if something
 * has changed.
 */
Result<void> check_presence(struct dentry &dentry);
/* The same within a ListLock, and for a directory, too. */
Result<void> check_presence(const ListLock &list, struct dentry &dentry);

/*
 * -ESTALE if users do not see the part of @dir on @branch: a branch above hides the directory or one above it, or its
 * name leads elsewhere (check_named()). Sleeps.
 */
Result<void> check_seen(const ListLock &list, const AsMounter &mounter, struct dentry &dir,
			const Branch &branch);

} // namespace aufs
