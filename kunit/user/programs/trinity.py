#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Combinations: tmpfs ext4+xfs
# More: xfs
# Runs: in `make test-all` only
"""trinity, a fuzzer of others: system calls with random arguments, here those for files and mappings, by a user without
rights, in a union over two branches. Nothing hangs, and no errno tells of damage. Afterwards nothing holds the union,
the ro branch is as it was, a new mount shows the same tree, and files that the user may not change are unchanged.
AUFS_SEED chooses other calls, AUFS_STEPS how many.
"""
import errno
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import traceback
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from feature_tools import LOW, MNT, read, run, write  # noqa: E402

TMP = os.environ["AUFS_TMP"]
KIND = os.environ["AUFS_COMBO"].split("+")[0]
PATIENCE = int(os.environ.get("AUFS_PATIENCE") or "1")
STEPS = int(os.environ.get("AUFS_STEPS") or "20000")
# Rounds are short: trinity may harm itself, or leave itself no files to work on.
STEPS_A_ROUND = 5000
USER = 1000
BRANCH = TMP + "/branch"
# The disk is small: sizes are random, and all of it has to be read in a moment.
DISK = {"tmpfs": None, "ext4": (128 << 20, "mkfs.ext4", "-q", "-F"), "xfs": (300 << 20, "mkfs.xfs", "-q", "-f")}
# Calls that need only descriptors of files, directories and pipes. No sync(2), which concerns the whole machine, and no
# mknod(2): an open of a FIFO waits for another task.
CALLS = """
    open openat openat2 creat read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek truncate
    ftruncate fallocate fsync fdatasync sync_file_range syncfs fadvise64 readahead copy_file_range sendfile splice tee
    vmsplice flock fcntl newstat newfstat newlstat fstatat64 statx statfs fstatfs access faccessat faccessat2 getdents
    getdents64 readlink readlinkat chdir fchdir getcwd rename renameat renameat2 link linkat symlink symlinkat unlink
    unlinkat mkdir mkdirat rmdir chmod fchmod fchmodat chown lchown fchown fchownat utime utimes futimesat utimensat
    setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr
    fremovexattr mmap munmap mremap mprotect msync madvise mincore mlock mlock2 munlock remap_file_pages
    """.split()
DAMAGE = {os.strerror(error) for error in (errno.EIO, errno.ESTALE, errno.EUCLEAN)}
# The user's directories on the lower branch, and the user's files with their sizes and modes.
DIRS = ("dir0", "dir0/dir", "dir1")
FILES = {os.path.join(where, name): (number * 3001 % 20000, mode) for where in ("", *DIRS)
         for number, (name, mode) in enumerate(zip("abcdefgh", [0o644, 0o666, 0o600, 0o444] * 2), 1)}


def say(text):
    print("# " + str(text).rstrip().replace("\n", "\n# "), flush=True)


def must(*words):
    """Run a program that has to succeed."""
    done = run(*words)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: status {done.returncode}: {done.stdout}")


class Setting:
    """A setting of the kernel, in a scope."""

    def __init__(self, path, value):
        self.path, self.value = path, value
        self.before = read(path)

    def __enter__(self):
        write(self.path, self.value)

    def __exit__(self, *_):
        write(self.path, self.before)


def fill_lower():
    """Fill the lower branch: the user owns all in work, and nothing in kept."""
    for name in ("work", "kept", *(f"work/{name}" for name in DIRS)):
        os.mkdir(f"{LOW}/{name}", 0o755)
    for name, (size, mode) in FILES.items():
        write(f"{LOW}/work/{name}", os.urandom(size))
        os.chmod(f"{LOW}/work/{name}", mode)
    os.symlink("a", LOW + "/work/link")
    os.link(LOW + "/work/b", LOW + "/work/dir1/link")
    for directory, dirs, files in os.walk(LOW + "/work"):
        for name in (".", *dirs, *files):
            os.chown(f"{directory}/{name}", USER, USER, follow_symlinks=False)
    for name, mode in (("public", 0o644), ("secret", 0o600)):
        write(f"{LOW}/kept/{name}", os.urandom(9000))
        os.chmod(f"{LOW}/kept/{name}", mode)


