/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks of a branch before it becomes part of a union. */
#pragma once

#include "inode.hh"

namespace aufs
{

/* How @branch changes although nobody writes to it. Any context. */
Volatility volatility_of(const Branch &branch);

/* -ENOKEY, explained in @fc's log, if @branch is encrypted and its key is not there. Sleeps. */
Result<void> refuse_locked(const AsMounter &mounter, struct fs_context *fc, const Branch &branch);

/*
 * Copies of one image have one id, and the maker of an image may give it any. If the filesystems of @fresh and @other
 * have one id, it stays with @other, which was there before or is above: origins with that id are about objects there.
 * @fresh then has none that lasts, and @fc's log says so. Both filesystems must have numbers. Whether no further branch
 * has to be compared.
 */
bool tell_filesystems_apart(struct fs_context *fc, Branch &fresh, const Branch &other);

/*
 * @result. If it is an error of @branch itself, @fc's log says @what is wrong, unless @fc is null. -EAGAIN is none: the
 * branch is asked again.
 */
template <class T>
Result<T> explained(struct fs_context *fc, const Branch &branch, const char *what, Result<T> result)
{
	int error = result.error();

	if (fc && error && error != -ENOMEM && error != -EINTR && error != -EAGAIN)
		mount_error(fc, "branch '%s': %s (errno %d)", branch.name().data(), what, -error);
	return result;
}

/*
 * The parts of the root: the roots of @branches, from the topmost down to an opaque one. @before is the root until now,
 * or null: if a branch of it cannot be read, its root hides what it hid. -ENOMEM; errors of branches, explained in
 * @fc's log if that is not null. Sleeps.
 */
Result<Stack> find_root(const AsMounter &mounter, struct fs_context *fc,
			const Array<const Branch *> &branches, const Inode *before);

/* Sets the operations that the dentries of @sb get. Later kernels keep the member to themselves. */
template <class Sb> void set_dentry_operations(Sb &sb, const struct dentry_operations &operations)
{
	if constexpr (requires { sb.s_d_op; })
		sb.s_d_op = &operations;
	else
		set_default_d_op(&sb, &operations);
}

} // namespace aufs
