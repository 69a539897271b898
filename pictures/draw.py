#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Draws the pictures: draw.py makes an SVG file from each .dot file in this folder, with dot of Graphviz.

draw.py --check checks that each SVG file was made from the source that is here, and was not changed
afterwards. It needs no Graphviz: an SVG file records the hashes of its source and of the drawing.
"""

import glob
import hashlib
import os
import re
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
RECORD = re.compile(r"^<!-- made by pictures/draw\.py from (\S+), sha256 ([0-9a-f]{64}); drawing ([0-9a-f]{64}) -->\n",
                    re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def with_record(svg, name, source):
    """The SVG text with the record, as the line before the <svg> element."""
    record = f"<!-- made by pictures/draw.py from {name}, sha256 {digest(source)}; drawing {digest(svg)} -->\n"
    return re.sub(r"^(?=<svg )", lambda _: record, svg, count=1, flags=re.MULTILINE)


def problem(dot, svg):
    """Why the SVG file is not the drawing of that source; None if it is."""
    name = os.path.basename(dot)
    if not os.path.exists(svg):
        return "does not exist"
    text = read(svg)
    found = RECORD.findall(text)
    if [entry[0] for entry in found] != [name]:
        return f"does not say that it was made from {name}"
    _, source, drawing = found[0]
    if source != digest(read(dot)):
        return f"was made from another {name}"
    if drawing != digest(RECORD.sub("", text)):
        return "was changed by hand"
    return None


def check(folder):
    """A line for each problem."""
    dots = sorted(glob.glob(os.path.join(folder, "*.dot")))
    lines = []
    for dot in dots:
        svg = dot.removesuffix(".dot") + ".svg"
        reason = problem(dot, svg)
        if reason:
            lines.append(f"pictures/{os.path.basename(svg)} {reason}; run pictures/draw.py")
    for svg in sorted(glob.glob(os.path.join(folder, "*.svg"))):
        if svg.removesuffix(".svg") + ".dot" not in dots:
            lines.append(f"pictures/{os.path.basename(svg)} has no source; add its .dot file or remove it")
    if not dots:
        lines.append("pictures/ has no .dot file")
    return lines


def draw(folder):
    for dot in sorted(glob.glob(os.path.join(folder, "*.dot"))):
        made = subprocess.run(["dot", "-Tsvg", dot], capture_output=True, text=True)
        # A warning means that a text does not fit into its box.
        if made.returncode or made.stderr:
            raise ValueError(f"dot cannot draw {dot}: {made.stderr.strip()}")
        with open(dot.removesuffix(".dot") + ".svg", "w", encoding="utf-8") as file:
            file.write(with_record(made.stdout, os.path.basename(dot), read(dot)))


def main(arguments):
    if arguments == ["--check"]:
        lines = check(FOLDER)
        for line in lines:
            print(line)
        return 1 if lines else 0
    if arguments:
        print("usage: draw.py [--check]", file=sys.stderr)
        return 2
    try:
        draw(FOLDER)
    except FileNotFoundError:
        print("draw.py: dot is missing; install it: apt-get install graphviz", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"draw.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
