/* SPDX-License-Identifier: GPL-2.0-only */
/* From the path that an option gives to the directory of a branch. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* A counted struct path that can be moved. */
struct HeldPath {
	struct path path = {};

	HeldPath() = default;
	HeldPath(HeldPath &&other) : path(other.path)
	{
		other.path = {};
	}
	HeldPath &operator=(HeldPath &&other)
	{
		struct path old = path;

		path = other.path;
		other.path = {};
		if (old.dentry)
			path_put(&old);
		return *this;
	}
	~HeldPath()
	{
		if (path.dentry)
			path_put(&path);
	}
	explicit operator bool() const
	{
		return path.dentry;
	}
};

/* The absolute path of a branch. Most are short, and take no memory beside this. */
class BranchName final
{
public:
	BranchName() = default;
	BranchName(const BranchName &) = delete;
	BranchName &operator=(const BranchName &) = delete;

	/* A zero follows. */
	StringView view() const
	{
		return {long_ ? long_.get() : short_, size_};
	}
	/* Becomes @text and @end, one after the other. -ENOMEM. */
	Result<void> set(StringView text, StringView end = {});

private:
	char short_[96]; /* unless there is long_ */
	Own<char[]> long_;
	StringView::Size size_ = 0;
};

/*
 * Finds the directories that are given as branches. Many of them lie side by side, one given after the other. Then the
 * directory above is found once, as if all had been looked for at that moment. Sleeps.
 */
class BranchFinder final
{
public:
	BranchFinder() = default;
	BranchFinder(const BranchFinder &) = delete;
	BranchFinder &operator=(const BranchFinder &) = delete;

	/*
	 * The object that @path, which a zero follows, leads to for the current task; symlinks are followed. @name
	 * becomes its absolute path as the task sees it: a remount from elsewhere finds it by that. -ENOMEM; errors of
	 * a path walk.
	 */
	Result<HeldPath> find(StringView path, BranchName &name);

private:
	Result<HeldPath> find_beside(StringView entry, BranchName &name);
	Result<void> find_above();

	static constexpr StringView::Size room = 256;

	/* The directory above the last path, as given, with a slash and a zero at its end; empty if not known. */
	char given_[room];
	StringView::Size given_size_ = 0;
	HeldPath above_; /* that directory, when a second path has led into it */
	char name_[room]; /* its absolute path, with a slash at its end; empty if it has none that fits */
	StringView::Size name_size_ = 0;
};

} // namespace aufs
