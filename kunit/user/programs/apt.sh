#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A Debian is maintained in a union: apt and dpkg install, upgrade and remove, with maintainer
# scripts, triggers, alternatives and users, in an empty rw branch over a whole Debian. Each case goes
# on with the rw branch that the last one left, and mounts the union anew.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside the union
# shellcheck disable=SC2317 # cases are called by their names
#
# Runs: in `make test-all` only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

debian_goes_on()
{
	only_on tmpfs
	need apt-get dpkg-deb
	[ -d "$AUFS_DEBIAN/srv/debs" ] || fail "the root image has no packages in /srv/debs"
	top=$AUFS_TOP/debian mnt=$AUFS_MNT/$case_name
	mkdir -p "$top/tmp" "$top/root" "$top/work" "$mnt"
	chmod 1777 "$top/tmp"
	mount_debian
}

# Makes a file: repository of the packages in /srv/debs.
index_repository()
{
	inside_sh '
		cd /srv/debs
		for deb in *.deb; do
			dpkg-deb -f "$deb"
			printf "Filename: ./%s\nSize: %s\nSHA256: %s\n\n" "$deb" "$(stat -c %s "$deb")" \
				"$(sha256sum "$deb" | cut -d" " -f1)"
		done >Packages
		apt-get -qq update
	'
}

apt()
{
	inside env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 "$@"
}

# Documentation is not unpacked in this root.
verify()
{
	inside dpkg --verify "$@" | grep -vE ' /usr/share/(doc|man|info|locale)/' || true
}

# The package manager's state is consistent, and no file is half unpacked.
expect_consistent()
{
	same "dpkg --audit" "$(inside dpkg --audit)" ""
	same "what is left half-way" \
		"$(find "$top" -name '*.dpkg-new' -o -name '*.dpkg-tmp')" ""
	same "packages without a list of files" "$(inside_sh '
		dpkg-query -W -f "\${db:Status-Status} \${binary:Package}\n" | while read -r status package; do
			test "$status" != installed || test -e "/var/lib/dpkg/info/$package.list" || echo "$package"
		done')" ""
	same "pending updates" "$(ls -A "$mnt/var/lib/dpkg/updates")" ""
	[ ! -d "$top/.wh..wh.orph" ] || same "workfiles" "$(ls -A "$top/.wh..wh.orph")" ""
}

state()
{
	inside dpkg-query -W -f '${Package} ${Version} ${Status}\n'
	(cd "$mnt" && find etc var/lib/dpkg usr/bin -printf '%p %y %m %U %G %T@ %l\n' | sort)
	tree "$mnt/etc" | tail -n 1
	cksum "$mnt/var/lib/dpkg/status"
}

# A new union of the same branches, without caches, shows the same.
expect_same_after_remount()
{
	local before after
	before=$(state)
	unmount_all
	echo 2 >/proc/sys/vm/drop_caches
	mount_debian
	after=$(state)
	[ "$before" = "$after" ] || fail "not the same: $(diff <(echo "$before") <(echo "$after") | head -n 20)"
}

install_with_dependencies()
{
	debian_goes_on
	echo 'deb [trusted=yes] file:/srv/debs ./' >"$mnt/etc/apt/sources.list"
	index_repository
	inside_sh '! grep -q ^tcpdump: /etc/passwd && ! grep -q ^crontab: /etc/group'
	apt install cron tcpdump vim-tiny
	expect_consistent
	same "dpkg --verify" "$(verify cron cron-daemon-common tcpdump libpcap0.8 vim-tiny vim-common)" ""
	# A user, a group with a setgid program, an alternative, an init script, a trigger.
	inside_sh 'getent passwd tcpdump && getent group crontab'
	same "crontab" "$(inside stat -c '%G %a' /usr/bin/crontab)" "crontab 2755"
	same "vi" "$(inside readlink -f /usr/bin/vi)" /usr/bin/vim.tiny
	inside_sh 'ls /etc/rc2.d/S*cron'
	has "$(inside ldconfig -p)" libpcap.so
	has "$(inside tcpdump --version 2>&1)" libpcap
	has "$(inside vi --version)" 'VIM - Vi IMproved'
	expect_same_after_remount
	same "dpkg --verify" "$(verify cron cron-daemon-common tcpdump libpcap0.8 vim-tiny vim-common)" ""
}

# Upgrades an installed package, one of the lower branch, and one with an edited configuration.
upgrade()
{
	debian_goes_on
	inside_sh '
		echo "# mine" >>/etc/default/cron
		cd /srv/debs
		for name in cron sed; do
			dpkg-deb -R "$name"_*.deb /work/package
			sed -i "s/^Version: .*/&+union1/" /work/package/DEBIAN/control
			dpkg-deb -b -Znone /work/package "new-$name.deb" >/dev/null
			rm -r /work/package
		done
	'
	index_repository
	apt upgrade
	expect_consistent
	inside_sh '
		for name in cron sed; do
			dpkg-query -W -f "\${Version}\n" $name | grep "+union1\$"
		done
		grep "# mine" /etc/default/cron
		test "$(echo ab | sed s/a/b/)" = bb
	'
	has "$(verify cron sed)" /etc/default/cron
	same "what differs from the packages" "$(verify cron sed | wc -l)" 1
	[ -e "$top/bin/sed" ] || [ -e "$top/usr/bin/sed" ] || fail "sed is not on the rw branch"
}

remove_and_purge()
{
	local list
	debian_goes_on
	list=$(inside dpkg -L cron cron-daemon-common vim-tiny strace attr)
	# Only the lower branch has the last two.
	apt remove cron vim-tiny strace attr
	expect_consistent
	inside_sh '
		test -e /etc/default/cron -a ! -e /usr/sbin/cron -a ! -e /usr/bin/strace
		dpkg-query -W -f "\${db:Status-Status}\n" cron | grep -x config-files
		! test -e /usr/bin/vi
	'
	inside dpkg --purge cron cron-daemon-common vim-tiny vim-common strace attr
	expect_consistent
	expect_same_after_remount
	inside_sh '! dpkg-query -W strace 2>/dev/null && ! test -e /usr/bin/strace'
	# Directories of other packages stay; the files of these are gone.
	while read -r path; do
		[ ! -f "$mnt$path" ] || inside dpkg -S "$path" || fail "$path is still there"
	done <<<"$list"
	[ -e "$AUFS_DEBIAN/usr/bin/strace" ] || fail "it is gone from the lower branch"
	same "the whiteout" "$(stat -c '%a %s %F' "$top/usr/bin/.wh.strace")" "444 0 regular empty file"
	# Installs one again, over whiteouts.
	inside dpkg -i /srv/debs/new-sed.deb
	same "dpkg --verify" "$(verify sed)" ""
}

lower=$(sha256sum "$AUFS_DEBIAN"/var/lib/dpkg/status "$AUFS_DEBIAN"/etc/passwd "$AUFS_DEBIAN"/bin/sed)

below_all_is_as_it_was()
{
	same "the lower branch" \
		"$(sha256sum "$AUFS_DEBIAN"/var/lib/dpkg/status "$AUFS_DEBIAN"/etc/passwd "$AUFS_DEBIAN"/bin/sed)" "$lower"
}

run_cases install_with_dependencies upgrade remove_and_purge below_all_is_as_it_was
