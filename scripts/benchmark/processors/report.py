#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes tables of the counts of scripts/benchmark/processors/run.

    report.py LINES [README]      prints them, and puts them between README's marks

The count of doing nothing is taken off each class: as often in turn, or for as long at once. The rest is the
operation's.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tables import markdown, put_into  # noqa: E402

BEGIN = "<!-- by scripts/benchmark/bench-processors -->\n"
FILESYSTEMS = {"branch": "tmpfs", "aufs": "aufs-cxx", "overlayfs": "overlayfs"}
OPERATIONS = {"stat": "stat", "open": "open + close, opened before", "read": "pread, 4 KiB", "mmap": "mmap + fault + munmap",
              "new_name": "stat of no file, new name", "create": "create", "readdir": "readdir, 100 entries"}
BASELINE = "nothing"
CONTENDED, BOUNCED = 0, 1
# How many classes a cell names at most, and the least count in 1,000 operations for a name.
NAMED, WORTH = 5, 0.5


class Run:
    """The lines: about, and records{(operation, in turn, tasks, filesystem)}."""

    def __init__(self, path):
        self.about, self.records = {}, {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith("{"):
                    record = json.loads(line)
                    if "processors" not in record:
                        self.about.update(record)
                    elif record["processors"] == BASELINE:
                        # Counted on one filesystem, used for all.
                        self.records[BASELINE, record["in_turn"], record["tasks"]] = record
                    else:
                        self.records[record["processors"], record["in_turn"], record["tasks"],
                                     record["filesystem"]] = record

    def tasks(self, in_turn):
        return sorted({key[2] for key in self.records if key[1] == in_turn})

    def operations(self):
        found = {key[0] for key in self.records}
        return [name for name in OPERATIONS if name in found]

    def per_thousand(self, operation, in_turn, tasks, filesystem, what):
        """{class: how many in 1,000 operations}, the most first; None if it was not counted."""
        record = self.records.get((operation, in_turn, tasks, filesystem))
        nothing = self.records.get((BASELINE, in_turn, tasks))
        if record is None or nothing is None:
            return None
        unit = "operations" if in_turn else "took"
        share = record[unit] / nothing[unit]
        left = {name: (sums[what] - share * nothing["classes"].get(name, [0, 0])[what]) * 1000 / record["operations"]
                for name, sums in record["classes"].items()}
        return dict(sorted(((name, value) for name, value in left.items() if value > 0), key=lambda one: -one[1]))


def number(values):
    if values is None:
        return "-"
    whole = sum(values.values())
    return f"{whole:,.0f}" if whole >= 10 else f"{whole:.1f}"


def named(values):
    """The classes with the most."""
    shown = [f"`{name}` {value:,.0f}" if value >= 10 else f"`{name}` {value:.1f}"
             for name, value in list((values or {}).items())[:NAMED] if value >= WORTH]
    return ", ".join(shown) or "-"


def rows(run, in_turn, what, text):
    for operation in run.operations():
        for tasks in run.tasks(in_turn):
            cells = [run.per_thousand(operation, in_turn, tasks, name, what) for name in FILESYSTEMS]
            if any(cell is not None for cell in cells):
                yield f"{OPERATIONS[operation]}, {tasks}", [text(cell) for cell in cells]


def tables(run):
    titles = list(FILESYSTEMS.values())
    text = [f"{run.about.get('release')}, {run.about.get('compiler')}; {run.about.get('date')}; all in 1,000 operations"]
    for in_turn, what, title in ((True, BOUNCED, "in turn: locks that another processor had last"),
                                 (False, CONTENDED, "at once: locks that had to be waited for")):
        text.append(markdown([title, *titles], list(rows(run, in_turn, what, number))))
        text.append(markdown([title + ", by class", *titles], list(rows(run, in_turn, what, named))))
    return "\n\n".join(text) + "\n"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    run = Run(sys.argv[1])
    if not run.operations() or not any(key[0] == BASELINE for key in run.records):
        print("nothing was counted")
        return 1
    text = tables(run)
    print(text)
    if len(sys.argv) == 3:
        put_into(sys.argv[2], BEGIN, text)
    return 0


sys.exit(main())
