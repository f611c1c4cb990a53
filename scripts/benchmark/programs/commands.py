# SPDX-License-Identifier: GPL-2.0-only
"""The programs: what is run, in which state of the caches, and how its result is judged.

A command runs in the root of a place, the branch itself or a union. Cold: nothing of the branches is in the
kernel's caches. Warm: it has run before. A check says what is wrong, or "". It reads the files that a program has
written in a new mount of the same branches.
"""
import dataclasses
import os
import shlex
import subprocess
from typing import Callable

import data

COLD, WARM = "cold", "warm"
OUT, ARCHIVE_OUT = "/tmp/out", "/mnt/d/out.tar"


@dataclasses.dataclass
class Program:
    """Its name; its title in the table; the state of the caches (rule), and why."""
    name: str
    title: str
    rule: str
    why: str
    command: str
    # The directories below the root that it uses.
    uses: tuple
    check: Callable
    # It ends when its result is on the disk.
    writes: bool = False
    # The root that it runs in, which needs devices.
    root: str = ""
    # The directories that it makes, which are removed after it.
    makes: tuple = ()


def output(words, **options):
    """What a command prints on stdout."""
    return subprocess.run(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=True,
                          **options).stdout.strip()


def differs(what, got, expected):
    return "" if got == expected else f"{what}: {str(got)[:300]!r} in place of {str(expected)[:300]!r}"


def printed():
    with open(OUT, encoding="utf-8", errors="replace") as file:
        return file.read().strip("\n")


def counted(path, field):
    """The number of files in a listing, and the sum of their bytes, which are in this field of a line."""
    return output(["awk", f"$1 ~ /^-/ {{ n++; s += ${field} }} END {{ printf \"%d %d\", n, s }}", path])


def files_and_bytes(facts):
    return f"{facts.files} {facts.bytes}"


def check_status(facts, _):
    return differs("git status", tuple(sorted(printed().split("\n"))), facts.status)


def check_grep(facts, _):
    counts = [int(line.rpartition(":")[2]) for line in printed().split("\n") if line]
    return differs("files with the word, and words", (len(counts), sum(counts)), (facts.with_needles, facts.needles))


def check_find(facts, _):
    return differs("files and directories", len(printed().split("\n")), facts.files + facts.directories)


def check_du(facts, _):
    return differs("inodes", printed().split("\t")[0], str(facts.files + facts.directories))


def check_ls(facts, _):
    return differs("files and bytes", counted(OUT, 5), files_and_bytes(facts))


def check_tar_out(facts, _):
    with open(OUT, "wb") as file:
        subprocess.run(["tar", "-tvf", ARCHIVE_OUT], stdout=file, check=True)
    content = output(["sh", "-c", f"tar -xOf {ARCHIVE_OUT} | wc -lc"]).split()
    os.unlink(ARCHIVE_OUT)
    return (differs("files and bytes", counted(OUT, 3), files_and_bytes(facts))
            or differs("lines and bytes in them", content, [str(facts.lines), str(facts.bytes)]))


def check_tar_in(facts, place):
    with open(OUT, "wb") as file:
        subprocess.run(["find", place + "/unpacked", "-type", "f", "-printf", "- %s\\n"], stdout=file, check=True)
    content = output(["sh", "-c", "find unpacked -type f -print0 | xargs -0 cat | wc -lc"], cwd=place).split()
    return (differs("files and bytes", counted(OUT, 2), files_and_bytes(facts))
            or differs("lines and bytes in them", content, [str(facts.lines), str(facts.bytes)]))


def check_compile(facts, place):
    objects = sum(name.endswith(".o") for name in os.listdir(place + "/built"))
    return (differs("object files", objects, data.C_FILES)
            or differs("what the program prints", output([place + "/built/program"]), str(facts.total)))


def check_python(facts, _):
    return differs("modules", printed(), facts.modules)


def check_apt(_, place):
    root = place + "/debian"
    status = output(["chroot", root, "dpkg-query", "-W", "-f", "${db:Status-Status}", "vim-tiny"])
    version = output(["chroot", root, "/usr/bin/vim.tiny", "--version"])
    return differs("the package", status, "installed") or differs("the program", version[:17], "VIM - Vi IMproved")


