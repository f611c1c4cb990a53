# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the programs that run the tests: python3 scripts/testing/self_test.py, or scripts/test --self-test."""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import guests  # noqa: E402
import house_test  # noqa: E402
import kept  # noqa: E402
import ktap  # noqa: E402
import mutants  # noqa: E402
import patient  # noqa: E402
import plan  # noqa: E402
import programs  # noqa: E402
import runner  # noqa: E402
from common import Trouble  # noqa: E402

STREAM = """KTAP version 1
1..3
    KTAP version 1
    # Subtest: rw.tmpfs
    1..1
    ok 1 case
# rw.tmpfs: 2.5 s
ok 1 rw.tmpfs
    KTAP version 1
    1..1
    not ok 1 case
not ok 2 io.tmpfs
""".split("\n")


def shell(name, script, after=(), **more):
    """A step that is a line of shell."""
    return runner.Step(name, ["sh", "-c", script], after, **more)


class Streams(unittest.TestCase):
    """Streams are cut, and put together again."""

    def test_blocks(self):
        one, two = ktap.blocks(STREAM)
        self.assertEqual((one.name, one.well, one.seconds), ("rw.tmpfs", True, 2.5))
        self.assertEqual((two.name, two.well, two.seconds), ("io.tmpfs", False, 0.0))
        self.assertEqual(one.lines[0], "    KTAP version 1")

    def test_stream(self):
        parts = [*ktap.blocks(STREAM), ktap.Block.missing("xattr.ext4", "it never came")]
        lines = ktap.stream(parts[1:])
        self.assertEqual(lines[1], "1..2")
        self.assertIn("not ok 1 io.tmpfs", lines)
        self.assertEqual(lines[-1], "not ok 2 xattr.ext4")
        again = list(ktap.blocks(ktap.stream(parts)))
        self.assertEqual([(block.name, block.well) for block in again],
                         [("rw.tmpfs", True), ("io.tmpfs", False), ("xattr.ext4", False)])

    def test_what_is_missing_is_a_failure(self):
        now = kept.Sources()
        with tempfile.TemporaryDirectory() as name:
            results = pathlib.Path(name)
            for program, of in (("rw", guests.stamp(now, "rw.tmpfs")), ("xattr", "# of sources 0"),
                                ("fsx", guests.CHANGED)):
                (results / f"{program}.tmpfs.ktap").write_text(f"{of}\nok 7 {program}.tmpfs\n")
            todo = [(program, "tmpfs") for program in ("rw", "io", "xattr", "fsx")]
            parts = guests.whole("6.12", todo, results, now)
        self.assertEqual([block.well for block in parts], [True, False, False, True])


class Steps(unittest.TestCase):
    """The order in which steps run, and their verdicts."""

    def run_steps(self, steps, slots=2):
        """Run them; how they ended, in the order in which they did."""
        ended = []
        with tempfile.TemporaryDirectory() as name, mock.patch.object(runner, "say"), \
                mock.patch.object(runner, "DURATIONS", pathlib.Path(name) / "durations"), \
                mock.patch.object(sys, "stderr"):
            verdicts = runner.Runner(steps, pathlib.Path(name), slots).run(
                lambda step, well: ended.append((step.name, well)))
        self.assertEqual(dict(ended), verdicts)
        return ended

    def test_order(self):
        steps = [shell("short", "true", seconds=1), shell("long", "true", seconds=50),
                 shell("head", "true", seconds=2), shell("tail", "true", ["head"], seconds=60)]
        self.assertEqual([name for name, _ in self.run_steps(steps, 1)],
                         ["head", "tail", "long", "short"])

    def test_two_at_once(self):
        began = time.monotonic()
        self.run_steps([shell("a", "sleep 1"), shell("b", "sleep 1")])
        self.assertLess(time.monotonic() - began, 1.9)

    def test_what_fills(self):
        """The two steps that have the slots wait for those that fill; these run one after the other, the longest
        first."""
        with tempfile.TemporaryDirectory() as name:
            said = {step: pathlib.Path(name) / step for step in "abcd"}
            wait = ["sh", "-c", 'until [ -s "$1" ]; do sleep 0.05; done; nice > "$0"']
            ended = self.run_steps([
                runner.Step("a", [*wait, said["a"], said["d"]]), runner.Step("b", [*wait, said["b"], said["d"]]),
                runner.Step("c", ["sh", "-c", 'sleep 0.2; nice > "$0"', said["c"]], seconds=90, fills=True),
                runner.Step("d", ["sh", "-c", '[ -s "$1" ] && nice > "$0"', said["d"], said["c"]], fills=True)])
            self.assertEqual(ended[0][0], "c")
            self.assertTrue(all(well for _, well in ended))
            self.assertEqual([int(path.read_text()) for path in said.values()], 2 * [os.nice(0)] + 2 * [19])

    def test_what_fills_has_slots_at_last(self):
        with tempfile.TemporaryDirectory() as name:
            said = pathlib.Path(name) / "said"
            self.run_steps([shell("a", "true"), runner.Step("b", ["sh", "-c", 'nice > "$0"', said], ["a"],
                                                            fills=True)])
            self.assertEqual(int(said.read_text()), os.nice(0))

    def test_failure(self):
        ended = dict(self.run_steps([shell("bad", "exit 3"), shell("next", "true", ["bad"]),
                                     shell("last", "true", ["next"]), shell("other", "true")]))
        self.assertEqual(ended, {"bad": False, "next": False, "last": False, "other": True})

    def test_unknown_step(self):
        with self.assertRaises(Trouble):
            runner.Runner([shell("a", "true", ["b"])], pathlib.Path("/tmp"))

    def test_what_runs_ends_with_it(self):
        step = shell("sleeps", "sleep 100")
        with tempfile.TemporaryDirectory() as name:
            step.start(pathlib.Path(name))
            step.kill()
        self.assertIsNotNone(step.process.poll())


