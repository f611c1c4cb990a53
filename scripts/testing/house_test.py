# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the rules of house.py: each finds what it is for, and nothing else. self_test.py runs them."""
import pathlib
import sys
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import house  # noqa: E402
import includes  # noqa: E402

# Files of a checkout that the includes below lead to.
FILES = ("module/kernel/linux.h", "module/kernel/kernel.hh", "module/kernel/api.h", "module/kernel/inodes.hh",
         "module/options/options.hh", "module/branch/branch.hh", "module/union/inode.hh", "module/vfs/attr.hh",
         "module/companion/btf.hh", "module/companion/api.h", "cxxrt/span.hh", "kunit/support/fixture.hh")


def wrong(name, text, excused=()):
    """How many includes of the file @name with this @text are wrong. @excused: the exceptions that there are."""
    with mock.patch.dict(house.C_OF_THE_KERNEL, {pattern: "a reason" for pattern in excused}, clear=True):
        return len(list(house.wrong_includes({name: text}, FILES)))


class Includes(unittest.TestCase):
    """Which files a file may include."""

    def test_no_arrow_goes_up(self):
        below = '#include "inode.hh"\n#include "branch/branch.hh"\n#include "span.hh"'
        self.assertEqual(wrong("module/union/a.cc", below), 0)
        self.assertEqual(wrong("module/union/a.cc", '#include "vfs/attr.hh"'), 1)
        self.assertEqual(wrong("module/branch/a.hh", '#include "union/inode.hh"'), 1)
        self.assertEqual(wrong("module/kernel/a.hh", '#include "options/options.hh"'), 1)
        self.assertEqual(wrong("module/vfs/a.cc", '#include "companion/btf.hh"'), 1)
        self.assertEqual(wrong("module/vfs/a.cc", '#include "support/fixture.hh"'), 1)
        self.assertEqual(wrong("module/main.c", '#include "kernel/api.h"\n#include "vfs/attr.hh"'), 1)
        self.assertEqual(wrong("module/companion/a.cc", '#include "kernel/inodes.hh"\n#include "companion/api.h"'), 0)
        self.assertEqual(wrong("module/companion/a.cc", '#include "branch/branch.hh"'), 1)
        self.assertEqual(wrong("kunit/suites/a/a.cc", '#include "support/fixture.hh"\n#include "vfs/attr.hh"'), 0)

    def test_a_way_is_followed(self):
        self.assertEqual(wrong("module/union/a.cc", '#include "../vfs/attr.hh"'), 1)
        self.assertEqual(wrong("module/vfs/a.cc", '#include "../union/inode.hh"'), 0)
        self.assertEqual(wrong("module/union/a.cc", '#include "../union/../vfs/attr.hh"'), 1)

    def test_the_own_folder_comes_first(self):
        with mock.patch.dict(house.C_OF_THE_KERNEL, clear=True):
            texts = {"module/branch/attr.hh": "", "module/branch/a.cc": '#include "attr.hh"'}
            self.assertEqual(list(house.wrong_includes(texts, FILES)), [])

    def test_comments_include_nothing(self):
        self.assertEqual(wrong("module/union/a.cc", '// #include "vfs/attr.hh"\n/*\n#include "vfs/attr.hh"\n*/'), 0)

    def test_headers_of_the_kernel(self):
        for header in ("<linux/fs.h>", "<asm/page.h>", '"internal.h"', '"kernel/linux.h"', '"../kernel/linux.h"'):
            with self.subTest(header):
                text = f"#include {header}\n"
                self.assertEqual(wrong("module/vfs/a.cc", text), 1)
                self.assertEqual(wrong("module/vfs/a.hh", text, ["module/vfs/a.hh"]), 2)
                self.assertEqual(wrong("module/vfs/a.c", text), 1)
                self.assertEqual(wrong("module/vfs/a.h", text), 1)
                self.assertEqual(wrong("module/vfs/a.c", text, ["module/vfs/*"]), 0)
                self.assertEqual(wrong("module/kernel/a.c", text), 0)

    def test_an_exception_is_for_something(self):
        self.assertEqual(wrong("module/main.c", '#include "kernel/api.h"', ["module/main.c"]), 1)

    def test_what_the_host_compiles_too(self):
        border = '#include "kernel/kernel.hh"\n'
        host, no_host, end = "#if __STDC_HOSTED__\n", "#if !__STDC_HOSTED__\n", "#endif\n"
        for text, count in ((no_host + border + end, 0), (host + "#include <errno.h>\n#else\n" + border + end, 0),
                            (no_host + "#ifdef HAVE_IT\n" + border + end + end, 0),
                            (border, 1), (host + border + end, 1), (no_host + end + border, 1),
                            ("#ifdef HAVE_IT\n" + border + end, 1), ("#include <errno.h>\n", 1),
                            (no_host + '#include "kernel/inodes.hh"\n' + end, 1),
                            ('#include "branch/branch.hh"\n', 1)):
            with self.subTest(text):
                self.assertEqual(wrong("module/options/a.cc", text), count)
        self.assertEqual(wrong("module/union/a.cc", host + "#include <errno.h>\n" + end), 1)
        self.assertEqual(wrong("module/companion/btf.cc", '#include "span.hh"\n#include "btf.hh"'), 0)
        self.assertEqual(wrong("module/companion/btf.cc", '#include "kernel/inodes.hh"'), 1)
        self.assertEqual(wrong("cxxrt/a.hh", '#include "options/options.hh"\n#include "kernel/kernel.hh"'), 2)


