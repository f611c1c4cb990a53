/* SPDX-License-Identifier: GPL-2.0-only */
/* What keeps the list of branches from changing, said to who wants to change it. */
#pragma once

#include "refresh.hh"

namespace aufs
{

/* Whether @error comes from a use that may end in a moment. */
inline bool is_passing(int error)
{
	return error == -EBUSY || error == -EAGAIN;
}

/* Says in @fc's log which name in use cannot be looked up, a branch having an @error for it. */
void explain(struct fs_context *fc, const Refresh &refresh, int error);

/* What keeps a branch: found while others wait, said when they do not any more. */
class Busy final
{
public:
	/* -EBUSY where @branch is in use, as @refresh has seen, which lives longer than this. */
	Result<void> check(const ListChangeLock &list, const Refresh &refresh, const Branch &branch,
			   BranchUse use);
	/*
	 * Whether a process has it: open, mapped, executed, or as a directory where it is. Else it may be a mount, or
	 * a process that was just passing. Without the list's lock; may sleep.
	 */
	bool is_of_process() const;
	/*
	 * Says in @fc's log what was in use, if anything was: up to eight names, with a process that has each. Without
	 * the list's lock: there may be many processes to ask. May sleep.
	 */
	void explain(struct fs_context *fc) const;

private:
	/* The context's log has as many lines. */
	static constexpr unsigned int most_holders = 8;

	const Branch *branch_ = nullptr;
	BranchUse use_ = BranchUse::any;
	struct dentry *holders_[most_holders] = {}; /* the refresh has them */
	unsigned int count_ = 0; /* there may be more than that many */
};

/*
 * Who reads a directory of one part through: he goes on reading the branch when the directory has got another part.
 * An open directory's private data is this.
 */
class DirReader
{
public:
	static DirReader &of(const struct file &file)
	{
		return *static_cast<DirReader *>(file.private_data);
	}
	/* Whether that is of @branch. Any context. */
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