class Patience(unittest.TestCase):
    """The time that a command gets that may hang."""

    def run_patiently(self, seconds, *command, of=()):
        """How it ends, with more looks than usual."""
        with mock.patch.object(sys, "stderr"), mock.patch.object(patient.signal, "signal"):
            return patient.run(seconds, of, command, 0.1)

    def test_waiting_does_not_count(self):
        clock = patient.Clock(10, {"a": 5})
        self.assertEqual(clock.tick(12, {"a": 5}), 2)
        self.assertEqual(clock.tick(14, {"a": 6.5}), 2.5)
        self.assertEqual(clock.tick(20, {"a": 6.5, "b": 6}), 2.5)
        self.assertEqual(clock.tick(21, {"b": 6}), 3.5)
        self.assertEqual(clock.tick(22, {}), 4.5)
        self.assertEqual(clock.tick(23, {"c": 9}), 4.5)

    def test_what_ends(self):
        self.assertEqual(self.run_patiently(60, "true"), 0)
        self.assertEqual(self.run_patiently(60, "sh", "-c", "exit 7"), 7)
        self.assertEqual(self.run_patiently(60, "sh", "-c", "kill -9 $$"), 137)

    def test_what_does_not_end(self):
        for script in ("sleep 1000", "while :; do :; done", "sleep 1000 & wait"):
            with self.subTest(script):
                self.assertEqual(self.run_patiently(0.5, "sh", "-c", f"exec 2>/dev/null; {script}"), patient.TIME_IS_UP)

    def test_one_of_them(self):
        self.assertEqual(self.run_patiently(0.5, "sh", "-c", "exec 2>/dev/null; sleep 1000; exit 3", of=["slee?"]), 3)
        self.assertEqual(self.run_patiently(0, "sh", "-c", "sleep 1; exit 3", of=["other"]), 3)

    def test_nothing_of_it_is_left(self):
        with tempfile.TemporaryDirectory() as name:
            said = pathlib.Path(name) / "said"
            self.run_patiently(0.5, "sh", "-c", f"exec 2>/dev/null; sleep 1000 & echo $! >{said}; wait")
            self.assertEqual(patient.program_of(int(said.read_text())), "")


