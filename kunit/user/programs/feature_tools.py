# SPDX-License-Identifier: GPL-2.0-only
"""Helpers of features.py, branch_features.py and trinity.py."""
import ctypes
import os
import subprocess

TOP, LOW, LOW2 = os.environ["AUFS_TOP"], os.environ["AUFS_LOW"], os.environ["AUFS_LOW2"]
MNT = os.environ["AUFS_MNT"]
# The other filesystem of the type aufs that is tried, if it is not this one.
PEER = os.environ.get("AUFS_PEER", "")
LIBC = ctypes.CDLL(None, use_errno=True)
CONTENT = b"what it was\n" * 1000


def call(function, *arguments):
    """Call a function of the C library; raise its errno."""
    result = getattr(LIBC, function)(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)


def write(path, data=CONTENT):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


def options_of(kind):
    if kind == "aufs":
        return f"br={TOP}/upper=rw:{LOW}=ro"
    return f"lowerdir={LOW},upperdir={TOP}/upper,workdir={TOP}/work"
