#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks the graph in each cover letter: which patch needs which of the others.

These are series/cover-letter and those of the parts that can be sent without the rest.
A patch needs another if its Rust files, doctests included, name a module that the other adds to the
kernel crate.
"""

import glob
import os
import re
import sys
from pathlib import Path

from series import lines

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LINE = re.compile(r"^ *(\d+) ([a-z_]+) +(-|[\d ]+)$", re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def graph(text):
    """{patch: the patches that it needs}, from the lines of the cover letter."""
    return {int(patch): set() if needs == "-" else {int(need) for need in needs.split()}
            for patch, _, needs in LINE.findall(text)}


def closure(needs, patch):
    """The patches that a patch needs, directly or indirectly."""
    found, todo = set(), [patch]
    while todo:
        new = needs.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def module(path):
    """The module of a file of the kernel crate: sync::wait_queue for sync/wait_queue.rs."""
    return path.removesuffix(".rs").replace("/", "::")


def folders():
    """{number of a patch: the name of its folder}."""
    return {int(path.name[:4]): path.name for path in sorted(Path(ROOT, "series").glob("[0-9]*/"))}


def sources():
    """{patch: the text of its Rust files and of what it adds to the kernel's}, {module: its patch}."""
    texts, modules = {}, {}
    for patch, name in folders().items():
        folder, texts[patch] = os.path.join(ROOT, "series", name), ""
        for entry in lines(Path(folder, "files")):
            path = os.path.join(ROOT, entry)
            for file in sorted(glob.glob(path + "/**/*.rs", recursive=True)) if os.path.isdir(path) else [path]:
                if file.endswith(".rs"):
                    texts[patch] += read(file)
                    inside = os.path.relpath(file, os.path.join(ROOT, "rust-kernel"))
                    if not inside.startswith(".."):
                        modules[module(inside)] = patch
        edits = os.path.join(folder, "edits.diff")
        if os.path.exists(edits):
            for diff in re.split(r"^diff --git ", read(edits), flags=re.MULTILINE):
                where = re.match(r"a/rust/kernel/(\S+\.rs) ", diff)
                if where:
                    parent = "" if where[1] == "lib.rs" else module(where[1]) + "::"
                    modules.update({parent + name: patch
                                    for name in re.findall(r"^\+pub mod (\w+);", diff, re.MULTILINE)})
    return texts, modules


def code(text):
    """The lines of code, including those of doctests, without comments."""
    lines, doctest = [], False
    for line in text.splitlines():
        doc = re.match(r"\s*//[/!] ?(.*)", line)
        if doc and doc[1].startswith("```"):
            doctest = not doctest
        elif doc and doctest:
            lines.append(doc[1].removeprefix("# "))
        elif not doc:
            lines.append(line)
    return re.sub(r"//.*", "", "\n".join(lines))


def tree(text):
    """The paths of a use tree: a::b and a::c for a::{b, c}."""
    paths, prefix, stack = [], "", []
    for token in re.findall(r"[\w:*]+|[{},]", re.sub(r"\s+as\s+\w+", "", text)):
        if token == "{":
            stack.append(prefix)
        elif token == "}":
            prefix = stack.pop()
        elif token == ",":
            prefix = stack[-1] if stack else ""
        else:
            prefix += token
            paths.append(prefix)
    return paths


def used(text, modules):
    """The modules that are imported, or named by a path."""
    text = code(text)
    paths = set(re.findall(r"\b(?:kernel|crate)::([\w:]+)", text))
    for block in re.findall(r"\buse kernel::(\{.*?\n\s*\});", text, re.DOTALL):
        paths.update(tree(block))
    return {name for name in modules for path in paths if path == name or path.startswith(name + "::")}


def check(letter, numbers, texts, modules, names):
    """What is wrong in a cover letter; numbers has those of its patches, in the order in which they are sent."""
    text = read(os.path.join(ROOT, letter))
    needs, sent = graph(text), dict(enumerate(numbers, 1))
    places = {number: place for place, number in sent.items()}
    wrong = [f"patch {patch} is not in the graph of {letter}" for patch in sent.keys() - needs.keys()]
    wrong += [f"the graph of {letter} has a patch {patch}, which does not exist" for patch in needs.keys() - sent.keys()]
    if not re.match(rf"Subject: \[PATCH 0+/{len(sent)}\] ", text):
        wrong.append(f"the subject of {letter} does not begin with [PATCH 0/{len(sent)}]")
    for patch, name, _ in LINE.findall(text):
        folder = names.get(sent.get(int(patch)), "")
        if folder and name.replace("_", "-") not in folder:
            wrong.append(f"the graph of {letter} calls {folder} {name}")
    for patch, number in sent.items():
        outside = {modules[name] for name in used(texts[number], modules)} - {number}
        wrong += [f"{names[number]} needs {names[one]}, which {letter} does not send"
                  for one in sorted(outside - places.keys())]
        real = {places[one] for one in outside & places.keys()}
        said = closure(needs, patch)
        wrong += [f"patch {patch} needs {one}, and {letter} does not say so" for one in sorted(real - said)]
        # Only for abstractions; other patches have needs that are not visible in Rust code.
        if number in modules.values():
            wrong += [f"patch {patch} does not need {one}, as {letter} says"
                      for one in sorted(needs.get(patch, set()) - real)]
        wrong += [f"patch {patch} needs {one}, which comes later, by {letter}" for one in sorted(said) if one >= patch]
    return wrong


def main():
    texts, modules = sources()
    names = folders()
    wrong = check("series/cover-letter", sorted(names), texts, modules, names)
    # The parts that can be sent without the rest.
    for part in sorted(glob.glob(os.path.join(ROOT, "series/parts/*/"))):
        listed = os.path.relpath(os.path.join(part, "patches"), ROOT)
        entries = lines(Path(part, "patches"))
        numbers = [number for entry in entries for number, name in names.items() if name == entry]
        if not entries or len(numbers) != len(entries):
            wrong.append(f"{listed} names {'a patch that is not in series/' if entries else 'no patch'}")
        else:
            wrong += check(os.path.join(os.path.dirname(listed), "cover-letter"), numbers, texts, modules, names)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
