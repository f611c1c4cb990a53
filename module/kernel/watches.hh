/* SPDX-License-Identifier: GPL-2.0-only */
/* Watches of directories of branches: a change of a name in one is told to the union. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* The watches of one union. */
class Watches final
{
public:
	/* The watches of one directory, a list; null if it has none. */
	using List = struct aufs_watch *;

	Watches() = default;
	Watches(const Watches &) = delete;
	Watches &operator=(const Watches &) = delete;
	~Watches()
	{
		if (group_)
			aufs_watches_put(group_);
	}

	/* Called before anything is watched; does nothing the second time. -ENOMEM. Sleeps. */
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
	 * A number for the directory @dir of the union: it is another one after each event in what is watched for
	 * @dir, and never 0. A task that has read it sees the changes that it counts. Any context.
	 */
	unsigned long changes_of(const struct inode &dir) const
	{
		return aufs_changes_of(group_, &dir);
	}
	/* Watches the branch's directory @h_dir for @dir, and adds the watch to @list. -ENOMEM. Sleeps. */
	Result<void> add(struct inode &h_dir, const struct inode &dir, List &list) const
	{
		return check(aufs_watch(group_, &h_dir, &dir, &list));
	}
	/* Ends the watches of @list. Sleeps. */
	static void end(List list)
	{
		aufs_unwatch(list);
	}
	/* As if an event had been told for @dir. Any context. */
	static void note_change(const struct inode &dir)
	{
		aufs_note_change(&dir);
	}

private:
	/* It lives until the last watch has gone. */
	struct fsnotify_group *group_ = nullptr;
};

} // namespace aufs
