#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# As a new user begins: a union of a writable directory over a whole Debian, and real programs that run
# from it, with their libraries, and work in it.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside the union
# shellcheck disable=SC2317 # cases are called by their names
#
# More: ext4 xfs ext4+xfs tmpfs+ext4
# Runs: on 6.12 only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

# Every mapping of a file has the path, and on kernels that can the inode number, that stat has.
python3_with_its_libraries()
{
	need python3
	debian_union
	inside python3 - <<'PYTHON'
import ctypes, hashlib, json, os, re, sqlite3, ssl, subprocess, sys, zlib

version = tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())
seen = {}
for line in open("/proc/self/maps"):
    match = re.match(r"\S+ \S+ \S+ (\w+):(\w+) (\d+) +(/.*)\n", line)
    if match:
        seen[match[4]] = (os.makedev(int(match[1], 16), int(match[2], 16)), int(match[3]))
assert any("/libssl.so" in path for path in seen), sorted(seen)
assert any(path.endswith("/ld-linux-x86-64.so.2") or "/ld-" in path for path in seen), sorted(seen)
root = os.stat("/").st_dev
for path, identity in seen.items():
    assert os.path.exists(path), f"{path} is in maps and not there"
    assert os.stat(path).st_dev == root, f"{path} is not of the union"
    if version >= (6, 8):
        assert identity == (os.stat(path).st_dev, os.stat(path).st_ino), f"{path}: {identity}"
assert os.readlink("/proc/self/exe") == os.path.realpath(sys.executable)
assert subprocess.run(["/bin/echo", "x"], capture_output=True, check=True).stdout == b"x\n"
print(len(seen), "mapped files")
PYTHON
}

python3_mmap()
{
	need python3
	debian_union
	inside python3 - <<'PYTHON'
import mmap, os
with open("/work/data", "w+b") as file:
    file.truncate(1 << 20)
    with mmap.mmap(file.fileno(), 0) as shared:
        shared[4096:4101] = b"hello"
        assert os.pread(file.fileno(), 5, 4096) == b"hello"
        os.pwrite(file.fileno(), b"HELLO", 4096)
        assert shared[4096:4101] == b"HELLO"
        shared.flush()
        shared.resize(2 << 20)
        shared[(2 << 20) - 1] = 33
        assert shared.find(b"HELLO") == 4096
    assert os.fstat(file.fileno()).st_size == 2 << 20
with open("/usr/bin/env", "rb") as program:
    with mmap.mmap(program.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert data[:4] == b"\x7fELF"
        assert data[:] == open("/usr/bin/env", "rb").read()
PYTHON
	same "the branch's size" "$(stat -c %s "$top/work/data")" $((2 << 20))
}

git_repository()
{
	need git
	debian_union
	inside_sh '
		export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		git init -q -b main repository
		cd repository
		for i in $(seq 40); do mkdir -p dir$((i % 5)); seq $i $((i * 50)) >dir$((i % 5))/file$i; done
		git add .
		git commit -q -m first
		git checkout -q -b other
		seq 1000 >dir1/file1
		git mv dir2/file2 dir3/moved
		git commit -q -a -m second
		git checkout -q main
		git rm -q dir4/file4
		git commit -q -m third
		git merge -q -m merged other
		git gc -q --aggressive --prune=now
		git fsck --full --strict
		test -z "$(git status --porcelain)"
		test "$(git log --oneline | wc -l)" = 4
		cd ..
		git clone -q repository clone
		git clone -q --no-local repository packed
		diff -r --exclude=.git repository clone
		diff -r --exclude=.git repository packed
		rm -rf clone packed
	'
	# The same repository is good on the branch itself.
	git -c safe.directory='*' -C "$top/work/repository" fsck --full
	same "what is left" "$(ls "$top/work")" repository
}

gcc_builds_a_project()
{
	need gcc make
	debian_union
	inside_sh '
		mkdir -p project/lib project/src
		cd project
		cat >lib/greet.c <<-C
			#include <stdio.h>
			#include "greet.h"
			void greet(const char *who) { printf("hello, %s\n", who); }
		C
		echo "void greet(const char *who);" >lib/greet.h
		cat >src/main.c <<-C
			#include <dlfcn.h>
			#include "../lib/greet.h"
			int main(void)
			{
				void *lib = dlopen("./libgreet.so", RTLD_NOW);
				void (*again)(const char *) = lib ? dlsym(lib, "greet") : 0;
				greet("linked");
				if (again) again("loaded");
				return !again;
			}
		C
		cat >Makefile <<-"M"
			program: src/main.o libgreet.so ; gcc src/main.o -L. -lgreet -Wl,-rpath,\$$ORIGIN -o $@
			libgreet.so: lib/greet.o ; gcc -shared $^ -o $@
			%.o: %.c lib/greet.h ; gcc -O2 -g -Wall -Werror -fPIC -c $< -o $@
		M
		make -s -j2
		./program
		make -q
		touch lib/greet.c
		! make -q
		sed -i s/hello/bye/ lib/greet.c
		make -s -j2
		test "$(./program)" = "bye, linked
bye, loaded"
	'
	same "the branch's program" "$(cd "$top/work/project" && ./program | head -n 1)" "bye, linked"
}

# A database in WAL mode, mapped, with a writer and readers in processes of their own.
sqlite3_wal_and_mmap()
{
	need sqlite3
	debian_union
	inside_sh '
		pragmas="PRAGMA busy_timeout=60000; PRAGMA mmap_size=268435456;"
		test "$(sqlite3 db "PRAGMA journal_mode=WAL;")" = wal
		sqlite3 db "PRAGMA mmap_size=268435456; CREATE TABLE t(n INTEGER PRIMARY KEY, v TEXT);
			WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<5000)
			INSERT INTO t SELECT n, hex(randomblob(50)) FROM c;" >/dev/null
		workers=
		for writer in 1 2; do
			(for i in $(seq 20); do
				sqlite3 db "$pragmas INSERT INTO t(v) VALUES(hex(randomblob(50)));" >/dev/null
			done) & workers="$workers $!"
		done
		for i in 1 2 3; do
			sqlite3 db "$pragmas SELECT count(*) FROM t;" | tail -n 1 | grep -qE "^50[0-4][0-9]$"
		done
		for worker in $workers; do wait $worker; done
		test "$(sqlite3 db "$pragmas SELECT count(*) FROM t;" | tail -n 1)" = 5040
		test "$(sqlite3 db "PRAGMA integrity_check;")" = ok
		sqlite3 db "PRAGMA wal_checkpoint(TRUNCATE);" >/dev/null
		sqlite3 db "VACUUM;"
		test "$(sqlite3 db "PRAGMA integrity_check;")" = ok
	'
	same "the branch's database" "$(sqlite3 "$top/work/db" 'SELECT count(*) FROM t;')" 5040
}

