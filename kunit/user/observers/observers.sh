#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that show mappings: each names the union's file.
# shellcheck disable=SC2317 # cases are called by their names
#
# More: ext4 xfs ext4+xfs tmpfs+ext4
# Runs: on 6.12 only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

# A process that has the union's "mapped file" mapped and no descriptor of it open; its id: $pid
mapper()
{
	local ready=$AUFS_TMP/ready.$case_name
	mkfifo "$ready"
	dd if=/dev/zero bs=4096 count=16 of="$low/mapped_file" status=none
	union
	file=$mnt/mapped_file
	python3 -c '
import mmap, sys, time
with open(sys.argv[1], "rb") as file:
    area = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
# mmap keeps a duplicate of the descriptor, which is closed: only the mapping counts.
import os
for name in os.listdir("/proc/self/fd"):
    try:
        if os.readlink("/proc/self/fd/" + name) == sys.argv[1]:
            os.close(int(name))
    except OSError:
        pass
print(area[0])
with open(sys.argv[2], "w") as ready:
    ready.write("x")
time.sleep(1000)
' "$file" "$ready" >/dev/null &
	pid=$!
	children+=("$pid")
	cat "$ready" >/dev/null
	rm "$ready"
}

lsof_names_it()
{
	local text line
	need lsof python3
	directories
	mapper
	text=$(lsof -n -w -p "$pid")
	echo "$text"
	line=$(grep -F "$file" <<<"$text") || fail "lsof does not name $file"
	has "$line" " mem "
	has "$line" " REG "
	has_not "$text" "$low"
	if newer_kernel 6 8; then
		# Device and inode agree with stat, or lsof would put them in parentheses.
		has_not "$line" "dev="
		has "$line" " $(stat -c %i "$file") "
		# A search by the file's name finds the process.
		same "lsof by name" "$(lsof -n -w -t -- "$file")" "$pid"
	fi
}

fuser_finds_the_mapper()
{
	local found
	need fuser python3
	directories
	mapper
	found=$(fuser -m "$mnt" 2>/dev/null | tr -d ' ' || true)
	echo "fuser -m: '$found'"
	if newer_kernel 6 8; then
		same "fuser -m" "$found" "$pid"
		same "fuser of the file" "$(fuser "$file" 2>/dev/null | tr -d ' m')" "$pid"
		has "$(fuser -v "$file" 2>&1)" "....m"
		# No report has the branch's file.
		same "fuser of the branch's file" "$(fuser "$low/mapped_file" 2>/dev/null || true)" ""
	else
		# fuser looks for device and inode in maps, and those are the branch's on this kernel.
		same "fuser of the branch's file" "$(fuser "$low/mapped_file" 2>/dev/null | tr -d ' m')" "$pid"
	fi
}

# An open descriptor is found on every kernel.
fuser_finds_the_opener()
{
	need fuser
	directories
	echo x >"$low/file"
	union
	sleep 1000 3<"$mnt/file" &
	children+=($!)
	same "fuser" "$(fuser "$mnt/file" 2>/dev/null | tr -d ' ')" "$!"
	same "fuser of the branch" "$(fuser "$low/file" 2>/dev/null || true)" ""
}

pmap_names_it()
{
	local text
	need pmap python3
	directories
	mapper
	text=$(pmap -p "$pid")
	has "$text" " $file"
	has_not "$text" "$low"
	text=$(pmap -X "$pid")
	has "$text" "mapped_file"
	if newer_kernel 6 8; then
		has "$text" " $(stat -c %i "$file") "
	fi
}

gdb_info_proc_mappings()
{
	local text
	need gdb python3
	directories
	mapper
	text=$(gdb -q -nx -batch -p "$pid" -ex "info proc mappings" 2>&1)
	grep -F "mapped_file" <<<"$text" || fail "gdb does not name the file: $text"
	has "$text" "$file"
	has_not "$text" "$low"
}

# Breakpoints in a program of the union, by gdb, which finds its symbols through the union's path.
gdb_debugs_a_program_of_the_union()
{
	local text
	need gdb python3
	directories
	cp "$(readlink -f "$(type -P sleep)")" "$low/program"
	union
	text=$(gdb -q -nx -batch -ex "break nanosleep" -ex "break clock_nanosleep" -ex run -ex "info proc exe" \
		-ex bt -ex kill --args "$mnt/program" 100 2>&1 </dev/null)
	echo "$text"
	has "$text" "Breakpoint"
	has "$text" "exe = '$mnt/program'"
}

strace_shows_the_calls()
{
	local text
	need strace
	directories
	echo text >"$low/file"
	cp "$(readlink -f "$(type -P cat)")" "$low/program"
	union
	text=$(strace -f -y -e trace=openat,read,execve "$mnt/program" "$mnt/file" 2>&1)
	has "$text" "<$mnt/file>"
	has_not "$text" "$low"
}

perf_names_it()
{
	local text
	need perf
	directories
	cp "$(readlink -f "$(type -P true)")" "$low/program"
	union
	perf record -q -e dummy:u --no-buildid --no-buildid-cache -o "$AUFS_TMP/perf.data" -d "$mnt/program" >/dev/null 2>&1 ||
		skip "perf cannot record here"
	text=$(perf script --show-mmap-events -i "$AUFS_TMP/perf.data" 2>/dev/null | grep MMAP || true)
	echo "$text"
	rm -f "$AUFS_TMP/perf.data"
	has "$text" " $mnt/program"
	has_not "$text" "$low"
	if newer_kernel 6 12; then
		has "$text" " $(stat -c %i "$mnt/program") "
	fi
}

case ${AUFS_COMBO:-tmpfs} in
tmpfs | ext4+xfs)
	run_cases lsof_names_it fuser_finds_the_mapper fuser_finds_the_opener pmap_names_it gdb_info_proc_mappings \
		gdb_debugs_a_program_of_the_union strace_shows_the_calls perf_names_it
	;;
*)
	run_cases lsof_names_it fuser_finds_the_mapper
	;;
esac