def content_of(path):
    """A checksum of a file's data. Holes count like zeros."""
    block, total, at = 1 << 16, 0, 0
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        while at < size:
            at = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, at, os.SEEK_HOLE)
            for at in range(at - at % block, end, block):
                data = os.pread(fd, block, at)
                # Zeros that were written may be a hole later.
                if data.strip(b"\0"):
                    total = zlib.crc32(data, zlib.crc32(at.to_bytes(8, "little"), total))
            at += block
    except OSError as error:
        if error.errno != errno.ENXIO:  # there is no more data
            raise
    finally:
        os.close(fd)
    return total


def look(root, branch=False):
    """{name: description} of a tree, as users see it; with @branch, with all that shows a change."""
    def failed(error):
        raise error

    found = {}
    for directory, dirs, files in os.walk(root, onerror=failed):
        for name in (".", *dirs, *files):
            path = os.path.normpath(f"{directory}/{name}")
            status = os.lstat(path)
            seen = [oct(status.st_mode), status.st_uid, status.st_gid]
            if branch:
                seen += [status.st_ino, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns]
            if stat.S_ISREG(status.st_mode):
                seen += [status.st_size, status.st_mtime_ns, content_of(path)]
            elif stat.S_ISLNK(status.st_mode):
                seen.append(os.readlink(path))
            seen += [(key, os.getxattr(path, key, follow_symlinks=False))
                     for key in sorted(os.listxattr(path, follow_symlinks=False))
                     if branch or key.startswith(("user.", "system."))]
            found[os.path.relpath(path, root)] = seen
    return found


def differences(what, before, after):
    """A complaint for each name that is not the same."""
    return [f"{what}: {name}: {before.get(name)}, and then {after.get(name)}"
            for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]


def processes():
    """The user's processes that have not ended."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = read(f"/proc/{pid}/status").decode(errors="replace")
        except OSError:
            continue
        # A zombie holds nothing.
        if f"\nUid:\t{USER}\t" in status and "\nState:\tZ" not in status:
            found.append(int(pid))
    return found


def killed():
    """Kill the user's processes; a complaint about each that does not end: it hangs in the kernel."""
    end = time.monotonic() + 20 * PATIENCE
    while (left := processes()) and time.monotonic() < end:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    return [f"process {pid} cannot be killed:\n" + "\n".join(told(pid, name) for name in ("comm", "syscall", "stack"))
            for pid in left]


def told(pid, name):
    """The content of a file of a process in /proc."""
    try:
        return f"{name}: " + read(f"/proc/{pid}/{name}").decode(errors="replace")
    except OSError as error:
        return f"{name}: {error.strerror}"


def is_directory(path):
    """Whether @path is a directory without a symlink on the way, which may lead anywhere."""
    return os.path.isdir(path) and os.path.realpath(path) == path


