#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that map their data files. The data is on a lower branch at first: it is read there, and
# the first write copies it up.
# shellcheck disable=SC2317 # cases are called by their names
#
# More: ext4 xfs ext4+xfs tmpfs+ext4
# Runs: on 6.12 only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

pragmas='PRAGMA busy_timeout=60000; PRAGMA mmap_size=268435456;'

# sql FILE TEXT: the last line of the answer
sql()
{
	sqlite3 "$1" "$pragmas $2" | tail -n 1
}

# Makes a database of 2000 rows on the lower branch. JOURNAL is delete or wal.
lower_database()
{
	need sqlite3
	directories
	sqlite3 "$low/db" "PRAGMA journal_mode=$1; CREATE TABLE t(n INTEGER PRIMARY KEY, v TEXT);
		CREATE INDEX i ON t(v); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<2000)
		INSERT INTO t SELECT n, hex(randomblob(100)) FROM c;" >/dev/null
	before=$(tree "$low")
	union
}

expect_integrity()
{
	same "the database's integrity" "$(sql "$1" 'PRAGMA integrity_check;')" ok
}

sqlite3_reads_and_writes() # JOURNAL
{
	local i workers=() sum
	lower_database "$1"
	sum=$(sql "file:$mnt/db?mode=ro" 'SELECT count(*) || group_concat(v) FROM t;' | cksum)
	same "the rows" "$(sql "file:$low/db?immutable=1" 'SELECT count(*) || group_concat(v) FROM t;' | cksum)" \
		"$sum"
	[ "$1" = wal ] || same "what reading has left" "$(ls -A "$top")" ""
	for i in 1 2; do
		(for _ in 1 2 3 4 5 6 7 8; do
			sql "$mnt/db" 'INSERT INTO t(v) VALUES(hex(randomblob(100)));' >/dev/null
		done) &
		workers+=($!)
	done
	for i in 1 2 3; do
		sql "$mnt/db" 'SELECT count(*) FROM t;' | grep -qE '^20[01][0-9]$'
		expect_integrity "$mnt/db"
	done
	for i in "${workers[@]}"; do
		wait "$i"
	done
	same "the rows" "$(sql "$mnt/db" 'SELECT count(*) FROM t;')" 2016
	expect_integrity "$mnt/db"
	unmount_all
	union
	same "the rows" "$(sql "$mnt/db" 'SELECT count(*) FROM t;')" 2016
	sqlite3 "$mnt/db" 'DELETE FROM t WHERE n % 2; VACUUM;'
	expect_integrity "$mnt/db"
	same "the rows on the branch" "$(sql "$top/db" 'SELECT count(*) FROM t;')" 1008
	same "the lower branch" "$(tree "$low")" "$before"
}

sqlite3_journal() { sqlite3_reads_and_writes delete; }
sqlite3_wal() { sqlite3_reads_and_writes wal; }

# One process has the database open and mapped while another one's write copies it up.
sqlite3_reader_from_before_the_copy()
{
	local out
	lower_database delete
	need python3
	out=$(python3 - "$mnt/db" <<'PYTHON'
import sqlite3, subprocess, sys
reader = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
reader.execute("PRAGMA mmap_size=268435456")
count = lambda: reader.execute("SELECT count(*) FROM t").fetchone()[0]
assert count() == 2000
subprocess.run(["sqlite3", sys.argv[1], "DELETE FROM t WHERE n > 10;"], check=True)
# The open database is the old file, whole, or the new one. A new open gets the new one.
old = count()
assert reader.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
reader.close()
print(old, sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM t").fetchone()[0])
PYTHON
	)
	case $out in "2000 10" | "10 10") ;; *) fail "the rows before and now: $out" ;; esac
	expect_integrity "$mnt/db"
	same "the lower branch" "$(tree "$low")" "$before"
}

python3_mmap_and_dbm()
{
	need python3
	directories
	python3 - "$low" <<'PYTHON'
import dbm.dumb, dbm.ndbm, sys
low = sys.argv[1]
open(low + "/data", "wb").write(bytes(range(256)) * 1024)
for kind, name in ((dbm.ndbm, "/ndbm"), (dbm.dumb, "/dumb")):
    with kind.open(low + name, "c") as db:
        for i in range(300):
            db[b"key%d" % i] = b"value%d" % i * 5
PYTHON
	before=$(tree "$low")
	union
	python3 - "$mnt" <<'PYTHON'
import dbm.dumb, dbm.ndbm, mmap, os, sys
mnt = sys.argv[1]
want = bytes(range(256)) * 1024
with open(mnt + "/data", "rb") as file:
    old = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
assert old[:] == want
with open(mnt + "/data", "r+b") as file, mmap.mmap(file.fileno(), 0) as new:
    assert new[:] == want
    new[5000:5005] = b"HELLO"
    assert os.pread(file.fileno(), 5, 5000) == b"HELLO"
    new.flush()
    new.resize(len(want) * 2)
    new[-1] = 7
assert old[:] == want
assert open(mnt + "/data", "rb").read() == want[:5000] + b"HELLO" + want[5005:] + bytes(len(want) - 1) + b"\7"
for kind, name in ((dbm.ndbm, "/ndbm"), (dbm.dumb, "/dumb")):
    with kind.open(mnt + name, "r") as db:
        assert len(db.keys()) == 300
    with kind.open(mnt + name, "w") as db:
        for i in range(0, 300, 2):
            db[b"key%d" % i] = b"changed"
        for i in range(0, 300, 3):
            del db[b"key%d" % i]
    with kind.open(mnt + name, "r") as db:
        for i in range(300):
            got = db.get(b"key%d" % i)
            assert got == (None if i % 3 == 0 else b"changed" if i % 2 == 0 else b"value%d" % i * 5), (i, got)
PYTHON
	same "the lower branch" "$(tree "$low")" "$before"
}

# fio writes a file with checksums on the lower branch. Through the union it reads and verifies the file,
# then writes and verifies it again.
fio_on_a_lower_file() # ENGINE
{
	local job=(--name=job --size=4m --bs=4k --verify=crc32c --verify_fatal=1 --randrepeat=1)
	need fio
	directories
	fio "${job[@]}" --filename="$low/data" --ioengine=psync --rw=write --do_verify=0 --end_fsync=1 >/dev/null
	before=$(tree "$low")
	union
	fio "${job[@]}" --filename="$mnt/data" --ioengine="$1" --rw=read --readonly ||
		fail "what was written below is not read"
	same "what reading has left" "$(ls -A "$top")" ""
	fio "${job[@]}" --filename="$mnt/data" --ioengine="$1" --rw=randrw --end_fsync=1 || fail "fio"
	same "the copy's size" "$(stat -c %s "$top/data")" $((4 << 20))
	same "the lower branch" "$(tree "$low")" "$before"
}

fio_mmap() { fio_on_a_lower_file mmap; }
fio_psync() { fio_on_a_lower_file psync; }

case ${AUFS_COMBO:-tmpfs} in
tmpfs)
	run_cases sqlite3_journal sqlite3_reader_from_before_the_copy python3_mmap_and_dbm fio_mmap fio_psync
	;;
ext4) run_cases sqlite3_wal ;;
*) run_cases fio_mmap ;;
esac
