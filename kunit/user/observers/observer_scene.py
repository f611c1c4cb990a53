# SPDX-License-Identifier: GPL-2.0-only
"""The scene for observers, and the table of their reports.

A file of a union is mapped, and an observer reports it. The report is right if it has the path, the
device and the inode number that stat(2) gives, as far as the observer tells them. The same is done
with a file of overlayfs and with an ordinary file. On kernels that can have the companion, all of it
is done again with that loaded.
"""
import collections
import ctypes
import glob
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback

TOP, LOW = os.environ["AUFS_TOP"], os.environ["AUFS_LOW"]
MNT, TMP = os.environ["AUFS_MNT"], os.environ["AUFS_TMP"]
RELEASE = os.environ["AUFS_KERNEL"]
HAS_PRFILE = RELEASE.endswith(("-vm_prfile", "-builtin", "-kcsan"))
PATIENCE = int(os.environ.get("AUFS_PATIENCE", "1"))
COMPANION = os.path.join(os.path.dirname(os.environ["AUFS_MODULE"]), "aufs-observers.ko")
LIVEPATCH = "/sys/kernel/livepatch/aufs_observers"
LIBC = ctypes.CDLL(None, use_errno=True)
PAGE = 4096

# `make test` does not ask overlayfs, nor whether each observer is right about ordinary files: that is for
# `make test-all` and for the table of `make observers`.
KINDS = ("aufs",) if os.environ.get("AUFS_QUICK") else ("aufs", "overlay", "plain")

# Machine code for mapped files: return, write to address 0, call getpid().
RETURN, CRASH, GETPID = 0, 16, 32
CODE = {RETURN: "c3", CRASH: "c604250000000000c3", GETPID: "b8270000000f05c3"}
MAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
fd = os.open(sys.argv[1], os.O_RDONLY)
at = libc.mmap(None, 8192, int(sys.argv[2]), 2, fd, 0)
assert at != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
os.close(fd)
print(at, flush=True)
for line in sys.stdin:
    word, number = line.split()
    if word == "call":
        print(ctypes.CFUNCTYPE(ctypes.c_long)(at + int(number))(), flush=True)
    else:
        print(-libc.mprotect(at, 8192, int(number)) and ctypes.get_errno(), flush=True)
"""

# An observer's report of a file; None for a field that it does not tell.
Report = collections.namedtuple("Report", "path device inode", defaults=(None, None, None))


class NotHere(Exception):
    """The observer is not in this kernel, or not on this machine."""


def call(function, *arguments):
    """Call a function of the C library; raise its errno."""
    result = getattr(LIBC, function)(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")
    return result


def run(*words, **more):
    """Run a program; return both of its outputs. Its status does not matter."""
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          timeout=200 * PATIENCE, **more).stdout


def must(*words):
    """As run(), for a program that must succeed."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: status {done.returncode}: {done.stdout}")
    return done.stdout


