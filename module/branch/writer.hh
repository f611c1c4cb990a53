/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two proofs, for code that looks at a branch or changes it: a scope that runs as the mounter, and the right to write.
 * Functions that need one take it as a parameter.
 */
#pragma once

#include "branch.hh"

namespace aufs
{

class Answers;

/*
 * Runs the scope with the credentials of the union's mounter: Super::as_mounter(). Parts of it may take others for a
 * while, for a security module or the owner of a new object.
 */
class [[nodiscard]] AsMounter final
{
public:
	AsMounter(const AsMounter &) = delete;
	AsMounter &operator=(const AsMounter &) = delete;

	/* The credentials with which the scope was entered. */
	const struct cred &caller() const
	{
		return creds_.caller();
	}
	/* Where questions to servers are answered from; null as a rule: servers are asked. */
	Answers *answers() const
	{
		return answers_;
	}

private:
	friend class Super;

	AsMounter(const struct cred &mounter, Answers *answers) : creds_(mounter), answers_(answers)
	{
	}

	ScopedCreds creds_;
	Answers *answers_;
};

/*
 * Write access to the mount of a branch, with freeze protection, under any credentials. -EROFS if the branch is not rw,
 * -ESTALE if it has left the list. Sleeps while the branch is frozen.
 */
class WriteAccess final
{
public:
	static Result<WriteAccess> get(const Branch &branch)
	{
		WriteAccess access(branch);

		/* A task that makes the branch read-only looks for writers afterwards (is_being_changed()). */
		cxxrt::full_fence();
		if (!branch.writable())
			return Error{-EROFS};
		if (branch.has_left())
			return Error{-ESTALE};

		struct vfsmount *mnt = branch.mnt();

		TRY(check(mnt_want_write(mnt)));
		access.mnt_ = mnt;
		return access;
	}
	WriteAccess(WriteAccess &&other)
		: branch_(cxxrt::exchange(other.branch_, nullptr)), mnt_(other.mnt_)
	{
	}
	WriteAccess(const WriteAccess &) = delete;
	WriteAccess &operator=(const WriteAccess &) = delete;
	WriteAccess &operator=(WriteAccess &&) = delete;
	~WriteAccess()
	{
		if (!branch_)
			return;
		if (mnt_)
			mnt_drop_write(mnt_);
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
	struct vfsmount *mnt_ = nullptr; /* that is written to */
};

/*
 * The right to change a branch, as the mounter: Branch::write(). A task that has one changes no other branch. It ends
 * before the AsMounter that it was given in.
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
