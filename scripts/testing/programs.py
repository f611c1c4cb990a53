# SPDX-License-Identifier: GPL-2.0-only
"""The user-space programs of kunit/user, the head of each, and the files that concern them.

A program says near its head, in a comment, what it needs of the test machine:

    Combinations: tmpfs ext4+xfs    on which filesystems: of the rw branch, and of the ro ones if that is
                                    another. tmpfs, if it says nothing
    More: ext4 xfs                  on which `make test-all` runs it, too; for those with "Runs:"
    Boot: security=selinux          words for the kernel's command line
    Runs: on 6.12 only              it takes long, and does not depend on the kernel
    Runs: in `make test-all` only   it takes minutes: other people's programs

`make test` runs a program on 6.1 on the last combination that it names, and on 6.12 on the others, or on that if it
names one alone.
`make test-all` runs all programs on both, and those without "Runs:" on all combinations. What a program does on some
combinations only, it does in a run of that (asked_for).
"""
import collections
import fnmatch
import functools
import re

import house
import includes
import mutants
from common import TOP, Trouble, sources

USER = "kunit/user/"
COMBOS = ["tmpfs", "ext4", "xfs", "ext4+xfs", "tmpfs+ext4"]
RUNS = ["", "on 6.12 only", "in `make test-all` only"]
LINE = re.compile(r"^(?://|#) (Combinations|More|Boot|Runs): (.*)$", re.MULTILINE)
# What bash does by the combination.
CASE = re.compile(r"^([\t ]*)case \$\{AUFS_COMBO[^}]*\} in\n(.*?)^\1esac$", re.MULTILINE | re.DOTALL)
CONCERNS = TOP / "scripts/testing/concerns"
# What has to concern some program, and of that what does not: it becomes a part of a kernel, which the KUnit suites
# judge, or says itself whether it is right (kunit/user/mutate --check).
ASKED = ("module/*.cc", "module/*.hh", "module/*.c", "module/*.h", "cxxrt/*", "Kbuild", "kunit/user/*",
         "scripts/machine/run-tests")
EXCUSED = ("module/mmap/vm_prfile/*", "kunit/user/mut*")
# How many programs a header concerns at most that no line names: `make check` is to take three minutes.
FEW = 8


class Program:
    """One test program."""

    def __init__(self, name, text, file=""):
        said = dict(LINE.findall("\n".join(text.split("\n")[:40])))
        self.name, self.file = name, file
        self.combos = said.get("Combinations", "tmpfs").split()
        self.more = said.get("More", "").split()
        self.boot = said.get("Boot", "")
        runs = said.get("Runs", "")
        if runs not in RUNS:
            raise Trouble(f"{USER}{name}: 'Runs: {runs}': use one of {', '.join(RUNS[1:])}")
        self.once = runs == RUNS[1]
        self.late = runs == RUNS[2]
        if self.more and (not runs or set(self.more) & set(self.combos)):
            raise Trouble(f"{USER}{name}: 'More: {said['More']}': without 'Runs:' it runs on all of them, and what"
                          " 'Combinations:' has is not named again")
        unknown = [combo for combo in self.combos + self.more if combo not in COMBOS]
        if unknown:
            raise Trouble(f"{USER}{name}: unknown combination '{unknown[0]}' (known are"
                          f" {', '.join(COMBOS)})")


def asked_for(text):
    """What the program with this @text does on some combinations only: a set of combinations for each such place, of
    which one leads there."""
    asked = []
    for indent, body in CASE.findall(text):
        left = set(COMBOS)
        for arm in re.findall(rf"^{indent}(\S[^)\n]*)\)", body, re.MULTILINE):
            for pattern in arm.split("|"):
                asked.append({combo for combo in left if fnmatch.fnmatchcase(combo, pattern.strip())})
                left -= asked[-1]
    for words in re.findall(r"\bonly_on ([\w+ ]+)", text):
        asked += [{combo} for combo in words.split()]
    for name, low in re.findall(r'\bon\("(\w+)"(, true)?\)', text):
        asked.append({combo for combo in COMBOS if combo.split("+")[-1 if low else 0] == name})
    # What is compared with; and a table, as Python has them, by filesystem of the rw branch.
    if "AUFS_COMBO" in text:
        compared = " ".join(re.findall(r".*AUFS_COMBO.*", text)).replace(":-tmpfs", "")
        asked += [{combo} for combo in re.findall(r"[\w+]+", compared) if combo in COMBOS]
        asked += [{combo for combo in COMBOS if combo.split("+")[0] == name}
                  for name in re.findall(r'"(\w+)": ', text) if name in COMBOS]
    return asked


