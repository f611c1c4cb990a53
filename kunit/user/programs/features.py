#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Combinations: ext4+xfs
"""The features of this filesystem and of overlayfs, tried on both with the same branches.

Each feature is a case. It fails if this filesystem has the feature and should not, or the other way
round. For overlayfs there is only a line "# feature | NAME | aufs | overlayfs", of which
scripts/features makes a table. Both are mounted with their default options.

With AUFS_PEER the filesystem of the type aufs is another one, of that name: nothing is expected of it, and the
line has its result alone. With AUFS_FROM=N the first feature is number N.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import branch_features as branches  # noqa: E402
from feature_tools import (CONTENT, LIBC, LOW, LOW2, MNT, PEER, TOP, append, call, options_of,  # noqa: E402
                           read, run, write)

OLD_KERNEL = os.environ["AUFS_KERNEL"].startswith("6.1.")
DISK = not os.environ["AUFS_COMBO"].startswith("tmpfs")
AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400
RENAME_EXCHANGE = 2
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
FS_IOC_GETFLAGS, FS_IOC_FIEMAP = 0x80086601, 0xC020660B


def mapped(path):
    """The line of /proc/self/maps of a file's first page while it is mapped, in fields."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ):
        with open("/proc/self/maps", encoding="utf-8") as maps:
            return next((line.split() for line in maps if line.rstrip().endswith(
                "/" + os.path.basename(path))), None)


def tells_the_truth(fields, path):
    stat = os.stat(path)
    return (fields[3] == f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}"
            and int(fields[4]) == stat.st_ino)


def unless(refusal, function, *arguments):
    """What the function returns, or None where it fails with the errno of a thing that is not supported."""
    try:
        return function(*arguments)
    except OSError as error:
        if error.errno == refusal:
            return None
        raise


# Each function takes the mount point, and returns whether the feature is there.

def inode_number_survives_copy_up(mnt):
    before = os.stat(mnt + "/file").st_ino
    append(mnt + "/file")
    return os.stat(mnt + "/file").st_ino == before


def one_device_number(mnt):
    append(mnt + "/second")
    return len({os.lstat(mnt + "/" + name).st_dev
                for name in (".", "dir", "file", "second", "dir/below")}) == 1


def readdir_and_stat_agree_on_inode_numbers(mnt):
    append(mnt + "/second")
    return all(entry.inode() == os.lstat(entry.path).st_ino for entry in os.scandir(mnt))


def maps_has_the_path(mnt):
    return mapped(mnt + "/file")[5] == mnt + "/file"


def maps_has_device_and_inode_of_stat(mnt):
    return tells_the_truth(mapped(mnt + "/file"), mnt + "/file")


