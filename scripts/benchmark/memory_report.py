#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes a table of what memory-run has measured.

    memory_report.py LINES [README]      prints it, and puts it between README's marks

The exit status is 1 if not all names were cached, or if this filesystem keeps more than LEFT of the bytes after the
kernel was asked to empty its caches.
"""
import json
import sys

from tables import markdown, put_into

BEGIN = "<!-- by scripts/benchmark/bench-memory -->\n"
TITLES = {"branch": "the branches, each by itself", "aufs": "aufs-cxx", "overlayfs": "overlayfs"}
# The share of the cached bytes that may stay. The root is in use, and its objects stay.
LEFT = 0.01


def read(path):
    """(what the lines say of the run, {filesystem: its line})."""
    about, many = {}, {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("{"):
                record = json.loads(line)
                if "many" in record:
                    many[record["filesystem"]] = record
                else:
                    about.update(record)
    return about, many


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    about, many = read(sys.argv[1])
    wrong = [f"{name} was not measured" for name in TITLES if name not in many]
    rows = []
    for name, one in many.items():
        count = one["many"]
        rows.append((TITLES[name], [f"{one['cached'] / count:,.0f}", f"{one['dentries'] / count:.2f}",
                                    f"{one['inodes'] / count:.2f}", f"{one['left']:,.0f}",
                                    f"{one['dentries_left']:,.0f}", f"{one['inodes_left']:,.0f}"]))
        # A union has a dentry of its own for each name, beside the branch's.
        if one["dentries"] < count * (1 if name == "branch" else 2):
            wrong.append(f"{name} had {one['dentries']:,.0f} dentries for {count:,} names: the machine has given names"
                         " up before the end, and needs more memory")
        if name == "aufs" and one["left"] > LEFT * one["cached"]:
            wrong.append(f"{one['left']:,.0f} bytes of {one['cached']:,.0f} are left after drop_caches")
    if many:
        first = next(iter(many.values()))
        text = (f"{about.get('release')}, {about.get('compiler')}; {about.get('date')}\n\n"
                + markdown([f"{first['many']:,} names on {first['branches']} squashfs branches", "bytes a name",
                            "dentries a name", "inodes a name", "bytes left", "dentries left", "inodes left"], rows)
                + "\n")
        print(text)
        if len(sys.argv) == 3 and not wrong:
            put_into(sys.argv[2], BEGIN, text)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


sys.exit(main())
