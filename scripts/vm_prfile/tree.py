# SPDX-License-Identifier: GPL-2.0-only
"""Shared by scripts/vm_prfile/vm_prfile-apply and scripts/vm_prfile/vm_prfile-check: facts about a kernel tree."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

MACROS = pathlib.Path(__file__).resolve().parent / "macros.h"
# A file without any of these words cannot have a site.
WORDS = re.compile(rb"\b(vm_file|file_user_path|vma_merge|vma_merge_struct|core_vma_metadata)\b")
# Folders that are not compiled into a kernel; tools/testing/vma compiles mm/vma.c in user space.
ELSEWHERE = ("Documentation/", "samples/", "scripts/", "tools/", ".vm_prfile/", "fs/aufs/")

def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def say(text):
    print(text, file=sys.stderr, flush=True)


def candidates(tree):
    """The files of the tree that can have a site, relative to it."""
    found = []
    for folder, folders, files in os.walk(tree):
        at = os.path.relpath(folder, tree) + "/"
        at = "" if at == "./" else at
        if at != "tools/testing/vma/" and any(at.startswith(e) for e in ELSEWHERE):
            if not "tools/testing/vma/".startswith(at):
                folders[:] = []
            continue
        folders[:] = [f for f in folders if not os.path.islink(os.path.join(folder, f))]
        for name in files:
            if name.endswith((".c", ".h")):
                with open(os.path.join(folder, name), "rb") as f:
                    if WORDS.search(f.read()):
                        found.append(at + name)
    return sorted(found)


def need_spatch():
    if not shutil.which("spatch"):
        fail("spatch is not installed: run 'scripts/setup kunit' (as root)")


def spatch_one(cocci, folder, name, options):
    # --no-includes: the rules ask only for types that the function itself declares.
    result = subprocess.run(
        ["spatch", "--sp-file", str(cocci), "--macro-file", str(MACROS), "--no-includes",
         "--very-quiet", *options, name],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    if result.returncode:
        fail(f"spatch failed on {name}:\n{result.stderr[-2000:]}")
    return result.stdout


def spatch(cocci, folder, names, *options):
    """Runs spatch over each of names by itself; returns what each run printed."""
    printed = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(spatch_one, cocci, folder, name, options): name for name in names}
        for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            printed[jobs[job]] = job.result()
            if done % 50 == 0 or done == len(jobs) > 1:
                say(f"  {done} of {len(jobs)} files")
    return printed


def function_at(lines, index):
    """The name of the definition that the line is in: the last one that begins before it."""
    in_macro = lines[min(index, len(lines) - 1)].endswith("\\\n")
    for line in reversed(lines[:index + 1]):
        if in_macro:
            match = re.match(r"#define\s+(\w+)", line)
        else:
            match = (re.match(r"(?:typedef )?struct (\w+) \{", line)
                     or re.match(r"SYSCALL_DEFINE\d\((\w+)", line)
                     or re.match(r"(?=[A-Za-z_])[^;=]*?(\w+)\([^;]*$", line))
        if match:
            return match[1]
    return "-"