def need(program):
    if not shutil.which(program):
        raise NotHere(f"no {program}")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def wait_for(condition, seconds=30):
    """The result of @condition as soon as it is true, or its result after @seconds."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def device_of(text, base=16):
    """The device number of a text such as "00:24"."""
    major, minor = (int(part, base) for part in re.split("[:,]", text))
    return os.makedev(major, minor)


def core_of(process):
    """End a process by a signal; return its core dump."""
    pattern = read("/proc/sys/kernel/core_pattern")
    write("/proc/sys/kernel/core_pattern", TMP + "/core.%p")
    try:
        os.kill(process.pid, signal.SIGABRT)
        process.wait()
    finally:
        write("/proc/sys/kernel/core_pattern", pattern)
    return f"{TMP}/core.{process.pid}"


def of_line(line):
    """The report in a line of /proc/PID/maps, with any width of columns."""
    fields = line.split(maxsplit=5)
    return Report(fields[5].strip(), device_of(fields[3]), int(fields[4]))


class Mapper:
    """A process that maps a file, without a descriptor of it, and does what it is told."""

    def __init__(self, path, protection=5, before=()):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [*before, "/usr/bin/python3", "-c", MAPPER, path, str(protection)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise RuntimeError(f"{path} could not be mapped")
        self.address = int(line)

    def do(self, word, number):
        """The answer; None if the process died."""
        self.process.stdin.write(f"{word} {number}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return int(line) if line else None

    def range(self, separator="-"):
        return f"{self.address:x}{separator}{self.address + 2 * PAGE:x}"

    def end(self):
        self.process.kill()
        self.process.communicate()


class Scene:
    """Files of @kind: of a union ("aufs", "overlay") or ordinary ones ("plain")."""

    def __init__(self, kind):
        self.kind = kind
        for path in (TOP, LOW):
            for name in os.listdir(path):
                whole = path + "/" + name
                shutil.rmtree(whole) if os.path.isdir(whole) else os.unlink(whole)
        for path in ("/upper", "/work"):
            os.mkdir(TOP + path)
        self.counted = 0
        self.running = []
        self.code = self.new_code("code", LOW)
        shutil.copy("/bin/sleep", LOW + "/program")
        shutil.copy(os.path.realpath("/usr/bin/python3"), LOW + "/python3")
        options = {"aufs": f"br={TOP}/upper=rw:{LOW}=ro",
                   "overlay": f"lowerdir={LOW},upperdir={TOP}/upper,workdir={TOP}/work"}
        if kind == "plain":
            must("mount", "--bind", LOW, MNT)
        else:
            must("mount", "-i", "-t", kind, "-o", options[kind], "none", MNT)
        self.program, self.python = MNT + "/program", MNT + "/python3"
        self.mapper = Mapper(self.code)
        self.running.append(self.mapper)

    def new_code(self, name, directory=None):
        """Make a file of machine code on the lower branch; return the path that users see."""
        with open(f"{directory or LOW}/{name}", "wb") as file:
            file.truncate(2 * PAGE)
            for offset, code in CODE.items():
                file.seek(offset)
                file.write(bytes.fromhex(code))
        os.chmod(f"{directory or LOW}/{name}", 0o755)
        return f"{MNT}/{name}"

    def map(self, path, *arguments):
        self.running.append(Mapper(path, *arguments))
        return self.running[-1]

    def start(self, *words):
        # pylint: disable=consider-using-with
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        process.end = lambda: (process.kill(), process.wait())
        self.running.append(process)
        # Wait until it runs that program, and not this one.
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/exe") == os.path.realpath(words[0]), 5)
        return process

    def new_name(self, base):
        self.counted += 1
        return f"{base}{self.counted}"

    def end(self):
        for process in self.running:
            process.end()
        # A killed process may be dumping core, and ends a little later.
        if not wait_for(lambda: not subprocess.run(["umount", MNT], stderr=subprocess.DEVNULL,
                                                   check=False).returncode):
            must("umount", MNT)


def cell(said, path):
    """The verdict for the table on an observer's report of the file at @path."""
    if isinstance(said, bool):
        return "right" if said else "wrong"
    status = os.stat(path)
    truth = Report(path, status.st_dev, status.st_ino)
    wrong = [name for name in Report._fields
             if getattr(said, name) not in (None, getattr(truth, name))]
    return "wrong " + ", ".join(wrong) if wrong else "right"


def ask(observer, scene):
    """The verdict on one observer. A wrong report is printed."""
    try:
        said = observer(scene)
        path = scene.code
        if isinstance(said, tuple) and not isinstance(said, Report):
            said, path = said
        verdict = cell(said, path)
        if verdict != "right" and scene.kind != "overlay":
            print(f"# {observer.__name__}: {path}: {said}", flush=True)
        return verdict
    except NotHere as reason:
        print(f"# {observer.__name__}: not here: {reason}", flush=True)
        return "-"
    except Exception:  # pylint: disable=broad-except
        print(f"# {observer.__name__} on {scene.kind}: "
              + traceback.format_exc().replace("\n", "\n# "), flush=True)
        return "error"


def own_view():
    """The reports of this process, which maps only ordinary files, about itself."""
    lines = []
    for name in ("maps", "smaps", "numa_maps"):
        for line in read(f"/proc/self/{name}").splitlines():
            if " /" in line or "=/" in line:
                lines.append(re.sub(r" (anon|dirty|mapped|mapmax|active|N\d+)=\S+", "", line))
    return lines


