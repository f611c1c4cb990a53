# SPDX-License-Identifier: GPL-2.0-only
"""The plan of the house (module/README.md) as rules over the sources. Each rule takes {path below the top: text} and
yields a line "FILE: what is wrong" for each fault; check-house asks all of them."""
import fnmatch
import re

from includes import COMMENT, includes, resolve

# The folders of module/, and those whose headers each may include beside its own and cxxrt/. "" is module/main.c.
FOLDERS = {
    "kernel": (),
    "options": (),
    "branch": ("kernel", "options"),
    "union": ("kernel", "options", "branch"),
    "copy_up": ("kernel", "options", "branch", "union"),
    "mmap": ("kernel", "options", "branch", "union", "copy_up"),
    "vfs": ("kernel", "options", "branch", "union", "copy_up", "mmap"),
    "companion": ("kernel",),
    "": ("kernel",),
}
# Files that are compiled for the host as well. Of the kernel they include BORDER alone, behind
# `#if !__STDC_HOSTED__`, and headers of a library behind `#if __STDC_HOSTED__` alone.
HOSTED = ("cxxrt/*", "module/options/*", "module/companion/btf.*")
BORDER = "module/kernel/kernel.hh"
# It includes all headers of the kernel that the module's C reads. C++ never does.
LINUX = "module/kernel/linux.h"
# C outside module/kernel/ that includes headers of the kernel, and why.
C_OF_THE_KERNEL = {
    "module/main.c": "macros of the kernel make the functions that load and unload a module",
    "module/companion/main.c": "a livepatch is code of the kernel that it patches",
    "module/mmap/vm_prfile/*": "these are compiled into a kernel, without the module",
    "kunit/suites/suites.c": "macros of the kernel make its lists of cases",
    "kunit/support/*": "the shim: the kernel, as far as the suites need it and C++ cannot include it",
}
# The folders that call helpers of module/kernel/; others call the functions of these folders' headers.
CALL_HELPERS = ("kernel", "branch")
# Columns of a line of C or C++; a tab goes to the next multiple of TAB.
WIDTH, TAB = 120, 8

# Comments, strings and characters.
NOT_CODE = re.compile(COMMENT.pattern + r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def is_cxx(name):
    """Whether this is C++, not C."""
    return name.endswith((".cc", ".hh"))


def code_of(text):
    """@text without comments and strings; each line stays on its own. A name in __asm__("NAME") is code: it is what
    the linker sees."""
    text = re.sub(r'\b__asm__\("(\w+)"\)', r"__asm__(\1)", text)
    return NOT_CODE.sub(lambda found: '""' if found[0][0] in "\"'" else " " + "\n" * found[0].count("\n"), text)


def folder_of(name):
    """The folder that rules speak of: one of module/, or one at the top."""
    parts = name.split("/")
    if parts[0] != "module":
        return parts[0]
    return parts[1] if len(parts) > 2 else ""


def matches(name, patterns):
    """The first of @patterns that @name matches, or None."""
    return next((pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern)), None)


# ---- which file includes which -----------------------------------------------------------

def wrong_include(name, header, path, on_host):
    """The fault of an include, or None. @path: the file that it was resolved to."""
    hosted = matches(name, HOSTED)
    if path is None or path == LINUX:
        if not is_cxx(name):
            if folder_of(name) == "kernel" or matches(name, C_OF_THE_KERNEL):
                return None
            return f"C outside module/kernel/ includes the kernel's {header}: give it a helper there"
        if hosted and on_host and path is None:
            return None
        return f"C++ includes {header}, which is none of ours: give it a helper in module/kernel/"
    if hosted and not matches(path, HOSTED):
        if path == BORDER and on_host is False:
            return None
        return f"compiled for the host as well, and includes {header}, which is not"
    mine, theirs = folder_of(name), folder_of(path)
    if mine == "kunit" or theirs == mine:
        return None
    if mine == "cxxrt":
        return f"cxxrt/ includes {header}, which is none of its own"
    if theirs not in (*FOLDERS.get(mine, ()), "cxxrt"):
        return f"{mine or 'module'}/ includes {header}, which is of {theirs}/: not for it (FOLDERS in house.py)"
    return None


