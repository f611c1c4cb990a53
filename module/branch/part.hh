/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of a union object on one branch. */
#pragma once

#include "branch.hh"

namespace aufs
{

class Part;

/* A branch and a dentry of it, borrowed: neither is kept. Passed by value. */
struct PartRef final {
	const Branch &branch;
	struct dentry &dentry;

	PartRef(const Branch &on, struct dentry &of) : branch(on), dentry(of)
	{
	}
	/* @part is not empty. */
	PartRef(const Part &part);
	static PartRef root_of(const Branch &branch)
	{
		return {branch, branch.root()};
	}

	struct path path() const
	{
		return branch.path_to(dentry);
	}
	struct inode &inode() const
	{
		return *dentry.d_inode;
	}
};

/*
 * One branch's part of a union directory, or the branch object behind another inode. While it has its dentry it pins
 * the branch (Branch::pin()), which may have left the list.
 */
class Part final
{
public:
	Part() = default;
	Part(const Branch &of, Ref<struct dentry> found) : branch(&of), dentry(move(found))
	{
		if (dentry)
			branch->pin();
	}
	Part(Part &&other) : branch(other.branch), dentry(move(other.dentry))
	{
	}
	Part &operator=(Part &&other)
	{
		if (this != &other) {
			release();
			branch = other.branch;
			dentry = move(other.dentry);
		}
		return *this;
	}
	~Part()
	{
		release();
	}

	explicit operator bool() const
	{
		return static_cast<bool>(dentry);
	}
	Part clone() const
	{
		return Part(*branch, dentry.clone());
	}
	/* A Part that keeps what @part borrows. */
	static Part of(PartRef part)
	{
		return Part(part.branch, Ref<struct dentry>::retain(&part.dentry));
	}
	/* Lets the dentry and the branch go. `branch` stays, as readers under RCU may still look at it. */
	void release()
	{
		if (!dentry)
			return;
		dentry = {};
		branch->unpin();
	}
	/* Borrows. */
	struct path path() const
	{
		return branch->path_to(*dentry);
	}
	struct inode &inode() const
	{
		return *dentry->d_inode;
	}

	const Branch *branch = nullptr;
	Ref<struct dentry> dentry;
};

inline PartRef::PartRef(const Part &part) : branch(*part.branch), dentry(*part.dentry)
{
}

} // namespace aufs