class Readers(unittest.TestCase):
    """Which file includes which, and by which one a header is read."""

    TEXTS = {"module/union/a.hh": "", "module/union/b.hh": '#include "a.hh"', "module/union/c.hh": "",
             "module/union/d.hh": "", "module/union/a.cc": '#include "a.hh"\n' * 9,
             "module/vfs/x.cc": '#include "union/a.hh"\n#include "union/c.hh"',
             "module/vfs/y.cc": '#include "union/b.hh"',
             "kunit/user/lib/e.hh": "", "kunit/user/io/z.cc": '#include "e.hh"'}

    def test_includers(self):
        by = includes.includers(self.TEXTS)
        self.assertEqual(by["module/union/a.hh"], ["module/union/a.cc", "module/union/b.hh", "module/vfs/x.cc"])
        self.assertEqual(by["kunit/user/lib/e.hh"], ["kunit/user/io/z.cc"])
        self.assertIsNone(includes.resolve("module/vfs/x.cc", "e.hh", self.TEXTS))

    def test_readers(self):
        for names, read in ((["union/a.hh"], ["union/a.cc"]), (["union/b.hh"], ["vfs/y.cc"]),
                            (["union/c.hh"], ["vfs/x.cc"]), (["union/a.hh", "vfs/y.cc"], ["vfs/y.cc"]),
                            (["union/b.hh", "union/c.hh"], ["vfs/x.cc", "vfs/y.cc"]),
                            (["union/d.hh", "gone.hh", "union/c.h"], [])):
            with self.subTest(names):
                self.assertEqual(includes.readers([f"module/{name}" for name in names], self.TEXTS),
                                 [f"module/{name}" for name in read])
        far = {"module/a.hh": "", "module/b.hh": '#include "a.hh"', "module/c.cc": '#include "b.hh"\n' * 2,
               "module/d.cc": '#include "b.hh"'}
        self.assertEqual(includes.readers(["module/a.hh"], far), ["module/d.cc"])


class Helpers(unittest.TestCase):
    """Which files call them."""

    def test_calls(self):
        call = "\taufs_x(1);\n"
        for name, text, count in (("module/vfs/a.cc", call, 1), ("module/options/a.cc", call, 1),
                                  ("module/branch/a.cc", call, 0), ("module/kernel/a.hh", call, 0),
                                  ("module/vfs/a.cc", "int aufs_x(int number)\n", 0),
                                  ("module/vfs/a.cc", '\t/* aufs_x() */ log("aufs_x(1)"); // aufs_x()\n', 0)):
            with self.subTest(text, name=name):
                self.assertEqual(len(list(house.helper_calls({name: text}))), count)


