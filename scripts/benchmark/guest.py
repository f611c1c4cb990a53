# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the benchmarks in the test machine: settings, branches, and mounts of unions."""
import fnmatch
import os
import subprocess
import time

# A union takes filesystems with the same UUID for one: each disk of a machine has its own.
UUID, UPPER_UUID = (f"a0f5c330-0000-4000-8000-00000000000{number}" for number in (1, 2))
# Unions of the kernel, and their type for mount(2); "original" is the aufs that a peer's kernel has.
KERNEL_TYPES = {"aufs": "aufs", "overlayfs": "overlay", "original": "aufs"}
# Other names of this filesystem, and the options that it has then.
UDBA = {"aufs-reval": "udba=reval", "aufs-notify": "udba=notify"}
SETTINGS = {
    "kernel/randomize_va_space": 0,
    # Meanwhile nothing is written back, and no watchdog looks.
    "vm/dirty_writeback_centisecs": 0,
    "vm/dirty_expire_centisecs": 360000,
    "vm/dirty_background_ratio": 80,
    "vm/dirty_ratio": 90,
    "vm/stat_interval": 3600,
    "vm/max_map_count": 65530,
    "kernel/watchdog": 0,
}


def say(text):
    print(f"# {text}", flush=True)


def command(*words, **options):
    """Runs a command. Its output is of interest only if it fails."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)[:200]}: status {done.returncode}: {done.stdout}")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def begin():
    """The kernel's log is watched from here, and the kernel does nothing by itself."""
    write("/dev/kmsg", "aufs-vm: watching from here\n")
    for name, value in SETTINGS.items():
        # Some kernels lack some of these.
        if os.path.exists("/proc/sys/" + name):
            write("/proc/sys/" + name, value)


def alive():
    """A sign of life for scripts/vm."""
    write("/dev/ttyS2", "alive\n")


def matches(patterns, name):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split(","))


def fits(pattern, name, size=None):
    """Whether the pattern, NAME or NAME:SIZE, fits the operation; without @size: one of any size. measure has the same
    rule."""
    of_name, colon, of_size = pattern.partition(":")
    return fnmatch.fnmatchcase(name, of_name) and (size is None or not colon or fnmatch.fnmatchcase(str(size), of_size))


def fill(path, size):
    """Makes a file without holes."""
    block = bytes(range(256)) * 256
    with open(path, "wb") as file:
        for at in range(0, size, len(block)):
            file.write(block[:size - at])


def many(path, count):
    os.makedirs(path)
    for i in range(count):
        os.close(os.open(f"{path}/{i}", os.O_WRONLY | os.O_CREAT))


def make_ext4(device, *options, uuid=UUID):
    """Makes an ext4 whose directories are laid out the same way each time."""
    command("mkfs.ext4", "-q", "-F", "-U", uuid, *options, "-E",
            f"lazy_itable_init=0,lazy_journal_init=0,hash_seed={UUID}", device)


def mount_options(filesystem, branches, work):
    if kernel_type(filesystem) == "aufs":
        text = "br=" + ":".join([branches[0] + "=rw"] + [path + "=ro" for path in branches[1:]])
        return ",".join([text, UDBA[filesystem]] if filesystem in UDBA else [text])
    if filesystem in ("overlayfs", "fuse-overlayfs"):
        return f"lowerdir={':'.join(branches[1:])},upperdir={branches[0]},workdir={work}"
    return ":".join([branches[0] + "=RW"] + [path + "=RO" for path in branches[1:]])


def kernel_type(filesystem):
    """Its type for mount(2), or None."""
    return "aufs" if filesystem in UDBA else KERNEL_TYPES.get(filesystem)


def mount_union(filesystem, place, branches, work):
    """Mount one, with the branches from the uppermost down; "branch" is the lowest of them."""
    options = mount_options(filesystem, branches, work)
    if filesystem == "branch":
        command("mount", "--bind", branches[-1], place)
    elif kernel_type(filesystem):
        command("mount", "-t", kernel_type(filesystem), "-o", options, "none", place)
    else:
        mount_fuse(filesystem, options, place)


def mount_fuse(filesystem, options, place):
    if filesystem == "fuse-overlayfs":
        command("fuse-overlayfs", "-o", options, place)
    elif filesystem == "unionfs-fuse":
        command("unionfs", "-o", "cow", options, place)
    else:
        # Without it mergerfs has no shared mappings.
        command("mergerfs", "-o", "cache.files=partial", options, place)


def umount(place):
    """Whether it could be unmounted. A FUSE server may need a moment to leave."""
    for _ in range(50):
        if subprocess.run(["umount", place], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return True
        time.sleep(0.1)
    return False
