# SPDX-License-Identifier: GPL-2.0-only
"""The output of a test program, on its way out of the test machine."""
import re

RESULT = re.compile(r"( *)(not ok|ok) (\d+)\b")
PLAN = re.compile(r"( *)1\.\.(\d+)")
HEADER = re.compile(r"( *)K?TAP version \d+$")


def say(text, depth=0):
    print("    " * depth + text, flush=True)


class Stream:
    """One program's KTAP on its way out: indented, its plan made one longer, and completed with
    failures where the program does not keep its plan."""

    def __init__(self, name):
        self.name = name
        self.levels = []  # of open subtests: [indent, plan or None, results so far]
        self.failed = False
        self.started = False

    def line(self, text):
        header, plan, result = HEADER.match(text), PLAN.match(text), RESULT.match(text)
        if not self.started and not header:
            if text.strip():
                say(text if text.startswith("#") else "# " + text, 1)
            return
        if header:
            self.levels.append([len(header.group(1)), None, 0])
            say(text, 1)
            if not self.started:
                say(f"# Subtest: {self.name}", 1)
            self.started = True
            return
        top = self.levels[-1]
        if plan and len(plan.group(1)) == top[0] and top[1] is None:
            top[1] = int(plan.group(2))
            if len(self.levels) == 1:
                text = f"{plan.group(1)}1..{top[1] + 1}"
        elif result:
            indent = len(result.group(1))
            while len(self.levels) > 1 and self.levels[-1][0] > indent:
                self.complete(self.levels.pop())
            self.levels[-1][2] += 1
            if self.levels[-1][2] != int(result.group(3)):
                say(f"# {self.name}: the result above or below has a wrong number", 1)
                self.failed = True
            if result.group(2) == "not ok":
                self.failed = True
            if result.end() == len(text):
                text += " unnamed"  # kunit.py takes no result without a name
        elif text.lstrip() and not text.lstrip().startswith("#"):
            text = "# " + text
        say(text, 1)

    def complete(self, level):
        """Adds failures for results that the plan promised and the program did not give."""
        indent, plan, results = level
        pad = " " * indent
        if plan is None:
            plan = results + 1
            say(f"{pad}1..{plan}", 1)
        if results > plan:
            say(f"{pad}# {self.name}: {results} results, where the plan says {plan}", 1)
            self.failed = True
        for number in range(results + 1, plan + 1):
            say(f"{pad}not ok {number} missing_result", 1)
            self.failed = True
        return max(results, plan)

    def finish(self):
        """Complete all levels; how many results the program should have given."""
        if not self.started:
            self.line("KTAP version 1")
            self.line("1..0")
            self.failed = True
        while len(self.levels) > 1:
            self.complete(self.levels.pop())
            self.failed = True
            self.levels[-1][2] += 1
            say(" " * self.levels[-1][0] + f"not ok {self.levels[-1][2]} ended_within_a_subtest", 1)
        if self.levels[0][1] is None:
            # A program without a plan gets one, for the results that it gave and the case that is added.
            self.failed = True
            say(f"1..{self.levels[0][2] + 1}", 1)
            return self.levels[0][2]
        return self.complete(self.levels[0])
