# SPDX-License-Identifier: GPL-2.0-only
"""A plot as SVG: a row for each operation, a dot for each filesystem, on a logarithmic scale."""
import math
from html import escape

COLOURS = ["#0b6bcb", "#d1570b", "#7a9a01", "#8c4fb5", "#777777"]
ROW, LEFT, RIGHT, TOP, WIDTH = 19, 340, 20, 58, 950
MARKS = [0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000]


def text(x, y, words, anchor="start", colour="#222", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
            f'font-weight="{weight}">{escape(words)}</text>')


def dots(rows, names, title):
    """rows: (label, {filesystem: ratio}); names: {filesystem: its title}."""
    values = [ratio for _, ratios in rows for ratio in ratios.values()] or [1]
    low, high = min(0.9, *values), max(2, *values) * 1.1

    def across(ratio):
        share = (math.log(ratio) - math.log(low)) / (math.log(high) - math.log(low))
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(rows) + 30
    out = ['<!-- SPDX-License-Identifier: GPL-2.0-only -->',
           f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           text(10, 20, title, weight="bold")]
    x = LEFT
    for colour, name in zip(COLOURS, names.values()):
        out.append(f'<circle cx="{x}" cy="38" r="5" fill="{colour}"/>')
        out.append(text(x + 9, 42, name))
        x += 30 + 7 * len(name)
    bottom = TOP + ROW * len(rows)
    for mark in MARKS:
        if low <= mark <= high:
            colour = "#222" if mark == 1 else "#ddd"
            out.append(f'<line x1="{across(mark):.1f}" y1="{TOP - 6}" x2="{across(mark):.1f}" '
                       f'y2="{bottom}" stroke="{colour}"/>')
            out.append(text(across(mark), bottom + 16, f"{mark:g}", "middle", "#555"))
    for number, (label, ratios) in enumerate(rows):
        y = TOP + ROW * number + ROW / 2
        out.append(text(LEFT - 12, y + 4, label, "end"))
        # The first filesystem is drawn last, over the others.
        for colour, name in reversed(list(zip(COLOURS, names))):
            if name in ratios:
                out.append(f'<circle cx="{across(ratios[name]):.1f}" cy="{y:.1f}" r="5" '
                           f'fill="{colour}" fill-opacity="0.85"><title>{escape(names[name])}: '
                           f'{ratios[name]:.3f}</title></circle>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
