# SPDX-License-Identifier: GPL-2.0-only
"""Which file of C or C++ includes which, by their texts: {path below the top: text}."""
import posixpath
import re

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
DIRECTIVE = re.compile(r'^#[ \t]*(if|ifdef|ifndef|elif|else|endif|include)\b[ \t]*([^\n]*)', re.MULTILINE)
# Where the headers are that programs have in common, by what includes them.
LIBRARIES = {"kunit/user/": "kunit/user/lib", "kunit/host/": "kunit/host/lib"}


def includes(text):
    """(header, whether it stands in <>, on_host) for each #include. @on_host: True where only the host's compiler
    sees it, False where only the kernel's does, None where both do."""
    within = []
    for word, rest in DIRECTIVE.findall(COMMENT.sub(" ", text)):
        rest = rest.strip()
        if word in ("if", "ifdef", "ifndef"):
            within.append({"__STDC_HOSTED__": True, "!__STDC_HOSTED__": False}.get(rest))
        elif word == "else":
            within[-1] = None if within[-1] is None else not within[-1]
        elif word == "elif":
            within[-1] = None
        elif word == "endif":
            within.pop()
        elif header := re.match(r'(["<])([^">]+)[">]', rest):
            yield header[2], header[1] == "<", next((host for host in within if host is not None), None)


def resolve(name, header, files):
    """The file that @header is in the file @name, as the compiler finds it; None if it is none of @files."""
    if header.startswith("generated/"):
        return f"module/kernel/{header}"
    for folder in (posixpath.dirname(name), *(lib for of, lib in LIBRARIES.items() if name.startswith(of)),
                   "module", "cxxrt", "kunit"):
        path = posixpath.normpath(posixpath.join(folder, header))
        if path in files or "/generated/" in path:
            return path
    return None


def included(name, texts):
    """The files of @texts that the file @name of them includes."""
    paths = (resolve(name, header, texts) for header, angled, _ in includes(texts[name]) if not angled)
    return [path for path in paths if path in texts]


def reached(names, texts):
    """The files of @texts that @names include, and what these do; with them."""
    found = set()
    ahead = [name for name in names if name in texts]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += included(name, texts)
    return found


def includers(texts):
    """{file of @texts: those that include it}."""
    found = {}
    for name in sorted(texts):
        for path in set(included(name, texts)):
            found.setdefault(path, []).append(name)
    return found


def readers(names, texts):
    """Of @names the .cc files of @texts; and for each header among them that none of these includes, however far, one
    file that does: of the nearest the one that has its name, or else the shortest."""
    found = [name for name in names if name.endswith(".cc") and name in texts]
    read = reached(found, texts)
    by = includers(texts)
    for header in (name for name in names if name.endswith(".hh") and name in texts):
        seen, level = {header}, [header]
        while level and header not in read:
            if near := [name for name in level if name.endswith(".cc")]:
                found.append(min(near, key=lambda name: (name[:-3] != header[:-3], len(texts[name]), name)))
                read |= reached(found[-1:], texts)
            level = sorted({name for one in level for name in by.get(one, ())} - seen)
            seen.update(level)
    return sorted(found)
