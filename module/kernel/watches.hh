/* SPDX-License-Identifier: GPL-2.0-only */
/* Watches of directories of branches: who changes a name in one tells the union of it. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* Those of one union. */
class Watches final
{
public:
	/* Those of one directory, a list; null where it has none. */
	using List = struct aufs_watch *;

	Watches() = default;
	Watches(const Watches &) = delete;
	Watches &operator=(const Watches &) = delete;
	~Watches()
	{
		if (group_)
			aufs_watches_put(group_);
	}

	/* Before anything is watched; does nothing if it was called before. -ENOMEM. Sleeps. */
	Result<void> prepare()
	{
		if (group_)
			return {};

		struct fsnotify_group *group = aufs_watches_create();

		if (is_error(group))
			return error_of(group);
		group_ = group;
		return {};
	}
	/*
	 * How often something was told to have changed in what is watched for the directory @dir of the union: a number
	 * that is another one afterwards, and never 0. Who reads it sees all that has happened until then. Any context.
	 */
	unsigned long changes_of(const struct inode &dir) const
	{
		return aufs_changes_of(group_, &dir);
	}
	/* Watches the branch's directory @h_dir for @dir, and adds that to @list. -ENOMEM. Sleeps. */
	Result<void> add(struct inode &h_dir, const struct inode &dir, List &list) const
	{
		return check(aufs_watch(group_, &h_dir, &dir, &list));
	}
	/* Ends those of @list. Sleeps. */
	static void end(List list)
	{
		aufs_unwatch(list);
	}
	/* As if something had been told of @dir. Any context. */
	static void note_change(const struct inode &dir)
	{
		aufs_note_change(&dir);
	}

private:
	/* It lives until the last of them has gone. */
	struct fsnotify_group *group_ = nullptr;
};

} // namespace aufs
