# SPDX-License-Identifier: GPL-2.0-only
"""KTAP: streams are cut into the results at their top, put together again, and counted by the kernel's
own kunit.py.

    scripts/testing/ktap.py FILE STATUS     prints the totals of the stream in FILE, for a command that ended with STATUS
"""
import collections
import json
import pathlib
import re
import subprocess
import sys

from common import TOP, say

RESULT = re.compile(r"(not ok|ok) (\d+) (\S+)(.*)$")
PLAN = re.compile(r"1\.\.\d+$")
SECONDS = re.compile(r"# (\S+): ([\d.]+) s$")

Counts = collections.namedtuple("Counts", "passed failed skipped")


class Block:
    """One result at the top of a stream, with the lines before it that belong to it."""

    def __init__(self, name, well, lines, seconds=0.0):
        self.name, self.well, self.lines, self.seconds = name, well, lines, seconds

    @classmethod
    def missing(cls, name, why):
        """The result of a program that did not come to one."""
        return cls(name, False, [f"# {name}: {why}", f"not ok 0 {name}"])


def blocks(lines):
    """Yields the blocks of a stream as they become whole."""
    gathered = []
    seconds = 0.0
    for line in lines:
        line = line.rstrip("\n")
        if PLAN.match(line) or line.startswith("KTAP version"):
            gathered = []
            continue
        gathered.append(line)
        if took := SECONDS.match(line):
            seconds = float(took[2])
        if result := RESULT.match(line):
            yield Block(result[3], result[1] == "ok", gathered, seconds)
            gathered, seconds = [], 0.0


def stream(parts):
    """The lines of one stream that has these blocks."""
    lines = ["KTAP version 1", f"1..{len(parts)}"]
    for number, block in enumerate(parts, 1):
        *before, last = block.lines
        lines += before
        lines.append(RESULT.sub(rf"\1 {number} \3\4", last))
    return lines


def count(path):
    """kunit.py's counts of the stream in the file @path. Its output goes into a file beside that."""
    tools = subprocess.run([TOP / "scripts/linux/kernel-tools"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.strip()
    report = path.with_suffix(".json")
    report.unlink(missing_ok=True)
    with open(path.with_suffix(".parsed"), "w", encoding="utf-8") as parsed:
        status = subprocess.run([f"{tools}/tools/testing/kunit/kunit.py", "parse",
                                 f"--json={report}", path], stdout=parsed,
                                stderr=subprocess.STDOUT, check=False).returncode
    found = collections.Counter()

    def walk(group):
        for case in group["test_cases"]:
            found[case["status"]] += 1
        for sub_group in group["sub_groups"]:
            walk(sub_group)

    if report.exists():
        walk(json.loads(report.read_text(encoding="utf-8")))
    failed = found["FAIL"] + found["ERROR"]
    if not sum(found.values()):
        say(f"FAILED: there are no results in {path}")
        failed = 1
    elif status and not failed:
        say(f"FAILED: kunit.py finds a mistake in {path}: see {path.with_suffix('.parsed')}")
        failed = 1
    return Counts(found["PASS"], failed, found["SKIP"])


def main():
    """A command that fails although each of its results is good has failed."""
    found = count(pathlib.Path(sys.argv[1]))
    failed = found.failed or int(sys.argv[2] != "0")
    print(f"{found.passed} passed, {failed} failed" + f", {found.skipped} skipped" * (found.skipped > 0))


if __name__ == "__main__":
    main()
