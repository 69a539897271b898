#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Draws the pictures: draw.py makes an SVG file from each .dot file in this folder, with dot of Graphviz, and
from each .screen file, which has the text and the colours of a terminal (see screen.py).

draw.py --check checks that each SVG file was made from the source that is here, and was not changed
afterwards. It needs no Graphviz: an SVG file records the hashes of its source and of the drawing.
"""

import glob
import hashlib
import os
import re
import subprocess
import sys

import screen

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


def sources(folder):
    return sorted(glob.glob(os.path.join(folder, "*.dot")) + glob.glob(os.path.join(folder, "*.screen")))


def drawing(source):
    """The path of the SVG file that is made from that source."""
    return os.path.splitext(source)[0] + ".svg"


def problem(source, svg):
    """Why the SVG file is not the drawing of that source; None if it is."""
    name = os.path.basename(source)
    if not os.path.exists(svg):
        return "does not exist"
    text = read(svg)
    found = RECORD.findall(text)
    if [entry[0] for entry in found] != [name]:
        return f"does not say that it was made from {name}"
    _, made_from, made = found[0]
    if made_from != digest(read(source)):
        return f"was made from another {name}"
    if made != digest(RECORD.sub("", text)):
        return "was changed by hand"
    return None


def check(folder):
    """A line for each problem."""
    there = sources(folder)
    lines = []
    for source in there:
        reason = problem(source, drawing(source))
        if reason:
            lines.append(f"pictures/{os.path.basename(drawing(source))} {reason}; run pictures/draw.py")
    for svg in sorted(glob.glob(os.path.join(folder, "*.svg"))):
        if svg not in [drawing(source) for source in there]:
            lines.append(f"pictures/{os.path.basename(svg)} has no source; add its .dot file or remove it")
    if not there:
        lines.append("pictures/ has no .dot file")
    return lines


def dot(path):
    """What Graphviz draws."""
    made = subprocess.run(["dot", "-Tsvg", path], capture_output=True, text=True)
    # A warning means that a text does not fit into its box.
    if made.returncode or made.stderr:
        raise ValueError(f"dot cannot draw {path}: {made.stderr.strip()}")
    return made.stdout


def draw(folder):
    for source in sources(folder):
        if source.endswith(".screen"):
            svg = screen.svg(read(source))
        elif problem(source, drawing(source)):
            svg = dot(source)
        else:
            # Graphviz is needed only for what has changed.
            continue
        with open(drawing(source), "w", encoding="utf-8") as file:
            file.write(with_record(svg, os.path.basename(source), read(source)))


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
