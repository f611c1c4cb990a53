#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Run a command that may hang, on a host that may be slow.

    scripts/testing/patient.py SECONDS [--of PROGRAM]... COMMAND...

Ends the command, with all that it started, if it has not ended after SECONDS. Seconds in which it waited for a
processor, as the host had other work, do not count. The exit status is the command's; 124 if its time was up.

With --of (a pattern; several may be given) only these programs are looked at and ended, wherever they are among the
processes that the command started: the command itself goes on, and decides about the rest.
"""
import fnmatch
import os
import pathlib
import signal
import subprocess
import sys
import time

# The time between two looks, and the time that a process may take to end, in seconds.
TICK, GRACE = 2, 10
TIME_IS_UP = 124


class Clock:
    """Counts the seconds in which the processes had a processor, or did not want one."""

    def __init__(self, now, waits):
        self.last, self.waits, self.counted = now, waits, 0.0

    def tick(self, now, waits):
        """@waits: {thread: seconds for which it has waited for a processor, all in all}. The seconds that have
        counted so far."""
        waited = max((wait - self.waits.get(thread, 0.0) for thread, wait in waits.items()), default=0.0)
        self.counted += max(0.0, now - self.last - max(0.0, waited))
        self.last, self.waits = now, waits
        return self.counted


def below(root):
    """The processes that @root has started, and those that these have; @root first."""
    children = {}
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            # The name, in parentheses, may have anything in it.
            parent = int((directory / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(directory.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def program_of(process):
    """The name of its program, or nothing if it has ended."""
    try:
        return pathlib.Path(os.readlink(f"/proc/{process}/exe")).name
    except OSError:
        return ""


def waits_of(processes):
    """For how long each of their threads has waited for a processor, in seconds."""
    found = {}
    for process in processes:
        for path in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                found[path.parent.name] = int(path.read_text(encoding="ascii").split()[1]) / 1e9
            except (OSError, ValueError, IndexError):
                continue
    return found


def kill(processes, number):
    """Sends a signal to those of them that are still there."""
    for process in processes:
        try:
            os.kill(process, number)
        except OSError:
            pass


def end(processes):
    """Ends them, at last by force."""
    kill(processes, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until and any(program_of(process) for process in processes):
        time.sleep(0.1)
    kill(processes, signal.SIGKILL)


def run(seconds, patterns, command, tick=TICK):
    """Runs it; the exit status."""

    def looked_at():
        processes = below(child.pid)
        if not patterns:
            return processes
        return [process for process in processes
                if any(fnmatch.fnmatchcase(program_of(process), pattern) for pattern in patterns)]

    def terminated(*_):
        end(below(child.pid))
        sys.exit(143)

    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, terminated)
    clock = None
    while True:
        try:
            status = child.wait(tick)
            return 128 - status if status < 0 else status
        except subprocess.TimeoutExpired:
            pass
        processes = looked_at()
        if not processes:
            clock = None
            continue
        waits = waits_of(processes)
        clock = clock or Clock(time.monotonic(), waits)
        if clock.tick(time.monotonic(), waits) < seconds:
            continue
        print(f"patient.py: {program_of(processes[0])} had not ended after {seconds:g} seconds in which the host had a"
              " processor for it", file=sys.stderr, flush=True)
        end(processes)
        if not patterns:
            child.wait()
            return TIME_IS_UP
        clock = None


def main():
    words = sys.argv[1:]
    try:
        seconds = float(words.pop(0))
        patterns = []
        while words and words[0] == "--of":
            patterns.append(words[1])
            del words[:2]
        if not words:
            raise ValueError
    except (IndexError, ValueError):
        sys.exit("usage: scripts/testing/patient.py SECONDS [--of PROGRAM]... COMMAND...")
    try:
        return run(seconds, patterns, words)
    except FileNotFoundError as error:
        print(f"patient.py: {error}", file=sys.stderr)
        return 127
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
