#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Combinations: ext4+xfs
"""The kernel's own reports of a mapped file of a union: each place where they can be read."""
import ctypes
import fcntl
import os
import re
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import observer_scene  # noqa: E402
from observer_scene import (CRASH, GETPID, LOW, MNT, PAGE, TMP, NotHere, Report, call, core_of, device_of, must,
                            need, of_line, read, run, wait_for, write)

TRACING = "/sys/kernel/tracing"
SECURITY = "/sys/kernel/security"
AT_FDCWD = -100
PROCMAP_QUERY = 0xC0686611
NT_FILE = 0x46494C45
IMA_OWNER = 4711


def mapping(scene, name):
    text = read(f"/proc/{scene.mapper.pid}/{name}")
    return next(line for line in text.splitlines() if line.startswith(scene.mapper.range()))


def maps(scene):
    return of_line(mapping(scene, "maps"))


def smaps(scene):
    return of_line(mapping(scene, "smaps"))


def numa_maps(scene):
    for line in read(f"/proc/{scene.mapper.pid}/numa_maps").splitlines():
        if line.startswith(f"{scene.mapper.address:x} "):
            return Report(re.search(r" file=(\S+)", line)[1])
    raise NotHere("no NUMA")


def map_files_link(scene):
    return Report(os.readlink(f"/proc/{scene.mapper.pid}/map_files/{scene.mapper.range()}"))


def map_files_open(scene):
    with open(f"/proc/{scene.mapper.pid}/map_files/{scene.mapper.range()}", "rb") as file:
        status = os.fstat(file.fileno())
        return Report(os.readlink(f"/proc/self/fd/{file.fileno()}"), status.st_dev, status.st_ino)


def procmap_query(scene):
    name = ctypes.create_string_buffer(PAGE)
    # size, flags, address; fields that the kernel fills in; the room for a name, and its address
    query = bytearray(struct.pack("=QQQQQQQQQIIIIQQ", 104, 0, scene.mapper.address, 0, 0, 0, 0, 0, 0, 0,
                                  0, len(name), 0, ctypes.addressof(name), 0))
    with open(f"/proc/{scene.mapper.pid}/maps", "rb") as file:
        try:
            fcntl.ioctl(file, PROCMAP_QUERY, query)
        except OSError as error:
            raise NotHere(str(error)) from error
    inode, major, minor = struct.unpack_from("=QII", query, 64)
    return Report(name.value.decode(), os.makedev(major, minor), inode)


def exe(scene):
    link = f"/proc/{scene.start(scene.program, '1000').pid}/exe"
    status = os.stat(link)
    return Report(os.readlink(link), status.st_dev, status.st_ino), scene.program


def fdinfo(scene):
    with open(scene.code, "rb") as file:
        text = read(f"/proc/self/fdinfo/{file.fileno()}")
        link = os.readlink(f"/proc/self/fd/{file.fileno()}")
    inode = re.search(r"^ino:\s*(\d+)", text, re.MULTILINE)
    return Report(link, None, int(inode[1]))