def wrong_includes(texts, files=()):
    """The includes that the plan does not allow. @files: further files that there are."""
    known = {*texts, *files}
    excused = set()
    for name, text in sorted(texts.items()):
        for header, angled, on_host in includes(text):
            path = None if angled else resolve(name, header, known)
            if wrong := wrong_include(name, header, path, on_host):
                yield f"{name}: {wrong}"
            elif path in (None, LINUX) and not is_cxx(name):
                excused.add(matches(name, C_OF_THE_KERNEL))
    for pattern in C_OF_THE_KERNEL:
        if pattern not in excused:
            yield f"{pattern}: includes no header of the kernel: take it out of C_OF_THE_KERNEL in house.py"


def helper_calls(texts):
    """The helpers that a file calls, where it should call another function."""
    for name, text in sorted(texts.items()):
        if not name.startswith("module/") or not is_cxx(name) or folder_of(name) in CALL_HELPERS:
            continue
        # A name at the beginning of a line is a function that the kernel's C calls here.
        for helper in sorted(set(re.findall(r"^[\t ].*?\b(aufs_\w+)\(", code_of(text), re.MULTILINE))):
            yield f"{name}: calls {helper}(): use a header of kernel/ or branch/ that has it, or give it to one"


# ---- parameters ------------------------------------------------------------------------

# PartRef itself is made of the two.
PAIR = re.compile(r"(?<!\bPartRef\()const Branch &\w*,\s*(?:const )?struct dentry &")
# A comment, and the declaration after it, if that has a name and parameters.
OF_A_FUNCTION = re.compile(r"/\*((?:[^*]|\*(?!/))*)\*/\s*[^;{}()]*?(\w+)\(([^;{}]*)")
# That a lock is held: "is held", "is locked" (not: by this function, meanwhile), "the caller holds it", "under a
# CopyLock", "under @dir's i_lock" (not: under whatever lock, or not under it), "has the directory locked".
SAYS_HELD = re.compile(r"\b(?:is|are|has to be|have to be|must be) (?:held|locked)\b(?! meanwhile)"
                       r"|\b(?:caller|task|reader|caller (?:who|that)) (?:holds|has to hold|must hold)\b"
                       r"|(?<!not )\bunder (?!whatever)(?:[\w@']+ ){0,3}?(?:\w*lock|\w+_rwsem|\w+Held)\b"
                       r"|\b(?:with|has) (?:[\w@']+ ){1,5}(?:held|locked)\b", re.IGNORECASE)
# A parameter that says it.
TAKES_HELD = re.compile(r"\bconst \w*(?:Lock|Held|RcuReader) &")
# The functions whose comments say it all the same; by which task it is held, and why no parameter says so.
HELD = {
    ("module/branch/branch.hh", "use_as"): "by the task that changes the list of branches; that lock's type is union/'s",
    ("module/branch/dir_lock.hh", "is_entry_of"): "asked without it, too: the comment says how long the answer is true",
    ("module/branch/dir_lock.hh", "is_live_directory"): "the same",
    ("module/branch/new_object.hh", "make"): "by DirLock, whose make() alone calls it",
    ("module/kernel/inodes.hh", "cached_acl"): "by the VFS, which walks a path under RCU",
    ("module/union/inode.hh", "copy_links"): "or nobody else knows the inode yet",
    ("module/union/inode.hh", "drop_filters"): "the same",
    ("module/union/inode.hh", "unhash"): "or a lookup calls it that has no use for the inode",
    ("module/union/names_now.cc", "look_twice"): "by itself: the comment says when it takes the lock",
    ("module/union/super.hh", "note_volatility"): "or nobody else has the union yet",
    ("module/kernel/dcache.hh", "look_up_in_parallel"): "by the VFS, of the directory that somebody reads",
    ("module/kernel/files.hh", "map_for"): "by the VFS, around ->mmap, which takes no lock and asks for none",
    ("module/mmap/prfile.hh", "map"): "the same",
    ("module/mmap/branch_file.hh", "h_file_to_write"): "by the VFS, around each write: what is copied up asserts it",
}


