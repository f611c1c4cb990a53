# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Shared by the scripts. Sourced, never run: the caller has set -euo pipefail.
#
# Everything that is downloaded, unpacked or built for another kernel lives in one cache directory
# outside the checkout, and every entry of it is made under a temporary name and renamed when it is
# whole: an entry with its final name can be used, after an interrupted run too.

# A CDPATH in a person's environment must not lead `cd` elsewhere, here or in the programs that are called.
unset CDPATH
# shellcheck disable=SC2034
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/aufs-cxx
# One clock for a script and the scripts that it calls.
export AUFS_STARTED=${AUFS_STARTED:-$EPOCHSECONDS}
export LC_ALL=C.UTF-8
# mkfs, chroot and bpftool live there, which is not on every user's PATH.
PATH=$PATH:/usr/sbin:/sbin
# Files of packages and images are for everybody.
umask 022
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

# work_dir NAME: prints a new directory for files that are needed once, and may be large or are run: /tmp may be in
# memory, or noexec. The caller removes it. The directory of a caller that was killed goes after two days.
work_dir()
{
	mkdir -p "$cache/tmp"
	find "$cache/tmp" -mindepth 1 -maxdepth 1 -mtime +2 -exec rm -rf {} +
	mktemp -d "$cache/tmp/$1.XXXXXX"
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

# need COMMAND PURPOSE: dies if the command is not there, and says how to get it.
need()
{
	command -v "$1" >/dev/null ||
		die "the command '$1' is not installed: run 'scripts/setup $2' (as root)"
}

# apt_of DEBIAN [ARCHITECTURE]: from here on apt knows the packages of that Debian (bookworm, trixie, sid),
# of the other architecture as well, whatever this machine runs: by lists of its own in the cache, from
# the mirrors that the machine's apt has. The machine's own lists and packages stay as they are.
apt_of()
{
	local dir=$cache/apt/$1${2:+-$2}

	[ -n "${2:-}" ] || ! grep -q "^$1 " <<<"$(mirrors)" || return 0
	mkdir -p "$dir/archives/partial"
	apt_sources "$1" >"$dir/sources.list"
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-EOF
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Acquire::Languages "none";
		APT::Architectures { "$(dpkg --print-architecture)"; ${2:+"\"$2\";"} };
	EOF
	export APT_CONFIG=$dir/apt.conf
	apt_lists=$dir/lists
}

# apt_sources DEBIAN: a sources.list for it, of the mirrors that the machine's apt has.
apt_sources()
{
	local targets uri suite suites=("$1")

	targets=$(mirrors)
	case $1 in
	sid)		;;
	# Its backports are no longer there.
	bullseye)	suites+=("$1-updates" "$1-security") ;;
	*)		suites+=("$1-updates" "$1-backports" "$1-security") ;;
	esac
	for suite in "${suites[@]}"; do
		case $suite in
		*-security)	uri=$(sed -n 's/^[^ ]*-security //p' <<<"$targets" | head -n 1) ;;
		*)		uri=$(sed -n 's/^[^- ]* //p' <<<"$targets" | head -n 1)
				[ -n "$uri" ] || die "this machine's apt has no mirror of Debian" \
					"(/etc/apt/sources.list*): what is of $1 comes from one" ;;
		esac
		[ -z "$uri" ] ||
			echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
	done
}

# mirrors: prints the answer of apt_targets. A machine without lists gets them first.
mirrors()
{
	local targets

	targets=$(apt_targets)
	if [ -z "$targets" ]; then
		apt_update
		targets=$(apt_targets)
	fi
	echo "$targets"
}

# apt_targets: SUITE MIRROR of all that the machine's own apt has of Debian. Asking it takes a second, so
# the answer is kept while its lists and sources stay as they are.
apt_targets()
{
	local answer=$cache/apt-targets

	if [ ! -s "$answer" ] || is_older "$answer" /etc/apt /var/lib/apt/lists; then
		# shellcheck disable=SC2016
		apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' \
			'Origin: Debian' >"$answer.$$"
		mv "$answer.$$" "$answer"
	fi
	cat "$answer"
}

# is_older FILE PATH...: whether something at one of these paths is newer.
is_older()
{
	[ -n "$(find "${@:2}" -newer "$1" -print -quit 2>/dev/null)" ]
}

# Where the package lists are; and the file whose time says when they were brought up to date.
apt_lists=/var/lib/apt/lists
apt_stamp()
{
	if [ -n "${APT_CONFIG:-}" ]; then
		echo "${APT_CONFIG%/*}/updated"
	else
		echo "$cache/apt-updated"
	fi
}

# apt_update: bring the package lists up to date, once in 12 hours: old lists name packages that
# their archive no longer has. Without network the lists stay as they are, and that is said.
apt_update()
{
	local stamp

	stamp=$(apt_stamp)
	if [ -n "$(find "$stamp" -mmin -720 2>/dev/null)" ]; then
		return 0
	fi
	say "apt-get update: bringing the package lists up to date"
	if [ -n "${APT_CONFIG:-}" ]; then
		# All lists, or none.
		if (
			drop=$(apt_drop) || exit
			trap 'rm -rf "$drop"' EXIT
			apt-get -qq -o APT::Update::Error-Mode=any -o Dir::State::lists="$drop" update >&2 || exit
			rm -rf "$apt_lists"
			mv "$drop" "$apt_lists"
		); then
			touch "$stamp"
			return 0
		fi
	elif [ "$(id -u)" != 0 ]; then
		say "not root: the package lists stay as they are"
		return 0
	elif apt-get -qq -o APT::Update::Error-Mode=any update >&2; then
		touch "$stamp"
		return 0
	fi
	say "apt-get update failed (see above): going on with the package lists that are there"
}

# apt_drop: makes a directory that apt can download into: it wants to drop its privileges for that,
# to the user _apt. The caller removes it, also when it is interrupted.
apt_drop()
{
	local drop

	drop=$(mktemp -d "${TMPDIR:-/tmp}/aufs-cxx-apt.XXXXXX") || return
	if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then
		chown _apt "$drop"
	fi
	echo "$drop"
}

# apt_candidate PACKAGE: the version that apt would download; nothing when it has none.
apt_candidate()
{
	{ apt-cache show --no-all-versions "$1" 2>/dev/null || true; } |
		awk '/^Version: / { v = $2 } /^Filename: / { f = 1 } END { if (f) print v }'
}

# apt_fetch DIR PACKAGE...: download packages into DIR without installing them.
apt_fetch()
(
	dir=$1
	shift

	drop=$(apt_drop) || exit
	trap 'rm -rf "$drop"' EXIT
	(cd "$drop" && apt-get -qq download "$@" >&2) || exit
	mv "$drop"/*.deb "$dir"
)

# field NAME: the value of NAME in the NAME=VALUE lines on stdin.
field()
{
	sed -n "s/^$1=//p"
}
