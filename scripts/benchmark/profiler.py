# SPDX-License-Identifier: GPL-2.0-only
"""perf's samples of where the test machine is; for guest-run and programs/run."""
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
    """Prepares the machine for perf."""
    # Else the kernel would sample less often where a sample takes long, as in an emulated machine.
    write("/proc/sys/kernel/perf_cpu_time_max_percent", 0)
    for path in CONTROL, DONE:
        os.mkfifo(path)


def words(period, *options):
    """The command of perf, which takes a sample after each period of the clock. perf begins when it reads "enable"
    from CONTROL, and answers in DONE. It does not read programs after their end: they may lie on the measured
    filesystem."""
    return ["perf", "record", "-q", "-B", "-N", "-c", str(period), "-D", "-1", "--control", f"fifo:{CONTROL},{DONE}",
            "-o", DATA, *options]


def samples():
    """{function of the kernel, or program outside of it: how many samples} of the last recording."""
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
    """Samples of all that the machine does while this is entered, without perf itself and without idle time."""

    def __init__(self, period):
        self.period = period

    def __enter__(self):
        # Opened for reading and writing: open() must not wait for a perf that could not start.
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
