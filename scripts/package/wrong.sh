# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Tests of the package when something is wrong. Sourced by test, whose root has the package then, and two kernels
# with their headers: first and second.
# shellcheck disable=SC2154 # root out debian deb first second flavour from

# says TEXT COMMAND...: runs it, and returns whether it prints TEXT, whatever its exit status, which is in status.
says()
{
	local text=$1
	shift

	status=0
	"$@" >"$out/said" 2>&1 || status=$?
	cat "$out/said"
	grep -qF "$text" "$out/said"
}

configure()
{
	in_root "$root" /var/lib/dpkg/info/aufs-cxx-dkms.postinst configure
}

# stand_in COMMAND: the script on stdin runs in its place, but not below apt, whose PATH has no /usr/local.
stand_in()
{
	cat >"$root/usr/local/sbin/$1"
	chmod 755 "$root/usr/local/sbin/$1"
}

# stand_in_make: a make that copies the modules that dkms has built before, and an update-initramfs that makes nothing.
stand_in_make()
{
	local version kernel arch dir name

	while IFS=/ read -r version kernel arch dir name; do
		mkdir -p "$root/root/built/$kernel"
		xz -dcf "$root/var/lib/dkms/aufs-cxx/$version/$kernel/$arch/$dir/$name" \
			>"$root/root/built/$kernel/${name%.xz}"
	done < <(find "$root/var/lib/dkms/aufs-cxx" -path '*/module/*.ko*' -printf '%P\n')
	stand_in make <<-'END'
		#!/bin/sh
		for word; do
			case $word in
			KERNELRELEASE=*) kernel=${word#*=} ;;
			module) cp "/root/built/$kernel/"*.ko . || exit ;;
			esac
		done
	END
	stand_in update-initramfs <<<'#!/bin/true'
}

no_stand_ins()
{
	rm -r "$root/usr/local/sbin/"* "$root/root/built"
}

# interrupted KERNEL: leaves the files that an interruption leaves while dkms installs the modules for KERNEL.
interrupted()
{
	local added

	added=$(find "$root/var/lib/dkms/aufs-cxx" -mindepth 2 -maxdepth 2 -name source)
	added=${added%/source}
	rm -rf "$added/$1/"*/module "$added/../kernel-$1-$(uname -m)"
	mkdir -p "$added/$1/$(uname -m)/log"
	echo half >"$root/usr/lib/modules/$1/updates/dkms/aufs.ko"
}

# The package tells by which names apt finds these headers, and no older ones. If the archive no longer has a kernel's
# headers, it tells of a newer kernel instead.
tells_of_headers()
{
	local modules=$root/usr/lib/modules/$second apt="apt install ${from[*]:+${from[*]} }"
	# shellcheck disable=SC2016 # the root's
	local why_none=(in_root "$root" sh -ec '. /usr/lib/aufs-cxx/common.sh; why_none "$1"' sh)

	mv "$modules/build" "$modules/build.away"
	says "${apt}linux-headers-$second linux-headers-$flavour" "${why_none[@]}" "$second" || return
	mv "$modules/build.away" "$modules/build"
	says "${apt}linux-image-$flavour linux-headers-$flavour" "${why_none[@]}" 6.1.0-1-cloud-amd64
}

# fake_kernel KERNEL: makes an installed kernel, with headers by which nothing can be built.
fake_kernel()
{
	mkdir -p "$root/usr/lib/modules/$1/kernel" "$root/usr/lib/modules/$1/build/include"
	touch "$root/usr/lib/modules/$1/modules.order" "$root/usr/lib/modules/$1/modules.builtin"
}

# A kernel of an unknown series is installed as usual. If a person wants a module for it, dkms tries to build one.
passes_over()
{
	local kernel=6.999.0-unknown
	local headers=(in_root "$root" run-parts --exit-on-error "--arg=$kernel" /etc/kernel/header_postinst.d)

	fake_kernel $kernel
	says "kernel $kernel has no aufs, as it is of none of the series" "${headers[@]}" && [ $status = 0 ] || return
	in_root "$root" /etc/kernel/postinst.d/dkms $kernel || return
	echo BUILD_EXCLUSIVE_KERNEL= >"$root/etc/dkms/aufs-cxx.conf"
	says make.log "${headers[@]}" && [ $status != 0 ] || return
	rm -r "$root/etc/dkms/aufs-cxx.conf" "$root/usr/lib/modules/$kernel"
}

