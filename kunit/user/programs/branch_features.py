# SPDX-License-Identifier: GPL-2.0-only
"""The features of branches that come and go, for features.py. Each takes the filesystem's name."""
import mmap
import os
import re

from feature_tools import CONTENT, LOW, LOW2, MNT, options_of, run, write


class Union:
    """A mounted union whose branches change."""

    def __init__(self, kind, more=""):
        self.options = options_of(kind) + more
        self.kind = kind

    def __enter__(self):
        done = run("mount", "-i", "-t", self.kind, "-o", self.options, "none", MNT)
        if done.returncode:
            raise RuntimeError(done.stdout)
        os.mkdir(LOW2 + "/next")
        write(LOW2 + "/next/new")
        return self

    def __exit__(self, *_):
        done = run("umount", MNT)
        if done.returncode:
            raise RuntimeError(done.stdout)

    @staticmethod
    def changed(change):
        return run("mount", "-i", "-o", "remount," + change, MNT).returncode == 0


def branch_is_added(kind):
    with Union(kind) as union:
        return union.changed(f"add:1:{LOW2}/next=ro") and os.path.exists(MNT + "/new")


def branch_is_removed(kind):
    with Union(kind) as union:
        return union.changed(f"del:{LOW}") and not os.path.exists(MNT + "/file")


def who_keeps_a_branch_is_named(kind):
    with Union(kind) as union, open(MNT + "/file", "rb"):
        refused = not union.changed(f"del:{LOW}")
        last = run("dmesg").stdout.splitlines()[-5:]
        return refused and any(re.search(rf"\b{os.getpid()}\b", line) for line in last)


def branch_is_removed_while_mapped(kind):
    with Union(kind) as union, open(MNT + "/file", "rb") as file:
        with mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ) as pages:
            return (union.changed(f"detach:{LOW}") and not os.path.exists(MNT + "/file")
                    and pages[:5] == CONTENT[:5])


def branch_is_replaced(kind):
    with Union(kind) as union:
        return union.changed(f"replace:{LOW}={LOW2}/next") and os.listdir(MNT) == ["new"]


def failed_remount_changes_nothing(kind):
    with Union(kind) as union:
        refused = not union.changed(f"add:1:{LOW2}/next=ro,add:1:{LOW2}/missing=ro")
        return (refused and not os.path.exists(MNT + "/new") and os.path.exists(MNT + "/file")
                and branch_is_understood(union))


def branch_is_understood(union):
    """Whether it was refused for the missing branch, and not because no branch can be added."""
    return union.changed(f"add:1:{LOW2}/next=ro") and os.path.exists(MNT + "/new")


def direct_change_is_seen(kind):
    with Union(kind, ",udba=reval" if kind == "aufs" else ""):
        seen = os.path.exists(MNT + "/later")
        write(LOW + "/later")
        return not seen and os.path.exists(MNT + "/later")
