#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Judges that others wrote: fio and stress-ng on the rw branch of a union, bounded by work done and
# not by time.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
# shellcheck source=kunit/user/ktap.inc
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

# On the emulated disks all of it takes minutes: once on a disk is enough, elsewhere the data is checked.
case ${AUFS_COMBO:-tmpfs} in
tmpfs | ext4)
	run_cases fio_mmap fio_psync fio_libaio stress_mmap stress_msync stress_hdd stress_dentry stress_rename stress_link \
		stress_dir stress_flock stress_fallocate stress_seek stress_sendfile
	;;
*)
	run_cases fio_mmap fio_psync
	;;
esac
