/* SPDX-License-Identifier: GPL-2.0-only */
/* The private mount by which a branch is used. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/*
 * A clone of the mount on which the branch was found, in no namespace: later mounts and umounts there do not matter.
 *
 * A mount is the most expensive part of a branch. So branches of one mount that are not written to, and come with the
 * first mount of a union, have one in common, a clone of the whole. What lies beside a branch is not reached by it: the
 * union goes from a branch's root downwards, dentry by dentry. A branch that becomes rw gets a mount of its own, since
 * rw is a flag of the mount.
 */
class BranchMount final
{
public:
	BranchMount() = default;
	BranchMount(const BranchMount &) = delete;
	BranchMount &operator=(const BranchMount &) = delete;

	/* Null before clone(), and after detach(). Any context. */
	struct vfsmount *get() const
	{
		return AtomicRef(mnt_).load();
	}

	/* Clones the mount at @path for this branch alone. Errors of clone_private_mount(). Sleeps. */
	Result<void> clone(const struct path &path);
	/* Clones the whole mount of @path, to be shared. False if that cannot be; clone() may work. Sleeps. */
	bool clone_whole(const struct path &path);
	bool is_shared() const
	{
		return shared_;
	}
	/* Uses the mount of @other, which is_shared(), as well. */
	void share(const BranchMount &other);

	/*
	 * For a branch that is to become rw: makes a mount of its own with the @root, unless it has one. @visible is a
	 * path that leads to the @root now, or null: a clone of that mount is cheaper to use. -ENOMEM. Sleeps.
	 * use_own() takes it, and cannot fail. Tasks that use the shared one meanwhile go on.
	 */
	Result<void> prepare_own(struct dentry &root, const struct path *visible);
	void use_own()
	{
		if (own_)
			AtomicRef(mnt_).store_release(cxxrt::exchange(own_, nullptr));
	}

	/*
	 * Nobody uses the branch any more. Gives a mount that the caller is to unmount; null if there is no further
	 * one. So it is called until it is null; that is at most the third time.
	 */
	struct vfsmount *detach();

private:
	struct Shared {
		struct vfsmount *mnt;
		unsigned int users;
	};

	struct vfsmount *mnt_ = nullptr;
	/* Stays when the branch has a mount of its own: there may be tasks that look at it. */
	struct Shared *shared_ = nullptr;
	struct vfsmount *own_ = nullptr; /* until use_own() */
};

} // namespace aufs
