#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tables of the benchmark's results, in Markdown.

tables.py show RESULTS         prints all tables of RESULTS (JSON of bench.py)
tables.py save FOLDER [ROOT]   makes the results and plots in FOLDER those of the repository: copies them to
                               ROOT/bench and writes the tables
tables.py write [ROOT]         writes the tables of ROOT/bench/results.json into the files that show them, between
                               markers
tables.py check [ROOT]         fails, and names the file, if a table differs from the results
"""

import json
import os
import shutil
import sys

import bench

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "steps", "kernel"))

import marked  # noqa: E402
from marked import markdown  # noqa: E402

RESULTS = "bench/results.json"
FILES = ("bench/README.md",)
SAVED = ("results.json",) + tuple(f"{name}.{kind}" for name in bench.PLOTS for kind in ("svg", "png"))

NAMES = {
    "vfifo": "**vfifo, write→read**",
    "write-mapped": "**vfifo, write→mapped**",
    "mapped-read": "**vfifo, mapped→read**",
    "mapped": "**vfifo, mapped→mapped**",
    "made-mapped": "**vfifo, mapped→mapped**",
    "rust_vfifo": "**vfifo**",
    "ring.rs": "**ring.rs**",
    "made-pipe": "pipe",
    "twin": "C twin with `read` and `write`",
    "iter": "C twin with `read_iter` and `write_iter`",
    "bytewise": "a byte at a time, in C",
    "unix": "AF_UNIX",
    "bpf": "BPF ring buffer",
    "ring": "ring in shared memory",
    "memcpy": "memcpy, one process",
    "records": "**vfifo, records, write→read**",
    "records-write-mapped": "**vfifo, records, write→mapped**",
    "records-mapped-read": "**vfifo, records, mapped→read**",
    "records-mapped": "**vfifo, records, mapped→mapped**",
    "bpf-to-user": "BPF ring buffer, kernel→user",
    "bpf-spinning": "the same, its consumer spins",
    "bpf-to-kernel": "BPF ring buffer, user→kernel",
    "packets": "pipe with `O_DIRECT`",
    "seqpacket": "AF_UNIX, `SOCK_SEQPACKET`",
    "mq": "POSIX message queue",
    "over": "**vfifo, write, overwriting**",
    "over-mapped": "**vfifo, mapped, overwriting**",
    "over-records": "**vfifo, records, write, overwriting**",
    "over-records-mapped": "**vfifo, records, mapped, overwriting**",
}


def all_bars(content):
    head, rows = bench.bar_rows(content["bars"])
    rows = [[f"**{one}**" if one == "missed" else one for one in row] for row in rows]
    return markdown(head, rows)


def missed(content):
    """Every part of a bar that is missed."""
    rows = [[row["bar"], row["wanted"], one["of"], bench.number(one["value"]), bench.number(one["ours"]),
             bench.number(one["theirs"]), one["unit"]]
            for row in content["bars"] for one in bench.missed_parts(row)]
    return markdown(["", "wanted", "at", "is", "ours", "theirs", "unit"], rows)


def ratios(content):
    """Every part of every bar that is a ratio."""
    rows = [[row["bar"], row["wanted"], one["of"], bench.number(one["value"])]
            for row in content["bars"] for one in row["parts"]]
    return markdown(["", "wanted", "at", "is"], rows)


def measured(content):
    """A table for each measure and quantity."""
    results = bench.Results.from_json(content["results"])
    present = {(key[0], key[3]) for key in results.summaries}
    unknown = present - set(bench.GRIDS)
    if unknown:
        raise SystemExit(f"{RESULTS} has what bench.GRIDS has no table for: {sorted(unknown)}")
    text = []
    for (measure, quantity), (title, names) in bench.GRIDS.items():
        if (measure, quantity) in present:
            head, rows = bench.grid_rows(results, measure, quantity, names)
            rows = [[NAMES.get(row[0], row[0])] + row[1:] for row in rows]
            text.append(f"{title}:\n\n{markdown(head, rows)}")
    return "\n".join(text)


def machine(content):
    return (f"{content['host']}; guest: {content['guest']}, Linux {content['kernel']}, "
            f"accelerator {content['accelerator']}\n")


TABLES = {"bars": all_bars, "missed": missed, "ratios": ratios, "measured": measured, "machine": machine}
HEADINGS = {"machine": "Machine", "bars": "Bars", "missed": "Parts that are missed", "ratios": "All parts of all bars",
            "measured": "Measurements"}
MARKED = marked.Marked("bench/tables.py", RESULTS, FILES, TABLES, HEADINGS)


def current(text, content):
    """The text with its tables updated."""
    return MARKED.current(text, content)


def markers(text):
    """The names of the tables that the text has."""
    return MARKED.markers(text)


def all_tables(content):
    return MARKED.all("Figures", content)


def read(path, root=ROOT):
    return marked.read(path, root)


def saved(root):
    """The results of the repository."""
    return json.loads(read(RESULTS, root))


def outdated(root=ROOT):
    """{path: text} of the files whose tables are out of date."""
    return MARKED.outdated(saved(root), root)


def write(root=ROOT):
    MARKED.write(saved(root), root)


def check(root=ROOT):
    return MARKED.check(saved(root), root)


def save(folder, root=ROOT):
    """Copies nothing unless all files exist and no plot is older than the results."""
    paths = [os.path.join(folder, name) for name in SAVED]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise SystemExit(f"{missing[0]} does not exist; a full run makes it: ./build-kernel.sh bench")
    results = os.path.getmtime(paths[0])
    older = [path for path in paths[1:] if os.path.getmtime(path) < results]
    if older:
        raise SystemExit(f"{older[0]} is older than {paths[0]}: the last run did not finish; "
                         "run it again: ./build-kernel.sh bench")
    # Results that tables cannot be made from are refused before anything is replaced.
    all_tables(json.loads(read(paths[0])))
    for path in paths:
        shutil.copyfile(path, os.path.join(root, "bench", os.path.basename(path)))
    write(root)


def main(arguments):
    command, *rest = arguments or [""]
    if command == "show" and len(rest) == 1:
        sys.stdout.write(all_tables(json.loads(read(os.path.abspath(rest[0])))))
    elif command == "save" and len(rest) in (1, 2):
        save(os.path.abspath(rest[0]), *rest[1:])
    elif command == "write" and len(rest) <= 1:
        write(*rest)
    elif command == "check" and len(rest) <= 1:
        return check(*rest)
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
