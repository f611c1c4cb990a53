# SPDX-License-Identifier: GPL-2.0-only
"""Tables in Markdown, and their places in README.md; shared by the reports."""
import os

README_END = "<!-- to here -->\n"


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join([title, *cells]) + " |" for title, cells in rows]
    return "\n".join(lines)


def ratio_text(ratio):
    if ratio is None:
        return "-"
    return f"{ratio:.3f}" if ratio < 9.995 else f"{ratio:,.1f}" if ratio < 100 else f"{ratio:,.0f}"


def functions(title, columns, base, shown=40):
    """A table of @columns, {title: {function: how much is in it}}. First comes the function in which a column exceeds
    the column @base by most."""
    def least(name):
        return min(base.get(name, 0) - column.get(name, 0) for column in columns.values()), name

    names = sorted({name for column in columns.values() for name in column}, key=least)
    return markdown([title, *columns], [(name, [f"{column.get(name, 0):,.0f}" for column in columns.values()])
                                        for name in names[:shown]])


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def put_into(path, begin, text):
    """Replaces the text of the file between the line @begin and the next README_END."""
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(begin)
    write(path, before + begin + text + rest[rest.index(README_END):])