def mapping_keeps_its_identity_over_copy_up(mnt):
    with open(mnt + "/file", "rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ):
        append(mnt + "/file")
        with open("/proc/self/maps", encoding="utf-8") as maps:
            fields = next(line.split() for line in maps if line.rstrip().endswith("/file"))
    return tells_the_truth(fields, mnt + "/file")


def fuser_finds_who_maps_a_file(mnt):
    with open(mnt + "/file", "rb") as file:
        descriptor = os.dup(file.fileno())
    with mmap.mmap(descriptor, 4096, prot=mmap.PROT_READ):
        os.close(descriptor)
        return re.search(rf"\b{os.getpid()}m", run("fuser", mnt + "/file").stdout) is not None


def old_descriptor_sees_new_data(mnt):
    with open(mnt + "/file", "rb") as file:
        append(mnt + "/file")
        return file.read().endswith(b"more")


def hard_links_stay_one_file(mnt):
    append(mnt + "/linked1")
    return (read(mnt + "/linked2") == CONTENT + b"more"
            and os.stat(mnt + "/linked1").st_ino == os.stat(mnt + "/linked2").st_ino)


def lower_directory_is_renamed(mnt):
    try:
        os.rename(mnt + "/dir", mnt + "/moved")
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return os.path.exists(mnt + "/moved/below")


def files_are_exchanged(mnt):
    append(mnt + "/second")
    done = unless(errno.EINVAL, call, "renameat2", AT_FDCWD, (mnt + "/file").encode(), AT_FDCWD,
                  (mnt + "/second").encode(), RENAME_EXCHANGE)
    return done is not None and read(mnt + "/file").endswith(b"more")


def nameless_file_gets_a_name(mnt):
    nameless = unless(errno.EOPNOTSUPP, os.open, mnt, os.O_TMPFILE | os.O_RDWR, 0o600)
    if nameless is None:
        return False
    with open(nameless, "wb") as file:
        file.write(CONTENT)
        file.flush()
        call("linkat", AT_FDCWD, f"/proc/self/fd/{file.fileno()}".encode(), AT_FDCWD,
             (mnt + "/named").encode(), AT_SYMLINK_FOLLOW)
    return read(mnt + "/named") == CONTENT


def removed_directory_comes_back_empty(mnt):
    shutil.rmtree(mnt + "/dir")
    os.mkdir(mnt + "/dir")
    return os.listdir(mnt + "/dir") == []


def holes_stay_holes(mnt):
    append(mnt + "/sparse")
    return os.stat(mnt + "/sparse").st_blocks * 512 < 4 << 20  # of 16


def copy_up_keeps_acl_and_xattr(mnt):
    append(mnt + "/rich")
    return (os.getxattr(mnt + "/rich", "trusted.mine") == b"yes"
            and "user:alice:rw-" in run("getfacl", "-c", "-p", mnt + "/rich").stdout.replace(
                "1000", "alice"))


def union_is_frozen(mnt):
    root = os.open(mnt, os.O_RDONLY)
    try:
        fcntl.ioctl(root, FIFREEZE, 0)
        fcntl.ioctl(root, FITHAW, 0)
        return True
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            return False
        raise
    finally:
        os.close(root)


def file_handles(mnt):
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    try:
        call("name_to_handle_at", AT_FDCWD, (mnt + "/file").encode(), handle,
             ctypes.byref(ctypes.c_int()), 0)
        root = os.open(mnt, os.O_RDONLY)
        os.close(call("open_by_handle_at", root, handle, os.O_RDONLY))
        os.close(root)
        return True
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EOVERFLOW):
            return False
        raise


def direct_io(mnt):
    append(mnt + "/second")
    descriptor = unless(errno.EINVAL, os.open, mnt + "/file", os.O_RDWR | os.O_DIRECT)
    if descriptor is None:
        return False
    with mmap.mmap(-1, 4096) as page:
        page[:] = b"d" * 4096
        os.pwritev(descriptor, [page], 0)
    os.close(descriptor)
    return read(mnt + "/file")[:4096] == b"d" * 4096


def file_flags(mnt):
    done = run("chattr", "+A", mnt + "/file")
    return done.returncode == 0 and "A" in run("lsattr", mnt + "/file").stdout.split()[0]


def extents(mnt):
    descriptor = os.open(mnt + "/file", os.O_RDONLY)
    request = bytearray(struct.pack("QQIIII", 0, 1 << 40, 1, 8, 0, 0) + bytes(8 * 56))
    try:
        fcntl.ioctl(descriptor, FS_IOC_FIEMAP, request)
        return struct.unpack_from("I", request, 20)[0] > 0
    except OSError:
        return False
    finally:
        os.close(descriptor)


def running_program_is_not_written_to(mnt):
    program = shutil.copy("/bin/sleep", mnt + "/sleep")
    with subprocess.Popen([program, "100"]) as process:
        try:
            append(program)
            return False
        except OSError as error:
            return error.errno == errno.ETXTBSY
        finally:
            process.kill()


def watch_survives_copy_up(mnt):
    watcher = LIBC.inotify_init1(os.O_NONBLOCK)
    call("inotify_add_watch", watcher, (mnt + "/file").encode(), 2)
    append(mnt + "/file")
    try:
        return len(os.read(watcher, 4096)) > 0
    except BlockingIOError:
        return False
    finally:
        os.close(watcher)


def lock_holds_over_copy_up(mnt):
    with open(mnt + "/file", "rb") as first:
        fcntl.flock(first, fcntl.LOCK_SH)
        with open(mnt + "/file", "ab") as second:
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                return True


