# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Shared by the package's scripts, as /usr/lib/aufs-cxx/common.sh: those of dpkg, of the kernel's packages, of
# initramfs-tools, and of dracut, which is bash.

say()
{
	echo "aufs-cxx-dkms: $*" >&2
}

# is_known KERNEL: whether DKMS is to build for it, by dkms.conf, and by the file that a person may have put beside
# that.
is_known()
{
	# shellcheck disable=SC2016 # the inner shell's
	bash -c '
		. /usr/src/aufs-cxx-@VERSION@/dkms.conf
		[[ ! -r /etc/dkms/aufs-cxx.conf ]] || . /etc/dkms/aufs-cxx.conf
		[[ $1 =~ $BUILD_EXCLUSIVE_KERNEL ]]' bash "$1"
}

# release_of PACKAGE: what apt is to be told to have it as it is here: it takes nothing from backports by itself.
release_of()
{
	case $(dpkg-query -W -f '${Version}' "$1" 2>/dev/null) in
	*~bpo*)	printf -- '-t %s-backports' "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" ;;
	esac
}

# in_archive PACKAGE: apt can get it. Where there is no apt, nobody knows.
in_archive()
{
	! command -v apt-cache >/dev/null || apt-cache show "$1" 2>/dev/null | grep '^Filename: ' >/dev/null
}

# bringers KERNEL: the installed packages that have brought this kernel, and bring the next ones, by what stands after
# linux-image- in their names. For '' all that bring kernels.
bringers()
{
	dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Depends}\n' 'linux-image-*' 2>/dev/null |
		awk -v "image=linux-image-$1" '$1 ~ /^.[HUFWti]/ {
			for (i = 3; i <= NF; i++)
				if ($i == image || $i == image "," || image == "linux-image-" && index($i, image) == 1)
					print substr($2, length("linux-image-") + 1)
		}'
}

# headers_of KERNEL: what apt is to install: its headers, and the package that brings those of the next kernel, where
# a package brings the next kernel.
headers_of()
{
	from=$(release_of "linux-image-$1")
	echo "${from:+$from }linux-headers-$1$(bringers "$1" | sed 's/^/ linux-headers-/' | tr -d '\n')"
}

