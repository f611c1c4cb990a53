#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes tables of the counts of scripts/benchmark/programs/run, or of perf's samples.

    report.py LINES [README]      prints them, and puts them between README's marks

The exit status is 1 if a program failed on the branch or on this filesystem, or if nothing was counted. A failure on
another union is in the table.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tables import functions, markdown, put_into, ratio_text  # noqa: E402

BEGIN = "<!-- by scripts/benchmark/bench-programs -->\n"
UNIONS = {"aufs": "aufs-cxx", "overlayfs": "overlayfs", "fuse-overlayfs": "fuse-overlayfs", "mergerfs": "mergerfs",
          "original": "original aufs"}
OURS = ("branch", "aufs")


class Run:
    """The lines: about, rules{program}, records{(program, base, filesystem, branches, kernel)}."""

    def __init__(self, path):
        self.about, self.rules, self.records = [], {}, {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith("{"):
                    self.line(json.loads(line))

    def line(self, record):
        if "rule" in record:
            self.rules[record["rule"]] = record
        elif "program" in record:
            key = tuple(record[name] for name in ("program", "base", "filesystem", "branches", "kernel"))
            self.records[key] = record
        else:
            self.about.append(record)

    def bases(self):
        return list(dict.fromkeys(base for _, base, *_ in self.records if base))

    def columns(self, base):
        """(filesystem, branches, kernel) of the unions, in the table's order."""
        found = {key[2:] for key in self.records if key[1] == base}
        return sorted(found, key=lambda column: (list(UNIONS).index(column[0]), column[1]))

    def branch(self, program, kernel):
        """The record of the branch itself on that kernel, or {}."""
        return self.records.get((program, "", "branch", 1, kernel), {})

    def kernels(self):
        return list(dict.fromkeys(key[4] for key in self.records))

    def failures(self):
        return [record for record in self.records.values() if "failed" in record]


def cell(record, text):
    """A cell of a table: @text of the run, or why there is none."""
    if "failed" in record:
        return "fails"
    return text(record) if "instructions" in record else "-"


def row_of_instructions(run, program, base, columns):
    def ratio(record):
        whole = run.branch(program, record["kernel"]).get("instructions")
        return ratio_text(record["instructions"] / whole if whole else None)

    branch = run.branch(program, run.kernels()[0])
    return [cell(branch, lambda record: f"{record['instructions'] / 1e6:,.0f}"),
            *(cell(run.records.get((program, base, *column), {}), ratio) for column in columns)]


def row_of_requests(run, program, base, columns):
    records = [run.branch(program, run.kernels()[0])]
    records += [run.records.get((program, base, *column), {}) for column in columns]
    return [cell(record, lambda one: f"{one['requests']:,}") for record in records]


def tables(run):
    text = ["; ".join(f"{one.get('release')}, {one.get('compiler')}; {one.get('date')}" for one in run.about)]
    for base in run.bases() or [""]:
        columns = run.columns(base) if base else []
        titles = [f"{UNIONS[name]}, {count}" for name, count, _ in columns]
        of = f"{base}: " if base else ""
        for what, row in (("the branch itself, million instructions", row_of_instructions),
                          ("the branch itself, requests", row_of_requests)):
            text.append(markdown([f"{of}program", what, *titles],
                                 [(f"{rule['title']} ({rule['state']})", row(run, program, base, columns))
                                  for program, rule in run.rules.items()]))
    return "\n\n".join(text + notes(run)) + "\n"


def millions(record):
    """{function, or program outside of the kernel: million instructions} of a profile."""
    values = {name: count * record["period"] / 1e6 for name, count in record["samples"].items()}
    return {"all of it": sum(values.values())} | values


def profiles(run):
    """A table for each program: in which functions and programs the machine was, by filesystem."""
    text = []
    for program, rule in run.rules.items():
        for base in run.bases() or [""]:
            records = {"the branch itself": run.branch(program, run.kernels()[0])}
            records |= {f"{UNIONS[name]}, {count}": run.records.get((program, base, name, count, kernel), {})
                        for name, count, kernel in (run.columns(base) if base else [])}
            columns = {title: millions(record) for title, record in records.items() if record.get("samples")}
            if columns:
                text.append(functions(f"{rule['title']} ({rule['state']}), {base}: million instructions", columns,
                                      columns.get("the branch itself", {})))
    return "\n\n".join(text + [f"- {place(record)} fails: {record['failed']}" for record in run.failures()]) + "\n"


def notes(run):
    """Notes on single cells, as a list."""
    lines = [f"- {rule['title']}, {rule['state']}: {rule['why']}." for rule in run.rules.values()]
    reasons = {}
    for record in run.records.values():
        if "impossible" in record:
            reasons.setdefault((UNIONS[record["filesystem"]], record["impossible"]), []).append(record["program"])
    lines += [f"- {name}, {', '.join(dict.fromkeys(programs))}: {why}." for (name, why), programs in reasons.items()]
    lines += [f"- {place(record)} fails: {record['failed']}" for record in run.failures()]
    lines += [f"- {place(record)}: {record['own']} requests of the machine's own disk, which the host takes its time for"
              for record in run.records.values() if record.get("own")]
    return ["\n".join(lines)] if lines else []


def place(record):
    """Where a program ran."""
    if record["filesystem"] == "branch":
        return f"{record['program']} on the branch itself"
    return f"{record['program']} on {UNIONS[record['filesystem']]}, {record['branches']} branches, {record['base']}"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    run = Run(sys.argv[1])
    profiled = any("samples" in record for record in run.records.values())
    if not profiled and not any("instructions" in record for record in run.records.values()):
        print("nothing was counted", *(f"{place(record)}: {record['failed']}" for record in run.failures()), sep="\n")
        return 1
    text = profiles(run) if profiled else tables(run)
    print(text)
    if len(sys.argv) == 3:
        put_into(sys.argv[2], BEGIN, text)
    ours = [record for record in run.failures() if record["filesystem"] in OURS]
    for record in ours:
        print(f"WRONG: {place(record)}: {record['failed']}")
    return 1 if ours else 0


sys.exit(main())
