#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A union as the root directory, from which no branch can be reached by a path. It is remounted as /etc/fstab
# says, and CRIU, which asks sysfs for the branches, dumps and restores a process in it.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside the union
# shellcheck disable=SC2317 # cases are called by their names
#
# Runs: on 6.12 only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

# A union over a Debian, with the directories that a container needs.
root_union()
{
	local dir
	directories
	for dir in work old; do
		mkdir "$top/$dir"
	done
	mount_root
}

mount_root()
{
	mount_at -t aufs -o "br=$top=rw:${AUFS_DEBIAN:-/}=ro" none "$mnt"
	mount --make-private "$mnt"
}

# container SCRIPT: in namespaces of its own, as process 1, with the union as the root.
container()
{
	unshare --mount --pid --uts --ipc --fork --propagation private bash -e -u -c "
		cd '$mnt'
		pivot_root . old
		exec chroot . env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 bash -e -u -o pipefail -c '
			mount -t proc proc /proc
			mount -t sysfs sysfs /sys
			mount -t tmpfs tmpfs /run
			umount -l /old
			$1'"
}

# As systemd remounts it for "aufs / aufs defaults", as people do, and as a small system does.
remounts_of_the_root()
{
	local mount
	root_union
	mkdir "$mnt/bin.small"
	cp /run/busybox "$mnt/bin.small/mount"
	echo 'aufs / aufs defaults 0 0' >"$mnt/etc/fstab"
	for mount in mount /bin.small/mount; do
		container "
			$mount -o remount /
			touch /work/1
			$mount -o remount,ro /
			! touch /work/2 2>/dev/null
			$mount -o remount,rw,noatime /
			touch /work/3
			findmnt -no SOURCE,FSTYPE,OPTIONS /
			df /
			grep -q \" / aufs rw,noatime,si=[0-9a-f]*\$\" <(cut -d\" \" -f 1-4 /proc/mounts)"
		same "what was written" "$(listed "$top/work")" "1 3"
		rm "$top/work/"*
	done
}

# The process counts in a mapped file of the union, and in one to which it appends. One of its files was
# copied up, and one is open and has no name any more.
counter='
import mmap, os, time
os.chdir("/work")
with open("/etc/issue", "a") as copied:
    copied.write("copied up\n")
low, copied = open("/etc/passwd"), open("/etc/issue")
nameless = open("/work/nameless", "w+")
nameless.write("here")
nameless.flush()
os.unlink("/work/nameless")
log = open("/work/log", "a")
shared = open("/work/shared", "w+b")
shared.truncate(4096)
area = mmap.mmap(shared.fileno(), 4096)
number = 0
while True:
    number += 1
    for file, text in ((low, "root:"), (copied, "Debian"), (nameless, "here")):
        file.seek(0)
        assert file.read().startswith(text)
    area[:8] = b"%08d" % number
    log.write("%d\n" % number)
    log.flush()
    time.sleep(0.05)
'

# Waits until the process in the container counts further.
counted_on()
{
	local before i
	before=$(wc -l <"$top/work/log")
	for i in $(seq 200); do
		[ "$(wc -l <"$top/work/log")" -le "$((before + 2))" ] || return 0
		sleep 0.1
	done
	fail "the process does not go on after $before"
}

criu_or_its_log()
{
	criu "$1" --root "$mnt" -D "$images" -v4 -o "$1.log" "${@:2}" || {
		tail -n 60 "$images/$1.log"
		fail "criu $1"
	}
}

# Prints the id of process 1 of the last container.
init_of_container()
{
	pgrep -n -f '^python3 /work/counter'
}

dumped()
{
	local i
	need criu python3
	criu check >/dev/null 2>&1 || skip "CRIU does not run on this kernel"
	root_union
	echo "$counter" >"$top/work/counter"
	images=$AUFS_TMP/images.$case_name
	mkdir "$images"
	container 'exec setsid python3 /work/counter </dev/null >/dev/null 2>&1' &
	for i in $(seq 300); do
		[ ! -e "$top/work/log" ] || break
		sleep 0.1
	done
	counted_on
	maps=$(grep ' /' "/proc/$(init_of_container)/maps" | cut -d' ' -f 1-3,5-)
	criu_or_its_log dump -t "$(init_of_container)" --link-remap --ghost-limit 1M
	wait
}

restored()
{
	local count mapped pid
	criu_or_its_log restore --restore-detached --link-remap
	counted_on
	pid=$(init_of_container)
	same "what is mapped" "$(grep ' /' "/proc/$pid/maps" | cut -d' ' -f 1-3,5-)" "$maps"
	same "the root" "$(stat -c %d:%i "/proc/$pid/root/")" "$(stat -c %d:%i "$mnt/")"
	kill -9 "$pid"
	for i in $(seq 100); do
		[ -e "/proc/$pid" ] || break
		sleep 0.1
	done
	count=$(wc -l <"$top/work/log")
	same "all numbers" "$(cat "$top/work/log")" "$(seq "$count")"
	# It may have been killed between its two counts.
	mapped=$((10#$(head -c 8 "$top/work/shared")))
	[ "$mapped" = "$count" ] || same "the mapped number" "$mapped" "$((count + 1))"
	has "$(cat "$images/dump.log")" "/br1 : ${AUFS_DEBIAN:-/}"
	rm -r "$images"
}

criu_in_the_same_union()
{
	dumped
	restored
}

# As after a restart of the machine.
criu_in_the_next_union()
{
	dumped
	unmount_all
	mount_root
	restored
}

run_cases remounts_of_the_root criu_in_the_same_union criu_in_the_next_union
