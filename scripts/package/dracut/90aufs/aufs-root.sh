#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by dracut before it leaves the initramfs. aufs=tmpfs on the kernel's command line: the root
# becomes a union.

# shellcheck source=/dev/null
command -v getarg >/dev/null || . /lib/dracut-lib.sh

if aufs_wanted=$(getarg aufs=) && [ -n "$aufs_wanted" ]; then
	/usr/lib/aufs-cxx/root "$NEWROOT" "$aufs_wanted" ||
		die "aufs=$aufs_wanted: the root is no union (see above): start without aufs=$aufs_wanted"
fi
