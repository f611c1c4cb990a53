# SPDX-License-Identifier: GPL-2.0-only
"""The steps of the commands, and their order."""
import re
import subprocess

import house
import includes
import kept
import programs
from common import TOP, Trouble, sources
from guests import Guest, is_builtin, results_of, user_tests
from runner import Step

STOCK = ["6.12", "6.1"]
# The kernels of Debian 13, and the newest for it.
NEWER = ["trixie", "backports"]
# The source of the last one.
NEWEST = "7.3"
# scripts/linux/own-kernel makes these, of 6.12 or, with -7.3 after the name, of another series.
OWN = ["debug", "kcsan", "kcsan_plain", "cfi", "cfi-arm64", "vm_prfile", "builtin", "builtin-stock", "plain", "member",
       "lock_stat"]
# Those of them that say what is wrong with them. Programs are slow there.
COMPLAINING = ["debug", "kcsan", "kcsan_plain", "cfi", "cfi-arm64"]
# Files that do not decide whether a kernel and its module are built, and whether the tests in them pass.
NO_PROGRAMS = ("kunit/user/*", "kunit/host/*", "scripts/testing/concerns", "scripts/live/*", *kept.LINT)
BUILDS = (*NO_PROGRAMS, *kept.SUITES, "scripts/test", "scripts/testing/*", "!scripts/testing/test-build",
          "scripts/machine/*", "!scripts/machine/rootfs")
# Files that the tests without a kernel compile or read; and those of the KUnit suites, beside the files that they
# include.
HOST = ("cxxrt/*", "kunit/host/*", "module/options/*", "module/companion/*", "module/branch/handed_down.hh",
        "scripts/building/check-module", "scripts/testing/patient.py")
MAPPINGS = ("cxxrt/*", "kunit/suites/*", "kunit/support/*", "kunit/configs/*", "module/mmap/*", "module/kernel/*",
            "scripts/vm_prfile/*", "scripts/linux/kernel-tree", "scripts/linux/link-in", "scripts/kunit",
            "scripts/building/gen-types", "scripts/testing/patient.py", "Kbuild", "Kconfig")
# Seconds of a user-space program that was not measured yet, and of a machine until it is up.
PROGRAM_SECONDS, BOOT_SECONDS = 5, 10
# The programs on COMPLAINING kernels, without other people's: these take hours there.
DEBUG_PATTERNS = ["*", "!apt", "!builds", "!lower_*", "!programs", "!observe*", "!stress", "!uprobe"]


def script(name):
    """A program of scripts/."""
    return TOP / "scripts" / name


def own(which):
    """The name in OWN of this kernel, whatever its series; or nothing."""
    name = re.sub(r"-\d+\.\d+$", "", which)
    return name if name in OWN else ""


def steps_to_build(kernels):
    """The kernels, and the module for each, without a warning."""
    steps = []
    for which in kernels:
        steps.append(Step(f"kernel-{which}", [script("kernel"), which],
                          seconds=600 if own(which) else 8, counts=is_builtin(which), without=BUILDS))
        if not is_builtin(which):
            steps.append(Step(f"build-{which}", [script("testing/test-build"), which], [f"kernel-{which}"], 30,
                              without=BUILDS))
    return steps


def steps_for_guests():
    """The steps that each machine needs beside its kernel and module."""
    return [Step("root-image", [script("machine/rootfs")], seconds=60, counts=False, without=BUILDS)]


def build_user_tests():
    """The user-space programs, compiled once for all kernels."""
    return Step("build-user-tests", ["make", "-C", TOP / "kunit/user", "-j2", f"OUT={user_tests('')}"],
                seconds=90)


def steps_for_programs(files, chosen):
    """What `make check` does for the user-space programs, beside the machines that run those that are @chosen: all are
    compiled where one of the changed @files is a part of some."""
    compiled = chosen or any(file.startswith(programs.USER) for file in files)
    return [build_user_tests()] * bool(compiled) + steps_for_guests() * bool(chosen)


def is_arm64(which):
    """Whether this kernel is for machines of that architecture."""
    return which.endswith("arm64")


