#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks the graph in series/cover-letter: which patch needs which of the others.

A patch needs another if its Rust files, doctests included, name a module that the other adds to the
kernel crate.
"""

import glob
import os
import re
import sys

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


def sources():
    """{patch: the text of its Rust files and of what it adds to the kernel's}, {module: its patch}."""
    texts, modules = {}, {}
    for folder in sorted(glob.glob(os.path.join(ROOT, "series/[0-9]*/"))):
        patch = int(os.path.basename(folder.rstrip("/"))[:4])
        texts[patch] = ""
        files = os.path.join(folder, "files")
        for entry in read(files).split() if os.path.exists(files) else []:
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


def main():
    needs = graph(read(os.path.join(ROOT, "series/cover-letter")))
    texts, modules = sources()
    wrong = [f"patch {patch} is not in the graph of series/cover-letter" for patch in texts.keys() - needs.keys()]
    wrong += [f"the graph of series/cover-letter has a patch {patch} that does not exist" for patch in needs.keys() - texts.keys()]
    for patch, text in texts.items():
        real = {modules[name] for name in used(text, modules)} - {patch}
        said = closure(needs, patch)
        wrong += [f"patch {patch} needs {one}, and series/cover-letter does not say so" for one in sorted(real - said)]
        # Only for abstractions; other patches have needs that are not visible in Rust code.
        if patch in modules.values():
            wrong += [f"patch {patch} does not need {one}, as series/cover-letter says"
                      for one in sorted(needs.get(patch, set()) - real)]
        wrong += [f"patch {patch} needs {one}, which comes later" for one in sorted(said) if one >= patch]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
