/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two proofs, for whoever looks at a branch or changes it: a scope that runs as the mounter, and leave to
 * write. What needs one takes it as a parameter.
 */
#pragma once

#include "branch.hh"

namespace aufs
{

/*
 * Runs the scope with the credentials of who mounted the union: Super::as_mounter(). What is done within may
 * take others for a while, where a security module or a new object's owner asks for that.
 */
class [[nodiscard]] AsMounter final
{
public:
	AsMounter(const AsMounter &) = delete;
	AsMounter &operator=(const AsMounter &) = delete;

	/* Who the scope was entered as. */
	const struct cred &caller() const
	{
		return creds_.caller();
	}

private:
	friend class Super;

	explicit AsMounter(const struct cred &mounter) : creds_(mounter)
	{
	}

	ScopedCreds creds_;
};

/*
 * Write access to the mount of a branch, with freeze protection, for whoever's credentials. Only a rw branch
 * gives it (-EROFS). Sleeps while the branch is frozen.
 */
class WriteAccess final
{
public:
	static Result<WriteAccess> get(const Branch &branch)
	{
		WriteAccess access(branch);

		/* Whoever takes the right away looks for writers afterwards (is_being_changed()). */
		cxxrt::full_fence();
		if (!branch.writable())
			return Error{-EROFS};
		if (branch.has_left())
			return Error{-ESTALE};
		TRY(check(mnt_want_write(branch.mnt())));
		access.has_mnt_ = true;
		return access;
	}
	WriteAccess(WriteAccess &&other)
		: branch_(cxxrt::exchange(other.branch_, nullptr)), has_mnt_(other.has_mnt_)
	{
	}
	WriteAccess(const WriteAccess &) = delete;
	WriteAccess &operator=(const WriteAccess &) = delete;
	WriteAccess &operator=(WriteAccess &&) = delete;
	~WriteAccess()
	{
		if (!branch_)
			return;
		if (has_mnt_)
			mnt_drop_write(branch_->mnt());
		branch_->end_change();
	}

	const Branch &branch() const
	{
		return *branch_;
	}

private:
	explicit WriteAccess(const Branch &branch) : branch_(&branch)
	{
		branch.begin_change();
	}

	const Branch *branch_;
	bool has_mnt_ = false;
};

/*
 * Leave to change a branch: Branch::write(). It is the mounter who has it, and who has one cannot be changing
 * another branch. Ends before the scope that it was given in.
 */
class Writer final
{
public:
	Writer(const AsMounter &mounter, WriteAccess access)
		: access_(move(access)), mounter_(mounter)
	{
	}

	const Branch &branch() const
	{
		return access_.branch();
	}
	struct vfsmount *mnt() const
	{
		return branch().mnt();
	}
	const AsMounter &mounter() const
	{
		return mounter_;
	}

private:
	WriteAccess access_;
	const AsMounter &mounter_;
};

inline Result<Writer> Branch::write(const AsMounter &mounter) const
{
	return Writer(mounter, TRY(WriteAccess::get(*this)));
}

} // namespace aufs
