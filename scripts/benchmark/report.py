#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes tables and verdicts of the lines of guest-run.

    report.py tables LINES DIRECTORY     figures.json, table.md and plot.svg, from one run
    report.py readme LINES README SVG    the tables for users, between README's marks, and the plot
    report.py agreement FIGURES FIGURES  how far two runs differ, the worst first
    report.py check LINES RECORDED       ratios to the branch, against the recorded ones: exit 1 if one
                                         is above by more than TOLERANCE, and the instructions, too. An
                                         operation without a record is named, and compared with nothing
    report.py record LINES RECORDED      put this run's ratios there
    report.py watched                    the operations that these two look at, as OPS of scripts/bench
    report.py companion LINES LINES      what /proc/self/maps costs with the companion, on two kernels:
                                         exit 1 if that is more than COMPANION_TOLERANCE above
    report.py vm_prfile LINES LINES      what mappings cost on a kernel without the member and on one with
                                         it: exit 1 if that is more than MEMBER_TOLERANCE above

A figure is the median of a run's batches, in instructions.
"""
import json
import statistics
import sys

import plot
from tables import functions, markdown, put_into, ratio_text, write

FILESYSTEMS = ["branch", "aufs", "overlayfs", "fuse-overlayfs", "unionfs-fuse", "mergerfs"]
# The same filesystem with other options: these have a table of their own.
UDBA = {"aufs-reval": "udba=reval", "aufs-notify": "udba=notify"}
TITLES = {"branch": "branch", "aufs": "aufs-cxx"}
TOLERANCE = 0.005
COMPANION_TOLERANCE = 0.02
MEMBER_TOLERANCE = 0.002
# The title of each operation, and the unit of its sizes; in the order of the table.
OPERATIONS = {
    "mmap_munmap": ("mmap + munmap", ""),
    "fault_read_around": ("read fault, around, per page", ""),
    "fault_read": ("read fault, per page", ""),
    "fault_write": ("shared write fault, per page", ""),
    "fault_private": ("private write fault, per page", ""),
    "fault_huge": ("read fault, per huge page", ""),
    "split_merge": ("mprotect: split + merge", ""),
    "mremap": ("mremap", ""),
    "open_close": ("open + close", ""),
    "open_read_close": ("open + read 4 KiB + close", ""),
    "stat_hot": ("stat", ""),
    "stat_cold": ("stat, dentries dropped", ""),
    "negative": ("stat of no file", ""),
    "negative_new": ("stat of no file, new name", ""),
    "negative_once": ("stat of no file, each name once", "part"),
    "pread": ("pread", "byte"),
    "pwrite": ("pwrite", "byte"),
    "readdir": ("readdir, one branch", "entry"),
    "readdir_merged": ("readdir, two branches", "entry"),
    "readdir_second": ("readdir, two branches, second reader", "entry"),
    "exec": ("exec + exit, dynamic", ""),
    "fork_exit": ("fork + exit", "mapping"),
    "maps": ("read /proc/self/maps", "mapping"),
    "smaps": ("read /proc/self/smaps", "mapping"),
    "copy_up": ("copy-up", "byte"),
    "mount": ("mount + umount", "branch"),
    "depth_stat": ("stat in the lowest of", "branch"),
    "depth_cold": ("stat, dentries dropped, in the lowest of", "branch"),
    "depth_negative": ("stat of no file, new name, in", "branch"),
}
PLURALS = {"byte": "B", "entry": "entries", "mapping": "mappings", "branch": "branches", "part": "parts"}
# The sizes that the README shows, where these are fewer.
SHOWN_SIZES = {"fork_exit": (512,), "maps": (512,), "smaps": (512,), "depth_stat": (1, 127), "mount": (1, 127),
               "depth_cold": (1, 127), "depth_negative": (1, 127), "readdir_merged": (10000,), "readdir_second": (10000,)}
README_BEGIN = "<!-- by scripts/bench -->\n"
# The operations that `make bench-check` watches, on tmpfs.
WATCHED = [("mmap_munmap", 0), ("fault_read", 0), ("open_close", 0), ("open_read_close", 0),
           ("stat_hot", 0), ("negative", 0), ("pread", 4096), ("pwrite", 4096), ("readdir", 10000),
           ("exec", 0), ("stat_cold", 0), ("depth_cold", 127), ("negative_new", 0), ("negative_once", 2),
           ("depth_negative", 127), ("readdir", 10), ("readdir_merged", 10000), ("readdir_second", 10000),
           ("copy_up", 4096), ("mount", 127)]


class Run:
    """The lines of one run: about[], figures[(base, operation, size)][filesystem], memory[]."""

    def __init__(self, path):
        self.about, self.figures, self.memory, self.spread = {}, {}, {}, {}
        self.profiles = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith("{"):
                    self.line(json.loads(line))

    def line(self, record):
        if "operation" in record:
            key = record["base"], record["operation"], record["size"]
            filesystem, batches = record["filesystem"], record["batches"]
            self.figures.setdefault(key, {})[filesystem] = statistics.median(batches)
            self.spread.setdefault(key, {})[filesystem] = batches
        elif "profile" in record:
            self.profiles.append(record)
        elif "memory" in record:
            key = record["base"], record["memory"]
            self.memory.setdefault(key, {})[record["filesystem"]] = record["bytes"]
        else:
            self.about.update(record)

    def ratio(self, key, filesystem):
        values = self.figures.get(key, {})
        if filesystem not in values or not values.get("branch"):
            return None
        return values[filesystem] / values["branch"]

    def bases(self):
        return list(dict.fromkeys(base for base, _, _ in self.figures))

    def filesystems(self):
        found = {name for values in self.figures.values() for name in values}
        return [name for name in FILESYSTEMS if name in found]

    def identity(self):
        return f"{self.about.get('release')}, {self.about.get('compiler')}"

    def as_json(self):
        figures = [{"base": base, "operation": operation, "size": size, "filesystem": filesystem,
                    "instructions": value, "ratio": self.ratio((base, operation, size), filesystem),
                    "batches": self.spread[base, operation, size][filesystem]}
                   for (base, operation, size), values in self.figures.items()
                   for filesystem, value in values.items()]
        memory = [{"base": base, "of": what, "bytes": values}
                  for (base, what), values in self.memory.items()]
        return {"about": self.about, "figures": figures, "memory": memory}


def size_text(operation, size):
    unit = OPERATIONS[operation][1]
    if not unit or not size:
        return ""
    if unit == "byte":
        for factor, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if size % factor == 0:
                return f"{size // factor} {name}"
    return f"{size:,} {unit if size == 1 else PLURALS[unit]}"


def label(operation, size):
    text = size_text(operation, size)
    title = OPERATIONS[operation][0]
    return f"{title} {text}" if title.endswith((" of", " in")) else f"{title}, {text}".rstrip(", ")


def ordered(run, base):
    """The (operation, size) of a base, in the order of the table."""
    names = list(OPERATIONS)
    keys = [(operation, size) for where, operation, size in run.figures if where == base]
    return sorted(keys, key=lambda key: (names.index(key[0]), key[1]))


def line_through(points):
    """y = a + b x through points, weighted by 1/y: (a, b, largest relative deviation)."""
    weights = [1 / (y * y) for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points)) / total
    slope = (sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points))
             / sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points)))
    base = mean_y - slope * mean_x
    return base, slope, max(abs(base + slope * x - y) / y for x, y in points)


def growth(run, base):
    """Rows: the cost of one more byte, entry, mapping or branch on each filesystem."""
    rows = []
    filesystems = run.filesystems()
    for operation, (title, unit) in OPERATIONS.items():
        sizes = sorted(size for where, name, size in run.figures
                       if where == base and name == operation)
        if not unit or len(sizes) < 2:
            continue
        cells = []
        for filesystem in filesystems:
            points = [(size, run.figures[base, operation, size][filesystem]) for size in sizes
                      if filesystem in run.figures[base, operation, size]]
            if len(points) < 2:
                cells.append("-")
                continue
            _, slope, deviation = line_through(points)
            text = f"{slope:,.2f}" if slope < 10 else f"{slope:,.0f}"
            # Two points are always on a line.
            cells.append(text + (f" (±{100 * deviation:.0f} %)" if len(points) > 2 else ""))
        rows.append((f"{title.removesuffix(' of').removesuffix(', in')}, per {unit}", cells))
    return rows


def titles(filesystems):
    return [TITLES.get(name, name) for name in filesystems]


def table(run):
    """All figures, base by base, as Markdown."""
    text = [f"{run.identity()}; instructions on the branch itself, and ratios to it"]
    filesystems = run.filesystems()
    for base in run.bases():
        rows = []
        for operation, size in ordered(run, base):
            values = run.figures[base, operation, size]
            cells = []
            for filesystem in filesystems:
                ratio = run.ratio((base, operation, size), filesystem)
                if filesystem not in values:
                    cells.append("-")
                elif filesystem == "branch" or ratio is None:
                    cells.append(f"{values[filesystem]:,.0f}")
                else:
                    cells.append(f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}")
            rows.append((label(operation, size), cells))
        text.append(markdown([base, *titles(filesystems)], rows))
        rows = growth(run, base)
        if rows:
            text.append(markdown([f"{base}: growth, and how far from a line", *titles(filesystems)],
                                 rows))
    if run.memory:
        kernel = [name for name in filesystems if name in ("branch", "aufs", "overlayfs")]
        rows = [(f"{base}: {what}", [f"{values[name]:,.0f}" if name in values else "-"
                                     for name in kernel])
                for (base, what), values in run.memory.items()]
        text.append(markdown(["bytes of slab objects per", *titles(kernel)], rows))
    text.append(udba_table(run))
    return "\n\n".join(filter(None, text)) + "\n"


def udba_table(run):
    """The cost of looking for changes of the branches; "" if it was not measured."""
    rows = []
    for base in run.bases():
        for operation, size in ordered(run, base):
            ratios = [run.ratio((base, operation, size), name) for name in ("aufs", *UDBA)]
            if any(ratio is not None for ratio in ratios[1:]):
                rows.append((f"{base}: {label(operation, size)}", [ratio_text(ratio) for ratio in ratios]))
    return markdown(["ratio to the branch", "udba=none", *UDBA.values()], rows) if rows else ""


def readme_tables(run):
    """Ratios to the branch on both bases, growth, memory."""
    filesystems = run.filesystems()[1:]
    columns = [("tmpfs", name) for name in filesystems] + [("ext4", name) for name in ("aufs", "overlayfs")]
    rows = []
    for operation, size in ordered(run, "tmpfs"):
        if size not in SHOWN_SIZES.get(operation, (size,)):
            continue
        branch = run.figures["tmpfs", operation, size].get("branch")
        rows.append((label(operation, size),
                     [f"{branch:,.0f}" if branch else "-",
                      *(ratio_text(run.ratio((base, operation, size), name)) for base, name in columns)]))
    header = ["operation", "tmpfs itself, instructions", *titles(filesystems), "ext4: aufs-cxx", "ext4: overlayfs"]
    text = [f"{run.identity()}; {run.about.get('date')}", markdown(header, rows),
            markdown(["tmpfs: one more costs, in instructions (how far three sizes are from a line)",
                      *titles(run.filesystems())], growth(run, "tmpfs"))]
    rows = [(f"{base}: {what}", [f"{values[name]:,.0f}" if name in values else "-"
                                 for name in ("branch", "aufs", "overlayfs")])
            for (base, what), values in run.memory.items()]
    text += [markdown(["bytes in the kernel's slabs, beside what others hold", "branch", "aufs-cxx", "overlayfs"], rows),
             udba_table(run)]
    return "\n\n".join(filter(None, text)) + "\n"


def profile(run):
    """Per operation: the functions in which filesystems differ, in instructions per operation."""
    text = []
    for key in dict.fromkeys((one["base"], one["profile"], one["size"]) for one in run.profiles):
        columns = {}
        for one in run.profiles:
            whole = run.figures.get(key, {}).get(one["filesystem"])
            if (one["base"], one["profile"], one["size"]) == key and whole:
                total = sum(one["samples"].values())
                columns[one["filesystem"]] = {name: whole * count / total for name, count in one["samples"].items()}
        base, *operation = key
        text.append(functions(f"{label(*operation)} ({base})", {TITLES.get(name, name): column for name, column
                                                                in columns.items()}, columns.get("branch", {})))
    return "\n\n".join(text)


def plotted(run):
    base = run.bases()[0]
    rows = [(label(operation, size),
             {name: run.ratio((base, operation, size), name) for name in run.filesystems()[1:]
              if run.ratio((base, operation, size), name)})
            for operation, size in ordered(run, base)
            if not operation.startswith(("mount", "depth"))]
    names = {name: TITLES.get(name, name) for name in run.filesystems()[1:]}
    return plot.dots(rows, names, f"instructions, ratio to the branch ({base})")


def tables(lines, directory):
    run = Run(lines)
    text = table(run)
    write(directory + "/table.md", text)
    write(directory + "/figures.json", json.dumps(run.as_json(), indent=1) + "\n")
    write(directory + "/plot.svg", plotted(run))
    print(text)
    if run.profiles:
        write(directory + "/profile.md", profile(run) + "\n")
    return 0


def readme(lines, path, svg):
    run = Run(lines)
    put_into(path, README_BEGIN, readme_tables(run))
    write(svg, plotted(run))
    return 0


def agreement(first, second):
    runs = []
    for path in first, second:
        with open(path, encoding="utf-8") as file:
            runs.append({(figure["base"], figure["operation"], figure["size"], figure["filesystem"]):
                         figure for figure in json.load(file)["figures"]})
    rows = []
    for key in runs[0].keys() & runs[1].keys():
        one, two = (run[key] for run in runs)
        value = abs(two["instructions"] / one["instructions"] - 1)
        ratio = abs(two["ratio"] / one["ratio"] - 1) if one["ratio"] and two["ratio"] else value
        rows.append((ratio, value, key))
    rows.sort(reverse=True)
    for title, wanted in (("in the kernel", [*FILESYSTEMS[:3], *UDBA]), ("FUSE", FILESYSTEMS[3:])):
        some = [row for row in rows if row[2][3] in wanted]
        within = [row for row in some if row[0] <= 0.005]
        print(f"{title}: {len(some)} ratios in both runs, {len(within)} of them within 0.5 %")
        for ratio, value, key in some[:max(0, len(some) - len(within))]:
            print(f"  {100 * ratio:6.2f} % (instructions {100 * value:6.2f} %)  "
                  f"{' '.join(str(part) for part in key)}")
    return 0


def watched(run):
    """{label: [ratio to the branch, instructions]}"""
    found = {}
    for operation, size in WATCHED:
        key = "tmpfs", operation, size
        ratio = run.ratio(key, "aufs")
        if ratio is None:
            sys.exit(f"report.py: this run has no {label(operation, size)}")
        found[label(operation, size)] = [round(ratio, 4), round(run.figures[key]["aufs"], 1)]
    return found


def read_recorded(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"license": "SPDX-License-Identifier: GPL-2.0-only", "ratios": {}}


def check(lines, path):
    run, recorded = Run(lines), read_recorded(path)["ratios"]
    now = watched(run)
    before = recorded.get(run.identity())
    if before is None:
        for name, (ratio, _) in now.items():
            print(f"{'':13}{ratio:8.3f}  {name}")
        print(f"nothing is compared: there is no record for {run.identity()}, only for "
              f"{'; '.join(recorded) or 'none'}. 'RECORD=y make bench-check' records these")
        return 0
    worse, unknown = 0, [name for name in now if name not in before]
    for name in unknown:
        print(f"no record    {now[name][0]:8.3f}  {name}")
    for name, (ratio, instructions) in now.items():
        if name in unknown:
            continue
        change = ratio / before[name][0] - 1
        verdict = "ok"
        # If only the branch has become cheaper, this filesystem is no worse.
        if change > TOLERANCE and instructions > before[name][1] * (1 + TOLERANCE):
            verdict = "WORSE"
            worse += 1
        elif change < -TOLERANCE:
            verdict = "better"
        print(f"{verdict:7} {before[name][0]:8.3f} -> {ratio:6.3f}  {name}")
    if unknown:
        print(f"{len(unknown)} of {len(now)} are compared with nothing: no run has recorded them for {run.identity()} "
              "yet. 'RECORD=y make bench-check' records all of these: do it where the others are as they should be")
    if worse:
        print(f"{worse} of {len(now)} ratios to the branch are more than {100 * TOLERANCE:g} % above "
              "the recorded ones. Where that is meant, 'RECORD=y make bench-check' records these")
    return 1 if worse else 0


def record(lines, path):
    run, all_of_them = Run(lines), read_recorded(path)
    all_of_them["ratios"][run.identity()] = watched(run)
    write(path, json.dumps(all_of_them, indent=1) + "\n")
    print(f"recorded for {run.identity()}")
    return 0


def names_of_watched():
    print(" ".join(f"{operation}:{size}" for operation, size in WATCHED))
    return 0


def companion(*paths):
    rows, worst = [], 0
    for path in paths:
        run = Run(path)
        for (_, _, size), values in run.figures.items():
            for filesystem, what in (("branch", "an ordinary file"), ("aufs", "a union's file")):
                without, with_it = (values.get(filesystem + suffix) for suffix in ("", "+companion"))
                if without is None or with_it is None:
                    sys.exit(f"report.py: {path} lacks {size} mappings of {what}")
                rows.append((f"{run.about['release']}, {size} of {what}",
                             [f"{without:,.0f}", f"{with_it:,.0f}", f"{with_it / without:.3f}"]))
                worst = max(worst, with_it / without - 1)
    print(markdown(["reading `/proc/self/maps`, mappings", "instructions", "with the companion", "ratio"],
                   rows))
    if worst > COMPANION_TOLERANCE:
        sys.exit(f"with the companion it costs more than {1 + COMPANION_TOLERANCE} of what it does without")
    return 0 if rows else 1


def vm_prfile(plain, member):
    without, with_it = Run(plain), Run(member)
    rows, above = [], 0
    for key in sorted(without.figures, key=lambda key: (list(OPERATIONS).index(key[1]), key[2])):
        one = without.figures[key]["branch"]
        values = [with_it.figures[key][name] for name in ("branch", "branch+aufs")]
        rows.append((label(*key[1:]), [f"{one:,.0f}", *(f"{value / one:.4f}" for value in values)]))
        above += values[0] / one - 1 > MEMBER_TOLERANCE
    rows.append(("bytes of a vma", [str(without.about["bytes"]), *[str(with_it.about["bytes"])] * 2]))
    print(markdown([f"{with_it.about['release']}, of an ordinary file", "without the member, instructions",
                    "with it", "with it, and aufs loaded"], rows))
    if above:
        sys.exit(f"{above} of these cost more than {1 + MEMBER_TOLERANCE} of what they do without the member")
    return 0


COMMANDS = {"companion": (companion, 2), "tables": (tables, 2), "agreement": (agreement, 2), "check": (check, 2),
            "record": (record, 2), "watched": (names_of_watched, 0), "readme": (readme, 3), "vm_prfile": (vm_prfile, 2)}
command, wanted_arguments = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, 0))
if not command or len(sys.argv) != 2 + wanted_arguments:
    sys.exit(__doc__)
sys.exit(command(*sys.argv[2:]))