def steps_for_arm64():
    """The steps that machines for arm64 need of their own."""
    build = 'exec make -C kunit/user -j2 "OUT=$1" "SYSROOT=$(scripts/machine/arm64 sysroot)"'
    return [Step("root-image-arm64", [script("machine/arm64")], seconds=60, counts=False, without=BUILDS),
            Step("build-user-tests-arm64", ["bash", "-c", f'cd "$0" && {build}', TOP, user_tests("arm64")],
                 ["root-image-arm64"], seconds=90)]


def needs(which):
    """The steps that a machine with this kernel comes after."""
    of = "-arm64" if is_arm64(which) else ""
    return [f"{'kernel' if is_builtin(which) else 'build'}-{which}", f"root-image{of}", f"build-user-tests{of}"]


def lint(check, seconds, after=(), deep=False):
    """One of the checks of scripts/lint."""
    return Step(f"lint-{check}", [script("lint"), check], after, seconds, texts=check == "rules", fills=True,
                environment={"LINT_JOBS": "1", "LINT_DEEP": "y" * deep})


def steps_to_judge_sources(deep):
    """The steps that judge the sources and the tools of the tests. @deep: clang-tidy looks as far as it can."""
    return [
        Step("kernel-tools", [script("linux/kernel-tools")], seconds=15, counts=False, without=BUILDS),
        Step("sparse", [script("testing/test-build"), "6.12", "C=2"], ["build-6.12"], 10, fills=True, without=BUILDS),
        lint("format", 5),
        lint("kernel", 15, ["kernel-tools"]),
        lint("rules", 5),
        lint("scripts", 15),
        lint("tidy", 180 if deep else 40, ["sparse"], deep),
        Step("check-log", [script("testing/test-check-log")], seconds=1),
        Step("test-itself", [script("test"), "--self-test"], seconds=2),
        Step("mutants-apply", [TOP / "kunit/user/mutate", "--check"], seconds=5, fills=True),
        Step("host-mutants-apply", [TOP / "kunit/host/mutate", "--check"], seconds=5, fills=True),
        Step("test-machine", [script("testing/test-machine")], ["build-6.12", "root-image"], 60,
             waits=True, without=(*NO_PROGRAMS, *kept.SUITES)),
    ]


def steps_to_judge_tests():
    """clang-tidy over the tests, which takes longer than over the module."""
    return [lint("tests", 150, (), True), lint("suites", 40, ["kunit-um"], True)]


class Ktap(Step):
    """A step whose results are a KTAP stream, NAME.ktap: its stdout, or what it writes into $KTAP."""

    def __init__(self, name, command, after=(), seconds=10, environment=None, stdout=False, without=()):
        super().__init__(name, command, after, seconds, False, environment, without=without)
        self.stdout = stdout

    def output(self, out):
        return open(out / f"{self.name}.ktap", "wb") if self.stdout else None

    def start(self, out):
        self.environment["KTAP"] = str(out / f"{self.name}.ktap")
        super().start(out)


def host_tests(seconds):
    """The tests that need no kernel; @seconds of fuzzing."""
    return Ktap("host", [TOP / "kunit/host/run", str(seconds)], ["kernel-6.12"], 60 + seconds,
                stdout=True, without=("kunit/user/*", *kept.SUITES, *kept.LINT))


def suites(arch, seconds, nommu=False, kernel="6.12"):
    """The KUnit suites, on a kernel of their own."""
    series = f"-{kernel}" * (kernel != "6.12")
    return Ktap(f"kunit-{arch}{'-nommu' * nommu}{series}", [script("kunit")], [f"tree-{kernel}"], seconds,
                {"ARCH": arch, "NOMMU": "1" * nommu, "KERNEL": kernel}, without=NO_PROGRAMS)


def concern_host(files):
    """Whether a change of @files may change how the host tests end."""
    return any(house.matches(file, HOST) for file in files)


def concern_suites(files):
    """Whether a change of @files may change how the KUnit suites end."""
    texts = {name: (TOP / name).read_text(encoding="utf-8") for name in sources()
             if name.endswith((".cc", ".hh", ".c", ".h", ".cases"))}
    included = includes.reached([name for name in texts if name.startswith(("kunit/suites/", "kunit/support/"))], texts)
    return any(file in included or house.matches(file, MAPPINGS) for file in files)


