# SPDX-License-Identifier: GPL-2.0-only
"""Where the test machine is, as perf finds when it looks again and again; for guest-run and programs/run."""
import collections
import os
import re
import select
import subprocess

from guest import write

DATA, CONTROL, DONE = "/tmp/perf", "/tmp/perf-control", "/tmp/perf-done"
# A count, the program, whether that was in the kernel, and the function.
LINE = re.compile(r" *(\d+) +(\S.*?) +\[(.)\] +(\S.*?) *")


def begin():
    """What there has to be before perf runs."""
    # Else the kernel would look less often where looking takes long, as it does in a machine that is emulated.
    write("/proc/sys/kernel/perf_cpu_time_max_percent", 0)
    for path in CONTROL, DONE:
        os.mkfifo(path)


def words(period, *options):
    """perf, which looks each time that the clock has gone on by the period. It begins when it reads "enable" from CONTROL,
    and says in DONE that it has. It does not read programs after their end: they may lie on what is measured."""
    return ["perf", "record", "-q", "-B", "-N", "-c", str(period), "-D", "-1", "--control", f"fifo:{CONTROL},{DONE}",
            "-o", DATA, *options]


def samples():
    """{function of the kernel, or program outside of it: how often it was there} of what was recorded last."""
    done = subprocess.run(["perf", "report", "-i", DATA, "--stdio", "-q", "-F", "sample,comm,symbol"], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace",
                          check=True)
    found = collections.Counter()
    for line in done.stdout.splitlines():
        match = LINE.fullmatch(line)
        if match and match[2] != "perf":
            found[match[4] if match[3] == "k" else f"{match[2]}, outside of the kernel"] += int(match[1])
    return found


class Recording:
    """Of all that the machine does while this is entered, but for perf itself, and for doing nothing."""

    def __init__(self, period):
        self.period = period

    def __enter__(self):
        # Both ways: so nobody waits here for a perf that could not start.
        self.control, self.done = (os.open(path, os.O_RDWR) for path in (CONTROL, DONE))
        self.perf = subprocess.Popen(words(self.period, "-a", "-m", "1024", "-e", "cpu-clock:I"),
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.tell("enable")
        return self

    def __exit__(self, *_):
        self.tell("disable")
        self.tell("stop")
        status = self.perf.wait()
        os.close(self.control)
        os.close(self.done)
        if status:
            raise RuntimeError(f"perf record: status {status}")

    def tell(self, what):
        os.write(self.control, what.encode() + b"\n")
        if not select.select([self.done], [], [], 60)[0]:
            raise RuntimeError(f"perf record does not '{what}': did it start at all?")
        os.read(self.done, 64)
