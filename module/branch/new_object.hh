/* SPDX-License-Identifier: GPL-2.0-only */
/* A new object that DirLock::make() and Workfile::create() make of a negative dentry. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

class NewObject final
{
public:
	static NewObject file(umode_t mode)
	{
		return {Kind::file, mode};
	}
	static NewObject directory(umode_t mode)
	{
		return {Kind::directory, mode};
	}
	static NewObject symlink(const char *target)
	{
		NewObject object(Kind::symlink, 0);

		object.target_ = target;
		return object;
	}
	/* A device, a pipe or a socket: @mode has its type. */
	static NewObject special(umode_t mode, dev_t device)
	{
		NewObject object(Kind::special, mode);

		object.device_ = device;
		return object;
	}
	/* A further name of @original; borrows. */
	static NewObject link(struct dentry &original)
	{
		NewObject object(Kind::link, 0);

		object.original_ = &original;
		return object;
	}

private:
	friend class DirLock;

	enum class Kind : unsigned char { file, directory, symlink, special, link };

	NewObject(Kind kind, umode_t mode) : kind_(kind), mode_(mode)
	{
	}

	/* Makes the object as @dentry in @dir, which is locked. */
	Result<void> make(struct vfsmount *mnt, struct inode &dir, struct dentry &dentry) const;

	Kind kind_;
	umode_t mode_;
	union {
		const char *target_ = nullptr;
		struct dentry *original_;
		dev_t device_;
	};
};

} // namespace aufs
