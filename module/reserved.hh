/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the format keeps in the root of a branch that is written to:
 *
 *	.wh..wh.aufs	the file that whiteouts are links of
 *	.wh..wh.plnk	pseudo-links: one more name of each copy whose original has further names
 *	.wh..wh.orph	what is not finished yet, and what is to go
 */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

class Branch;
class Super;

enum class ReservedDir : unsigned char { plinks, orphans };

class Reserved final
{
public:
	/* Of a branch that is stacked @depth times. Null without memory. */
	[[nodiscard]] static Own<Reserved> create(int depth) noexcept;

	/*
	 * Whether the branch has, or had when it was mounted, a directory for orphans: then it has
	 * been written to. Any context.
	 */
	bool used() const noexcept
	{
		return __atomic_load_n(&used_, __ATOMIC_RELAXED);
	}
	/* Looks what is there. The mounter's credentials are held. */
	[[nodiscard]] Result<void> find(const Branch &branch) noexcept;
	/* Removes what was not finished before the branch was mounted. As find(). */
	void clean(const Branch &branch) noexcept;

	/*
	 * The directory @which of @branch, made if it is not there, from which nothing that is made
	 * in it or linked to it inherits anything. The mounter's credentials and write access are
	 * held, no lock of the branch.
	 */
	[[nodiscard]] Result<Ref<struct dentry>> directory(const Branch &branch,
							   ReservedDir which) noexcept;
	/* The same, or empty where it is not there. Without write access. */
	Ref<struct dentry> existing(ReservedDir which) noexcept;

	/* The file that whiteouts are links of; as directory(). */
	[[nodiscard]] Result<Ref<struct dentry>> whiteout_base(const Branch &branch) noexcept;
	/* It has as many links as it can have: the next whiteout_base() is another file. */
	void retire_whiteout_base(const Branch &branch, struct dentry &base) noexcept;

private:
	explicit Reserved(int depth) noexcept
	{
		aufs_mutex_init(&lock_, AUFS_MUTEX_RESERVED, depth);
	}

	struct Slot {
		Ref<struct dentry> dir;
		bool hands_nothing_down = false;
	};

	Slot &slot(ReservedDir which) noexcept
	{
		return which == ReservedDir::plinks ? plinks_ : orphans_;
	}
	void note_used() noexcept
	{
		__atomic_store_n(&used_, true, __ATOMIC_RELAXED);
	}

	struct mutex lock_; /* of what follows; outside the branch's i_rwsem */
	Ref<struct dentry> base_;
	Slot plinks_;
	Slot orphans_;
	bool used_ = false;
};

} // namespace aufs
