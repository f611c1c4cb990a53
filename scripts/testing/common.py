# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the parts of scripts/test: where things are, and messages of progress."""
import functools
import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME")
                     or os.environ.get("HOME", "/root") + "/.cache") / "aufs-cxx"
# One clock for a script and the scripts that it calls, as in scripts/lib.sh.
STARTED = float(os.environ.setdefault("AUFS_STARTED", str(int(time.time()))))


def say(text):
    """A line of progress, with the seconds since the start."""
    print(f"[{time.time() - STARTED:4.0f}s] {text}", file=sys.stderr, flush=True)


class Trouble(Exception):
    """An error: what is wrong, where, and what to do about it."""


@functools.cache
def sources():
    """The files of the checkout that are no build products, as paths below TOP."""
    listed = subprocess.run([TOP / "scripts/building/list-sources"], stdout=subprocess.PIPE, check=True)
    return [name.decode() for name in listed.stdout.split(b"\0") if name]
