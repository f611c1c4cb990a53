# SPDX-License-Identifier: GPL-2.0-only
"""The data of the programs: made in the test machine, the same each time, and spread over branches.

Below ALL lies everything as one directory. PARTS has the same on BRANCHES branches. TOP has each twentieth file,
as if the rw branch of a union had a copy of it.

    tree      files in directories, and a git repository of them
    remove    a tenth as many, to be removed
    code      C files, and headers in many directories
    data      a database
    debian    the test machine's root without large files, to be a root itself
"""
import dataclasses
import os
import shutil
import subprocess

from guest import command, say

LOWER = "/mnt/l"
ALL, PARTS, TOP, IMAGES = (f"{LOWER}/{name}" for name in ("all", "parts", "top", "images"))
ARCHIVE = "/mnt/d/archive.tar"
BRANCHES = 29
# On how many branches the files of one directory lie, for four directories in turn.
WIDTHS = [1, 2, 1, 4]
# The directories of which the rw branch has copies: one of EACH files.
COPIED, EACH = ("tree/files/", "remove/", "code/", "debian/"), 20
# 2025-01-01: older than what git writes, or it would read the files again.
TIME = 1735689600
IN_DIRECTORY, NEEDLES_EACH = 20, 100
LINE = b"a line of the text of which all of these files have another part"
TEXT = b"".join(b"%05d " % number + LINE[:57] + b"\n" for number in range(1024))
C_FILES, HEADERS, INCLUDED, INCLUDE_DIRECTORIES = 50, 200, 30, 40
ROWS = 20000
# Of the root these are left out, and files of more than LARGE bytes.
LEFT_OUT = ["boot", "debian", "dev", "job", "mnt", "proc", "run", "rw", "scratch", "srv", "sys", "tmp", "union",
            "usr/include", "usr/lib/gcc", "usr/lib/git-core", "usr/lib/modules", "usr/share/perl", "usr/src"]
LARGE = 8 << 20
MODULES = ("argparse ast asyncio bisect calendar cmd codecs collections concurrent.futures configparser csv ctypes "
           "datetime decimal difflib dis email.message fractions ftplib getpass gettext glob gzip hashlib heapq hmac "
           "html.parser http.client http.server imaplib inspect ipaddress json logging.handlers lzma mailbox "
           "multiprocessing netrc optparse pdb pickle pickletools plistlib poplib pprint profile pydoc queue random "
           "sched secrets selectors shelve shlex smtplib socketserver sqlite3 ssl statistics string subprocess tarfile "
           "tempfile textwrap timeit tokenize trace traceback unittest.mock urllib.request urllib.robotparser uuid "
           "wave webbrowser xml.dom.minidom xml.etree.ElementTree xml.sax xmlrpc.client zipfile zoneinfo").split()
PYTHON = ["/usr/bin/python3", "-c", f"import sys, {', '.join(MODULES)}; print(len(sys.modules))"]
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
               "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


@dataclasses.dataclass
class Facts:
    """Facts about the data that no filesystem was asked for."""
    files: int = 0
    directories: int = 0
    bytes: int = 0
    lines: int = 0
    with_needles: int = 0
    needles: int = 0
    status: tuple = ()  # what git status says
    removed: int = 0  # files and directories in remove
    total: int = 0  # what the compiled program prints
    modules: str = ""  # what python3 prints


def write_file(path, content, time=TIME):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, content)
    os.utime(descriptor, (time, time))
    os.close(descriptor)


def name_of(number):
    directory = number // IN_DIRECTORY
    return f"{directory // 50:02d}/{directory % 50:02d}/f{number:05d}"


def content_of(number):
    begin, lines = number * 37 % 960, 2 + number * 7919 % 60
    needles = 1 + number // NEEDLES_EACH % 3 if number % NEEDLES_EACH == 0 else 0
    return b"file %d\n" % number + TEXT[begin * 64:(begin + lines) * 64] + b"needle\n" * needles


def make_files(path, count):
    """Makes the files; the facts about them."""
    facts = Facts(directories=1)
    os.makedirs(path)
    made = set()
    for number in range(count):
        name, content = name_of(number), content_of(number)
        for directory in (name[:2], name[:5]):
            if directory not in made:
                os.mkdir(f"{path}/{directory}")
                made.add(directory)
        write_file(f"{path}/{name}", content)
        needles = content.count(b"needle\n")
        facts.files += 1
        facts.bytes += len(content)
        facts.lines += content.count(b"\n")
        facts.needles += needles
        facts.with_needles += needles > 0
    facts.directories += len(made)
    return facts


def git(*words, **options):
    command("git", "-C", f"{ALL}/tree", *words, env=ENVIRONMENT, **options)


