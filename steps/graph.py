#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whether the graph in series/cover-letter says what each patch needs of the others.

What a patch needs is what its Rust files, doctests included, name of the modules that other patches
add to the kernel crate.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINE = re.compile(r"^ *(\d+) ([a-z_]+) +(-|[\d ]+)$", re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def graph(text):
    """{patch: the patches that it says it needs}, from the lines of the cover letter."""
    return {int(patch): set() if needs == "-" else {int(need) for need in needs.split()}
            for patch, _, needs in LINE.findall(text)}


def closure(needs, patch):
    """Those, and what they need in turn."""
    found, todo = set(), [patch]
    while todo:
        new = needs.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


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
                if os.path.dirname(file).endswith("rust-kernel"):
                    modules[os.path.basename(file)[:-3]] = patch
        edits = os.path.join(folder, "edits.diff")
        if os.path.exists(edits):
            added = re.findall(r"^\+(.*)", read(edits), re.MULTILINE)
            modules.update({name: patch for line in added for name in re.findall(r"^pub mod (\w+);", line)})
    return texts, modules


def code(text):
    """The lines of code, those of doctests included, without comments."""
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


def used(text, modules):
    """The modules that are imported, or named by a path."""
    text = code(text)
    names = set(re.findall(r"\b(?:kernel|crate)::(\w+)", text))
    for block in re.findall(r"\buse kernel::\{(.*?)\n\s*\};", text, re.DOTALL):
        depth = 0
        for token in re.findall(r"\w+|[{},]", block):
            depth += {"{": 1, "}": -1}.get(token, 0)
            if depth == 0:
                names.add(token)
    return names & set(modules)


def main():
    needs = graph(read(os.path.join(ROOT, "series/cover-letter")))
    texts, modules = sources()
    wrong = [f"patch {patch} is not in the graph of series/cover-letter" for patch in texts.keys() - needs.keys()]
    wrong += [f"the graph of series/cover-letter has a patch {patch} that there is not" for patch in needs.keys() - texts.keys()]
    for patch, text in texts.items():
        real = {modules[name] for name in used(text, modules)} - {patch}
        said = closure(needs, patch)
        wrong += [f"patch {patch} needs {one}, and series/cover-letter does not say so" for one in sorted(real - said)]
        # Of the abstractions; the others need what is no Rust.
        if patch in modules.values():
            wrong += [f"patch {patch} does not need {one}, as series/cover-letter says"
                      for one in sorted(needs.get(patch, set()) - real)]
        wrong += [f"patch {patch} needs {one}, which comes later" for one in sorted(said) if one >= patch]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
