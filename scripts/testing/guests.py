# SPDX-License-Identifier: GPL-2.0-only
"""The user-space programs in a test machine, as a step whose results are kept one by one."""
import re
import shutil
import subprocess

import ktap
import kept
import programs
from common import CACHE, TOP, Trouble, say
from runner import Step


def is_builtin(which):
    """Whether this kernel has no module, since all is built in."""
    return which.startswith("builtin")


def user_tests(which):
    """Where the programs for this kernel are."""
    return CACHE / ("user-tests-arm64" if which.endswith("arm64") else "user-tests")


# Files that do not decide how a program does in a machine.
WITHOUT = (*kept.SUITES, *kept.LINT, "kunit/host/*", "kunit/user/mut*", "scripts/testing/concerns",
           "scripts/testing/vma-test", "scripts/bench*", "scripts/kunit*", "scripts/demo", "scripts/machine/demo",
           "scripts/kernels", "scripts/live/*")


# The first line of a result whose sources changed while it was made: it counts now, and is not kept.
CHANGED = "# of sources that changed"


def stamp(sources, block_name):
    """The first line of a result: the number of its sources."""
    program, dot, _ = block_name.partition(".")
    return f"# of sources {sources.number(WITHOUT, program if dot else 'none')}"


def results_of(directory, sources):
    """The blocks in @directory that are of these @sources, by name."""
    found = {}
    for path in sorted(directory.glob("*.ktap")):
        lines = path.read_text(encoding="utf-8").split("\n")
        for block in ktap.blocks(lines[1:]):
            if lines[0] in (stamp(sources, block.name), CHANGED):
                found[block.name] = block
    return found


def drop_changed(directory):
    """Remove the results that are not kept."""
    for path in directory.glob("*/*.ktap"):
        if path.read_text(encoding="utf-8").startswith(CHANGED):
            path.unlink()


class Guest(Step):
    """One machine of the kernel @which that runs @todo, [(program, combination)].

    @results: the directory in which each result is kept as soon as it is there. A program with a good result
    there is not run again.
    """

    def __init__(self, name, which, todo, results, sources, after, seconds, boot="", options=(), memory=2048):
        super().__init__(name, [], after, seconds, counts=False)
        self.which, self.todo, self.results, self.sources = which, todo, results, sources
        self.boot, self.options, self.memory = boot, options, memory
        self.ended, self.failed = 0, 0
        self.distrusted = False

    def output(self, _out):
        return subprocess.PIPE

    def start(self, out):
        job = out / f"job-{self.name}"
        shutil.rmtree(job, ignore_errors=True)
        job.mkdir()
        if not is_builtin(self.which):
            self.add_module(job)
        shutil.copy(TOP / "scripts/machine/run-tests", job / "run")
        shutil.copy(TOP / "scripts/machine/stream.py", job)
        shutil.copy(TOP / "scripts/testing/check-log", job / "check-log")
        # The programs of this machine, with all that they may read.
        (job / "tests").mkdir()
        others = programs.programs().keys() - {program for program, _ in self.todo}
        for path in user_tests(self.which).iterdir():
            if path.name not in others and not path.name.startswith("."):
                (job / "tests" / path.name).symlink_to(path)
        (job / "todo").write_text("".join(f"{program} {combo}\n" for program, combo in self.todo))
        self.command = [TOP / "scripts/vm", "run", "--kernel", self.which,
                        "--memory", str(self.memory), "--append", self.boot,
                        "--timeout", "0", "--log", out / f"{self.name}.kernel-log",
                        job, "--todo", "/job/todo", *self.options]
        self.results.mkdir(parents=True, exist_ok=True)
        super().start(out)

    def add_module(self, job):
        """Puts the module there, with its companion if the kernel can have that."""
        made = subprocess.run([TOP / "scripts/building/build-module", self.which], stdout=subprocess.PIPE,
                              text=True, check=False)
        if made.returncode:
            raise Trouble(f"there is no module for {self.which}")
        module = made.stdout.strip()
        shutil.copy(module, job)
        companion = re.sub(r"aufs\.ko$", "aufs-observers.ko", module)
        if companion != module and (TOP / companion).exists():
            shutil.copy(companion, job)

    def wait(self):
        lines = (line.decode(errors="replace") for line in self.process.stdout)
        with open(self.log.with_suffix(".ktap"), "w", encoding="utf-8") as copy:

            def copied():
                for line in lines:
                    copy.write(line)
                    copy.flush()
                    yield line

            for block in ktap.blocks(copied()):
                self.ended += 1
                self.failed += not block.well
                if not block.well:
                    say(f"{self.name}: not ok: {block.name}")
                # The result of lockdep and kmemleak at the end is this machine's.
                one_of = "" if "." in block.name else f"-{self.name}"
                self.distrusted |= bool(one_of) and not block.well
                of = stamp(self.sources, block.name)
                if of != stamp(kept.Sources(), block.name):
                    of = CHANGED
                path = self.results / f"{block.name}{one_of}.ktap"
                path.write_text("\n".join([of, *block.lines]) + "\n", encoding="utf-8")
        self.status = self.process.wait()
        if self.status not in (0, 1):
            say(f"{self.name}: the machine ended with status {self.status}")
        return self.status == 0

    def forget(self):
        """Forgets the results of all its programs: something was wrong that belongs to none of them."""
        for program, combo in self.todo:
            (self.results / f"{program}.{combo}.ktap").unlink(missing_ok=True)

    def progress(self):
        return f"{self.name} ({self.ended} of {len(self.todo)}, {self.failed} failed)"


def whole(which, todo, results, sources):
    """The blocks of a kernel: the results of @todo in @results, and failures for those that are missing there."""
    found = results_of(results, sources)
    parts = []
    for program, combo in todo:
        name = f"{program}.{combo}"
        parts.append(found.pop(name, None)
                     or ktap.Block.missing(name, f"no result: the machine ended before (see {which}'s log)"))
    # And results of no program, such as lockdep's at the end.
    return parts + [block for name, block in found.items() if "." not in name]