def make_repository(count):
    """Makes one commit, in one pack. git compares size and time alone: a file's other attributes differ between
    unions, and git would read all files anew."""
    git("init", "-q", "-b", "main")
    for name, value in (("core.checkStat", "minimal"), ("core.trustctime", "false"), ("gc.auto", "0"),
                        ("core.compression", "0"), ("fastimport.unpackLimit", "0")):
        git("config", name, value)
    with subprocess.Popen(["git", "-C", f"{ALL}/tree", "fast-import", "--quiet"], stdin=subprocess.PIPE,
                          env=ENVIRONMENT) as process:
        out = process.stdin
        out.write(b"commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 5\nfirst\n" % TIME)
        for number in range(count):
            content = content_of(number)
            out.write(b"M 100644 inline files/%s\ndata %d\n" % (name_of(number).encode(), len(content)) + content)
    if process.returncode:
        raise RuntimeError(f"git fast-import: status {process.returncode}")
    git("read-tree", "HEAD")
    git("update-index", "-q", "--refresh")


def change_tree(facts, count):
    """Three files differ from what git knows, and two are new to it."""
    changed = sorted({3, count // 2 + 1, count - 1})
    for number in changed:
        write_file(f"{ALL}/tree/files/{name_of(number)}", content_of(number) + b"changed\n", TIME + 1000)
    for directory in "00/00", "00/01":
        write_file(f"{ALL}/tree/files/{directory}/new", b"changed\n")
    facts.files += 2
    facts.bytes += 8 * (len(changed) + 2)
    facts.lines += len(changed) + 2
    facts.status = tuple(sorted([f" M files/{name_of(number)}" for number in changed]
                                + [f"?? files/{directory}/new" for directory in ("00/00", "00/01")]))


def include_options(path):
    return " ".join(f"-I{path}/include/i{number:02d}" for number in range(INCLUDE_DIRECTORIES))


def make_code(path):
    """Makes C files that include headers from many directories; the number that their program prints."""
    total = 0
    for number in range(INCLUDE_DIRECTORIES):
        os.makedirs(f"{path}/include/i{number:02d}")
    os.mkdir(f"{path}/src")
    for number in range(HEADERS):
        write_file(f"{path}/include/i{number * 7 % INCLUDE_DIRECTORIES:02d}/h{number:03d}.h",
                   b"#ifndef H%d\n#define H%d\nstatic inline int value%d(int x) { return x + %d; }\n#endif\n"
                   % (number, number, number, number))
    for number in range(1, C_FILES):
        included = [(number * 4 + step) % HEADERS for step in range(INCLUDED)]
        lines = [f"#include <h{one:03d}.h>" for one in included]
        terms = " + ".join(f"value{one}({number})" for one in included)
        lines.append(f"int part{number}(void) {{ return {terms}; }}")
        write_file(f"{path}/src/c{number:02d}.c", "\n".join(lines).encode() + b"\n")
        total += sum(one + number for one in included)
    parts = range(1, C_FILES)
    lines = ["int printf(const char *format, ...);", *(f"int part{number}(void);" for number in parts),
             "int main(void) { printf(\"%d\\n\", " + " + ".join(f"part{number}()" for number in parts) + "); return 0; }"]
    write_file(f"{path}/src/main.c", "\n".join(lines).encode() + b"\n")
    return total


def make_database(path):
    os.makedirs(os.path.dirname(path))
    command("sqlite3", path, f"""CREATE TABLE t(n INTEGER PRIMARY KEY, v TEXT);
        WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ROWS})
        INSERT INTO t SELECT n, printf('%0200d', n) FROM c;""")


def chroot(root, *words):
    """The output of a program that runs in this root, with the devices that it needs."""
    command("mount", "--bind", "/dev", root + "/dev")
    command("mount", "-t", "proc", "proc", root + "/proc")
    try:
        done = subprocess.run(["chroot", root, *words], env=ENVIRONMENT, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    finally:
        command("umount", root + "/proc")
        command("umount", root + "/dev")
    if done.returncode:
        raise RuntimeError(f"in a root of the test machine's: {' '.join(words)[:100]}: {done.stdout[-1000:]}")
    return done.stdout.strip()


def make_debian(path):
    """Makes a root with a repository of its own, which apt has read; the output of python3 in it."""
    source, large = "/debian", "/tmp/large"
    command("mount", "-o", "ro", "/dev/aufs-vm/root", source)
    found = subprocess.run(["find", ".", "-xdev", "-type", "f", "(", "-size", f"+{LARGE}c", "-o", "-name", "*.a", ")"],
                           cwd=source, stdout=subprocess.PIPE, check=True)
    with open(large, "wb") as file:
        file.write(found.stdout)
    os.makedirs(path)
    exclude = " ".join(f"--exclude=./{name}" for name in LEFT_OUT)
    command("bash", "-o", "pipefail", "-c", f"tar -C {source} --anchored {exclude} --no-wildcards -X {large} -cf - . | "
            f"tar -C {path} -xpf -")
    for name in "dev", "proc", "sys", "run", "root", "tmp", "srv/debs":
        os.makedirs(f"{path}/{name}", exist_ok=True)
    os.chmod(path + "/tmp", 0o1777)
    debs = [name for name in sorted(os.listdir(source + "/srv/debs")) if name.startswith("vim-")]
    index = []
    for name in debs:
        shutil.copy2(f"{source}/srv/debs/{name}", f"{path}/srv/debs/{name}")
        said = subprocess.run(["dpkg-deb", "-f", f"{path}/srv/debs/{name}"], stdout=subprocess.PIPE, check=True)
        summed = subprocess.run(["sha256sum", f"{path}/srv/debs/{name}"], stdout=subprocess.PIPE, check=True)
        size = os.stat(f"{path}/srv/debs/{name}").st_size
        index.append(said.stdout + f"Filename: ./{name}\nSize: {size}\nSHA256: ".encode() + summed.stdout.split()[0]
                     + b"\n\n")
    command("umount", source)
    write_file(path + "/srv/debs/Packages", b"".join(index))
    write_file(path + "/etc/apt/sources.list", b"deb [trusted=yes] file:/srv/debs ./\n")
    chroot(path, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "update")
    # The second start counts: the first one has compiled the modules.
    chroot(path, *PYTHON)
    return chroot(path, *PYTHON)


def make(files):
    """Makes all the data; the facts about it."""
    say(f"making a tree of {files} files, and a git repository of them")
    facts = make_files(f"{ALL}/tree/files", files)
    make_repository(files)
    change_tree(facts, files)
    remove = make_files(f"{ALL}/remove", max(files // 10, IN_DIRECTORY))
    facts.removed = remove.files + remove.directories
    say("making code, a database, and a root")
    facts.total = make_code(f"{ALL}/code")
    make_database(f"{ALL}/data/db")
    facts.modules = make_debian(f"{ALL}/debian")
    command("tar", "-C", ALL, "-cf", ARCHIVE, "tree/files")
    return facts


class Lists:
    """Paths for tar, branch by branch, each with the directories that lead to it."""

    def __init__(self, count):
        self.paths = [{} for _ in range(count)]

    def add(self, branch, path):
        parts = path.split("/")
        for at in range(1, len(parts) + 1):
            self.paths[branch].setdefault("/".join(parts[:at]))

    def copy(self, branch, target):
        """Copies the files in the list of a branch."""
        os.makedirs(target)
        with open("/tmp/paths", "wb") as file:
            file.write(b"\0".join(os.fsencode(path) for path in self.paths[branch]) + b"\0")
        command("bash", "-o", "pipefail", "-c",
                f"tar -C {ALL} --null --no-recursion -T /tmp/paths -cf - | tar -C {target} -xpf -")


def spread():
    """Copies the data to the branches, and a part of it to the rw branch."""
    lower, top = Lists(BRANCHES), Lists(1)
    files = 0
    for number, (at, directories, names) in enumerate(os.walk(ALL)):
        directories.sort()
        path = os.path.relpath(at, ALL)
        inside = "/.git" in "/" + path
        links = [name for name in directories if os.path.islink(f"{at}/{name}")]
        if path != ".":
            lower.add(0 if inside else number % BRANCHES, path)
        # A repository lies on one branch.
        width = 1 if inside else WIDTHS[number % len(WIDTHS)]
        for place, name in enumerate(sorted(names + links)):
            one = os.path.normpath(f"{path}/{name}")
            lower.add(0 if inside else (number + place % width) % BRANCHES, one)
            if one.startswith(COPIED):
                files += 1
                if files % EACH == 0:
                    top.add(0, one)
    for branch in range(BRANCHES):
        path = f"{PARTS}/{branch:02d}"
        lower.copy(branch, path)
        # An image of it has no UUID: a union tells it from one of the same size by the time of its root.
        os.utime(path, (TIME + branch, TIME + branch))
    top.copy(0, TOP)


def squash():
    """The branches as images: compressed by lz4, as QEMU emulates the decompression."""
    os.makedirs(IMAGES)
    for path in [ALL, *(f"{PARTS}/{branch:02d}" for branch in range(BRANCHES))]:
        command("mksquashfs", path, f"{IMAGES}/{os.path.basename(path)}", "-comp", "lz4", "-quiet", "-no-progress",
                "-processors", "1")
