// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h: allocations that fail. */
#include <linux/fs.h>

#include "../module/kernel/linux.h"
#include "generated/declared.h"
#include "../module/kernel/api.h"
#include "shim.h"

int aufs_test_let_fail(void)
{
	ssize_t done = aufs_test_mkdir("/debug");
	int err;

	if (!done)
		done = aufs_test_mount("none", "/debug", "debugfs", NULL);
	if (done)
		return done;
	done = aufs_test_write("/debug/failslab/ignore-gfp-wait", "N");
	/* The stack of who is refused is of no interest. */
	if (done >= 0)
		done = aufs_test_write("/debug/failslab/verbose", "0");
	flush_delayed_fput();
	err = aufs_test_umount("/debug");
	return done < 0 ? done : err;
}