def cxx_of_module(texts):
    """(name, text) of the module's C++."""
    return ((name, text) for name, text in sorted(texts.items()) if name.startswith("module/") and is_cxx(name))


def pairs(texts):
    """The functions that take a branch and a dentry of it as two parameters."""
    for name, text in cxx_of_module(texts):
        for found in PAIR.finditer(code_of(text)):
            what = re.sub(r"\s+", " ", found[0])
            yield f"{name}: '{what}...' are two parameters: make one of them, a PartRef"


def said_to_be_held(text):
    """The functions with a comment that says that a lock is held, and without a parameter that says so."""
    for comment, function, parameters in OF_A_FUNCTION.findall(text):
        says = SAYS_HELD.search(re.sub(r"\s*\n\s*\*?\s*", " ", comment))
        # In the midst of a function, what follows may be TRY().
        if says and function != "TRY" and not TAKES_HELD.search(parameters):
            yield function


def only_said(texts):
    """The comments that say of a lock what a parameter could say; and those that HELD excuses and that do not say
    it."""
    found = {(name, function) for name, text in cxx_of_module(texts) for function in said_to_be_held(text)}
    for name, function in sorted(found - HELD.keys()):
        yield f"{name}: the comment of {function}() says that a lock is held: take it as a parameter"
    for name, function in sorted(HELD.keys() - found):
        yield f"{name}: {function}() does not say that a lock is held: take it out of HELD in house.py"


# ---- names that nothing asks for -------------------------------------------------------

API = "module/kernel/api.h"
CONSTANTS = "module/kernel/constants.h"
OPTIONAL = "module/kernel/optional.txt"


def names_of_api(text):
    """The names that api.h declares: functions, variables, and our own structs and enumerations."""
    code = re.sub(r"^#[^\n]*", "", code_of(text), flags=re.MULTILINE)
    return sorted({*re.findall(r"(\w+)\((?!\*)[^;{}]*\);", code),
                   *re.findall(r"^extern [\w\s*]*?\b(\w+)(?:\[\])?;", code, re.MULTILINE),
                   *re.findall(r"^(?:struct|enum) (aufs_\w+)\s*[{;]", code, re.MULTILINE)})


def declares(name):
    """A pattern of a declaration or definition of @name. The text before the name begins a line, which that of a use
    does not."""
    return re.compile(rf'^(?:[A-Za-z_][\w\s*&:"\[\]]*?\b{name}\s*(?:\((?!\*)|=|;|\[)'
                      rf'|(?:struct|enum) {name}\s*[{{;])', re.MULTILINE)


def uses(name, codes):
    """(files that ask for @name, files that define it) of {path: code}. A declaration asks for nothing."""
    asking, defining = set(), set()
    for path, code in codes.items():
        found = len(re.findall(rf"\b{name}\b", code))
        for declaration in declares(name).finditer(code) if found else ():
            found -= 1
            if declaration[0].endswith("=") or re.match(r"[^;{]*\{", code[declaration.end():]):
                defining.add(path)
        if found:
            asking.add(path)
    return asking, defining


def unasked_of_api(codes):
    """The names of api.h that only the file that defines them asks for."""
    others = {path: code for path, code in codes.items() if path != API}
    for name in names_of_api(codes.get(API, "")):
        asking, defining = uses(name, others)
        # C has the kernel's functions from its headers, and needs no declaration here: C++ does.
        if not defining and not name.startswith("aufs_"):
            asking = set(filter(is_cxx, asking))
        if not asking - defining:
            yield f"{API}: nothing asks for {name}: take it out"


def unasked(texts, optional=""):
    """The names of optional.txt (its text is @optional), constants.h and api.h that nothing asks for. The suites
    count: they are C++ over the same border. So a constant or a function may be there for them alone."""
    codes = {name: code_of(text) for name, text in texts.items()}
    words = {name: set(re.findall(r"\w+", code)) for name, code in codes.items()}
    everybody = set().union(*words.values())
    cxx = set().union(*(found for name, found in words.items() if is_cxx(name)))
    for line in optional.split("\n"):
        name = line.split(":")[0].strip()
        if name and not name.startswith("#") and f"HAVE_{name.upper()}" not in everybody:
            yield f"{OPTIONAL}: nothing asks for {name}: take it out"
    for name in re.findall(r"\bK\((\w+)\)", codes.get(CONSTANTS, "")):
        if name not in cxx:
            yield f"{CONSTANTS}: no C++ asks for {name}: take it out"
    yield from unasked_of_api(codes)


