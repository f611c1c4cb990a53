/* SPDX-License-Identifier: GPL-2.0-only */
/* Questions to security modules. All functions sleep. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/*
 * The credentials with which a copy of @dentry's object is made, or empty: then it is made with the current ones.
 * -ENOMEM, or the module's errno.
 */
inline Result<Ref<const struct cred>> creds_for_copy(struct dentry &dentry)
{
	struct cred *creds;

	TRY(check(aufs_copy_up_creds(&dentry, &creds)));
	return Ref<const struct cred>::adopt(creds);
}

/*
 * Credentials with the rights of the current ones and the labels of @opener's: for a call that asks security modules
 * about a branch file. They have judged the caller by the user's file. -ENOMEM.
 */
inline Result<Ref<const struct cred>> creds_with_labels_of(const struct cred &opener)
{
	const struct cred *creds = aufs_creds_labelled(&opener);

	if (!creds)
		return Error{-ENOMEM};
	return Ref<const struct cred>::adopt(creds);
}

/* Whether a copy of @dentry's object is to be made without the attribute @name. */
inline Result<bool> leaves_out(struct dentry &dentry, const char *name)
{
	int skip = aufs_copy_up_xattr(&dentry, name);

	TRY(check(skip));
	return skip != 0;
}

/* Makes @creds such that the new object @dentry of @mode gets the label that it would get if @caller made it. */
inline Result<void> create_as(struct dentry &dentry, umode_t mode, const struct cred &caller,
			      struct cred &creds)
{
	return check(aufs_create_files_as(&dentry, mode, &caller, &creds));
}

} // namespace aufs
