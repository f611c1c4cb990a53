// SPDX-License-Identifier: GPL-2.0-only
#include "branch_mount.hh"

namespace aufs
{

Result<void> BranchMount::clone(const struct path &path)
{
	struct vfsmount *mnt = clone_private_mount(&path);

	if (is_error(mnt))
		return error_of(mnt);
	mnt_ = mnt;
	return {};
}

bool BranchMount::clone_whole(const struct path &path)
{
	auto shared = Own<Shared>::adopt(new (Gfp{GFP_KERNEL}) Shared{nullptr, 1});

	if (!shared || !clone({.mnt = path.mnt, .dentry = path.mnt->mnt_root}).ok())
		return false;
	shared->mnt = mnt_;
	shared_ = shared.leak();
	return true;
}

void BranchMount::share(const BranchMount &other)
{
	shared_ = other.shared_;
	AtomicRef(shared_->users).fetch_add(1);
	mnt_ = shared_->mnt;
}

Result<void> BranchMount::prepare_own(struct dentry &root, const struct path *visible)
{
	if (own_ || !shared_ || mnt_ != shared_->mnt)
		return {};

	struct vfsmount *mnt = error_pointer<struct vfsmount>(-ENOENT);

	/* Whatever keeps it from being cloned: the mount of a branch that is used does not depend on it. */
	if (visible && !aufs_is_idmapped(visible->mnt))
		mnt = clone_private_mount(visible);
	if (is_error(mnt))
		mnt = aufs_mount_like(mnt_, &root);
	else
		aufs_mnt_copy_flags(mnt, mnt_);
	if (is_error(mnt))
		return error_of(mnt);
	own_ = mnt;
	return {};
}

struct vfsmount *BranchMount::detach()
{
	struct vfsmount *mnt = cxxrt::exchange(own_, nullptr);

	if (!mnt)
		mnt = cxxrt::exchange(mnt_, nullptr);
	if (!shared_ || (mnt && mnt != shared_->mnt))
		return mnt;

	auto *shared = cxxrt::exchange(shared_, nullptr);

	if (!AtomicRef(shared->users).take_last())
		return nullptr;
	mnt = shared->mnt;
	delete shared;
	return mnt;
}

} // namespace aufs