# ---- what editors are told -------------------------------------------------------------

def too_wide(texts):
    """The lines over WIDTH columns: comments, since clang-format holds code to less. A message stays whole."""
    for name, text in sorted(texts.items()):
        for number, line in enumerate(text.split("\n"), 1):
            columns = len(line.expandtabs(TAB))
            if columns > WIDTH and not re.match(r'\s*"[^"]*"', line):
                yield f"{name}:{number}: {columns} columns: at most {WIDTH}"


def unlike_editorconfig(scripts, config):
    """The scripts without a suffix, {path: first line}, that are indented by spaces by .editorconfig (its text is
    @config) though they are not of python, or the other way round."""
    listed = next((words.split(",") for words, rest in re.findall(r"^\[\{(.*)\}\]\n(.*)", config, re.MULTILINE)
                   if "**.py" in words and rest == "indent_style = space"), [])
    for name, first in sorted(scripts.items()):
        if (name in listed) != ("python3" in first):
            yield f"{name}: .editorconfig has it {'' if name in listed else 'not '}among the scripts of python"


def unjudged(files, config):
    """The headers of C++ about which clang-tidy says nothing, by its @config: all but those that are generated are to
    be judged, by whatever file they are read."""
    judged = re.compile(re.search(r"^HeaderFilterRegex: '(.*)'$", config, re.MULTILINE)[1])
    for name in files:
        if name.endswith(".hh") and not judged.search(f"/{name}"):
            yield f"{name}: HeaderFilterRegex in .clang-tidy leaves it out"
    if judged.search("/module/kernel/generated/types.hh"):
        yield ".clang-tidy: its HeaderFilterRegex has the generated headers"


# The command by which a script goes to its own directory.
HOME = re.compile(r"\bcd [^;&|\n]*\$\(dirname ")


def astray(scripts):
    """The shell scripts, {path: text}, that go to their own directory while CDPATH may lead to another directory."""
    for name, text in sorted(scripts.items()):
        if (found := HOME.search(text)) and not re.search(r"^unset CDPATH$", text[:found.start()], re.MULTILINE):
            yield f"{name}: `cd` goes where CDPATH leads, and says so on stdout: `unset CDPATH` before it"


# ---- what pages say --------------------------------------------------------------------

# Names that pages have in code marks and no file has: names of the kernel alone, a generated file, parts of names.
NO_NAMES = {"show_numa_map", "ima_file_mprotect", "seq_print_user_ip", "__mmap_region", "backing_file", "vm_ops",
            "execve", "F_SETFL", "remap_file_pages", "readdir", "seekdir", "msync", "O_TMPFILE",
            "layout", "PID", "h_", "AREA"}


def mapped(page):
    """(the first words of the indented lines, those of the tables) of a page. Several files may be one word, without
    their suffixes."""
    cells = [re.split(r" {2,}", line)[0] for line in re.findall(r"^ {4,8}(\S.*)", page, re.MULTILINE)]
    rows = re.findall(r"^\| (.*?) \|", page, re.MULTILINE)
    return ({word.strip(",/") for cell in cells for word in cell.split()},
            {word.strip("`,") for row in rows for word in row.split()})


def stem(name):
    """@name without its suffix."""
    return name if name.startswith("*") else re.sub(r"\.[\w{},]+$", "", name)


def unlike_map(files, page, folder):
    """The differences between the map of @folder, at the head of its @page, and the files below it. A folder within
    one of its folders stands for all its files."""
    listed, rows = mapped(page)
    mine = [file for file in files if file.startswith(f"{folder}/") and not file.endswith("/README.md")]
    names = listed | rows | {stem(name) for name in listed | rows}
    for file in mine:
        parts = file.split("/")
        if not names & set(parts[2:-1]) and not matches(parts[-1], names) and not matches(stem(parts[-1]), names):
            yield f"{folder}/README.md: its map lacks {file}"
    there = {part for file in mine for part in file.split("/")}
    there |= {stem(part) for part in there}
    for name in sorted(listed):
        if not any(fnmatch.fnmatchcase(part, stem(name)) for part in there):
            yield f"{folder}/README.md: its map has {name}, which is not there"


