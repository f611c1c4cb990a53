/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells a user who changes the list of branches what keeps it from changing. */
#pragma once

#include "refresh.hh"

namespace aufs
{

/* Whether @error comes from a use that may end in a moment. */
inline bool is_passing(int error)
{
	return error == -EBUSY || error == -EAGAIN;
}

/* Says in @fc's log which name in use cannot be looked up: a branch has @error for it. */
void explain(struct fs_context *fc, const Refresh &refresh, int error);

/* The use that keeps a branch. It is found while other tasks wait for the list, and reported when they wait no more. */
class Busy final
{
public:
	/* -EBUSY if @branch is in use, as @refresh has seen. @refresh must outlive this. */
	Result<void> check(const ListChangeLock &list, const Refresh &refresh, const Branch &branch,
			   BranchUse use);
	/*
	 * Whether a process uses it: has it open, mapped or executed, or is in it. Otherwise it may be a mount, or a
	 * process that was just passing. Without the list's lock; may sleep.
	 */
	bool is_of_process() const;
	/*
	 * Says in @fc's log what was in use, if anything was: up to eight names, each with a process that uses it.
	 * Without the list's lock: there may be many processes to ask. May sleep.
	 */
	void explain(struct fs_context *fc) const;

private:
	/* The log of a context has as many lines. */
	static constexpr unsigned int most_holders = 8;

	const Branch *branch_ = nullptr;
	BranchUse use_ = BranchUse::any;
	struct dentry *holders_[most_holders] = {}; /* borrowed from the refresh */
	unsigned int count_ = 0; /* may be more than most_holders */
};

/*
 * An open directory that has one part is read through: it goes on reading that branch when the directory has got
 * another part. This is the private data of each open directory.
 */
class DirReader
{
public:
	static DirReader &of(const struct file &file)
	{
		return *static_cast<DirReader *>(file.private_data);
	}
	/* Whether it reads a directory of @branch through. Any context. */
	bool reads(const Branch &branch) const
	{
		return AtomicRef(branch_).load() == &branch;
	}

protected:
	void note_branch(const Branch *branch)
	{
		AtomicRef(branch_).store(branch);
	}

private:
	const Branch *branch_ = nullptr;
};

} // namespace aufs