# If a program is missing, the package says which, and what to do; and that is enough to go on. The kernel that
# fails then is between first and second, or before them.
tells_what_lacks()
{
	local kernel=6.12.0-broken

	fake_kernel $kernel
	mv "$root/usr/bin/pahole" "$root/usr/bin/pahole.away"
	says "dpkg --configure -a" apt_install --reinstall "/root/$(basename "$deb")" && [ $status != 0 ] || return
	grep -F "apt-get install pahole" "$out/said" || return
	mv "$root/usr/bin/pahole.away" "$root/usr/bin/pahole"
	says "not built for: $kernel." in_root "$root" dpkg --configure -a && [ $status = 0 ] || return
	rm -r "$root/usr/lib/modules/$kernel"
}

# The build for the newest kernel fails. No other kernel is built for, and no initramfs is made.
newest_fails()
{
	local kernel=7.3.9999-broken

	fake_kernel $kernel
	stand_in update-initramfs <<<'#!/bin/true'
	says "kernel $kernel starts next, without aufs" configure && [ $status != 0 ] || return
	rm -r "$root/usr/lib/modules/$kernel" "$root/usr/local/sbin/update-initramfs"
}

# There is no kernel, as in a container, or in a chroot of which an image is made.
without_kernels()
{
	mv "$root/usr/lib/modules" "$root/usr/lib/modules.away"
	configure || return
	mv "$root/usr/lib/modules.away" "$root/usr/lib/modules"
}

# The leftovers of an interruption do not stop the package. They do not stop dkms either, when a kernel's package is
# configured next. An older version that an older package has left in DKMS is removed.
goes_on()
{
	local other=$root/var/lib/dkms/aufs-cxx/0.0

	stand_in_make
	interrupted "$first"
	mkdir "$other"
	ln -s /usr/src/aufs-cxx-0.0 "$other/source"
	configure && built "$first" && [ ! -e "$other" ] || return
	interrupted "$first"
	in_root "$root" run-parts --exit-on-error "--arg=$first" /etc/kernel/header_postinst.d && built "$first" || return
	no_stand_ins
}

# dkms of Debian 12 copies the part of a module that there is room for, and reports no failure.
modules_are_full()
{
	stand_in_make
	# shellcheck disable=SC2016 # the root's
	says "df -h /lib/modules" in_root "$root" sh -c '
		mount -t tmpfs -o size=64k tmpfs "/lib/modules/$1/updates" &&
		/var/lib/dpkg/info/aufs-cxx-dkms.postinst configure &&
		[ -z "$(find "/lib/modules/$1/updates" -name "aufs.ko*")" ]' sh "$first" && [ $status = 0 ] || return
	configure && built "$first" || return
	no_stand_ins
}

# If an upgrade stops halfway, as the file is damaged, or a disk is full, the old version stays, with its modules.
upgrade_fails()
{
	stand_in_make
	head -c -1000 "$deb" >"$root/root/damaged.deb"
	! in_root "$root" dpkg -i /root/damaged.deb || return
	in_root "$root" dpkg -s aufs-cxx-dkms | grep '^Status: install ok installed' && both_built || return
	rm "$root/root/damaged.deb"
	no_stand_ins
}

# If the build fails, an initramfs that has aufs stays. An initramfs without aufs, as a removal leaves it, is made anew.
initramfs_of_before()
{
	local initramfs=$root/boot/initrd.img-$first
	local upgrade=(in_root "$root" /var/lib/dpkg/info/aufs-cxx-dkms.postinst configure 0.1)

	stand_in_make
	stand_in update-initramfs <<-'END'
		#!/bin/sh
		echo "made: $3"
	END
	interrupted "$first"
	mv "$root/root/built/$first" "$root/root/built/none"
	says "made: $second" "${upgrade[@]}" && [ $status = 0 ] && ! grep "made: $first" "$out/said" || return
	mv "$initramfs" "$initramfs.away"
	touch "$initramfs"
	says "made: $first" "${upgrade[@]}" && [ $status = 0 ] || return
	mv "$initramfs.away" "$initramfs"
	mv "$root/root/built/none" "$root/root/built/$first"
	configure && built "$first" || return
	no_stand_ins
}

# The package says it for each kernel, also after one has failed.
boot_is_full()
{
	stand_in update-initramfs <<<'#!/bin/false'
	says "df -h /boot" configure && [ $status != 0 ] && grep -F "kernel $first was not made" "$out/said" &&
		grep -F "kernel $second was not made" "$out/said" || return
	rm "$root/usr/local/sbin/update-initramfs"
}

