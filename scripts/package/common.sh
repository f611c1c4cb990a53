# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Shared by the package's scripts, as /usr/lib/aufs-cxx/common.sh: those of dpkg, of the kernel's packages, of
# initramfs-tools, and of dracut, whose shell is bash.

say()
{
	echo "aufs-cxx-dkms: $*" >&2
}

# is_known KERNEL: whether DKMS is to build for it, by dkms.conf, and by the file in /etc/dkms that a person may have
# made.
is_known()
{
	# shellcheck disable=SC2016 # the inner shell's
	bash -c '
		. /usr/src/aufs-cxx-@VERSION@/dkms.conf
		[[ ! -r /etc/dkms/aufs-cxx.conf ]] || . /etc/dkms/aufs-cxx.conf
		[[ $1 =~ $BUILD_EXCLUSIVE_KERNEL ]]' bash "$1"
}

# release_of PACKAGE: prints the option of apt for packages of the same release, if the installed one is from backports.
# apt takes nothing from backports by itself.
release_of()
{
	case $(dpkg-query -W -f '${Version}' "$1" 2>/dev/null) in
	*~bpo*)	printf -- '-t %s-backports' "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" ;;
	esac
}

# in_archive PACKAGE: whether apt can get it. Without apt nobody knows, and it counts as there.
in_archive()
{
	! command -v apt-cache >/dev/null || apt-cache show "$1" 2>/dev/null | grep '^Filename: ' >/dev/null
}

# bringers KERNEL: finds the installed packages that have brought this kernel, and bring the next ones. Prints the part
# of their names after linux-image- (amd64). For '' it finds all packages that bring kernels.
bringers()
{
	dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Depends}\n' 'linux-image-*' 2>/dev/null |
		awk -v "image=linux-image-$1" '$1 ~ /^.[HUFWti]/ {
			for (i = 3; i <= NF; i++)
				if ($i == image || $i == image "," || image == "linux-image-" && index($i, image) == 1)
					print substr($2, length("linux-image-") + 1)
		}'
}

# headers_of KERNEL: prints the packages that apt is to install, after the option for their release: its headers, and,
# if a package brings the next kernel, the package that brings the headers of that.
headers_of()
{
	from=$(release_of "linux-image-$1")
	echo "${from:+$from }linux-headers-$1$(bringers "$1" | sed 's/^/ linux-headers-/' | tr -d '\n')"
}

# newer_than KERNEL: prints the packages that apt is to install if the archive no longer has the headers of this kernel:
# newer kernels with their headers. The installed packages that bring kernels say which. If there are none, the
# kernel's own name does (amd64 for 6.1.0-18-amd64).
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

# why_none KERNEL: prints why it has no aufs, and what to do.
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

# setting NAME DEFAULT: prints the value of NAME in dkms's configuration, or else DEFAULT. The configuration is bash. It
# may use $kernelver, and a line of it may fail.
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

# is_installed KERNEL: whether DKMS has installed its modules, and they are whole. If there is too little room, dkms
# 3.0.10 copies a part of a file, and returns 0. modinfo fails for such a part.
is_installed()
{
	dkms status -m aufs-cxx -v @VERSION@ -k "$1" 2>/dev/null | grep ': installed' >/dev/null || return
	for built in "$(setting dkms_tree /var/lib/dkms)/aufs-cxx/@VERSION@/$1"/*/module/*.ko*; do
		modinfo "$built" "/lib/modules/$1/updates/dkms/${built##*/}" >/dev/null 2>&1 || return
	done
}

# forget KERNEL: removes all files of its modules. After an interruption, dkms 3.0.10 neither continues nor removes the
# build that it had begun, and does not overwrite a module that is there. If another package has installed an aufs.ko by
# DKMS, the installed modules stay.
forget()
{
	tree=$(setting dkms_tree /var/lib/dkms)
	rm -rf "$tree/aufs-cxx/@VERSION@/$1" "$tree/aufs-cxx/kernel-$1-$(uname -m)"
	for other in "$tree"/*/"kernel-$1-$(uname -m)/module/aufs.ko"*; do
		[ ! -e "$other" ] || return 0
	done
	removed=''
	for file in "/lib/modules/$1/updates/dkms/aufs.ko"* "/lib/modules/$1/updates/dkms/aufs-observers.ko"*; do
		[ ! -e "$file" ] || removed=y
		rm -f "$file"
	done
	# The list of modules must not name a file that is not there: dracut fails then.
	[ -z "$removed" ] || depmod "$1" || :
}

# certificate: prints the path of the certificate of the key by which dkms signs.
certificate()
{
	setting mok_certificate /var/lib/dkms/mok.pub
}

# Whether Secure Boot is on. Without mokutil that cannot be seen.
is_secure_boot()
{
	mokutil --sb-state 2>/dev/null | grep -q '^SecureBoot enabled'
}

# Whether the machine knows the certificate of dkms's key. A person's own certificate may be in the firmware, or in the
# kernel itself.
is_enrolled()
{
	mokutil --test-key "$(certificate)" 2>/dev/null | grep -qE 'already (enrolled|in db|in the built-in)'
}

# renew_by_dracut KERNEL: makes its initramfs anew. If dracut fails, it removes the file that it was to write. So dracut
# writes a new file, which then replaces the old one, as update-initramfs does it. The boot loader's hooks run after
# that, and get the final name.
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

# renew_initramfs KERNEL: makes its initramfs anew, if it has one.
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
