#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""aufs-observers.ko comes and goes: many times under load (STEPS=100). It is refused on a kernel that it does not
know, and it stays while an open file needs it."""
import os
import re
import signal
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from observer_scene import (COMPANION, LIVEPATCH, RELEASE, TMP, Scene, load_companion, must, of_line,
                            read, run, unload_companion, write)

BTF = "/sys/kernel/btf/vmlinux"
# A function that is patched, and a member that it reads.
FUNCTION, MEMBER = (("pid_maps_open", "s_magic") if RELEASE.startswith("6.1.")
                    else ("print_vma_addr", "s_magic"))
# Each cycle takes up to half a minute: the kernel changes its code. `make test-all` asks for twenty.
CYCLES = int(os.environ.get("AUFS_CYCLES") or os.environ.get("AUFS_STEPS")
             or ("1" if os.environ.get("AUFS_QUICK") else "4"))
# Reads the files that the companion corrects, and crashes a child, again and again.
LOAD = """
import os, sys
while True:
    for name in ("maps", "smaps", "numa_maps", "map_files"):
        path = f"/proc/{sys.argv[1]}/{name}"
        os.listdir(path) if name == "map_files" else open(path).read()
    child = os.fork()
    if not child:
        import ctypes
        ctypes.string_at(0)
    os.waitpid(child, 0)
"""


def comes_and_goes_under_load():
    # All run on one processor, on which they interrupt each other. QEMU emulates one processor at a
    # time: each change of code waits 100 ms for another one that is busy, a livepatch a minute.
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    scene = Scene("aufs")
    workers = []
    try:
        workers = [subprocess.Popen([scene.python, "-c", LOAD, str(scene.mapper.pid)],
                                    env={"PYTHONHOME": "/usr"}, start_new_session=True)
                   for _ in range(2)]
        for _ in range(CYCLES):
            load_companion()
            unload_companion()
        alive = all(worker.poll() is None for worker in workers)
    finally:
        for worker in workers:
            # Kills its child too, which may be dumping core.
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        scene.end()
        os.sched_setaffinity(0, processors)
    return alive


def refused(change):
    """Whether the companion is refused, with a message, for the kernel's BTF as @change has changed it.
    Returns the message. The changed BTF is a file that is mounted over the kernel's."""
    with open(BTF, "rb") as file:
        data = bytearray(file.read())
    change(data)
    with open(TMP + "/btf", "wb") as file:
        file.write(data)
    write("/dev/kmsg", "aufs-vm: the companion is to be refused now")
    must("mount", "--bind", TMP + "/btf", BTF)
    try:
        said = run("insmod", COMPANION)
    finally:
        must("umount", BTF)
    log = run("dmesg").rpartition("is to be refused now")[2]
    print("# " + log.strip().replace("\n", "\n# "))
    good = ("Invalid parameters" in said and "nothing is patched" in log
            and not os.path.exists(LIVEPATCH) and "aufs_observers" not in read("/proc/modules"))
    return log if good else ""


def replace_once(data, old, new):
    at = data.index(b"\0" + old + b"\0") + 1
    data[at:at + len(old)] = new


def refused_without_the_function():
    return f"no prototype of {FUNCTION}()" in refused(
        lambda data: replace_once(data, FUNCTION.encode(), b"x" * len(FUNCTION)))


def refused_without_the_member():
    return f"has no member {MEMBER}" in refused(
        lambda data: replace_once(data, MEMBER.encode(), b"x" * len(MEMBER)))


def refused_with_another_type():
    def rename(data):
        replace_once(data, b"file", b"elif")
    log = refused(rename)
    return "struct elif" in log or "no member" in log or "struct file of this kernel" in log


def refused_with_damaged_btf():
    def cut(data):
        del data[len(data) // 2:]

    def kind(data):
        # The first type is of a kind that nobody knows.
        data[24 + 7] = 31
    return all("is not BTF as it is known" in refused(change) for change in (cut, kind))


def kept_by_an_open_file():
    """6.1: a maps file that was opened with the companion stays corrected, and keeps the module."""
    scene = Scene("aufs")
    try:
        load_companion()
        with open(f"/proc/{scene.mapper.pid}/maps", encoding="utf-8") as file:
            write(LIVEPATCH + "/enabled", "0")
            while os.path.exists(LIVEPATCH):
                pass
            said = run("rmmod", "aufs_observers")
            line = next(line for line in file if line.startswith(scene.mapper.range()))
        if RELEASE.startswith("6.1."):
            status = os.stat(scene.code)
            good = "in use" in said and of_line(line)[1:] == (status.st_dev, status.st_ino)
            must("rmmod", "aufs_observers")
            return good
        return said == ""
    finally:
        scene.end()


def long_lines():
    """Reads of maps, however small, give whole lines, and together the same as one large read."""
    scene = Scene("aufs")
    load_companion()
    try:
        mappers = [scene.map(scene.new_code("long" * 50 + scene.new_name("n"))) for _ in range(4)]
        for mapper in mappers:
            for name in ("maps", "smaps"):
                path = f"/proc/{mapper.pid}/{name}"
                small = b""
                with open(path, "rb", buffering=0) as file:
                    while part := file.read(37):
                        small += part
                lines = [line for line in small.decode().splitlines() if re.match(r"[0-9a-f]+-", line)]
                if lines != [line for line in read(path).splitlines() if re.match(r"[0-9a-f]+-", line)]:
                    return False
                found = of_line(next(line for line in lines if line.startswith(mapper.range())))
                status = os.stat(found.path)
                if found[1:] != (status.st_dev, status.st_ino):
                    return False
        return True
    finally:
        unload_companion()
        scene.end()


CASES = [comes_and_goes_under_load, refused_without_the_function, refused_without_the_member,
         refused_with_another_type, refused_with_damaged_btf, kept_by_an_open_file, long_lines]


def main():
    if os.environ["AUFS_COMBO"] != "tmpfs" or not os.path.exists(COMPANION):
        print("KTAP version 1\n1..0 # SKIP on tmpfs, on kernels that can have it")
        return 0
    print(f"KTAP version 1\n1..{len(CASES)}", flush=True)
    failed = 0
    for number, case in enumerate(CASES, 1):
        try:
            good = case()
        except Exception:  # pylint: disable=broad-except
            print("# " + traceback.format_exc().replace("\n", "\n# "), flush=True)
            good = False
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} {case.__name__}", flush=True)
    return int(failed != 0)


sys.exit(main())