def live():
    """A Debian whose root is a union, on three kernels."""
    return Ktap("live", [script("live/run")], ["build-6.12", "build-6.1", "build-backports"], 600,
                without=(*NO_PROGRAMS, *kept.SUITES, "!scripts/live/*"))


def tree(kernel):
    """The source of a kernel, with the semantic patch."""
    return Step(f"tree-{kernel}", [script("linux/kernel-tree"), kernel], seconds=90, counts=False, without=NO_PROGRAMS)


def steps_for_newest():
    """The semantic patch where mappings are shown without mmap_lock."""
    return [tree(NEWEST), suites("um", 240, kernel=NEWEST)]


def steps_for_vm_prfile():
    """The semantic patch, on both kernels."""
    return [
        tree("6.12"),
        Step("vm_prfile-6.1", [script("linux/kernel-tree"), "6.1"], seconds=90, without=NO_PROGRAMS),
        Step("vma", [script("testing/vma-test")], ["tree-6.12"], 20, fills=True, without=NO_PROGRAMS),
        Step("vm_prfile-check", [script("testing/test-sites")], ["tree-6.12"], 60, fills=True, without=NO_PROGRAMS),
    ]


def machines(which, todo, out, sources, measured, shards=1, options=(), memory=2048, resume=False):
    """Divides @todo into machines that take about as long as each other; each word for the kernel's
    command line needs machines of its own."""
    known = programs.programs()
    results = out / "results" / which
    if resume and results.exists():
        found = results_of(results, sources)
        todo = [(program, combo) for program, combo in todo
                if not (found.get(f"{program}.{combo}") and found[f"{program}.{combo}"].well)]

    def seconds(one):
        return measured.get(f"{which}:{one[0]}.{one[1]}", PROGRAM_SECONDS)

    steps = []
    for boot in sorted({known[program].boot for program, _ in todo}):
        mine = [one for one in todo if known[one[0]].boot == boot]
        parts = [[] for _ in range(1 if boot else min(shards, len(mine)))]
        for one in sorted(mine, key=seconds, reverse=True):
            min(parts, key=lambda part: sum(map(seconds, part))).append(one)
        for part in parts:
            name = f"guest-{which}-{len(steps) + 1}"
            steps.append(Guest(name, which, part, results, sources,
                               needs(which),
                               BOOT_SECONDS + sum(map(seconds, part)), boot, options, memory))
    return steps


def todo(patterns, combos=None):
    """[(program, combination)]: the programs that these patterns choose, on the combinations that they name or on
    @combos."""
    return [(program.name, combo) for program in programs.programs().values()
            if programs.chosen(program.name, patterns) for combo in (combos or program.combos)]


def todo_in_test(which):
    """The same for `make test`, on this kernel: each program runs on both kernels, and each of its combinations on
    one of them."""
    def combos(program):
        if program.once or len(program.combos) == 1:
            return program.combos
        return program.combos[:-1] if which == "6.12" else program.combos[-1:]

    return [(program.name, combo) for program in programs.programs().values()
            if not program.late and (which == "6.12" or not program.once) for combo in combos(program)]


def todo_in_all():
    """The same for `make test-all`, on each stock kernel: a program that takes long runs only on the combinations
    that it names."""
    return [(program.name, combo) for program in programs.programs().values()
            for combo in (program.combos + program.more if program.late or program.once else programs.COMBOS)]


def todo_in_newer():
    """The same for kernels of Debian 13: the programs that do not take long, and observed_by_programs, on the
    combinations that they name."""
    return [(program.name, combo) for program in programs.programs().values()
            if program.name == "observed_by_programs" or not (program.late or program.once)
            for combo in program.combos]


def git(*words):
    """Runs git here; how it ended, with its output."""
    return subprocess.run(["git", "-c", f"safe.directory={TOP}", *words], cwd=TOP, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)


def is_commit(name):
    """Whether git knows it: a clone may lack older commits."""
    return git("rev-parse", "--verify", "-q", name + "^{commit}").returncode == 0


def changed_files(base):
    """The files that differ from the commit @base, and those that git does not know yet."""
    if not is_commit(base):
        raise Trouble(f"git knows no commit '{base}' in {TOP}: give another one, BASE=COMMIT")
    names = git("diff", "--name-only", base).stdout + git("ls-files", "--others", "--exclude-standard").stdout
    return sorted(set(sources()) & set(names.split("\n")))