def stale_names(pages, texts):
    """The names that @pages, {path: text}, have in code marks, and that stand neither in a file of @texts, but for
    comments of C, nor in its path."""
    words = set(NO_NAMES)
    for path, text in texts.items():
        is_c = path.endswith((".c", ".h", ".cc", ".hh", ".cocci"))
        words.update(re.findall(r"\w+", path), re.findall(r"\w+", COMMENT.sub(" ", text) if is_c else text))
    for path, text in sorted(pages.items()):
        for number, line in enumerate(text.split("\n"), 1):
            for code in re.findall(r"`([^`]+)`", line):
                for name in re.findall(r"[A-Za-z_]\w+", code):
                    if name not in words:
                        yield f"{path}:{number}: `{code}`: nothing is called {name}"


# ---- the manual page of the options ----------------------------------------------------

# Options of others that the page has: the VFS's, and the security modules'.
NOT_OURS = {"ro", "rw", "nosuid", "nodev", "noexec", "noatime", "sync", "dirsync", "lazytime",
            "context", "fscontext", "defcontext", "rootcontext"}


def options_of_table(text):
    """The names and aliases in the table of option_table.cc."""
    rows = text.split("constexpr OptionRow rows[] = {")[1].split("\n};")[0]
    heads = re.findall(r'^\t\w+\(\s*(\{[^}]*\}|"[^"]*")', rows, re.MULTILINE)
    return {name for head in heads for name in re.findall(r'"([^"]*)"', head)}


def bold(line):
    """The bold words with which options are written: up to the sign before their value."""
    line = re.sub(r"^\.BI? (\S+).*", r"\\fB\1\\fR", line)
    return set(re.findall(r"\\fB([a-z]\w*)", line))


def options_of_manual(text):
    """(the words that it has as options, all bold words where it speaks of options)."""
    sections = dict(re.findall(r"^\.SH ([^\n]*)\n(.*?)(?=^\.SH |\Z)", text, re.MULTILINE | re.DOTALL))
    own, words = set(), set()
    for title in ("OPTIONS", "REMOUNT", "DIFFERENCES FROM THE ORIGINAL"):
        # Lines that are indented further have values.
        lines = re.sub(r"^\.RS\n.*?^\.RE\n", "", sections.get(title, ""), flags=re.MULTILINE | re.DOTALL).split("\n")
        for before, line in zip([""] + lines, lines):
            words |= bold(line)
            if before == ".TP" or title.startswith("DIFFERENCES"):
                own |= bold(line)
    return own, words


def unlike_manual(table, manual):
    """The differences between the table of options and aufs.5."""
    known = options_of_table(table)
    own, words = options_of_manual(manual)
    for name in sorted(known - words):
        yield f"module/aufs.5: lacks the option {name}, which module/options/option_table.cc has"
    for name in sorted(own - known - NOT_OURS):
        yield f"module/aufs.5: has an option {name}, which module/options/option_table.cc lacks"


# ---- methods ---------------------------------------------------------------------------

# A member of a table of methods becomes a function of ours.
SET = re.compile(r"^\t+(?:ops|handler)?\.(\w+) = (?!nullptr\b|generic_)\w", re.MULTILINE)
# What an attempt is for: its second string, or a member by name.
IS_FOR = re.compile(r'\{\s*"\w+",\s*"([^"]*)"|\.methods = "([^"]*)"')
NO_MEMORY = "kunit/user/faults/no_memory.cc"


