// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers as those of helpers.c, for who else uses a branch (claims.cc). Alphabetical.
 */
#include "linux.h"
#include "generated/declared.h"
#include "api.h"

static DEFINE_MUTEX(aufs_claims);

void aufs_claims_lock(void)
{
	mutex_lock(&aufs_claims);
}

void aufs_claims_unlock(void)
{
	mutex_unlock(&aufs_claims);
}

#ifdef HAVE_I_OVL_INUSE
static bool is_marked(struct inode *inode)
{
#ifdef HAVE_INODE_STATE_READ_ONCE
	return inode_state_read_once(inode) & I_OVL_INUSE;
#else
	return READ_ONCE(inode->i_state) & I_OVL_INUSE;
#endif
}
#endif

bool aufs_is_overlays(struct dentry *dentry)
{
	bool found = false;
#ifdef HAVE_I_OVL_INUSE
	bool is_root = false;

	dget(dentry);
	while (!is_root) {
		struct dentry *parent = dget_parent(dentry);

		found |= is_marked(d_inode(dentry));
		is_root = parent == dentry;
		dput(dentry);
		dentry = parent;
	}
	dput(dentry);
#endif
	return found;
}
