#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2154 # dracut's kernel and moddir
#
# Puts aufs.ko into the initramfs, and the program that makes the root a union (aufs=tmpfs).

# Always succeeds: without aufs.ko, the program that looks for aufs=tmpfs does not let the machine go on.
check()
{
	if ! modinfo -k "$kernel" aufs >/dev/null 2>&1; then
		dwarning "aufs=tmpfs will not start kernel $kernel"
		# shellcheck source=scripts/package/common.sh
		dwarning "$(. /usr/lib/aufs-cxx/common.sh && why_none "$kernel")"
	fi
	return 0
}

depends()
{
	return 0
}

installkernel()
{
	hostonly='' instmods aufs || :
}

install()
{
	inst_multiple cat mkdir modprobe mount sleep
	inst_simple /usr/lib/aufs-cxx/root
	# Without systemd, dracut mounts a /usr of its own in its hook 50. That hook reads the fstab that this one
	# changes, so this one comes after it. systemd has mounted /usr before any of these hooks: initrd.target waits
	# for initrd-fs.target.
	inst_hook pre-pivot 60 "$moddir/aufs-root.sh"
}