def locks_of_the_kernel(scene):
    with open(scene.code, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with open(scene.code, "rb") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                pass
        line = next(line for line in read("/proc/locks").splitlines()
                    if f" {os.getpid()} " in line and "FLOCK" in line)
    device, inode = line.split()[5].rsplit(":", 1)
    return Report(None, device_of(device), int(inode))


def lease(scene):
    path = scene.new_code(scene.new_name("leased"))
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    with open(path, "rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            return False
        except BlockingIOError:
            return True
        finally:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def fanotify(scene):
    watcher = call("fanotify_init", 0, os.O_RDONLY)
    try:
        call("fanotify_mark", watcher, 1, ctypes.c_uint64(0x20), AT_FDCWD, scene.code.encode())
        # By another process, so that its event is seen.
        run("head", "-c", "1", scene.code)
        event = struct.unpack_from("=IBBHQii", os.read(watcher, PAGE))
        status = os.fstat(event[5])
        said = Report(os.readlink(f"/proc/self/fd/{event[5]}"), status.st_dev, status.st_ino)
        os.close(event[5])
        return said
    finally:
        os.close(watcher)


def inotify(scene):
    watcher = call("inotify_init1", os.O_NONBLOCK)
    try:
        call("inotify_add_watch", watcher, scene.code.encode(), 0x21)  # opened, read
        run("head", "-c", "1", scene.code)
        events = os.read(watcher, PAGE)
        masks = {struct.unpack_from("=iIII", events, at)[1] for at in range(0, len(events), 16)}
        return masks == {1, 0x20}
    finally:
        os.close(watcher)


def perf_mmap2(scene):
    need("perf")
    data = TMP + "/perf.data"
    run("perf", "record", "-q", "-e", "dummy:u", "--no-buildid", "--no-buildid-cache", "-o", data, "-d",
        scene.program, "0")
    text = run("perf", "script", "--show-mmap-events", "-i", data)
    os.unlink(data)
    line = re.search(r"MMAP2 .*\[\S+ @ \S+ (\w+:\w+) (\d+) \d+\]: r-xp (\S*/program)$", text, re.MULTILINE)
    if not line:
        raise RuntimeError(f"perf tells of no mapping: {text}")
    return Report(line[3], device_of(line[1]), int(line[2])), scene.program


def notes_of(core):
    """The notes of a core dump: (type, content)."""
    with open(core, "rb") as file:
        data = file.read()
    start, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for at in range(start, start + size * count, size):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", data, at)
        end = offset + length
        while kind == 4 and offset < end:
            name, described, note = struct.unpack_from("<III", data, offset)
            offset += 12 + (name + 3 & ~3)
            yield note, data[offset:offset + described]
            offset += described + 3 & ~3


def core_nt_file(scene):
    mapper = scene.map(scene.code)
    core = core_of(mapper.process)
    note = next(data for kind, data in notes_of(core) if kind == NT_FILE)
    os.unlink(core)
    count, _ = struct.unpack_from("<QQ", note)
    names = note[16 + 24 * count:].decode().split("\0")
    index = next(i for i in range(count)
                 if struct.unpack_from("<Q", note, 16 + 24 * i)[0] == mapper.address)
    return Report(names[index])


class KernelLog:
    """All lines that the kernel logs from now on, without its limit."""

    LIMIT = "/proc/sys/kernel/printk_ratelimit"

    def __init__(self):
        self.limit = read(self.LIMIT)
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)
        self.text = ""

    def __enter__(self):
        write(self.LIMIT, "0")
        return self

    def __exit__(self, *_):
        write(self.LIMIT, self.limit)
        os.close(self.fd)

    def find(self, pattern):
        def look():
            try:
                while True:
                    self.text += os.read(self.fd, 8192).decode(errors="replace").split(";", 1)[1]
            except BlockingIOError:
                return re.search(pattern, self.text)
        return wait_for(look, 10)


def segfault_line(scene):
    """The log has the last component of the present name. So the file is renamed first."""
    path = scene.new_code(scene.new_name("crash"))
    mapper = scene.map(path)
    renamed = path + "_renamed"
    os.rename(path, renamed)
    with KernelLog() as log:
        mapper.do("call", CRASH)
        found = log.find(rf"\[{mapper.pid}\]: segfault at 0 ip \w+ sp \w+ error \w+ in (\S+)\[")
    if not found:
        raise RuntimeError(f"the kernel has logged no segfault: {log.text}")
    return found[1] == os.path.basename(renamed)


class Tracing:
    """A scope after which tracefs is as it was."""

    def __init__(self, event, **options):
        if not os.path.exists(TRACING + "/trace"):
            must("mount", "-t", "tracefs", "tracefs", TRACING)
        self.event = f"{TRACING}/events/{event}/enable"
        self.options = options

    def __enter__(self):
        write(TRACING + "/trace", "")
        for name, value in self.options.items():
            write(f"{TRACING}/options/{name.replace('_', '-')}", value)
        write(self.event, "1")

    def __exit__(self, *_):
        write(self.event, "0")
        for name in self.options:
            write(f"{TRACING}/options/{name.replace('_', '-')}", "0")


def user_stack_in_a_trace(scene):
    mapper = scene.mapper
    with Tracing("syscalls/sys_enter_getpid", userstacktrace="1", sym_userobj="1"):
        mapper.do("call", GETPID)
        text = read(TRACING + "/trace")
    found = re.search(rf"-{mapper.pid} .*sys_getpid.*\n.*user stack trace>\n => (\S+?)\[\+0x\w+\]", text)
    if not found:
        raise RuntimeError(f"the trace has no stack: {text[-2000:]}")
    return Report(found[1])


def uprobe(scene):
    if not os.path.exists(TRACING + "/trace"):
        must("mount", "-t", "tracefs", "tracefs", TRACING)
    path = scene.new_code(scene.new_name("probed"))
    mapper = scene.map(path)
    write(TRACING + "/uprobe_events", f"p:aufs/probe {path}:{GETPID:#x}")
    try:
        listed = f" {path}:0x" in read(TRACING + "/uprobe_events")
        with Tracing("aufs/probe"):
            mapper.do("call", GETPID)
            hits = read(TRACING + "/trace").count(f"-{mapper.pid} ")
    finally:
        write(TRACING + "/uprobe_events", "")
    return listed and hits == 1


def bpf_iterator(scene):
    """observer.bpf.c prints a line for each vma of the iterator."""
    need("bpftool")
    pin = "/sys/fs/bpf/observer"
    if not os.path.ismount("/sys/fs/bpf"):
        must("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    must("bpftool", "iter", "pin", os.path.join(os.path.dirname(__file__), "observer.bpf.o"), pin)
    try:
        text = read(pin)
    finally:
        os.unlink(pin)
    found = re.search(rf"^{scene.mapper.pid} {scene.mapper.address:x} (\d+) (\d+) (.*)", text, re.MULTILINE)
    device = os.makedev(int(found[1]) >> 20, int(found[1]) & 0xfffff)
    return Report(found[3], device, int(found[2]))


def prctl_exe_file(scene):
    """/proc/PID/exe cannot be changed while the old program is mapped."""
    program = """
import ctypes, os
fd = os.open("/bin/true", os.O_RDONLY)
libc = ctypes.CDLL(None, use_errno=True)
print("errno", libc.prctl(35, 13, fd, 0, 0) and ctypes.get_errno())
"""
    text = run(scene.python, "-c", program, env={"PYTHONHOME": "/usr"})
    found = re.search(r"^errno (\d+)", text, re.MULTILINE)
    if not found:
        raise RuntimeError(text)
    return int(found[1]) == 16  # EBUSY


# Allows only the listed files of the scene, by the paths that users see.
PROFILE = """
profile aufs_observed {
  capability, network, signal, ptrace, unix,
  /usr/** mrix,
  /etc/** r,
  /proc/** r,
  /dev/** rw,
  @MNT@/ r,
  @MNT@/code mr,
  @MNT@/unlisted* r,
  @MNT@/confined* rw,
}
profile aufs_attached @MNT@/program {
  capability, signal,
  /usr/** mr,
  /etc/** r,
  @MNT@/program mr,
}
"""
# The work of a confined process on a file that it may read and write.
CONFINED = """
import fcntl, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
done = os.pread(fd, 5, 0) == b"words" and os.pwrite(fd, b"x", 0) == 1
os.posix_fallocate(fd, 0, 8192)
os.fsync(fd)
other = os.open(sys.argv[1] + "_copy", os.O_RDWR | os.O_CREAT)
done = done and os.sendfile(other, fd, 0, 5) == 5 and os.copy_file_range(fd, other, 5, 0, 0) == 5
mapped = mmap.mmap(fd, 4096)
mapped[1:2] = b"y"
name = os.path.basename(sys.argv[1])
done = done and name in os.listdir(os.path.dirname(sys.argv[1])) and os.stat(sys.argv[1]).st_size == 8192
os.truncate(sys.argv[1], 5)
os.chmod(sys.argv[1], 0o600)
os.setxattr(sys.argv[1], "user.a", b"b")
done = done and os.getxattr(sys.argv[1], "user.a") == b"b"
os.rename(sys.argv[1] + "_copy", sys.argv[1] + "_moved")
os.unlink(sys.argv[1] + "_moved")
print(done and os.pread(fd, 5, 0).decode())
"""


def with_profiles(scene):
    need("apparmor_parser")
    if not os.path.exists(SECURITY + "/apparmor"):
        if not os.path.exists(SECURITY + "/lsm"):
            run("mount", "-t", "securityfs", "securityfs", SECURITY)
        if not os.path.exists(SECURITY + "/apparmor"):
            raise NotHere("no AppArmor in this kernel")
    write(TMP + "/profile", PROFILE.replace("@MNT@", MNT))
    must("apparmor_parser", "--replace", "--skip-cache", TMP + "/profile")


def apparmor_attaches(scene):
    """A program gets the profile of the path by which it is run."""
    with_profiles(scene)
    process = scene.start(scene.program, "1000")
    return read(f"/proc/{process.pid}/attr/current").startswith("aufs_attached")


def apparmor_confined(scene):
    """All that the profile allows works, and a program of the union runs."""
    with_profiles(scene)
    name = scene.new_name("confined")
    write(f"{LOW}/{name}", "words")
    text = run("aa-exec", "-p", "aufs_observed", "--", "/usr/bin/python3", "-c", CONFINED, f"{MNT}/{name}")
    process = scene.start(scene.program, "1000")
    runs = wait_for(lambda: " 230 " in " " + read(f"/proc/{process.pid}/syscall"), 5)
    if text != "xyrds\n" or not runs:
        print("# " + text.replace("\n", "\n# ") + f"runs: {runs}", flush=True)
    return text == "xyrds\n" and bool(runs)


def apparmor_mmap(scene):
    with_profiles(scene)
    # 5: readable and executable.
    mapper = scene.map(scene.code, 5, ("aa-exec", "-p", "aufs_observed", "--"))
    return mapper.do("call", 0) is not None


def apparmor_mprotect(scene):
    """mprotect() is allowed only for a file that the profile allows."""
    with_profiles(scene)
    before = ("aa-exec", "-p", "aufs_observed", "--")
    allowed = scene.map(scene.code, 1, before)
    refused = scene.map(scene.new_code(scene.new_name("unlisted")), 1, before)
    return allowed.do("protect", 5) == 0 and refused.do("protect", 5) == 13  # EACCES


def ima(scene):
    if not os.path.exists(SECURITY + "/ima"):
        run("mount", "-t", "securityfs", "securityfs", SECURITY)
    if not os.path.exists(SECURITY + "/ima"):
        raise NotHere("no IMA in this kernel")
    if os.path.exists(SECURITY + "/ima/policy"):
        try:
            # The kernel allows that once.
            write(SECURITY + "/ima/policy", f"measure func=MMAP_CHECK mask=MAY_EXEC fowner={IMA_OWNER}\n")
        except OSError:
            pass
    name = scene.new_name(f"measured{time.monotonic_ns()}")
    path = scene.new_code(name)
    os.chown(path, IMA_OWNER, 0)
    scene.map(path)
    text = read(SECURITY + "/ima/ascii_runtime_measurements")
    found = re.search(rf" (\S*{name}) ?$", text, re.MULTILINE)
    if not found:
        raise NotHere("IMA has measured nothing: its policy cannot be set any more")
    return Report(found[1]), path


def audit(scene):
    need("auditctl")
    path = scene.code
    if "enabled 1" not in run("auditctl", "-e", "1"):
        raise NotHere("no audit in this kernel")
    must("auditctl", "-w", path, "-p", "r")
    # Without a daemon its records go to the kernel's log.
    try:
        with KernelLog() as log:
            run("head", "-c", "1", path)
            found = log.find(rf'type=1302 .* name="{re.escape(path)}" inode=(\d+) dev=(\w+:\w+) ')
    finally:
        run("auditctl", "-W", path, "-p", "r")
        run("auditctl", "-e", "0")
    if not found:
        return False
    return Report(path, device_of(found[2]), int(found[1]))


BRANCH = "wrong path, device, inode"
NUMBERS = "wrong device, inode"
OBSERVERS = [
    (maps, "`/proc/PID/maps`", {"6.1": NUMBERS}),
    (smaps, "`smaps`", {"6.1": NUMBERS}),
    (numa_maps, "`numa_maps`", {}),
    (map_files_link, "`map_files`: the link", {}),
    (map_files_open, "`map_files`: the file that is opened", {}),
    (procmap_query, "`PROCMAP_QUERY`", {"6.1": "-", "6.1+": "-"}),
    (exe, "`/proc/PID/exe`", {}),
    (fdinfo, "`/proc/PID/fd`, `fdinfo`", {}),
    (locks_of_the_kernel, "`flock`, `/proc/locks`", {}),
    (lease, "leases", {}),
    (fanotify, "fanotify", {}),
    (inotify, "inotify", {}),
    (perf_mmap2, "perf's MMAP2 records", {"6.1": NUMBERS, "6.1+": NUMBERS}),
    (core_nt_file, "core dump, `NT_FILE`", {"6.12": "wrong path"}),
    (segfault_line, "the line about a segfault", {"6.12": "wrong"}),
    (user_stack_in_a_trace, "user stacks in traces", {}),
    (uprobe, "uprobes by the path", {}),
    (bpf_iterator, "BPF's iterator over vmas, `bpf_d_path`",
     {"6.12": BRANCH, "6.12+": BRANCH, "6.1": NUMBERS, "6.1+": NUMBERS}),
    (prctl_exe_file, "`PR_SET_MM_EXE_FILE` while the program is mapped", {"6.12": "wrong"}),
    (apparmor_attaches, "AppArmor: whose profile", {}),
    (apparmor_confined, "AppArmor: confined processes and programs work", {}),
    (apparmor_mmap, "AppArmor: `mmap`", {}),
    (apparmor_mprotect, "AppArmor: `mprotect`", {"6.12": "wrong", "6.12+": "wrong"}),
    (ima, "IMA's measurement of what is mapped", {}),
    (audit, "an audit rule for the path", {}),
]

observer_scene.main(OBSERVERS)