def read_only_and_back(mnt):
    if run("mount", "-o", "remount,ro", mnt).returncode:
        return False
    try:
        append(mnt + "/file")
        return False
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    if run("mount", "-o", "remount,rw", mnt).returncode:
        return False
    append(mnt + "/file")
    return True


# Functions about the mount itself take the filesystem's name.

def mounts(options, kind, *more, does=None):
    """Whether it can be mounted, and @does what it should."""
    if run(*more, "mount", "-i", "-t", kind, "-o", options, "none", MNT).returncode:
        return False
    try:
        return does is None or does()
    finally:
        run(*more, "umount", MNT)


def second_branch_is_written():
    """Whether a file there is changed where it is."""
    append(MNT + "/there")
    return read(LOW2 + "/there").endswith(b"more")


def several_writable_branches(kind):
    write(LOW2 + "/there")
    return kind == "aufs" and mounts(f"br={TOP}/upper=rw:{LOW2}=rw:{LOW}=ro", kind, does=second_branch_is_written)


def hundred_branches(kind):
    paths = []
    for number in range(100):
        path = f"{LOW2}/{number}"
        os.makedirs(path, exist_ok=True)
        paths.append(path)
    short = os.environ["AUFS_TMP"] + "/b"
    os.makedirs(short, exist_ok=True)
    if run("mount", "--bind", LOW2, short).returncode:
        raise RuntimeError("bind")
    paths = [f"{short}/{number}" for number in range(100)]
    try:
        if kind == "aufs":
            return mounts(f"br={paths[0]}=rw:" + ":".join(paths[1:]), kind)
        return mounts("lowerdir=" + ":".join(paths), kind)
    finally:
        run("umount", short)


def sum_of_the_branches_in_df(kind):
    # On tmpfs both branches are of one filesystem.
    return kind == "aufs" and mounts(f"br={TOP}/upper=rw:{LOW}=ro,sum", kind, does=lambda: not DISK or (
        os.statvfs(MNT).f_blocks > os.statvfs(TOP).f_blocks))


def mounted_by_users(kind):
    return mounts(options_of(kind), kind, "unshare", "--user", "--map-root-user", "--mount")


FEATURES = [
    # (row of the table, function, whether this filesystem has it)
    ("inode number stays over copy-up", inode_number_survives_copy_up, True),
    ("one device number for all files", one_device_number, True),
    ("`readdir` and `stat` give the same inode numbers", readdir_and_stat_agree_on_inode_numbers, True),
    ("`/proc/PID/maps`: path of the union", maps_has_the_path, True),
    ("`/proc/PID/maps`: device and inode of `stat`", maps_has_device_and_inode_of_stat, not OLD_KERNEL),
    ("the same for a mapping that a copy-up came after", mapping_keeps_its_identity_over_copy_up,
     not OLD_KERNEL),
    ("`fuser FILE` finds a process that maps it", fuser_finds_who_maps_a_file, not OLD_KERNEL),
    ("hard links of a lower file stay one file", hard_links_stay_one_file, True),
    ("holes stay holes in a copy", holes_stay_holes, True),
    ("extended attributes and ACLs are copied", copy_up_keeps_acl_and_xattr, True),
    ("a descriptor opened for reading sees what is written after a copy-up", old_descriptor_sees_new_data,
     True),
    ("a lock holds over copy-up", lock_holds_over_copy_up, True),
    ("an inotify watch holds over copy-up", watch_survives_copy_up, True),
    ("a directory from a lower branch is renamed", lower_directory_is_renamed, False),
    ("`RENAME_EXCHANGE`", files_are_exchanged, True),
    ("`O_TMPFILE` and `linkat`", nameless_file_gets_a_name, True),
    ("what is made where a directory was removed is empty", removed_directory_comes_back_empty, True),
    ("`O_DIRECT`", direct_io, True),
    ("`FS_IOC_SETFLAGS` (`chattr`)", file_flags, True),
    ("`FIEMAP`", extents, True),
    ("a program that runs is not written to", running_program_is_not_written_to, True),
    ("`FIFREEZE` of the union", union_is_frozen, True),
    ("remount ro, and rw again", read_only_and_back, True),
    ("file handles (`open_by_handle_at`, NFS export)", file_handles, False),
]
MOUNTS = [
    ("several writable branches", several_writable_branches, True),
    ("100 branches in one mount(2)", hundred_branches, True),
    ("`df` of all branches", sum_of_the_branches_in_df, True),
    ("a branch is added while mounted", branches.branch_is_added, True),
    ("a branch is removed while mounted", branches.branch_is_removed, True),
    ("the process that keeps a branch from its removal is named, by pid", branches.who_keeps_a_branch_is_named, True),
    ("a branch is removed although a file of it is mapped", branches.branch_is_removed_while_mapped, True),
    ("another branch takes its place, in one step", branches.branch_is_replaced, True),
    ("a remount of which a part fails changes nothing", branches.failed_remount_changes_nothing, True),
    ("what is put on a branch directly is seen (`udba=reval`)", branches.direct_change_is_seen, True),
    ("mounted by users, in a user namespace", mounted_by_users, False),
]
# Features that some branch filesystems do not have.
WITHOUT_DISK = {direct_io, file_flags, extents, union_is_frozen}


