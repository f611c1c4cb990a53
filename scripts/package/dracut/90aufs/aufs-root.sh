#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by dracut before it leaves the initramfs. aufs=tmpfs on the kernel's command line: the root
# becomes a union.

# shellcheck source=/dev/null
command -v getarg >/dev/null || . /lib/dracut-lib.sh

if aufs_wanted=$(getarg aufs=) && [ -n "$aufs_wanted" ]; then
	# Where this ends without a union, dracut starts with a root that can be written to: that is not what was asked
	# for. Its shell is for the cure (die() gives none). It may come back at once, where root is locked in the
	# initramfs, and may end the shell that calls it, where rd.shell=0 does not halt the machine.
	until /usr/lib/aufs-cxx/root "$NEWROOT" "$aufs_wanted"; do
		(
			emergency_shell -n aufs "aufs=$aufs_wanted: the root is no union (see above). Mend it and leave" \
				"this shell, or start without aufs=$aufs_wanted"
		)
		sleep 5
	done
fi
