/* SPDX-License-Identifier: GPL-2.0-only */
/* What security modules say. All sleep. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* With which credentials a copy of @dentry's object is made. -ENOMEM, or what the module says. */
inline Result<Ref<const struct cred>> creds_for_copy(struct dentry &dentry)
{
	struct cred *creds;

	TRY(check(aufs_copy_up_creds(&dentry, &creds)));
	return Ref<const struct cred>::adopt(creds);
}

/* Whether a copy of @dentry's object is to be without the attribute @name. */
inline Result<bool> leaves_out(struct dentry &dentry, const char *name)
{
	int skip = aufs_copy_up_xattr(&dentry, name);

	TRY(check(skip));
	return skip != 0;
}

/* Makes @creds those with which the new object @dentry of @mode has the label that @caller's would have. */
inline Result<void> create_as(struct dentry &dentry, umode_t mode, const struct cred &caller,
			      struct cred &creds)
{
	return check(aufs_create_files_as(&dentry, mode, &caller, &creds));
}

} // namespace aufs
