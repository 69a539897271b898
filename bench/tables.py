#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The tables of results.json in the files that show them, between markers.

tables.py write   brings them up to date
tables.py check   fails, and says which file, if one is not
"""

import json
import os
import re
import sys

import bench

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = "bench/results.json"
FILES = ("README.md", "bench/README.md")

MARKED = re.compile(r"(<!-- begin (?P<name>[a-z]+): bench/tables\.py writes this -->\n)"
                    r".*?(<!-- end (?P=name) -->\n)", re.DOTALL)

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
}


def markdown(head, rows):
    # A head that nothing is written in is still a column.
    lines = [head, ["---"] * len(head)] + rows
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


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


def current(text, content):
    """The text with its tables as they should be."""
    return MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found['name']](content)}\n{found[3]}", text)


def markers(text):
    """The names of the tables that the text has."""
    return [found["name"] for found in MARKED.finditer(text)]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def outdated():
    """{path: text} of the files whose tables are not those of the results."""
    content = json.loads(read(RESULTS))
    texts = {path: (read(path), current(read(path), content)) for path in FILES}
    return {path: new for path, (old, new) in texts.items() if new != old}


def main(arguments):
    if arguments not in (["write"], ["check"]):
        print(__doc__, file=sys.stderr)
        return 2
    for path, text in outdated().items():
        if arguments == ["check"]:
            print(f"the tables of {path} are not those of {RESULTS}: run python3 bench/tables.py write", file=sys.stderr)
            return 1
        with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
