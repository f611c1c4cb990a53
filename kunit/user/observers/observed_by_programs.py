#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Combinations: ext4+xfs
# Runs: on 6.12 only
"""Reports of common programs about a library that a process has mapped from a union."""
import os
import re
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import observer_scene  # noqa: E402
from observer_scene import (LOW, MNT, TMP, NotHere, Report, Scene, core_of, device_of, must, need, read,
                            run, wait_for, write)

CLOCK_NANOSLEEP = 230
LIBRARY = r"""
#include <time.h>
void observed_call(void) { __asm__ volatile(""); }
void observed_spin(void) { for (volatile int i = 0; i < 2000000; i++) ; }
void observed_loop(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	for (;;) {
		observed_call();
		observed_spin();
		nanosleep(&pause, 0);
	}
}
"""
PROGRAM = "void observed_loop(void); int main(void) { observed_loop(); return 0; }\n"


class Programs(Scene):
    """A scene with a program of the union that spends its time in a library of the union."""

    def __init__(self, kind):
        super().__init__(kind)
        built = TMP + "/observed"
        if not os.path.exists(built):
            os.mkdir(built)
            write(built + "/library.c", LIBRARY)
            write(built + "/main.c", PROGRAM)
            must("gcc", "-O1", "-g", "-shared", "-fPIC", "-fno-omit-frame-pointer", "-Wl,-soname,libobserved.so",
                 "-o", built + "/libobserved.so", built + "/library.c")
            must("gcc", "-o", built + "/observed", built + "/main.c", built + "/libobserved.so",
                 "-Wl,-rpath,$ORIGIN")
        for name in ("observed", "libobserved.so"):
            shutil.copy(f"{built}/{name}", f"{LOW}/{name}")
        self.library = MNT + "/libobserved.so"
        self.process = self.start_observed()

    def start_observed(self):
        process = self.start(MNT + "/observed")
        # When it sleeps in its loop, the linker has made all mappings.
        if not wait_for(lambda: read(f"/proc/{process.pid}/syscall").startswith(f"{CLOCK_NANOSLEEP} "), 10):
            raise RuntimeError(f"{MNT}/observed does not run")
        return process

    def core(self):
        return core_of(self.start_observed())

    @property
    def pid(self):
        return str(self.process.pid)


def found(pattern, text):
    """The match of @pattern in @text. If there is none, the error has the text."""
    match = re.search(pattern, text, re.MULTILINE)
    if not match:
        raise RuntimeError(f"no match of {pattern} in: {text[-3000:]}")
    return match


def lsof(scene):
    text = run("lsof", "-p", scene.pid)
    line = found(r"^observed .* (?:mem|DEL)\s+REG\s+(\d+,\d+)\s+(?:\d+\s+)?(\d+) (\S*libobserved\.so)", text)
    return Report(line[3], device_of(line[1], 10), int(line[2])), scene.library


def lsof_by_file(scene):
    return scene.pid in run("lsof", "-t", scene.library).split()


def fuser(scene):
    """fuser has the letter m for the process: it maps the file."""
    text = run("fuser", "-v", scene.library)
    return bool(re.search(rf"\s{scene.pid}\s+\S*m\s", text))


def fuser_of_mount(scene):
    """fuser finds a process that has only a mapping of the mount."""
    text = run("fuser", "-v", "-m", MNT)
    return bool(re.search(rf"\s{scene.mapper.pid}\s+\S*m\s", text))


def pmap(scene):
    line = next(line for line in run("pmap", "-X", "-p", scene.pid).splitlines()
                if " r-xp " in line and "libobserved" in line).split()
    return Report(line[-1], device_of(line[3]), int(line[4])), scene.library


def lsfd(scene):
    need("lsfd")
    text = run("lsfd", "-p", scene.pid, "-r", "-o", "ASSOC,MAJ:MIN,INODE,NAME")
    line = found(r"^mem (\d+:\d+) (\d+) (\S*libobserved\.so)$", text)
    return Report(line[3], device_of(line[1], 10), int(line[2])), scene.library


def gdb(*words):
    need("gdb")
    return run("gdb", "-nx", "-batch", *words)


def gdb_attached(scene):
    """The mappings, a stack with symbols of the library, and a breakpoint in it."""
    text = gdb("-p", scene.pid, "-ex", "info proc mappings", "-ex", "break observed_call",
               "-ex", "continue", "-ex", "backtrace")
    found(r"^Breakpoint 1, observed_call", text)
    found(r"^#1 .* observed_loop ", text)
    return Report(found(r"^ +0x\S+ .* (\S*libobserved\.so)$", text)[1]), scene.library


def gdb_with_a_core(scene):
    core = scene.core()
    text = gdb("-core", core, "-ex", "info proc mappings")
    return Report(found(r"^ +0x\S+ .* (\S*libobserved\.so)$", text)[1]), scene.library


def readelf_of_a_core(scene):
    need("eu-readelf")
    text = run("eu-readelf", "-n", scene.core())
    return Report(found(r"^ +\w+-\w+ \w+ \d+ +(\S*libobserved\.so)$", text)[1]), scene.library


def perf(*words):
    need("perf")
    return run("perf", *words)


def perf_samples(scene):
    """Samples belong to the library, and have its symbols."""
    data = TMP + "/perf.data"
    perf("record", "-q", "-e", "cpu-clock:u", "--no-buildid", "--no-buildid-cache", "-o", data,
         "timeout", "1", MNT + "/observed")
    text = perf("script", "-F", "ip,sym,dso", "-i", data)
    os.unlink(data)
    return Report(found(r"^ *\w+ observed_spin \((\S+)\)$", text)[1]), scene.library


