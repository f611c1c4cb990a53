# SPDX-License-Identifier: GPL-2.0-only
"""The features of branches that come and go, for features.py. Each takes the filesystem's name."""
import contextlib
import mmap
import os
import re
import shutil

from feature_tools import CONTENT, LOW, LOW2, MNT, PEER, options_of, run, write

NEXT = LOW2 + "/next"
ADD, REMOVE = f"add:1:{NEXT}=ro", f"del:{LOW}"
# What others have in place of these two words of this filesystem.
DETACH = REMOVE if PEER else f"detach:{LOW}"
REPLACE = f"{ADD},{REMOVE}" if PEER else f"replace:{LOW}={NEXT}"


class Union:
    """A mounted union whose branches change."""

    def __init__(self, kind, more=""):
        self.options = options_of(kind) + more
        self.kind = kind

    def __enter__(self):
        done = run("mount", "-i", "-t", self.kind, "-o", self.options, "none", MNT)
        if done.returncode:
            raise RuntimeError(done.stdout)
        os.mkdir(NEXT)
        write(NEXT + "/new")
        return self

    def __exit__(self, *_):
        done = run("umount", MNT)
        if done.returncode:
            raise RuntimeError(done.stdout)

    @staticmethod
    def changed(change):
        return run("mount", "-i", "-o", "remount," + change, MNT).returncode == 0


@contextlib.contextmanager
def mapped_file():
    """A file of the branch LOW is open and mapped; its pages."""
    with open(MNT + "/file", "rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ) as pages:
        yield pages


def branch_is_added(kind):
    with Union(kind) as union:
        return union.changed(ADD) and os.path.exists(MNT + "/new")


def branch_is_removed(kind):
    with Union(kind) as union:
        return union.changed(REMOVE) and not os.path.exists(MNT + "/file")


def who_keeps_a_branch_is_named(kind):
    """By the kernel's log, or by aubusy, the program of aufs-util for that, where it is."""
    with Union(kind) as union, mapped_file():
        refused = not union.changed(("verbose," if PEER else "") + REMOVE)
        told = run("dmesg", "--notime").stdout.splitlines()[-5:]
        if shutil.which("aubusy"):
            told.append(run("aubusy", MNT, LOW).stdout)
        return refused and any(re.search(rf"\b{os.getpid()}\b", text) for text in told)


def branch_is_removed_while_mapped(kind):
    with Union(kind) as union, mapped_file() as pages:
        return union.changed(DETACH) and not os.path.exists(MNT + "/file") and pages[:5] == CONTENT[:5]


def branch_is_replaced(kind):
    with Union(kind) as union:
        return union.changed(REPLACE) and os.listdir(MNT) == ["new"]


def failed_remount_changes_nothing(kind):
    """Where a branch is missing, and where one is in use."""
    with Union(kind) as union:
        for what, users in ((f"add:1:{LOW2}/missing=ro", contextlib.nullcontext), (REMOVE, mapped_file)):
            with users():
                if (union.changed(f"{ADD},{what}") or os.path.exists(MNT + "/new")
                        or not os.path.exists(MNT + "/file")):
                    return False
        # It was refused for that, and not because no branch can be added.
        return union.changed(ADD) and os.path.exists(MNT + "/new")


def direct_change_is_seen(kind):
    with Union(kind, ",udba=reval" if kind == "aufs" else ""):
        seen = os.path.exists(MNT + "/later")
        write(LOW + "/later")
        return not seen and os.path.exists(MNT + "/later")
