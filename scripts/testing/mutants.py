# SPDX-License-Identifier: GPL-2.0-only
"""Which command notices which mutants: changes that break the code, and that a test has to notice.

    scripts/testing/mutants.py SITES    for each site of vm_prfile in that list of a tree, "NUMBER KERNEL": on which
                                        kernel of the KUnit suites it is noticed (scripts/kunit-mutants asks that)
"""
import collections
import fnmatch
import functools
import pathlib
import subprocess
import sys
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


# The kernels of the KUnit suites (scripts/kunit), and of what they are configured. make test has the first one.
KERNELS = {"um": (".kunitconfig", "um.config"),
           "x86_64": (".kunitconfig", "x86_64.config", "kasan.config", "ipe.config"),
           "riscv-nommu": (".kunitconfig", "riscv_nommu.config", "riscv_nommu.py")}
# Which line of a configuration has a site built, by FILE:FUNCTION. All others are built wherever there is an MMU.
NEEDS = {"arch/*": "another architecture",
         "fs/proc/task_mmu.c:show_numa_map": "CONFIG_NUMA=y",
         "kernel/bpf/*": "CONFIG_BPF_SYSCALL=y",
         "kernel/events/*": "CONFIG_PERF_EVENTS=y",
         "kernel/trace/*": "CONFIG_FTRACE=y",
         "security/apparmor/*": "CONFIG_SECURITY_APPARMOR=y",
         "security/integrity/ima/*": "CONFIG_IMA=y",
         "security/ipe/*": "CONFIG_SECURITY_IPE=y",
         "security/selinux/*": "CONFIG_SECURITY_SELINUX=y",
         "fs/proc/nommu.c:*": "# CONFIG_MMU is not set",
         "fs/proc/task_nommu.c:*": "# CONFIG_MMU is not set",
         "mm/nommu.c:*": "# CONFIG_MMU is not set"}
# What is said where no list of sites is there.
NO_TREE = ["  KUnit (make kunit-mutants): the list is in a tree, and none of 6.12 is made yet: scripts/linux/kernel-tree 6.12"]
# What scripts/kunit-mutants takes out of a tree.
TAKEN_OUT = {"get", "put", "region-put", "region-share", "snapshot", "copy", "merge-test", "merge-request", "show"}


@functools.cache
def configuration(kernel):
    """The lines of the configuration of one of KERNELS."""
    folder = TOP / "kunit/configs"
    return {line for name in KERNELS[kernel] for line in (folder / name).read_text(encoding="utf-8").splitlines()}


def built_on(file, function):
    """The first of KERNELS on which this site is built, or None."""
    needed = next((line for pattern, line in NEEDS.items() if fnmatch.fnmatchcase(f"{file}:{function}", pattern)), None)
    return next((kernel for kernel in KERNELS if needed is None or needed in configuration(kernel)), None)


def sites_in(path):
    """[(number, file, function)] of what is taken out of a tree, by the list of its sites."""
    sites = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [(number, file, function) for number, rule, file, _, function in sites if rule in TAKEN_OUT]


def of_suites():
    """{kernel: the files of Linux 6.12 out of which make kunit-mutants takes sites that this one is the first to have,
    each as often}; nothing where no tree of it is made yet."""
    found = collections.defaultdict(list)
    for path in sorted(CACHE.glob("trees/6.12_*/.vm_prfile/sites"))[:1]:
        for _, file, function in sites_in(path):
            found[built_on(file, function)].append(file)
    return found


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
    suites = of_suites()
    lines = ["Mutants, by the command that is to notice them, and by the file that they break; of vm_prfile's sites, those"
             " of 6.12",
             "make test"]
    lines += counted("the programs of kunit/user (kunit/user/mutate)", early)
    lines += counted("the host tests (kunit/host/mutate)", of_host())
    lines += counted("KUnit on user-mode Linux (make kunit-mutants)", suites["um"]) if suites else NO_TREE
    lines += ["make test-all, and not make test"]
    lines += counted("the programs of kunit/user", late) if late else []
    if suites:
        lines += counted("KUnit on x86_64 (ARCH=x86_64 make kunit-mutants)", suites["x86_64"])
        lines += counted("KUnit without an MMU (ARCH=riscv NOMMU=1 make kunit-mutants)", suites["riscv-nommu"])
        lines += ["no command"]
        lines += counted("sites that are built on none of these", suites[None])
        lines += ["  Those that are built and that no case sees: kunit/README.md."]
    return lines


if __name__ == "__main__":
    for which, *where in sites_in(pathlib.Path(sys.argv[1])):
        print(which, built_on(*where))