copies_and_archives()
{
	debian_union
	inside_sh '
		cp -a /etc copied
		diff -r --no-dereference /etc copied
		test "$(cd /etc && find . | sort | md5sum)" = "$(cd copied && find . | sort | md5sum)"
		tar -C /usr/share -cf doc.tar perl5 2>/dev/null || tar -C /etc -cf doc.tar .
		mkdir unpacked
		tar -C unpacked -xf doc.tar
		tar -C unpacked -df doc.tar
		mv unpacked renamed
		find renamed -type f | wc -l
		rm -rf renamed copied doc.tar
		test -z "$(ls -A .)"
	'
}

# Lower files are changed and removed, and stay as they are on their branch.
lower_files_change()
{
	local before
	before=$(cd /debian && sha256sum etc/hosts etc/passwd etc/group)
	debian_union
	inside_sh 'echo "127.0.0.2 changed" >>/etc/hosts; sed -i s/bash/sh/ /etc/passwd; rm /etc/group'
	inside_sh 'grep -q changed /etc/hosts && ! grep -q bash /etc/passwd && test ! -e /etc/group'
	inside_sh 'rm -r /usr/share/perl* && mkdir /usr/share/perl5 && test -z "$(ls -A /usr/share/perl5)"'
	same "what is on the branch" "$(cd /debian && sha256sum etc/hosts etc/passwd etc/group)" "$before"
}

# A user without rights works in the union.
ordinary_user()
{
	need python3
	debian_union
	chown 1000:1000 "$top/work"
	inside python3 - <<'PYTHON'
import os, subprocess
def run(command, good):
    done = subprocess.run(["bash", "-c", "cd /work; " + command], user=1000, group=1000, extra_groups=[],
                          capture_output=True, text=True)
    assert (done.returncode == 0) == good, (command, done)
run("echo x >mine; cat mine; mkdir dir; ln mine link; mv link dir; chmod 600 mine; rm -r dir", True)
run("cat /etc/shadow", False)
run("echo x >/root/file", False)
run("ls /root", False) if os.stat("/root").st_mode & 0o077 == 0 else None
run("cat /etc/passwd >/dev/null; ls -l /usr/bin >/dev/null", True)
assert os.stat("/work/mine").st_uid == 1000
PYTHON
}

case ${AUFS_COMBO:-tmpfs} in
tmpfs | ext4+xfs)
	run_cases python3_with_its_libraries python3_mmap git_repository gcc_builds_a_project sqlite3_wal_and_mmap \
		copies_and_archives lower_files_change ordinary_user
	;;
*)
	run_cases python3_with_its_libraries sqlite3_wal_and_mmap copies_and_archives
	;;
esac