class Kept(unittest.TestCase):
    """The results that a change of a file makes worthless."""

    @staticmethod
    def changed(file, *how):
        """Whether a change of @file changes the number of the sources."""
        now, then = kept.Sources(), kept.Sources()
        then.digests[file] = "another"
        return now.number(*how) != then.number(*how)

    def test_programs(self):
        self.assertTrue(self.changed("kunit/user/names/rw.cc"))
        self.assertTrue(self.changed("kunit/user/names/rw.cc", (), "rw"))
        self.assertFalse(self.changed("kunit/user/names/rw.cc", (), "io"))
        self.assertTrue(self.changed("module/vfs/io.cc", guests.WITHOUT, "rw"))
        self.assertTrue(self.changed("kunit/user/lib/fixture.hh", guests.WITHOUT, "rw"))
        self.assertFalse(self.changed("kunit/support/shim.h", guests.WITHOUT, "rw"))
        self.assertTrue(self.changed("kunit/support/shim.h", plan.NO_PROGRAMS))

    def test_builds(self):
        for file in ("module/vfs/io.cc", "cxxrt/ref.hh", "Kbuild", "scripts/building/gen-types",
                     "scripts/testing/test-build", "scripts/machine/rootfs"):
            self.assertTrue(self.changed(file, plan.BUILDS))
        self.assertFalse(self.changed("README.md"))