def held_up(state):
    """The tasks that hold up a livepatch's transition, with their stacks."""
    tasks = []
    for path in glob.glob("/proc/[0-9]*/task/[0-9]*"):
        try:
            if read(path + "/patch_state").strip() == state:
                tasks.append(f"{path} {read(path + '/comm').strip()} {read(path + '/stack')}")
        except OSError:
            continue
    return tasks


def load_companion():
    must("insmod", COMPANION)
    if not wait_for(lambda: read(LIVEPATCH + "/transition") == "0\n", 30):
        raise RuntimeError(f"the companion is not in force after a while: {held_up('0')}")


def unload_companion():
    write(LIVEPATCH + "/enabled", "0")
    if not wait_for(lambda: not os.path.exists(LIVEPATCH), 30):
        raise RuntimeError(f"the companion is in force after a while: {held_up('1')}")
    must("rmmod", "aufs_observers")


def column(companion):
    """The kernel's column in the table."""
    version = re.match(r"\d+\.\d+", RELEASE)[0]
    name = "vm_prfile" + f"-{version}" * (version != "6.12") if HAS_PRFILE else version
    return name + ("+" if companion else "")


def expected_of(others, companion):
    """The verdict expected there. A kernel newer than 6.12 reports like 6.12 unless @others says otherwise."""
    like = "vm_prfile" if HAS_PRFILE else "6.1" if RELEASE.startswith("6.1.") else "6.12"
    return others.get(column(companion), others.get(like + ("+" if companion else ""), "right"))


def look(observers, companion, kinds, kind_of_scene):
    """{kind: {observer: verdict}}"""
    found = {}
    for kind in kinds:
        scene = kind_of_scene(kind)
        try:
            found[kind] = {observer: ask(observer, scene) for observer, _, _ in observers}
        finally:
            scene.end()
    for observer, text, _ in observers:
        peer = found["overlay"][observer] if "overlay" in found else ""
        print(f"# observer | {column(companion)} | {text} | {found['aufs'][observer]} | {peer} |", flush=True)
    return found


def main(observers, kind_of_scene=Scene, kinds_with_companion=KINDS):
    """@observers: (function, its row in the table, {column: verdict, if not "right"})."""
    if os.environ["AUFS_COMBO"] != "ext4+xfs":
        # Reports about a union do not depend on the branches. Those about an overlay do.
        print("KTAP version 1\n1..0 # SKIP on ext4 over XFS only")
        sys.exit(0)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    kinds = {False: KINDS, True: kinds_with_companion}
    companions = [False] + [True] * os.path.exists(COMPANION)
    compared = True in companions and kinds[True] == KINDS
    count = sum(len(observers) + ("plain" in kinds[companion]) for companion in companions) + compared
    print(f"KTAP version 1\n1..{count}", flush=True)
    number = failed = 0

    def result(good, name):
        nonlocal number, failed
        number += 1
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} {name}", flush=True)

    found = {}
    views = {}
    for companion in companions:
        suffix = "_with_companion" if companion else ""
        if companion:
            load_companion()
        views[companion] = own_view()
        found[companion] = look(observers, companion, kinds[companion], kind_of_scene)
        for observer, _, others in observers:
            verdict = found[companion]["aufs"][observer]
            expected = expected_of(others, companion)
            if verdict != expected:
                print(f"# {observer.__name__}: {verdict}, where {expected} is expected", flush=True)
            name = observer.__name__ + suffix
            if verdict == expected == "-":
                name += " # SKIP not in this kernel"
            result(verdict == expected, name)
        if "plain" in kinds[companion]:
            plain = {verdict for verdict in found[companion]["plain"].values() if verdict != "-"}
            result(plain <= {"right"}, "ordinary_files" + suffix)
        if companion:
            unload_companion()
    if compared:
        # The companion changes neither reports about an overlay nor those about ordinary files.
        for kind in KINDS[1:]:
            for observer, _, _ in observers:
                before, after = (found[companion][kind][observer] for companion in companions)
                if before != after:
                    print(f"# {kind}: {observer.__name__}: {before}, and then {after}", flush=True)
        result(all(found[False][kind] == found[True][kind] for kind in KINDS[1:])
               and views[False] == views[True], "nothing_else_changes")
    sys.exit(1 if failed else 0)