def perf_probe(scene):
    data = TMP + "/perf.data"
    said = perf("probe", "-q", "-x", scene.library, "--add", "aufs_call=observed_call")
    try:
        listed = perf("probe", "-l")
        recorded = perf("record", "-q", "-e", "probe_libobserved:aufs_call", "-o", data, "--no-buildid",
                        "--no-buildid-cache", "-p", scene.pid, "sleep", "0.3")
        text = perf("script", "-i", data) if os.path.exists(data) else ""
    finally:
        perf("probe", "-q", "--del", "probe_libobserved:*")
    if "probe_libobserved:aufs_call" not in text:
        raise RuntimeError(f"{said} {recorded} {text}")
    found(r"probe_libobserved:aufs_call .*observed_call", listed)
    return True


def bpftrace(scene):
    need("bpftrace")
    program = f'uprobe:{scene.library}:observed_call /pid == {scene.pid}/ {{ print(ustack(perf, 2)); exit(); }}'
    text = run("bpftrace", "-e", program)
    return Report(found(r"^\s*\w+ observed_call\+\d+ \((\S+)\)$", text)[1]), scene.library


def strace_stacks(scene):
    need("strace")
    text = run("timeout", "2", "strace", "-k", "-p", scene.pid)
    return Report(found(r"^ > (\S+)\(observed_loop\+0x\w+\)", text)[1]), scene.library


def eu_stack(scene):
    need("eu-stack")
    text = run("eu-stack", "-m", "-p", scene.pid)
    return Report(found(r"^#\d+ +0x\w+ +observed_loop.* - (\S+)$", text)[1]), scene.library


def noticed(scene, notices):
    """Whether @notices tells for a process that its library has been replaced."""
    process = scene.start_observed()
    before = notices(process.pid)
    copy = scene.library + ".new"
    shutil.copy(scene.library, copy)
    os.rename(copy, scene.library)
    after = notices(process.pid)
    if before or not after:
        print(f"# before: {before}, after: {after}", flush=True)
    # Later observers look at a process with the new library.
    scene.process.end()
    scene.process = scene.start_observed()
    return not before and after


def needrestart(scene):
    need("needrestart")

    def notices(pid):
        text = run("needrestart", "-v", "-b", "-r", "l")
        return bool(re.search(rf"#{pid} uses (deleted|obsolete|non-existing|outdated)", text))
    return noticed(scene, notices)


def checkrestart(scene):
    need("checkrestart")

    def notices(pid):
        return f"(PID: {pid})" in run("checkrestart", "-v")
    return noticed(scene, notices)


def criu(scene):
    """A process is dumped, and then restored with the same mappings."""
    need("criu")
    checked = run("criu", "check")
    if "Looks good" not in checked:
        raise NotHere(f"CRIU does not run on this kernel: {checked[-500:]}")
    process = scene.start_observed()
    pid = process.pid
    images = TMP + "/criu"
    os.mkdir(images)

    def mapped():
        """The mappings of files. CRIU may make one mapping where the linker has split several."""
        pieces = []
        for line in read(f"/proc/{pid}/maps").splitlines():
            start, end, rights, offset, rest = re.match(r"(\w+)-(\w+) (\S+) (\w+) (.*)", line).groups()
            if " /" not in rest:
                continue
            start, end, offset = int(start, 16), int(end, 16), int(offset, 16)
            file = (start - offset, rights, rest)
            if pieces and pieces[-1][1:] == (start, file):
                start = pieces.pop()[0]
            pieces.append((start, end, file))
        return pieces
    before = mapped()
    try:
        must("criu", "dump", "-t", str(pid), "-D", images, "--shell-job", "-v2", "-o", "log")
        process.wait()
        must("criu", "restore", "-d", "-D", images, "--shell-job", "-v2", "-o", "log")
        after = mapped()
        if after != before:
            print(f"# before: {before}\n# after: {after}", flush=True)
        alive = read(f"/proc/{pid}/comm") == "observed\n"
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}/exe"))
        return after == before and alive
    except (OSError, RuntimeError):
        print("# " + read(images + "/log")[-3000:].replace("\n", "\n# "), flush=True)
        raise
    finally:
        shutil.rmtree(images)


NUMBERS = "wrong device, inode"
OBSERVERS = [
    (lsof, "`lsof -p PID`", {"6.1": NUMBERS}),
    (lsof_by_file, "`lsof FILE`", {"6.1": "wrong"}),
    (fuser, "`fuser FILE`", {"6.1": "wrong"}),
    (fuser_of_mount, "`fuser -m MOUNTPOINT`", {"6.1": "wrong"}),
    (pmap, "`pmap -X`", {"6.1": NUMBERS}),
    (lsfd, "`lsfd`", {}),
    (gdb_attached, "`gdb -p PID`: mappings, symbols, breakpoints", {}),
    (gdb_with_a_core, "`gdb` with a core dump: mappings", {"6.12": "wrong path"}),
    (readelf_of_a_core, "`eu-readelf -n` of a core dump", {"6.12": "wrong path"}),
    (perf_samples, "`perf record`, `perf script`: symbols", {}),
    (perf_probe, "`perf probe`", {}),
    (bpftrace, "`bpftrace`: uprobes, user stacks", {}),
    (strace_stacks, "`strace -k`", {}),
    (eu_stack, "`eu-stack`", {}),
    (needrestart, "`needrestart`: a library was replaced", {"6.1": "wrong"}),
    (checkrestart, "`checkrestart`: a library was replaced", {}),
    # Debian 12's CRIU does not run on 7.3.
    (criu, "CRIU: dumped and restored", {"vm_prfile": "-", "7.3": "-", "7.3+": "-"}),
]

if __name__ == "__main__":
    observer_scene.main(OBSERVERS, Programs, ("aufs",))
