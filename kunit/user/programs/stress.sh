#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Test programs of others: fio and stress-ng in a union. The work is bounded, not the time.
# shellcheck disable=SC2317 # cases are called by their names
#
# More: ext4 xfs ext4+xfs tmpfs+ext4
# Runs: in `make test-all` only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

# fio_job ENGINE OPTIONS...: random writes, read back and verified
fio_job()
{
	local engine=$1
	shift
	need fio
	directories
	union
	(cd "$mnt" && fio --name=job --filename="$mnt/data" --ioengine="$engine" --size=8m --bs=4k --rw=randrw \
		--verify=crc32c --verify_fatal=1 --randrepeat=1 --end_fsync=1 --output="$AUFS_TMP/fio.out" "$@") || {
		cat "$AUFS_TMP/fio.out"
		fail "fio"
	}
	same "the branch's size" "$(stat -c %s "$top/data")" $((8 << 20))
}

fio_mmap() { fio_job mmap; }
fio_psync() { fio_job psync; }
fio_libaio() { fio_job libaio --iodepth=8; }

# stress CLASS [OPTION...]: a class of stress-ng, with its own checks, in the union's directory
stress()
{
	local class=$1
	shift
	need stress-ng
	directories
	union
	mkdir "$mnt/work"
	stress-ng --temp-path "$mnt/work" --"$class" 2 --"$class"-ops "${ops:-100}" --verify "$@" || fail "stress-ng $class"
	same "what stress-ng left" "$(ls -A "$mnt/work")" ""
}

stress_mmap() { stress mmap --mmap-file --mmap-bytes 4m; }
stress_msync() { stress msync --msync-bytes 1m; }
stress_hdd() { ops=500 stress hdd --hdd-bytes 4m; }
stress_dentry() { ops=1000 stress dentry --dentries 200; }
stress_rename() { ops=1000 stress rename; }
# One operation is 8192 links.
stress_link() { ops=1 stress link; }
stress_dir() { ops=20 stress dir --dir-dirs 100; }
stress_flock() { ops=1000 stress flock; }
stress_fallocate() { stress fallocate --fallocate-bytes 4m; }
stress_seek() { ops=1000 stress seek --seek-size 1m; }
stress_sendfile() { ops=100 stress sendfile --sendfile-size 1m; }

# The same in a directory of the lower branch that has a file. It is copied up, and stress-ng works above a
# lower branch.
stress_below() # CLASS OPTION...
{
	local class=$1
	shift
	need stress-ng
	directories
	mkdir -p "$low/work/dir"
	echo below >"$low/work/file"
	union
	stress-ng --temp-path "$mnt/work" --"$class" "${instances:-2}" --"$class"-ops "${ops:-50}" --verify "$@" ||
		fail "stress-ng $class"
	same "what stress-ng left" "$(listed "$mnt/work")" "dir file"
	same "the file" "$(cat "$mnt/work/file")" below
}

# One instance: a second one waits for the file of the first, which may have ended by then.
below_chmod() { instances=1 stress_below chmod; }
below_chown() { instances=1 stress_below chown; }
below_dentry() { ops=500 stress_below dentry --dentries 100; }
below_fault() { ops=500 stress_below fault; }
below_getdent() { stress_below getdent; }
below_mremap() { ops=5 stress_below mremap --mremap-bytes 1m; }
below_rename() { ops=500 stress_below rename; }
below_symlink() { ops=1 stress_below symlink; }
below_touch() { ops=200 stress_below touch; }
below_utime() { ops=500 stress_below utime; }
below_xattr()
{
	need setfattr
	setfattr -n user.probe -v x "$AUFS_TOP" 2>/dev/null || skip "the branch has no attributes of users"
	setfattr -x user.probe "$AUFS_TOP"
	ops=20 stress_below xattr
}

# Every class for files or mappings, one after the other, AUFS_STRESS seconds each. Classes about the
# machine, not about the filesystem, are left out: they take all memory, or use the kernel's own files.
whole_class() # CLASS
{
	local seconds=${AUFS_STRESS:-} out=$AUFS_TMP/stress.out
	[ -n "$seconds" ] || skip "only by STRESS=SECONDS, see scripts/test"
	need stress-ng
	directories
	mkdir -p "$low/work"
	union
	stress-ng --temp-path "$mnt/work" --class "$1" --sequential 2 --timeout "$seconds" --verify --metrics-brief \
		--oom-avoid --exclude "$(IFS=,; echo "${excluded[*]}")" >"$out" 2>&1 || {
		cat "$out"
		fail "stress-ng --class $1"
	}
	same "what stress-ng left" "$(ls -A "$mnt/work")" ""
}

excluded=(bigheap brk stack oom-pipe mlock mlockmany munmap nommap numa swap userfaultfd vm-segv tlb-shootdown
	binderfs chattr procfs sysfs dev ramfs)
all_filesystem_classes() { whole_class filesystem; }
all_vm_classes() { whole_class vm; }

# On emulated disks all classes take minutes. One disk is enough for that; on others fio checks the data.
case ${AUFS_COMBO:-tmpfs} in
tmpfs | ext4)
	run_cases fio_mmap fio_psync fio_libaio stress_mmap stress_msync stress_hdd stress_dentry stress_rename stress_link \
		stress_dir stress_flock stress_fallocate stress_seek stress_sendfile \
		below_chmod below_chown below_dentry below_fault below_getdent below_mremap \
		below_rename below_symlink below_touch below_utime below_xattr \
		all_filesystem_classes all_vm_classes
	;;
*)
	run_cases fio_mmap fio_psync
	;;
esac