def uncalled(texts):
    """The methods in the tables of module/vfs that no attempt is for, and of which no_memory.cc says nothing."""
    said = COMMENT.findall(texts.get(NO_MEMORY, ""))
    for name, text in texts.items():
        if name.startswith("kunit/user/lib/attempts"):
            said += [" ".join(found) for found in IS_FOR.findall(text)]
    called = set(re.findall(r"\w+", " ".join(said)))
    for name, text in sorted(texts.items()):
        if name.startswith("module/vfs/"):
            for method in sorted(set(SET.findall(text)) - called):
                yield f"{name}: no attempt in kunit/user/lib is for {method}, and {NO_MEMORY} says nothing of it"


# ---- plain English ---------------------------------------------------------------------

# The texts of a file. C has comments; those of single lines are joined. Scripts have comments and docstrings; a "#"
# before a quotation mark may stand in a string. Pages have paragraphs.
OF_C = re.compile(r"(?://[^\n]*\n[ \t]*)*//[^\n]*|" + NOT_CODE.pattern, re.DOTALL)
OF_SCRIPTS = re.compile(r'^[ \t]*"""[\s\S]*?"""|^[ \t]*#.*(?:\n[ \t]*#.*)*|(?<=\s)# [^"\n]*$', re.MULTILINE)
OF_PAGES = re.compile(r"[^\n]+(?:\n[^\n]+)*")
TEXTS = {(".c", ".h", ".cc", ".hh", ".cocci", ".lds"): OF_C, (".md", ".5", ".Debian"): OF_PAGES, ("",): OF_SCRIPTS}
# Files without texts of ours.
NO_TEXTS = ("LICENSE", ".json", ".svg")
# The marks of a comment before the text of a line.
MARK = re.compile(r'^[ \t]*(?://+|/\*+|\*+/?|#+|""")?[ \t]*', re.MULTILINE)
# The end of a text before a new sentence, clause, paragraph, or cell of a map or a table.
BEFORE_BEGIN = re.compile(r"(?:^|[.!?:;(|-]|\n[ \t]*\n)\s*$|\S[ \t]{2,}$")
# Words that a "who" follows without a noun: conjunctions, prepositions, some verbs.
JOIN = ("and", "or", "but", "nor", "not")
NO_NOUN = {*"""after against as at because before between by except for from if in like of on over since so than that
    there though to under unless until when where whether while with within without
    are be been cost costs gives is let lets was were""".split()}
# A verb that asks, for the rest of its sentence: "says what is held and who holds it".
ASKS = re.compile(r"\b(?:asks?|decides?|finds?|found|knows?|known|says?|sees?|shows?|tells?|told)"
                  r"\s+(?:who|whom|what|which|whether|how)\b", re.IGNORECASE)
DEPENDS = re.compile(r"\bdepend(?:s|ed|ing)?\s+on\s+$")


def prose(name, text):
    """(number of its first line, text without the marks of a comment) for each text of the file @name."""
    pattern = next(pattern for suffixes, pattern in TEXTS.items() if name.endswith(suffixes))
    for found in pattern.finditer(text):
        if pattern is not OF_C or found[0][0] == "/":
            yield text.count("\n", 0, found.start()) + 1, MARK.sub("", found[0])


def is_nobodys(before, who, after):
    """Whether a @who between these two parts of a text belongs to no noun, and no verb asks for it."""
    sentence = re.split(r"[.!?]\s|\|", before)[-1]
    if who == "Who" or BEFORE_BEGIN.search(before):
        is_question = re.match(r"[^.!?]*\?", after)
        return not is_question and not (who == "who" and ASKS.search(sentence))
    word = re.search(r"(\w*)\s+$", before)
    if word and word[1].lower() in JOIN:
        return not ASKS.search(sentence) and not re.search(r"\bwho\b", sentence)
    return bool(word) and word[1].lower() in NO_NOUN and not DEPENDS.search(before)


def nouns_before_who(texts):
    """Where a comment or a page has a "who" without a noun, which would be a task, a caller, a user."""
    for name, text in sorted(texts.items()):
        for number, said in prose(name, text):
            for found in re.finditer(r"\b[Ww]ho\b", said):
                before, after = said[:found.start()], said[found.end():]
                if is_nobodys(before, found[0], after):
                    words = " ".join([*before.split()[-2:], found[0], *after.split()[:2]])
                    yield f"{name}:{number + before.count(chr(10))}: '{words}': a noun is missing before 'who'"