class Names(unittest.TestCase):
    """Names that nothing asks for."""

    DEFINED = ("/* Helps. */\nint aufs_help(int number)\n{\n\treturn number;\n}\n"
               "bool aufs_is(const struct dentry *dentry)\n{\n\treturn dentry;\n}\n")
    DECLARED = ("int aufs_help(int number);\nbool aufs_is(const struct dentry *dentry);\n"
                "void aufs_say(const char *format, ...) __attribute__((format(printf, 1, 2)));\n"
                "void dput(struct dentry *dentry);\nextern struct kobject *fs_kobj;\nstruct aufs_note {\n\tint a;\n};\n"
                "int aufs_init(void);\n")
    USED = ('void say() __asm__("aufs_say");\nvoid f(struct aufs_note *note)\n{\n\tdput(aufs_help(aufs_is()));\n'
            "\tg(fs_kobj);\n}\nint aufs_init()\n{\n}\n")

    def unasked(self, used, c="\taufs_init();\n"):
        """The names of DECLARED that nothing asks for where C++ has @used, and a C file @c."""
        found = house.unasked({house.API: self.DECLARED, "module/kernel/helpers/file.c": self.DEFINED,
                               "module/vfs/a.cc": used, "module/main.c": c})
        return [line.split()[4].rstrip(":") for line in found]

    def test_all_are_asked_for(self):
        self.assertEqual(self.unasked(self.USED), [])

    def test_each(self):
        for name in ("aufs_help", "aufs_is", "aufs_say", "dput", "fs_kobj", "aufs_note"):
            with self.subTest(name):
                self.assertEqual(self.unasked(self.USED.replace(name, "other")), [name])
        self.assertEqual(self.unasked(self.USED, ""), ["aufs_init"])

    def test_comments_and_strings_ask_for_nothing(self):
        said = '/* aufs_help() */ // aufs_help()\nconst char *a = "aufs_help";\n'
        self.assertEqual(self.unasked(self.USED.replace("aufs_help", "other") + said), ["aufs_help"])

    def test_c_needs_no_declaration_of_the_kernels(self):
        self.assertEqual(self.unasked(self.USED.replace("dput", "other"), "\taufs_init();\n\tdput(a);\n"), ["dput"])
        self.assertEqual(self.unasked(self.USED.replace("aufs_help", "other"), "\taufs_init();\n\taufs_help(1);\n"), [])

    def test_constants(self):
        def unasked(**texts):
            texts = {name.replace("_dot_", "."): text for name, text in texts.items()}
            return len(list(house.unasked({house.CONSTANTS: "/* K(NAME) */\nK(EIO)\n", **texts})))

        self.assertEqual(unasked(a_dot_cc="return -EIO;"), 0)
        self.assertEqual(unasked(a_dot_c="return -EIO;"), 1)
        self.assertEqual(unasked(a_dot_cc="/* EIO */"), 1)
        self.assertEqual(unasked(a_dot_cc='say("EIO");'), 1)

    def test_optional(self):
        optional = "# What not every kernel has\nvfs_mmap\nI_NEW: a\n"
        asked = {"a.c": "#ifdef HAVE_VFS_MMAP\n#endif", "b.cc": "#ifdef HAVE_I_NEW\n#endif"}
        self.assertEqual(list(house.unasked(asked, optional)), [])
        self.assertEqual(len(list(house.unasked({"a.c": "/* HAVE_VFS_MMAP */"}, optional))), 2)


class Editors(unittest.TestCase):
    """The width of lines, and the scripts in .editorconfig."""

    def test_width(self):
        def wide(line):
            return len(list(house.too_wide({"a.cc": line})))

        self.assertEqual([wide("x" * 120), wide("x" * 121)], [0, 1])
        self.assertEqual([wide("\t" + "x" * 112), wide("\t" + "x" * 113)], [0, 1])
        self.assertEqual([wide('\t"' + "x" * 120 + '",'), wide('\t/* "' + "x" * 120 + '" */')], [0, 1])

    def test_scripts(self):
        config = "[{scripts}/**]\nindent_style = tab\n[{**.py,scripts/a,scripts/b}]\nindent_style = space\n"
        python, bash = "#!/usr/bin/env python3", "#!/bin/bash"
        right = {"scripts/a": python, "scripts/b": python, "scripts/c": bash}
        self.assertEqual(list(house.unlike_editorconfig(right, config)), [])
        other = {"scripts/a": python, "scripts/b": bash, "scripts/c": python}
        self.assertEqual(len(list(house.unlike_editorconfig(other, config))), 2)


