#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by dracut before it leaves the initramfs. With aufs=tmpfs on the kernel's command line, the root
# becomes a union.

# shellcheck source=/dev/null
command -v getarg >/dev/null || . /lib/dracut-lib.sh

if aufs_wanted=$(getarg aufs=) && [ -n "$aufs_wanted" ]; then
	# The machine must not go on with a root that can be written to: dracut's shell is for the cure (die() gives
	# none). emergency_shell may return at once, if root is locked in the initramfs. With rd.shell=0 it halts the
	# machine. If that fails, it ends the shell that calls it, so that is a subshell.
	until /usr/lib/aufs-cxx/root "$NEWROOT" "$aufs_wanted"; do
		(
			emergency_shell -n aufs "aufs=$aufs_wanted: the root is no union (see above). Mend it and leave" \
				"this shell, or start without aufs=$aufs_wanted"
		)
		sleep 5
	done
fi
