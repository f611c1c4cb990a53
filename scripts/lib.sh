# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the scripts share. Sourced, never run: the caller has set -euo pipefail.
#
# Everything that is downloaded, unpacked or built for another kernel lives in one cache directory
# outside the checkout, and every entry of it is made under a temporary name and renamed when it is
# whole: what is there under its final name can be used, after an interrupted run too.

# shellcheck disable=SC2034
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/aufs-cxx
# One clock for a script and the scripts that it calls.
export AUFS_STARTED=${AUFS_STARTED:-$EPOCHSECONDS}
export LC_ALL=C.UTF-8
mkdir -p "$cache"

# say TEXT...: a line of progress, with the seconds since the start; on stderr, as stdout is the
# result of a script.
say()
{
	printf '[%4ds] %s\n' $((EPOCHSECONDS - AUFS_STARTED)) "$*" >&2
}

# die TEXT...: what is wrong, where, and what to do about it.
die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# lock NAME / unlock: only one script at a time makes a given entry of the cache. The descriptor is
# open between the two, so nothing that outlives the script may be started there.
lock()
{
	exec 9>"$cache/$1.lock"
	flock 9
}

unlock()
{
	exec 9>&-
}

# need COMMAND PURPOSE: the command is there, or it is said how to get it.
need()
{
	command -v "$1" >/dev/null ||
		die "the command '$1' is not installed: run 'scripts/setup $2' (as root)"
}

# apt_update: bring the package lists up to date, once in 12 hours: old lists name packages that
# their archive no longer has. Without network the lists stay as they are, and that is said.
apt_update()
{
	local stamp=$cache/apt-updated

	if [ -n "$(find "$stamp" -mmin -720 2>/dev/null)" ]; then
		return 0
	fi
	say "apt-get update: bringing the package lists up to date"
	if [ "$(id -u)" != 0 ]; then
		say "not root: the package lists stay as they are"
	elif apt-get -qq -o APT::Update::Error-Mode=any update >&2; then
		touch "$stamp"
	else
		say "apt-get update failed (see above): going on with the package lists that are there"
	fi
}

# apt_candidate PACKAGE: the version that apt would download; nothing when it has none.
apt_candidate()
{
	apt-cache show --no-all-versions "$1" 2>/dev/null |
		awk '/^Version: / { v = $2 } /^Filename: / { f = 1 } END { if (f) print v }'
}

# apt_fetch DIR PACKAGE...: download packages into DIR without installing them. The download
# happens in a directory of the user _apt, because apt wants to drop its privileges for it.
apt_fetch()
{
	local dir=$1 drop
	shift

	drop=$(mktemp -d "${TMPDIR:-/tmp}/aufs-cxx-apt.XXXXXX")
	if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then
		chown _apt "$drop"
	fi
	if ! (cd "$drop" && apt-get -qq download "$@" >&2); then
		rm -rf "$drop"
		return 1
	fi
	mv "$drop"/*.deb "$dir"
	rm -rf "$drop"
}

# field NAME: the value of NAME in the NAME=VALUE lines on stdin.
field()
{
	sed -n "s/^$1=//p"
}