class Judged(unittest.TestCase):
    """Which headers clang-tidy judges."""

    def test_headers(self):
        config = "Checks: a\nHeaderFilterRegex: '(^|/)module/[a-z_]+/[^/]*\\.hh$'\n...\n"
        files = ["module/vfs/io.hh", "module/vfs/io.cc", "module/kernel/api.h", "kunit/support/show.hh"]
        self.assertEqual([line.split(":")[0] for line in house.unjudged(files, config)], ["kunit/support/show.hh"])
        self.assertEqual(list(house.unjudged(files[:3], config)), [])
        self.assertEqual(len(list(house.unjudged(files[:3], config.replace("[a-z_]+", ".*")))), 1)


class Pages(unittest.TestCase):
    """The files and names that they have."""

    FILES = ["module/main.c", "module/vfs/dir.cc", "module/vfs/dir.hh", "module/vfs/deep/a.txt", "module/README.md"]

    def unlike(self, page, files=None):
        return list(house.unlike_map(files or self.FILES, page, "module"))

    def test_map(self):
        page = "\n    main.c    dir\n    vfs/    methods\n      dir    dir\n      deep/    main\n"
        self.assertEqual(self.unlike(page), [])
        self.assertEqual(len(self.unlike(page.replace("      dir    dir\n", ""))), 2)
        self.assertEqual(len(self.unlike(page.replace("deep", "depth"))), 2)
        self.assertEqual(len(self.unlike(page, [*self.FILES, "module/vfs/new.cc"])), 1)
        self.assertEqual(len(self.unlike(page + "      old    it was\n")), 1)

    def test_several_at_once(self):
        files = ["module/vfs/helpers_a.c", "module/vfs/constants.c", "module/vfs/constants.h", "module/vfs/a.config"]
        self.assertEqual(self.unlike("    vfs/    a\n      helpers*.c constants.{c,h} *.config     b\n", files), [])

    def test_names(self):
        texts = {"module/a.cc": "void truly(); /* traps() */", "kunit/user/io/direct.cc": ""}
        self.assertEqual(list(house.stale_names({"a.md": "`truly()`, `direct` and `a.cc`; traps"}, texts)), [])
        self.assertEqual(len(list(house.stale_names({"a.md": "`traps` and `Other::truly`"}, texts))), 2)


class Manual(unittest.TestCase):
    """The options that the table has, and those that the manual page has."""

    TABLE = ('constexpr OptionRow rows[] = {\n\tworks({"br", "dirs"}, Value::list, OptionKey::branches),\n'
             '\tone_of("udba", "none, reval", Effect::works, OptionKey::udba),\n\tno_table("xino", Value::text),\n'
             '\trow("idel", Value::text, Effect::refused,\n\t    "as in del:/path"),\n};\nconst char *more = "more";\n')
    PAGE = (".SH NAME\n\\fBother\\fR\n.SH OPTIONS\n.TP\n\\fBbr=\\fILIST\\fR, \\fBdirs:\\fILIST\\fR\n"
            "The \\fBbold\\fR text.\n.RS\n.TP\n.B value\n.RE\n.TP\n.BI udba= VALUE\n.TP\n\\fBnosuid\\fR\n"
            ".SH DIFFERENCES FROM THE ORIGINAL\n\\fBxino\\fR, \\fBidel\\fR\n.SH SEE ALSO\n\\fBmount\\fR(8)\n")

    def unlike(self, table=TABLE, page=PAGE):
        return [line.split(" option ")[1].split(",")[0] for line in house.unlike_manual(table, page)]

    def test_same(self):
        self.assertEqual(house.options_of_table(self.TABLE), {"br", "dirs", "udba", "xino", "idel"})
        self.assertEqual(self.unlike(), [])

    def test_each_is_missed(self):
        for name in ("br", "dirs", "udba", "xino", "idel"):
            with self.subTest(name):
                self.assertEqual(self.unlike(page=self.PAGE.replace(name, "nosuid")), [name])

    def test_what_the_table_lacks(self):
        self.assertEqual(self.unlike(page=self.PAGE.replace("nosuid", "extra")), ["extra"])
        self.assertEqual(self.unlike(page=self.PAGE.replace("xino\\fR", "xino\\fR, \\fBextra\\fR")), ["extra"])