def prepare():
    for path in (TOP, LOW, LOW2):
        for name in os.listdir(path):
            shutil.rmtree(path + "/" + name) if os.path.isdir(path + "/" + name) else os.unlink(
                path + "/" + name)
    for path in ("/upper", "/work"):
        os.mkdir(TOP + path)
    os.mkdir(LOW + "/dir")
    for name in ("file", "second", "linked1", "rich", "dir/below"):
        write(f"{LOW}/{name}")
    os.link(LOW + "/linked1", LOW + "/linked2")
    with open(LOW + "/sparse", "wb") as file:
        file.truncate(16 << 20)
        file.seek(8 << 20)
        file.write(CONTENT)
    os.setxattr(LOW + "/rich", "trusted.mine", b"yes")
    if run("setfacl", "-m", "u:1000:rw", LOW + "/rich").returncode:
        raise RuntimeError("setfacl")


def attempt(function, kind, whole_mount):
    """Whether the feature is there: in a child, so that nothing is left of it."""
    prepare()
    child = os.fork()
    if child:
        return {0: True, 1: False}.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    code = 2
    try:
        signal.alarm(100)
        if whole_mount:
            code = not function(kind)
        else:
            done = run("mount", "-i", "-t", kind, "-o", options_of(kind), "none", MNT)
            if done.returncode:
                raise RuntimeError(done.stdout)
            try:
                code = not function(MNT)
            finally:
                done = run("umount", MNT)
                if done.returncode:
                    print("# " + done.stdout, flush=True)
                    code = 2
    except Exception:  # pylint: disable=broad-except
        print("# " + traceback.format_exc().replace("\n", "\n# "), flush=True)
        code = 2
    os._exit(code)


def main():
    if os.environ["AUFS_COMBO"] not in ("tmpfs", "ext4+xfs"):
        print("KTAP version 1\n1..0 # SKIP done on tmpfs, ext4+xfs", flush=True)
        return 0
    words = {True: "yes", False: "no", None: "error"}
    todo = [(*feature, False) for feature in FEATURES] + [(*feature, True) for feature in MOUNTS]
    print(f"KTAP version 1\n1..{len(todo)}", flush=True)
    failed = False
    for number, (text, function, expected, whole_mount) in enumerate(todo, 1):
        name = function.__name__
        if PEER and number < int(os.environ.get("AUFS_FROM", "1")):
            print(f"ok {number} {name} # SKIP done before", flush=True)
            continue
        if PEER:
            print(f"# trying | {text} |", flush=True)
        if function in WITHOUT_DISK and not DISK:
            print(f"ok {number} {name} # SKIP not on tmpfs", flush=True)
            continue
        ours = attempt(function, "aufs", whole_mount)
        if PEER:
            print(f"# feature | {text} | {words[ours]} |\nok {number} {name}", flush=True)
            continue
        if not os.environ.get("AUFS_QUICK"):
            theirs = attempt(function, "overlay", whole_mount)
            print(f"# feature | {text} | {words[ours]} | {words[theirs]} |", flush=True)
        failed |= ours is not expected
        print(f"{'ok' if ours is expected else 'not ok'} {number} {name}", flush=True)
    return int(failed)


sys.exit(main())
