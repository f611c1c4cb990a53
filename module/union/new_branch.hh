/* SPDX-License-Identifier: GPL-2.0-only */
/* What is asked of a branch before it becomes part of a union. */
#pragma once

#include "inode.hh"

namespace aufs
{

/* How @branch changes although nobody writes to it. Any context. */
Volatility volatility_of(const Branch &branch);

/* -ENOKEY, explained in @fc's log, for a branch that is encrypted and whose key is not there. Sleeps. */
Result<void> refuse_locked(const AsMounter &mounter, struct fs_context *fc, const Branch &branch);

/*
 * Copies of one image say that they are one filesystem, and so may whoever made an image. What @other, which was there
 * before @fresh, or above it, noted, and what was noted of it, is true: then @fresh has no name that lasts, and @fc's
 * log says so. Whether nobody else need be asked. Their filesystems are numbered.
 */
bool tell_filesystems_apart(struct fs_context *fc, Branch &fresh, const Branch &other);

/* @result. Where that is an error of @branch itself, @fc's log, if @fc is not null, gets @what is wrong there. */
template <class T>
Result<T> explained(struct fs_context *fc, const Branch &branch, const char *what, Result<T> result)
{
	int error = result.error();

	if (fc && error && error != -ENOMEM && error != -EINTR)
		mount_error(fc, "branch '%s': %s (errno %d)", branch.name().data(), what, -error);
	return result;
}

/*
 * What the root has: the roots of @branches, from the topmost down to one that is opaque. @before, which may be null,
 * is the root until now: what a branch of it cannot answer is as it was. -ENOMEM; what the branches say, explained in
 * @fc's log if that is not null. Sleeps.
 */
Result<Stack> find_root(const AsMounter &mounter, struct fs_context *fc,
			const Array<const Branch *> &branches, const Inode *before);

/* What the dentries of a superblock get; its name in there is not for us on later kernels. */
template <class Sb> void set_dentry_operations(Sb &sb, const struct dentry_operations &operations)
{
	if constexpr (requires { sb.s_d_op; })
		sb.s_d_op = &operations;
	else
		set_default_d_op(&sb, &operations);
}

} // namespace aufs
