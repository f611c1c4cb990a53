# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What the package's scripts share, as /usr/lib/aufs-cxx/common.sh: those of dpkg, of the kernel's packages, of
# initramfs-tools, and of dracut, which is bash.

say()
{
	echo "aufs-cxx-dkms: $*" >&2
}

# certificate: that of the key by which dkms signs.
certificate()
{
	(
		mok_certificate=
		for conf in /etc/dkms/framework.conf /etc/dkms/framework.conf.d/*.conf; do
			# shellcheck source=/dev/null
			[ ! -r "$conf" ] || . "$conf" >/dev/null 2>&1
		done
		echo "${mok_certificate:-/var/lib/dkms/mok.pub}"
	)
}

# Where mokutil is installed: else it cannot be seen.
is_secure_boot()
{
	mokutil --sb-state 2>/dev/null | grep -q '^SecureBoot enabled'
}

is_enrolled()
{
	mokutil --test-key "$(certificate)" 2>/dev/null | grep -q 'already enrolled'
}

# renew_initramfs KERNEL: where it has one.
renew_initramfs()
{
	if command -v update-initramfs >/dev/null; then
		[ ! -e "/boot/initrd.img-$1" ] || update-initramfs -u -k "$1"
	elif command -v dracut >/dev/null; then
		dracut --force --kver "$1"
	fi
}
