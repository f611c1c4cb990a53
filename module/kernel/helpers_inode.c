// SPDX-License-Identifier: GPL-2.0-only
/* Helpers as those of helpers.c, for the union's own inodes. Alphabetical. */
#include "linux.h"
#include "generated/declared.h"
#include "api.h"

void aufs_inode_spin_lock(struct inode *inode) __acquires(&inode->i_lock)
{
	spin_lock(&inode->i_lock);
}

void aufs_inode_spin_unlock(struct inode *inode) __releases(&inode->i_lock)
{
	spin_unlock(&inode->i_lock);
}