def loaded(name):
    """A script of scripts/ that has no .py, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(plan.TOP / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Kernels(unittest.TestCase):
    """They have the same names everywhere."""

    def test_table(self):
        table = loaded("kernels")
        for pattern in sum(table.COLUMNS.values(), []):
            self.assertTrue(any(programs.chosen(name, [pattern]) for name in programs.programs()), pattern)
        text = (plan.TOP / "scripts/kernel").read_text()
        stock = set(re.split(r"[ |]+", " ".join(re.findall(r"(?m)^([\w.| -]+)\)\s+debian=", text))))
        for which in table.KERNELS:
            self.assertTrue(plan.own(which) or which.removesuffix("-amd64").removesuffix("-arm64") in stock, which)

    def test_telling(self):
        """The output of a program that had nothing to do there is no result."""
        telling = loaded("kernels").TELLING
        left = "left_nothing_behind"
        for text in (f"    1..1\n    ok 1 {left}\nok 7 x.tmpfs\n", f"    ok 1 a # SKIP b\n    ok 2 {left}\nok 7 x.tmpfs\n"):
            self.assertIsNone(telling.search(text), text)
        for text in ("    ok 1 a\n", "        ok 1 a\n", f"    not ok 1 {left}\n", "    not ok 1 a # SKIP b\n"):
            self.assertIsNotNone(telling.search(text), text)

    def test_own(self):
        made = (plan.TOP / "scripts/linux/own-kernel").read_text()
        known = (plan.TOP / "scripts/kernel").read_text()
        for which in plan.OWN:
            self.assertRegex(made, rf"(?m)^{which}\)")
            self.assertIn(which, re.search(r"(?m)^own='(.*)'$", known)[1].split("|"))
        self.assertLessEqual(set(plan.COMPLAINING), set(plan.OWN))
        for which, of in (("kcsan", "kcsan"), ("kcsan-7.3", "kcsan"), ("builtin-stock-6.1", "builtin-stock"), ("6.1", ""),
                          ("cfi-arm64", "cfi-arm64"),
                          ("6.12-rt", ""), ("kcsan-rt", ""), ("sid-7.3", "")):
            self.assertEqual(plan.own(which), of)

    def test_link_in(self):
        """A tree has this repository once, however often it is brought in; another filesystem there stays."""
        def link_in(tree):
            return subprocess.run([plan.script("linux/link-in"), tree], stderr=subprocess.PIPE, text=True, check=False)

        files = {"fs/overlayfs/Kconfig": "", "fs/Kconfig": 'source "fs/overlayfs/Kconfig"\nsource "fs/x/Kconfig"\n',
                 "fs/Makefile": "obj-$(CONFIG_OVERLAY_FS)\t+= overlayfs/\nobj-$(CONFIG_X)\t+= x/\n"}
        with tempfile.TemporaryDirectory() as name:
            tree = pathlib.Path(name)
            for path, text in files.items():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_text(text)
            for _ in range(2):
                self.assertEqual(link_in(tree).returncode, 0)
                self.assertEqual((tree / "fs/Kconfig").read_text().count('source "fs/aufs/Kconfig"\n'), 1)
                self.assertEqual((tree / "fs/Makefile").read_text().split("\n")[1], "obj-$(CONFIG_AUFS_FS)\t\t+= aufs/")
                for file in ("Kbuild", "Kconfig", "module/main.c", "module/vfs/io.cc", "scripts/building/gen-types"):
                    self.assertEqual((tree / "fs/aufs" / file).resolve(), plan.TOP / file)
            (tree / "fs/aufs/Kbuild").unlink()
            (tree / "fs/aufs/Makefile").write_text("obj-y += another.o\n")
            self.assertIn("another filesystem", link_in(tree).stderr)
            self.assertTrue((tree / "fs/aufs/Makefile").exists())
            self.assertIn("no source tree", link_in(tree / "fs").stderr)


class Mutants(unittest.TestCase):
    """Which command is to notice which."""

    def test_where_sites_are_built(self):
        for file, function, kernel in (("mm/vma.c", "remove_vma", "um"), ("security/selinux/hooks.c", "a", "um"),
                                       ("fs/proc/task_mmu.c", "show_map_vma", "um"),
                                       ("fs/proc/task_mmu.c", "show_numa_map", "x86_64"),
                                       ("kernel/bpf/task_iter.c", "a", "x86_64"), ("security/ipe/hooks.c", "a", "x86_64"),
                                       ("mm/nommu.c", "do_mmap", "riscv-nommu"), ("arch/arc/kernel/a.c", "a", None)):
            with self.subTest(file):
                self.assertEqual(mutants.built_on(file, function), kernel)

    def test_the_configurations_have_what_sites_need(self):
        has = set().union(*map(mutants.configuration, mutants.KERNELS))
        for pattern, needed in mutants.NEEDS.items():
            self.assertEqual(needed in has, not pattern.startswith("arch/"), f"{pattern}: {needed}")
        with mock.patch.object(mutants, "configuration", lambda kernel: set()):
            self.assertIsNone(mutants.built_on("kernel/bpf/task_iter.c", "a"))

    def test_sites(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "trees/6.12_1/.vm_prfile/sites"
            path.parent.mkdir(parents=True)
            path.write_text("1\tinclude\tmm/vma.c\t8\t-\n2\tput\tmm/vma.c\t9\ta\n3\tput\tmm/nommu.c\t9\ta\n")
            with mock.patch.object(mutants, "CACHE", pathlib.Path(name)):
                self.assertEqual(mutants.of_suites(), {"um": ["mm/vma.c"], "riscv-nommu": ["mm/nommu.c"]})
                said = "\n".join(mutants.report(set()))
            with mock.patch.object(mutants, "CACHE", pathlib.Path(name) / "none"):
                self.assertIn(mutants.NO_TREE[0], mutants.report(set()))
        early, _, late = said.partition("make test-all")
        self.assertIn("1: mm/vma.c 1", early)
        self.assertIn("1: mm/nommu.c 1", late)

    def test_a_command_runs_what_is_to_notice_them(self):
        planned = plan.todo_in_all()
        for program, combo, file in mutants.of_programs():
            self.assertIn((program, combo), planned, file)


class Concerned(unittest.TestCase):
    """The tests beside programs that `make check` runs for a file."""

    def test_suites(self):
        for file in ("module/mmap/branch_file.cc", "module/mmap/vm_prfile/vm_prfile.cocci", "module/kernel/helpers/mapping.c",
                     "module/union/inode.hh", "kunit/support/shim.c", "kunit/suites/model/model.cases", "Kbuild"):
            self.assertTrue(plan.concern_suites([file]), file)
        for file in ("module/vfs/rename.cc", "kunit/user/names/rw.cc", "kunit/host/run", "README.md"):
            self.assertFalse(plan.concern_suites([file]), file)

    def test_host(self):
        for file in ("module/branch/handed_down.hh", "module/options/options.cc", "kunit/host/handed-down"):
            self.assertTrue(plan.concern_host([file]), file)
        self.assertFalse(plan.concern_host(["module/branch/branch.hh", "kunit/user/names/rw.cc"]))


class Lint(unittest.TestCase):
    """When clang-tidy reads a file again that it found nothing in."""

    FUNCTIONS = "tidy tidy_one kept keep"
    # Instead of clang-tidy one that says what it reads.
    STUB = ('#!/bin/sh\n[ "$1" != --version ] || { echo 1; exit; }\n'
            'for word; do case $word in *.cc) echo "$word" ;; esac; done\n')

    def setUp(self):
        self.work = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("bin", "cache/lint", "work"):
            (self.work / name).mkdir(parents=True)
        (self.work / "bin/clang-tidy-19").write_text(self.STUB)
        (self.work / "bin/clang-tidy-19").chmod(0o755)
        (self.work / "generated.h").write_text("")
        self.make("one")

    def make(self, name, text="int a;\n", flags="-O2"):
        """A checkout with two files, of which the database has one."""
        self.top = self.work / name
        entry = {"directory": f"{self.top}", "file": f"{self.top}/a.cc", "command": f"c++ {flags} -I{self.top}/x"}
        files = {"a.cc": text, "b.cc": "", ".clang-tidy": "", "kunit/.clang-tidy": "", "a.hh": "",
                 "module/kernel/generated/types.hh": name, "build/compile_commands.json": json.dumps([entry])}
        for file, content in files.items():
            (self.top / file).parent.mkdir(parents=True, exist_ok=True)
            (self.top / file).write_text(content)

    def read(self):
        """The files that it reads."""
        script = (f'source <(for name in {self.FUNCTIONS}; do sed -n "/^$name()/,/^}}/p" "$1"/lint; done)\n'
                  'need() { :; }\ncache=$2/cache work=$2/work jobs=1 depth= top=$3\n'
                  'mkdir -p "$3/scripts"; ln -sfn "$1/testing" "$3/scripts"\n'
                  'printf "%s\\n" a.cc b.cc | tidy "$3" "a.hh module $2/generated.h" -p build')
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script, "bash", plan.script(""), self.work, self.top],
                              env=dict(os.environ, PATH=f"{self.work}/bin:{os.environ['PATH']}"), text=True, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.stdout.split()

    def test_kept(self):
        self.assertEqual(self.read(), ["a.cc", "b.cc"])
        self.assertEqual(self.read(), [])
        # Another checkout with the same content, and what make has generated there.
        self.make("two")
        self.assertEqual(self.read(), [])
        self.make("two", text="int b;\n")
        self.assertEqual(self.read(), ["a.cc"])
        for change in (lambda: self.make("two", text="int b;\n", flags="-O3"),
                       lambda: (self.work / "generated.h").write_text("int c;\n"),
                       lambda: (self.top / "a.hh").write_text("int d;\n"),
                       lambda: (self.top / "kunit/.clang-tidy").write_text("---\n")):
            change()
            self.assertEqual(self.read(), ["a.cc", "b.cc"])
            self.assertEqual(self.read(), [])


class Programs(unittest.TestCase):
    """The heads of programs."""

    def test_head(self):
        program = programs.Program("x", "// Combinations: tmpfs ext4+xfs\n// Boot: security=selinux\n")
        self.assertEqual((program.combos, program.boot, program.once),
                         (["tmpfs", "ext4+xfs"], "security=selinux", False))
        self.assertEqual(programs.Program("x", "").combos, ["tmpfs"])
        more = programs.Program("x", "# More: xfs\n# Runs: on 6.12 only\n")
        self.assertEqual((more.combos, more.more, more.once), (["tmpfs"], ["xfs"], True))
        for head in ("# Combinations: ntfs\n", "# More: ntfs\n# Runs: on 6.12 only\n", "# More: xfs\n",
                     "# More: tmpfs\n# Runs: on 6.12 only\n"):
            with self.subTest(head), self.assertRaises(Trouble):
                programs.Program("x", head)

    def test_asked_for(self):
        case = ("case ${AUFS_COMBO:-tmpfs} in\ntmpfs | ext4) run_cases a ;;\nxfs*)\n\trun_cases b (c)\n\t;;\n"
                "*) run_cases d ;;\nesac\n")
        mixed = {"ext4+xfs", "tmpfs+ext4"}
        for text, asked in ((case, [{"tmpfs"}, {"ext4"}, {"xfs"}, mixed]),
                            (case.replace("xfs*", "xfs | ext4"), [{"tmpfs"}, {"ext4"}, {"xfs"}, set(), mixed]),
                            ("a()\n{\n\tonly_on tmpfs ext4+xfs\n}\n", [{"tmpfs"}, {"ext4+xfs"}]),
                            ('\tif (on("ext4") || on("xfs", true))\n', [{"ext4", "ext4+xfs"}, {"xfs", "ext4+xfs"}]),
                            ('if os.environ["AUFS_COMBO"] != "tmpfs":\nrun("ext4")\n', [{"tmpfs"}]),
                            ('[ "$AUFS_COMBO" = ext4+xfs ] || skip\n', [{"ext4+xfs"}]),
                            ('KIND = os.environ["AUFS_COMBO"]\nDISK = {"xfs": 1, "none": 0}\n', [{"xfs"}]),
                            ('{"xfs": 1}\nrun("ext4")\n', [])):
            with self.subTest(text):
                self.assertEqual(programs.asked_for(text), asked)

    def test_nothing_is_dead(self):
        """What a program does on some combinations only is done by `make test-all`."""
        planned = plan.todo_in_all()
        self.assertEqual(len(planned), len(set(planned)))
        for program in programs.programs().values():
            mine = {combo for name, combo in planned if name == program.name}
            for asked in programs.asked_for((plan.TOP / program.file).read_text(encoding="utf-8")):
                self.assertTrue(asked & mine, f"{program.file} does more on one of {asked or 'none'}, and runs on {mine}")

    def test_test_all_has_all(self):
        """Of what `make test` runs, nothing is left out there."""
        for which in plan.STOCK:
            self.assertLessEqual(set(plan.todo_in_test(which)), set(plan.todo_in_all()))

    def test_patterns(self):
        self.assertTrue(programs.chosen("mmap_race", ["mmap*", "!*_errors"]))
        self.assertFalse(programs.chosen("mmap_errors", ["mmap*", "!*_errors"]))
        self.assertTrue(programs.chosen("rw", ["!apt"]))

    def test_concerned(self):
        self.assertIn("rw_rename", programs.concerned(["module/vfs/rename.cc"]))
        self.assertEqual(programs.concerned(["kunit/user/names/rw.cc"]), {"rw"})
        self.assertEqual(programs.concerned(["README.md", "kunit/user/mutate"]), set())

    def test_headers_and_what_all_are_made_of(self):
        """A header concerns what those concern that include it, as far as they can wait for that."""
        for file, some in (("module/union/find.hh", "lookup"), ("module/branch/keep_times.hh", "dir_times"),
                           ("module/union/names_now.hh", "udba"), ("module/vfs/io.hh", "io"),
                           ("kunit/user/lib/history.hh", "power_cut_writes"),
                           ("kunit/user/lib/history.cc", "power_cut_writes"),
                           ("kunit/user/lib/call_kinds.cc", "fuzz_calls"),
                           ("kunit/user/random/fuzz_calls.corpus", "fuzz_calls"),
                           ("cxxrt/ref.hh", "rw"), ("Kbuild", "rw"), ("scripts/machine/run-tests", "rw")):
            with self.subTest(file):
                found = programs.concerned([file])
                self.assertIn(some, found)
                self.assertLessEqual(len(found), programs.FEW)
                self.assertFalse([name for name in found if programs.programs()[name].late])

    def test_nothing_is_forgotten(self):
        self.assertEqual(programs.check_concerns(), [])
        with mock.patch.object(programs, "includers", lambda: {}):
            wrong = programs.check_concerns()
        alone = [file for file in plan.sources()
                 if file.startswith(("module/", programs.USER)) and file.endswith(".hh") and not programs.named_for(file)]
        self.assertTrue(alone)
        for file in (*alone, "kunit/user/lib/served.cc"):
            self.assertIn(f"{programs.CONCERNS}: no program for {file}", wrong)

    def test_what_is_compiled(self):
        for files, chosen, names in ((["module/vfs/io.cc"], {"io"}, ["build-user-tests", "root-image"]),
                                     (["kunit/user/lib/disk.hh"], set(), ["build-user-tests"]),
                                     (["README.md"], set(), [])):
            self.assertEqual([step.name for step in plan.steps_for_programs(files, chosen)], names)

    def test_a_header_is_read(self):
        done = subprocess.run([plan.script("testing/readers"), "module/*"], stdout=subprocess.PIPE, text=True, check=True,
                              input="module/union/find.hh\nkunit/host/lib/text.hh\n")
        self.assertEqual(done.stdout, "module/union/find.cc\n")


def passed():
    """Run all of them."""
    load = unittest.defaultTestLoader.loadTestsFromModule
    suite = unittest.TestSuite(map(load, (sys.modules[__name__], house_test)))
    return unittest.TextTestRunner(stream=sys.stdout).run(suite).wasSuccessful()


if __name__ == "__main__":
    sys.exit(0 if passed() else 1)
