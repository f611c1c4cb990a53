# SPDX-License-Identifier: GPL-2.0-only
"""Which command notices which mutants: changes that break the code, and that a test has to notice."""
import collections
import functools
import subprocess
import textwrap

from common import CACHE, TOP


def listed(program):
    """The lines of the list of a mutate program."""
    done = subprocess.run([TOP / program, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


@functools.cache
def of_programs():
    """[(program, combination, file)]: the files that kunit/user/mutate breaks, and the programs that are to notice
    it."""
    found = []
    for line in listed("kunit/user/mutate"):
        test, file, _ = line.split("|", 2)
        program, _, combo = test.partition("@")
        found.append((program, combo or "tmpfs", "module/" + file))
    return found


def of_host():
    """The files that kunit/host/mutate breaks, each as often as it does."""
    return ["module/" + line.split("|", 1)[0] for line in listed("kunit/host/mutate")]


def of_suites():
    """The files of Linux 6.12 out of which make kunit-mutants takes sites, each as often as it does; none if no tree
    of it was made yet."""
    mutated = {"get", "put", "region-put", "region-share", "snapshot", "copy", "merge-test", "merge-request", "show"}
    for path in sorted(CACHE.glob("trees/6.12_*/.vm_prfile/sites")):
        sites = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        return [file for _, rule, file, *_ in sites if rule in mutated]
    return []


def counted(what, files):
    """The lines that say how often each of @files is broken: as often as it is there."""
    each = collections.Counter(file.removeprefix("module/") for file in files)
    # A file and its count stay together.
    text = f"{what}, {len(files)}: " + ", ".join(f"{file}\1{count}" for file, count in sorted(each.items()))
    lines = textwrap.wrap(text, 116, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    return [line.replace("\1", " ") for line in lines]


def report(planned):
    """Which command notices which. @planned: [(program, combination)] of `make test`."""
    early = [file for program, combo, file in of_programs() if (program, combo) in planned]
    late = [file for program, combo, file in of_programs() if (program, combo) not in planned]
    lines = ["Mutants, by the command that is to notice them, and by the file that they break:", "make test"]
    lines += counted("the programs of kunit/user (kunit/user/mutate)", early)
    lines += counted("the host tests (kunit/host/mutate)", of_host())
    lines += counted("KUnit on user-mode Linux (make kunit-mutants), what is built there of vm_prfile's sites on 6.12",
                     of_suites())
    lines += ["make test-all, and not make test"]
    lines += counted("the programs of kunit/user", late) if late else []
    lines += ["  KUnit on x86_64 (ARCH=x86_64 make kunit-mutants): the sites of numa_maps, perf, BPF, AppArmor, IMA, IPE"]
    return lines
