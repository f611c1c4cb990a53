# SPDX-License-Identifier: GPL-2.0-only
"""The sources of a result. It is kept, and not asked for again, as long as these are the same."""
import fnmatch
import hashlib

import programs
from common import TOP, sources

# Texts for people decide no result, but for those of the steps that judge them: these are repeated.
TEXTS = ("*.md", "*.svg")
SUITES = ("kunit/*", "!kunit/user/*", "!kunit/host/*")
LINT = ("scripts/lint", "scripts/testing/check-house", "scripts/testing/house*", "scripts/testing/includes.py",
        "scripts/testing/readers", "scripts/testing/flags", ".clang-*", ".pre-commit*", ".editorconfig", ".clangd")


class Sources:
    """The contents of the files of the checkout at this moment."""

    def __init__(self):
        self.digests = {}
        for name in sources():
            path = TOP / name
            content = b"" if path.is_symlink() else path.read_bytes()
            self.digests[name] = hashlib.sha256(content).hexdigest()
        self.files = {program.file: program.name for program in programs.programs().values()}

    def number(self, without=(), program=None):
        """A number for all files but those that match a pattern of @without ("!PATTERN": not even if one
        before matches). With @program, other programs of kunit/user are left out, too."""
        whole = hashlib.sha256()
        for name, digest in self.digests.items():
            if left_out(name, TEXTS + tuple(without)):
                continue
            if program and self.files.get(name, program) != program:
                continue
            whole.update(f"{name}\0{digest}\0".encode())
        return whole.hexdigest()[:16]


def left_out(name, patterns):
    """Whether @patterns leave the file @name out."""
    out = False
    for pattern in patterns:
        if fnmatch.fnmatchcase(name, pattern.lstrip("!")):
            out = not pattern.startswith("!")
    return out
