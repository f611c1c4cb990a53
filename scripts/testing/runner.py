# SPDX-License-Identifier: GPL-2.0-only
"""Runs steps that depend on each other, as many at once as there are processors, longest first."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

from common import CACHE, Trouble, say

DURATIONS = CACHE / "durations.json"
# How often progress is said, in seconds.
PROGRESS = 20
# Runs a command that takes the time that others leave. If each session has a share of the processors of its own, the
# share of this one is made the smallest as well.
LOWEST = ("sh", "-c", '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 19 "$@"', "sh")
# The lines of a failed step's output that are shown.
TAIL = 60


class Step:
    """One thing that is done: a command whose exit status is the verdict.

    @name: unique; its log has this name, too.
    @after: the names of the steps that must have passed.
    @seconds: how long it takes, about, as long as nothing was measured.
    @waits: whether it mostly waits: then it runs beside the steps that keep the processors busy.
    @fills: whether it computes only, however long: then one such step runs beside those, at the lowest priority, and
        takes the time that they leave while they wait.
    @texts: whether it judges texts for people: then it is done again although no source has changed.
    @counts: whether it is a test of its own; a step that only fetches or prepares is not.
    @without: patterns of source files that do not decide how it ends (see kept.py).
    """

    def __init__(self, name, command, after=(), seconds=10, counts=True, environment=None, waits=False,
                 fills=False, texts=False, without=()):
        self.name, self.command, self.after = name, command, tuple(after)
        self.seconds, self.counts, self.waits, self.texts = seconds, counts, waits, texts
        self.fills, self.yields = fills, False
        self.without = without
        self.environment = environment or {}
        self.status = None
        self.took = 0.0
        self.process = None
        self.log = None

    def start(self, out):
        """Start it; its output goes to its log."""
        self.log = out / f"{self.name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in ([*LOWEST, *self.command] if self.yields else self.command)], stdin=subprocess.DEVNULL,
                stdout=self.output(out) or log, stderr=log, start_new_session=True,
                env=dict(os.environ, **self.environment))

    def output(self, _out):
        """Where its stdout goes, if not to its log."""
        return None

    def wait(self):
        """Wait for its end; True if it passed."""
        self.status = self.process.wait()
        return self.status == 0

    def progress(self):
        """The text about it while it runs."""
        return self.name

    def kill(self):
        """End it and all that it started."""
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGTERM)
                self.process.wait(20)
            except ProcessLookupError:
                pass
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)

    def say_end(self, well):
        """Say how it ended, with its output if it failed."""
        if well:
            say(f"passed: {self.name} ({self.took:.0f} s)")
            return
        with open(self.log, encoding="utf-8", errors="replace") as log:
            print("".join(log.readlines()[-TAIL:]), end="", file=sys.stderr)
        say(f"FAILED: {self.name} ({self.took:.0f} s; all that it printed: {self.log})")


class Runner:
    """Runs steps. A step whose dependency failed is not run, and has failed."""

    def __init__(self, steps, out, slots=None):
        self.steps = {step.name: step for step in steps}
        if len(self.steps) != len(steps):
            raise Trouble("two steps have one name: mend scripts/testing/plan.py")
        for step in steps:
            for name in step.after:
                if name not in self.steps:
                    raise Trouble(f"{step.name} comes after {name}, which there is not:"
                                  " mend scripts/testing/plan.py")
        self.out = out
        self.slots = slots or os.cpu_count() or 2
        self.waiting = list(steps)
        self.running = []
        self.verdicts = {}  # name: True, False
        self.lock = threading.Condition()
        try:
            self.measured = json.loads(DURATIONS.read_text())
        except (OSError, ValueError):
            self.measured = {}
        self.lengths = {}

    def length(self, step):
        """How long it takes from the start of @step to the end of all that waits for it."""
        if step.name not in self.lengths:
            followers = [other for other in self.steps.values() if step.name in other.after]
            self.lengths[step.name] = (self.measured.get(step.name, step.seconds)
                                       + max((self.length(other) for other in followers), default=0))
        return self.lengths[step.name]

    def next_step(self):
        """The step to start now: of those that can start, the one at the head of the longest chain. A step that fills
        comes into a slot when no other can."""
        room = sum(not step.waits and not step.yields for step in self.running) < self.slots
        ready = [step for step in self.waiting if all(self.verdicts.get(name) for name in step.after)]
        first = [step for step in ready if step.waits or (room and not step.fills)]
        if first:
            return max(first, key=self.length)
        filling = max((step for step in ready if step.fills), key=self.length, default=None)
        if filling:
            filling.yields = not room
            if filling.yields and any(step.yields for step in self.running):
                return None
        return filling

    def drop_hopeless(self):
        """Steps that wait for a step that failed have failed."""
        for step in list(self.waiting):
            bad = [name for name in step.after if self.verdicts.get(name) is False]
            if bad:
                self.waiting.remove(step)
                self.verdicts[step.name] = False
                say(f"FAILED: {step.name}: not run, since {bad[0]} failed")
                self.drop_hopeless()
                return

    def run_step(self, step):
        """In a thread: run it and note how it ended."""
        began = time.monotonic()
        well = False
        try:
            step.start(self.out)
            well = step.wait()
        except (OSError, Trouble) as trouble:
            say(f"{step.name}: {trouble}")
        step.took = time.monotonic() - began
        with self.lock:
            self.running.remove(step)
            self.verdicts[step.name] = well
            if well and not step.yields:
                # A step whose results were kept this time may take its full time the next.
                before = self.measured.get(step.name, 0)
                self.measured[step.name] = round(max(step.took, 0.7 * before), 1)
            step.say_end(well)
            self.lock.notify()

    def run(self, ended=lambda step, well: None):
        """Run all of them. @ended is called for each."""
        told = set()
        try:
            with self.lock:
                while self.waiting or self.running:
                    self.drop_hopeless()
                    while step := self.next_step():
                        self.waiting.remove(step)
                        self.running.append(step)
                        say(f"{step.name} ...")
                        threading.Thread(target=self.run_step, args=(step,), daemon=True).start()
                    if self.running and not self.lock.wait(PROGRESS):
                        say(f"{len(self.verdicts)} of {len(self.steps)} steps have ended; running: "
                            + "; ".join(step.progress() for step in self.running))
                    for name, well in self.verdicts.items():
                        if name not in told:
                            told.add(name)
                            ended(self.steps[name], well)
        finally:
            for step in self.running:
                step.kill()
            temporary = DURATIONS.with_suffix(".tmp")
            temporary.write_text(json.dumps(self.measured, indent=1, sort_keys=True))
            temporary.replace(DURATIONS)
        return self.verdicts