def remove(path):
    """The file, or the whole directory."""
    if is_directory(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def give_work(anew):
    """Make the files usable for the next round, as root, through the union. With @anew, make all of them again: trinity
    does not begin in each state of them."""
    work = MNT + "/work"
    for name in os.listdir(work) if anew else ():
        remove(f"{work}/{name}")
    # First make room. trinity does not begin if it cannot make its own files.
    for name in os.listdir(work):
        if name.startswith("trinity-testfile"):
            remove(f"{work}/{name}")
    for directory, dirs, files in os.walk(work):
        for name in (".", *dirs, *files):
            path = f"{directory}/{name}"
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_blocks * 512 > 1 << 18:
                os.truncate(path, 0)
            elif stat.S_ISDIR(status.st_mode) and status.st_mode & 0o700 != 0o700:
                os.chmod(path, 0o755)
    for name in (*DIRS, *FILES):
        path = f"{work}/{name}"
        if os.path.lexists(path) or not is_directory(os.path.dirname(path)):
            continue
        if name in DIRS:
            os.mkdir(path)
        else:
            write(path, os.urandom(FILES[name][0]))
            os.chmod(path, FILES[name][1])
        os.chown(path, USER, USER)


def collisions():
    """How often the kernel has told that direct I/O met a page which another task has just mapped and written. The call is
    EIO then on any filesystem that uses iomap (fs/iomap/direct-io.c): that tells of no damage."""
    return run("dmesg").stdout.count("Direct I/O collision with buffered writes!")


class Calls:
    """The calls that trinity has made so far, and the complaints."""

    def __init__(self):
        self.done = self.worked = self.rounds = self.lost = 0
        self.succeeded, self.errors = dict.fromkeys(CALLS, 0), {}
        self.changed = self.stuck = False
        self.had_work = True  # the last round
        self.wrong = []

    def round(self, seed, count):
        """Have trinity make about @count calls."""
        words = ["unshare", "--ipc", "prlimit", f"--as={160 << 20}", "--core=0", "setpriv", f"--reuid={USER}",
                 f"--regid={USER}", "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all",
                 "trinity", "-q", "-q", "-l", "off", "--stats", "-C", "4", "-N", str(count), "-s", str(seed),
                 "-V", MNT, "--enable-fds=pseudo,testfile,pipes"]
        for call in CALLS:
            words += ["-c", call + ",64"]
        before, collided = look(MNT), collisions()
        with open(TMP + "/out", "wb") as out:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       cwd=MNT + "/work", start_new_session=True)
        try:
            process.wait(300 * PATIENCE)
        except subprocess.TimeoutExpired:
            # A kill shows whether it hangs in the kernel, or waits for itself.
            say(f"round of seed {seed}: not over after {300 * PATIENCE} seconds")
        stuck = killed()
        if stuck:
            self.stuck = True
            self.wrong += stuck
            return
        process.wait()
        self.rounds += 1
        after = look(MNT)
        # A changed file of the lower branch has been copied up.
        self.changed |= any(before.get(f"work/{name}") != after.get(f"work/{name}") for name in FILES)
        said = read(TMP + "/out").decode(errors="replace")
        ended = re.search(r"Ran (\d+) syscalls\. Successes: (\d+)", said)
        self.had_work = bool(ended) and ended[1] != "0"
        if not ended:
            self.lost += 1
            say(f"round of seed {seed}: it did not come to its end:\n{said[-1500:]}")
            return
        if ended[1] == "0":
            say(f"round of seed {seed}: no call at all:\n{said[:700]}\n[...]\n{said[-700:]}")
        self.done += int(ended[1])
        self.worked += int(ended[2])
        self.read_statistics(seed, said, DAMAGE - {os.strerror(errno.EIO)} if collisions() != collided else DAMAGE)
        say(f"round of seed {seed}: {ended[1]} calls, of which {ended[2]} worked")

    def read_statistics(self, seed, said, damage):
        """Count how often each call worked; complain about errnos of @damage."""
        call = None
        for line in said.split("\n"):
            if begin := re.match(r"(\w+): \(attempted:\d+\. success:(\d+)\.", line):
                call = begin[1]
                self.succeeded[call] = self.succeeded.get(call, 0) + int(begin[2])
            elif error := re.match(r"    (.+): (\d+)$", line):
                self.errors.setdefault(call, set()).add(error[1])
                if error[1] in damage:
                    self.wrong.append(f"round of seed {seed}: {call}: {error[1]}")


