# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Roots of a Debian, made by mmdebstrap, for tests on a fresh machine. Sourced after lib.sh. Programs run in
# them by in_root alone. The mounts that it makes there go with the last process.
# shellcheck disable=SC2154 # cache

# root_of DEBIAN NAME PACKAGE...: prints the path of such a root, with these packages. It is made once, again after
# a week, and for other packages. It must not be changed. Called in a shell of its own, as $(...).
root_of()
{
	local debian=$1 name=$2 root tmp
	shift 2
	root=$cache/package/$debian-$name
	lock "package-$debian-$name"
	if [ -e "$root" ] && { [ -z "$(find "$root.made" -mtime -7 2>/dev/null)" ] ||
		[ "$(cat "$root.made")" != "$*" ]; }; then
		rm -rf "$root"
	fi
	if [ ! -e "$root" ]; then
		[ "$(id -u)" = 0 ] || die "making a Debian root takes root: its files belong to root"
		say "making a root of $debian"
		mkdir -p "$cache/package"
		tmp=$(mktemp -d "$root.tmp.XXXXXX")
		trap 'rm -rf "$tmp"' EXIT
		apt_sources "$debian" >"$tmp/sources"
		if ! mmdebstrap --variant=minbase --include="$(IFS=,; echo "$*")" --dpkgopt=force-unsafe-io \
			"$debian" "$tmp/root" "$tmp/sources" >"$tmp/log" 2>&1 </dev/null; then
			tail -n 20 "$tmp/log" >&2
			die "mmdebstrap failed (see above): is there a network, and room in $cache?"
		fi
		mv "$tmp/root" "$root"
		echo "$*" >"$root.made"
		rm -rf "$tmp"
		trap - EXIT
	fi
	unlock
	echo "$root"
}

# copy_root ROOT: makes a copy, which may be changed, and prints its path. The caller removes it. Called in a shell of
# its own, as $(...): a part of a copy, as an interruption leaves it, goes at once.
copy_root()
{
	local copy

	copy=$(mktemp -d "$cache/package/copy.XXXXXX")
	trap 'rm -rf "$copy"' EXIT
	cp -a --reflink=auto "$1/." "$copy"
	trap - EXIT
	echo "$copy"
}

# in_root ROOT COMMAND...: runs it as if ROOT were a machine's root. All processes that it starts end with it.
in_root()
{
	local root=$1
	shift

	cp /etc/resolv.conf "$root/etc/resolv.conf"
	# shellcheck disable=SC2016 # $0 is the root
	unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" -- bash -c '
		mount -t sysfs -o ro sysfs "$0/sys" && mount --rbind /dev "$0/dev" &&
		mount -t tmpfs tmpfs "$0/tmp" && mount -t tmpfs tmpfs "$0/run" &&
		exec chroot "$0" "$@"' "$root" env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" </dev/null
}

# lend_archives ROOT DEBIAN: gives its apt the packages that earlier runs have downloaded.
lend_archives()
{
	mkdir -p "$cache/package/archives-$2"
	find "$cache/package/archives-$2" -type f -mtime +60 -delete
	cp -lru "$cache/package/archives-$2/." "$1/var/cache/apt/archives"
}

# keep_archives ROOT DEBIAN: keeps the packages that its apt has downloaded, for later runs.
keep_archives()
{
	find "$1/var/cache/apt/archives" -maxdepth 1 -name '*.deb' \
		-exec cp -lu -t "$cache/package/archives-$2" {} +
}

# apt_in ROOT DEBIAN COMMAND...: runs apt in ROOT.
apt_in()
{
	local root=$1 debian=$2 status=0
	shift 2

	lend_archives "$root" "$debian"
	in_root "$root" apt -y -q -o APT::Keep-Downloaded-Packages=true -o Dpkg::Use-Pty=0 "$@" || status=$?
	keep_archives "$root" "$debian"
	return $status
}