# newer_than KERNEL: what apt is to install where it does not have its headers: newer kernels with theirs, by the
# packages that are here, or of this one's kind (amd64 for 6.1.0-18-amd64).
newer_than()
{
	names=$(bringers '') from='' newer=''
	if [ -z "$names" ]; then
		names=${1#*-}
		names=${names#[0-9]*-}
	fi
	for name in $names; do
		if in_archive "linux-headers-$name"; then
			newer="$newer linux-image-$name linux-headers-$name"
			from=${from:-$(release_of "linux-image-$name")}
		fi
	done
	echo "${newer:+${from:+$from }${newer# }}"
}

# why_none KERNEL: why it has no aufs, and what to do.
why_none()
{
	if ! is_known "$1"; then
		echo "kernel $1 has no aufs, as it is of none of the series @SERIES@:" \
			"/usr/share/doc/aufs-cxx-dkms/README.Debian says how to build it all the same"
	elif [ ! -e "/lib/modules/$1/build/include" ] && in_archive "linux-headers-$1"; then
		echo "kernel $1 has no aufs, as its headers are not here: apt install $(headers_of "$1")"
	elif [ ! -e "/lib/modules/$1/build/include" ]; then
		newer=$(newer_than "$1")
		if [ -n "$newer" ]; then
			echo "kernel $1 has no aufs, as its headers are not here, and apt no longer has them. A newer kernel" \
				"comes with its own: apt update, then apt install $newer, then restart"
		else
			echo "kernel $1 has no aufs, as its headers are not here, and apt does not know them: they are where" \
				"this kernel is from, or apt update is due"
		fi
	elif [ -e /etc/dkms/no-autoinstall ]; then
		echo "kernel $1 has no aufs, as /etc/dkms/no-autoinstall is there:" \
			"dkms install -m aufs-cxx -v @VERSION@ -k $1"
	else
		echo "kernel $1 has no aufs, as the module was not built: dpkg-reconfigure aufs-cxx-dkms tries again"
	fi
}

# setting NAME DEFAULT: what dkms's configuration says. It is bash, may name the kernel, and a line of it may fail.
setting()
{
	# shellcheck disable=SC2016 # the inner shell's
	value=$(kernelver=$(uname -r) bash -c '
		for conf in /etc/dkms/framework.conf /etc/dkms/framework.conf.d/*.conf; do
			[[ ! -r $conf ]] || . "$conf" >/dev/null 2>&1
		done
		echo "${!1:-}"' bash "$1") || value=''
	echo "${value:-$2}"
}

# is_installed KERNEL: DKMS has installed its modules, and they are whole. Where room lacks, dkms 3.0.10 copies a part
# of a file, and returns 0. modinfo reads no such part.
is_installed()
{
	dkms status -m aufs-cxx -v @VERSION@ -k "$1" 2>/dev/null | grep ': installed' >/dev/null || return
	for built in "$(setting dkms_tree /var/lib/dkms)/aufs-cxx/@VERSION@/$1"/*/module/*.ko*; do
		modinfo "$built" "/lib/modules/$1/updates/dkms/${built##*/}" >/dev/null 2>&1 || return
	done
}

# forget KERNEL: takes away what there is of its modules. dkms 3.0.10 neither goes on with nor removes what it had begun
# when it was interrupted, and does not write over a module that is there. One that another package has by DKMS stays.
forget()
{
	tree=$(setting dkms_tree /var/lib/dkms)
	rm -rf "$tree/aufs-cxx/@VERSION@/$1" "$tree/aufs-cxx/kernel-$1-$(uname -m)"
	for other in "$tree"/*/"kernel-$1-$(uname -m)/module/aufs.ko"*; do
		[ ! -e "$other" ] || return 0
	done
	rm -f "/lib/modules/$1/updates/dkms/aufs.ko"* "/lib/modules/$1/updates/dkms/aufs-observers.ko"*
}

# certificate: that of the key by which dkms signs.
certificate()
{
	setting mok_certificate /var/lib/dkms/mok.pub
}

# Whether Secure Boot is on. Without mokutil that cannot be seen.
is_secure_boot()
{
	mokutil --sb-state 2>/dev/null | grep -q '^SecureBoot enabled'
}

# That of a person may be one that the firmware has, or the kernel itself.
is_enrolled()
{
	mokutil --test-key "$(certificate)" 2>/dev/null | grep -qE 'already (enrolled|in db|in the built-in)'
}

# renew_by_dracut KERNEL: where dracut fails, it removes the file that it was to write. So that is a new one, which then
# takes the place of the old one, as update-initramfs does it. The boot loader's hooks are told of that place.
renew_by_dracut()
{
	image=/boot/initrd.img-$1
	if ! NO_POST_UPDATE_HOOKS=y dracut --force "$image.new" "$1" || ! mv -f "$image.new" "$image"; then
		rm -f "$image.new"
		return 1
	fi
	sync -f "$image"
	[ ! -d /etc/initramfs/post-update.d ] || run-parts "--arg=$1" "--arg=$image" /etc/initramfs/post-update.d
}

# renew_initramfs KERNEL: where it has one.
renew_initramfs()
{
	[ -e "/boot/initrd.img-$1" ] || return 0
	if command -v update-initramfs >/dev/null; then
		update-initramfs -u -k "$1" && return
	elif command -v dracut >/dev/null; then
		renew_by_dracut "$1" && return
	else
		return 0
	fi
	say "the initramfs of kernel $1 was not made (see above): that of before stays, and may not know aufs=tmpfs." \
		"Is there room? df -h /boot. When there is: dpkg --configure -a"
	return 1
}