class Methods(unittest.TestCase):
    """The methods of the tables, and the attempts that call them."""

    TEXTS = {"module/vfs/x.cc": "\tops.open = vfs<open>;\n\t\tops.get_acl = nullptr;\n\tops.setlease = generic_setlease;\n"
                                "\t.free = free_context,\n\thandler.set = vfs<set>;\n\tops.fsync = vfs<fsync>;\n",
             "kunit/user/lib/attempts_x.cc": '\t\t{"read", "open read_iter", lower_file,\n\t\t{.name = "sync",\n'
                                             '\t\t .methods = "fsync of a directory",\n\t\t{"free",\n\t\t "set", nothing,\n',
             house.NO_MEMORY: '/* The rest goes with the context (get_tree, free). */\nCASE(mount) "in_text"\n'}

    def test_all_are_called(self):
        self.assertEqual(list(house.uncalled(self.TEXTS)), [])

    def test_each_is_missed(self):
        for name, file in (("open", "attempts_x.cc"), ("fsync", "attempts_x.cc"), ("set", "attempts_x.cc"),
                           ("free", "no_memory.cc")):
            with self.subTest(name):
                texts = {path: text.replace(name, "another") if path.endswith(file) else text
                         for path, text in self.TEXTS.items()}
                found = list(house.uncalled(texts))
                self.assertEqual(len(found), 1)
                self.assertIn(f" is for {name}, ", found[0])

    def test_code_is_no_comment(self):
        texts = self.TEXTS | {"module/vfs/y.hh": "\tops.in_text = vfs<in_text>;\n"}
        self.assertEqual(len(list(house.uncalled(texts))), 1)


class Scripts(unittest.TestCase):
    """How scripts go to their own directory."""

    def test_cdpath(self):
        for text, count in (('top=$(cd "$(dirname "$0")/.." && pwd)\n', 1), ('cd "$(dirname "$0")/.."\n', 1),
                            ('cd -P "$(dirname "$0")"\nunset CDPATH\n', 1),
                            ('# unset CDPATH\ncd "$(dirname "$0")"\n', 1),
                            ('unset CDPATH\ncd "$(dirname "$0")/.."\n', 0), ('cd "$top"\n', 0),
                            ('cd /\nfile=$(dirname "$0")/x\n', 0)):
            with self.subTest(text):
                self.assertEqual(len(list(house.astray({"scripts/a": text}))), count)


class Parameters(unittest.TestCase):
    """Parameters in place of pairs and of comments."""

    def test_pairs(self):
        for text in ("int f(const Branch &branch, struct dentry &dentry);",
                     "int f(int a, const Branch &,\n\t\tstruct dentry &b)",
                     "auto f = [](const Branch &on, const struct dentry &dir) {"):
            self.assertEqual(len(list(house.pairs({"module/union/x.hh": text}))), 1, text)
        for text in ("PartRef(const Branch &on, struct dentry &of)",
                     "int f(struct dentry &dir, const Branch &branch);",
                     "/* const Branch &branch, struct dentry &dentry */",
                     "int f(PartRef part, struct dentry &dentry);"):
            self.assertEqual(list(house.pairs({"module/branch/part.hh": text})), [], text)

    def test_held(self):
        says = ("/* As g().\n * The caller\n * holds the lock. */\nint f(int a);\n"
                "/* The lock is held. */\nstruct x *h()\n{\n")
        self.assertEqual(list(house.said_to_be_held(says)), ["f", "h"])
        silent = ("/* While one is held. */\n#include \"x.hh\"\n/* It is held. */\nclass X {\n};\n"
                  "/* Takes it. */\nint f(int a);\n")
        self.assertEqual(list(house.said_to_be_held(silent)), [])
        for text in ("Makes it in @dir, which is locked.", "The lock has to be held.",
                     "For a caller that holds the list.",
                     "For a caller who has the list of branches locked.",
                     "It is used so. Under ListChangeLock.", "The one of @dir, under @dir's i_lock.",
                     "Under a CopyLock, or\n * nobody knows it.", "of a file under the\n * lock of its inode",
                     "With the branch directory locked."):
            self.assertEqual(list(house.said_to_be_held(f"/* {text} */\nint f(int a);\n")), ["f"], text)
            self.assertEqual(list(house.said_to_be_held(f"/* {text} */\nint f(int a, const CopyLock &);\n")), [], text)
        for text in ("May sleep; not under mmap_lock.", "Takes the list's lock, under whatever lock of the VFS.",
                     "The directory is locked meanwhile.", "What lies under this name.", "May be called under RCU."):
            self.assertEqual(list(house.said_to_be_held(f"/* {text} */\nint f(int a);\n")), [], text)
        self.assertEqual(list(house.said_to_be_held("/* Counted under this lock. */\nlock = TRY(get(inode));\n")), [])
        self.assertEqual(len([line for line in house.only_said({"module/x.hh": says}) if "parameter" in line]), 2)
        self.assertEqual(len([line for line in house.only_said({}) if "HELD" in line]), len(house.HELD))