# dracut removes a file that it has no room for. This is not the old initramfs, neither when the package is configured,
# nor when it is removed. A few of dracut's modules are enough for this test. Without the one for systemd, the hook that
# mounts a /usr of its own is there as well, before the hook that makes the union.
boot_is_full_for_dracut()
{
	local conf=$root/etc/dracut.conf.d/few.conf

	echo 'dracutmodules=" base fs-lib usrmount aufs "' >"$conf"
	# shellcheck disable=SC2016 # the root's
	says "df -h /boot" in_root "$root" sh -c '
		image=/boot/initrd.img-$1
		mount -t tmpfs -o size=1M tmpfs /boot && head -c 1000000 /dev/urandom >"$image" && cp "$image" /tmp &&
		. /usr/lib/aufs-cxx/common.sh || exit
		! renew_initramfs "$1" && cmp "$image" "/tmp/${image##*/}" || exit
		/var/lib/dpkg/info/aufs-cxx-dkms.postrm remove && cmp "$image" "/tmp/${image##*/}" &&
			[ "$(ls /boot)" = "${image##*/}" ] || exit
		mount -o remount,size=50% /boot && renew_initramfs "$1" || exit
		set -- $(lsinitrd "$image" | sed -n "s,.*hooks/pre-pivot/,,p" | sort)
		echo "$*" && [ $# = 2 ] && [ "${1#*-},${2#*-}" = mount-usr.sh,aufs-root.sh ]' sh "$first" && [ $status = 0 ] || return
	rm "$conf"
}

# With a mokutil that speaks as on a machine with Secure Boot, which knows a person's own keys alone. dkms's
# configuration names such a key. It has lines that only bash can read, and a line that fails.
tells_of_secure_boot()
{
	local conf=$root/etc/dkms/framework.conf.d/own.conf
	local hook=(in_root "$root" /etc/kernel/header_postinst.d/zz-aufs-cxx "$first")

	stand_in update-initramfs <<<'#!/bin/true'
	stand_in mokutil <<-'END'
		#!/bin/sh
		case $1,$2 in
		--sb-state,*) echo "SecureBoot enabled" ;;
		--test-key,/etc/own.pub) echo "$2 is already enrolled" ;;
		--test-key,/etc/db.pub) echo "$2 is already in db" ;;
		--test-key,/etc/new.pub) echo "$2 is already in the enrollment request" ;;
		--test-key,*) echo "$2 is not enrolled" ;;
		esac
	END
	says "mokutil --import /var/lib/dkms/mok.pub" configure || return
	says "dpkg-reconfigure aufs-cxx-dkms" "${hook[@]}" || return
	mkdir -p "${conf%/*}"
	cat >"$conf" <<-'END'
		mok_certificate=/etc/own.pub
		compressors=(xz gzip)
		[[ -n $unknown ]]
	END
	touch "$root/etc/own.pub"
	! says "mokutil --import" configure && [ $status = 0 ] || return
	! says "Secure Boot" "${hook[@]}" && [ $status = 0 ] || return
	echo mok_certificate=/etc/db.pub >"$conf"
	! says "Secure Boot" "${hook[@]}" && [ $status = 0 ] || return
	echo mok_certificate=/etc/new.pub >"$conf"
	says "dpkg-reconfigure aufs-cxx-dkms" "${hook[@]}" || return
	rm "$root/usr/local/sbin/mokutil" "$root/usr/local/sbin/update-initramfs" "$root/etc/own.pub" "$conf"
}

# refusal TEXT STATUS REASON: the initramfs' program says TEXT if modprobe says REASON, and modprobe -n ends with
# STATUS.
refusal()
{
	stand_in modprobe <<-END
		#!/bin/sh
		[ "\$1" != -n ] || exit $2
		echo "modprobe: ERROR: could not insert 'aufs': $3"
		exit 1
	END
	says "$1" in_root "$root" /usr/lib/aufs-cxx/root /mnt tmpfs && [ $status != 0 ]
}

tells_refused_from_missing()
{
	refusal "has no aufs.ko" 1 "not found" &&
		refusal "does not know the key" 0 "Key was rejected by service" &&
		refusal "does not know the key" 0 "Operation not permitted" &&
		refusal "the end of what dmesg prints says why" 0 "Exec format error" || return
	rm "$root/usr/local/sbin/modprobe"
}

# The package finds aufs=tmpfs in single quotes as well, but not in a comment. The leftovers of an interruption go with
# the rest (nothing_built).
tells_of_command_line()
{
	local dir=$root/etc/default/grub.d

	mkdir -p "$dir"
	echo '# GRUB_CMDLINE_LINUX="aufs=tmpfs"' >"$dir/comment.cfg"
	echo "GRUB_CMDLINE_LINUX='aufs=tmpfs'" >"$dir/union.cfg"
	interrupted "$first"
	says "by /etc/default/grub.d/union.cfg: from now on" apt_in "$root" "$debian" remove aufs-cxx-dkms &&
		[ $status = 0 ] || return
	rm "$dir/comment.cfg" "$dir/union.cfg"
}