def check_rm(facts, place):
    return (differs("what rm says to have removed", len(printed().split("\n")), facts.removed)
            or differs("whether the directory is left", os.path.lexists(place + "/remove"), False))


def check_sqlite_read(_, __):
    total = data.ROWS * (data.ROWS + 1) // 2
    return differs("the database", printed().split("\n")[1:], [f"{data.ROWS}|{data.ROWS * 200}|{total}", "ok"])


def check_sqlite_write(_, __):
    return differs("the database", printed().split("\n")[1:], [f"{data.ROWS // 100}", "ok"])


MAPPED = "PRAGMA mmap_size=268435456;"
READ = f"{MAPPED} SELECT count(*), sum(length(v)), sum(n) FROM t; PRAGMA integrity_check;"
WRITE = (f"{MAPPED} UPDATE t SET v = 'changed' WHERE n % 100 = 0; SELECT count(*) FROM t WHERE v = 'changed';"
         " PRAGMA integrity_check;")
APT = ("chroot debian apt-get -qq -y -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 --no-install-recommends"
       " install vim-tiny")

PROGRAMS = [
    Program("git-status", "git status", WARM, "it is asked again and again in the same tree",
            "git -C tree status --porcelain", ("tree",), check_status),
    Program("git-grep", "git grep", COLD, "it reads the data of each file once",
            "git -C tree grep -c needle", ("tree",), check_grep),
    Program("find", "find", COLD, "it is what first asks for all names", "find tree/files", ("tree",), check_find),
    Program("du", "du", WARM, "names and attributes are in the caches, and their walk is what is left",
            "du -s --inodes tree/files", ("tree",), check_du),
    Program("ls", "ls -lR", WARM, "as du, and it asks for attributes of other kinds",
            "ls -lR tree/files", ("tree",), check_ls),
    Program("tar-out", "tar, making an archive", COLD, "a backup reads what nobody has read since the start",
            # Status 1: a directory's ctime has changed, as on overlayfs. The archive itself is judged.
            f"tar -cf {ARCHIVE_OUT} tree/files || test $? = 1", ("tree",), check_tar_out),
    Program("tar-in", "tar, unpacking it", COLD, "what it makes is new",
            f"mkdir unpacked && tar -C unpacked -xf {data.ARCHIVE}", (), check_tar_in, writes=True,
            makes=("unpacked",)),
    Program("compile", f"compiling {data.C_FILES} C files", COLD,
            "the first file looks for each header in vain in most directories, and all others do it again",
            f"mkdir built && cd built && gcc {data.include_options('../code')} -c ../code/src/*.c && gcc *.o -o program",
            ("code",), check_compile, writes=True, makes=("built",)),
    Program("python", f"python3, importing {len(data.MODULES)} modules", WARM, "it is started often",
            "chroot debian " + shlex.join(data.PYTHON), ("debian",), check_python, root="debian"),
    Program("sqlite-read", "sqlite3, reading a mapped database", COLD, "its pages are read through the mapping",
            # Without -readonly it opens the database for writing, and a union copies it for that.
            f"sqlite3 -readonly data/db {shlex.quote(READ)}", ("data",), check_sqlite_read),
    Program("sqlite-write", "sqlite3, changing it", COLD, "the first change copies it",
            f"sqlite3 data/db {shlex.quote(WRITE)}", ("data",), check_sqlite_write, writes=True),
    Program("apt", "apt-get install", COLD, "a package is installed once", APT, ("debian",), check_apt,
            writes=True, root="debian"),
    Program("rm", "rm -rf of a tree", COLD, "a tree is removed once", "rm -rfv remove", ("remove",), check_rm,
            writes=True),
]
# Programs that a filesystem cannot run by its nature.
IMPOSSIBLE = {("mergerfs", name): "it changes nothing of a ro branch, and copies nothing from there"
              for name in ("sqlite-write", "apt", "rm")}