class Texts(unittest.TestCase):
    """A noun before "who"."""

    def faults(self, text, name="module/union/a.hh"):
        return list(house.nouns_before_who({name: text}))

    def said(self, said):
        """The faults of a comment that says @said."""
        return self.faults(f"/* {said} */\nint f();\n")

    def test_faults(self):
        for said in ("Who waits is told.", "It ends. Who waits is told.", "who waits", "It ends: who waits is told.",
                     "For who waits.", "It is of\n * who waits.", "It waits, and who comes goes.", "As who waits.",
                     "It ends, so that who waits is told.", "It costs who waits.", "It is known by who waits.",
                     "It says what is held, for who waits.", "A user who waits. It ends, or who waits is told.",
                     "Does it wait? Who waits is told.", "Names; who waits", "(who waits)", "Names\n *\n * who waits"):
            with self.subTest(said):
                self.assertEqual(len(self.said(said)), 1)

    def test_right_english(self):
        for said in ("The user who waits is told.", "Those who wait, and who are killed, are told.", "Whoever waits.",
                     "It says who waits.", "It asks what is held and who waits.", "Says which: who waits, who goes.",
                     "It depends on who waits.", "Who waits? It is told.", "Who waits, and for what?", "To whom it is.",
                     "The caller, who waits, is told.", "It is for the user\n * who waits."):
            with self.subTest(said):
                self.assertEqual(self.said(said), [])

    def test_where_texts_are(self):
        python = 'TEXT = "for who waits"\n\n\ndef f():\n    """It is %s who waits."""\n    g("#, for who")\n'
        for name, text, count in (("a.cc", "// It is for\n// who waits\n", 1), ("a.hh", "/*\n * For\n * who\n */", 1),
                                  ("a.cc", 'say("for who"); /* It is */ for_who();\n', 0), ("a.c", '"// Who"', 0),
                                  ("a.cc", '// It is\n"for who waits"\n', 0),
                                  ("a.cocci", "// For who waits\n", 1), ("a.py", "# It is for\n# who waits\n", 1),
                                  ("a.py", python % "for", 1), ("a.py", python % "the user", 0),
                                  ("a", "#!/bin/bash\n# It is for\n# who waits\n", 1), ("a", "\tf # for who\n", 1),
                                  ("a", "echo for who waits\n", 0), ("a", "f $# for who waits\n", 0),
                                  ("a.md", "It is for\nwho waits\n", 1), ("a.md", "    a.cc     who waits\n", 1),
                                  ("a.md", "| says what | who waits |", 1), ("a.md", "ask `who` and go", 0),
                                  ("a.5", ".B a\nfor who waits\n", 1)):
            with self.subTest(text, name=name):
                self.assertEqual(len(self.faults(text, name)), count)

    def test_lines(self):
        self.assertRegex(self.said("It is\n * of\n * who waits.")[0], "^module/union/a.hh:3: 'is of who waits.")


if __name__ == "__main__":
    unittest.main()