def run_rounds(calls):
    """Make STEPS calls. trinity may fail by itself in some rounds."""
    seed = int(os.environ.get("AUFS_SEED") or time.time_ns() // 1000 % 100000000)
    say(f"AUFS_SEED={seed} AUFS_STEPS={STEPS}")
    seeds = random.Random(seed)
    most = 4 + 3 * STEPS // STEPS_A_ROUND
    while calls.done < STEPS and calls.rounds < most and not calls.wrong:
        if calls.rounds:
            give_work(anew=not calls.had_work)
        calls.round(seeds.randrange(1 << 30), min(STEPS_A_ROUND, STEPS - calls.done))
    never = "; ".join(": ".join((name, *sorted(calls.errors.get(name, ())))) for name, count in calls.succeeded.items()
                      if not count)
    say(f"{calls.done} calls, of which {calls.worked} worked, in {calls.rounds} rounds, of which {calls.lost} did not "
        f"come to their end; never worked: {never or 'none'}")
    if not calls.wrong and calls.done < STEPS:
        calls.wrong.append(f"{STEPS} calls were asked for")
    # If few calls work, the run shows nothing.
    if not calls.wrong and (calls.worked * 20 < calls.done or not calls.changed):
        calls.wrong.append("trinity does next to nothing to the union")


def unused():
    """Complaints if the module is in use without a mount. Some uses end a little later."""
    path = "/sys/module/aufs/refcnt"
    end = time.monotonic() + 2 * PATIENCE
    while os.path.exists(path) and read(path) != b"0\n":
        if time.monotonic() > end:
            return ["the module is in use: " + read(path).decode()]
        time.sleep(0.05)
    return []


def judge(options, lower, kept, branch):
    """Unmount the union; complaints about it and its branches."""
    shown = look(MNT)
    must("umount", MNT)
    wrong = unused() + differences("the ro branch", lower, look(LOW, branch=True))
    must("mount", "-i", "-t", "aufs", "-o", options, "none", MNT)
    try:
        wrong += differences("mounted again", shown, look(MNT))
    finally:
        must("umount", MNT)
    wrong += differences("kept", kept, {name: seen for name, seen in shown.items() if name.startswith("kept")})
    wrong += [f"a name that is to be hidden: {name}" for name in shown if "/.wh." in "/" + name]
    aside = branch + "/.wh..wh.orph"
    wrong += [f"left in {aside}: {name}" for name in (os.listdir(aside) if os.path.exists(aside) else ())]
    return wrong


def mount_branch():
    """Mount a small filesystem for the rw branch."""
    os.mkdir(BRANCH)
    if not DISK[KIND]:
        must("mount", "-t", "tmpfs", "-o", "size=128m,mode=755", "tmpfs", BRANCH)
        return
    size, *make = DISK[KIND]
    write(TMP + "/disk", b"")
    os.truncate(TMP + "/disk", size)
    must(*make, TMP + "/disk")
    must("mount", "-o", "loop", TMP + "/disk", BRANCH)


def calls_by_a_user():
    """Run the test; return the complaints."""
    branch = BRANCH + "/rw"
    options = f"br={branch}=rw:{LOW}=ro"
    fill_lower()
    lower = look(LOW, branch=True)
    mount_branch()
    os.mkdir(branch)
    must("mount", "-i", "-t", "aufs", "-o", options, "none", MNT)
    kept = {name: seen for name, seen in look(MNT).items() if name.startswith("kept")}
    calls = Calls()
    # The log has no room for a line for each bad address. And an open waits for the owner of a lease.
    with Setting("/proc/sys/debug/exception-trace", b"0"), Setting("/proc/sys/fs/lease-break-time", b"1"):
        run_rounds(calls)
    try:
        if not calls.stuck:
            calls.wrong += judge(options, lower, kept, branch)
            must("umount", BRANCH)
    except RuntimeError as error:
        calls.wrong.append(str(error))
    return calls.wrong


def main():
    print("KTAP version 1\n1..1", flush=True)
    if not shutil.which("trinity"):
        print("ok 1 calls_by_a_user # SKIP trinity is not installed in this guest")
        return 0
    try:
        wrong = calls_by_a_user()
    except Exception:  # pylint: disable=broad-except
        wrong = [traceback.format_exc()]
    for text in wrong[:40]:
        say(text)
    print(f"{'not ok' if wrong else 'ok'} 1 calls_by_a_user", flush=True)
    return int(bool(wrong))


sys.exit(main())