def stem_of(file):
    """The name of the program that @file is, if it is one; its folder is for people."""
    return file.rsplit("/", 1)[1].rsplit(".", 1)[0]


@functools.cache
def programs():
    """All of them, by name."""
    found = {}
    for name in sources():
        if not name.startswith(USER) or not name.endswith((".cc", ".sh", ".py")):
            continue
        text = (TOP / name).read_text(encoding="utf-8")
        if text.startswith("#!") or re.search(r"^(PARAM_)?CASE\w*\(", text, re.MULTILINE):
            stem = stem_of(name)
            if stem in found:
                raise Trouble(f"{name}: {found[stem].file} has the same name")
            found[stem] = Program(stem, text, name)
    return found


def chosen(name, patterns):
    """Whether some pattern takes @name and none leaves it out ("!PATTERN")."""
    out = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    taken = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    return (any(fnmatch.fnmatchcase(name, pattern) for pattern in taken)
            and not any(fnmatch.fnmatchcase(name, pattern) for pattern in out))


@functools.cache
def concerns():
    """The table of which programs a source file concerns: [(pattern of files, programs)]."""
    table = []
    for line in CONCERNS.read_text(encoding="utf-8").split("\n"):
        patterns, _, names = line.split("#")[0].partition(":")
        table += [(pattern, names.split()) for pattern in patterns.split()]
    return table


@functools.cache
def includers():
    """{file: those that include it}, of the module and of the programs."""
    return includes.includers({name: (TOP / name).read_text(encoding="utf-8") for name in sources()
                            if re.match(rf"(module|cxxrt|{USER[:-1]})/.*\.(cc|hh|c|h)$", name)})


@functools.cache
def named_for(file):
    """The programs that a line names for @file: of the table, or of the list of mutants; and the program that it is."""
    found = {program for program, _, broken in mutants.of_programs() if broken == file}
    for pattern, names in concerns():
        if fnmatch.fnmatchcase(file, pattern):
            found.update(names)
    if file.startswith(USER):
        found.add(stem_of(file))
    return found & programs().keys()


def concerned_by(file, within=()):
    """The programs that one changed file concerns: those that a line names; of a header without such a line, and of
    what defines what it declares for programs, those that concern most of the files that include it."""
    found = named_for(file)
    header = re.sub(r"\.cc$", ".hh", file) if file.startswith(USER) else file
    if found or file in within or not header.endswith((".hh", ".h")):
        return found
    theirs = collections.Counter()
    for includer in includers().get(header, ()):
        if includer != file:
            theirs.update(sorted(concerned_by(includer, (*within, file))))
    early = [name for name, _ in theirs.most_common() if not programs()[name].late]
    return set(early[:FEW])


def concerned(files):
    """The programs that the changed @files concern."""
    return set().union(*map(concerned_by, files))


def check_concerns():
    """The faults of the table, and of the list of mutants."""
    wrong = []
    known = programs()
    for pattern, names in concerns():
        wrong += [f"{CONCERNS}: {pattern}: there is no program '{name}'"
                  for name in names if name not in known]
        if not any(fnmatch.fnmatchcase(file, pattern) for file in sources()):
            wrong.append(f"{CONCERNS}: no file is called {pattern}")
    for file in sources():
        if house.matches(file, ASKED) and not house.matches(file, EXCUSED) and not concerned([file]):
            wrong.append(f"{CONCERNS}: no program for {file}")
    named = {name for _, names in concerns() for name in names}
    named |= {program for program, _, _ in mutants.of_programs()}
    wrong += [f"{CONCERNS}: the program {name} is nowhere" for name in known if name not in named]
    wrong += [f"kunit/user/mutate: there is no program '{program}'"
              for program, _, _ in mutants.of_programs() if program not in known]
    return wrong
