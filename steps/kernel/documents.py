#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Checks the documents and the sizes of files: documents.py [FOLDER]

Every relative link in a Markdown file leads to a file of the repository, and to a heading if it has an anchor.
README.md fits on a few screens, and no source file is longer than CONTRIBUTING.md says.

Prints one line for each problem and exits with 1 if there is one.
"""

import fnmatch
import os
import re
import sys

from licences import ROOT, read, repository_files

# The largest number of lines: (pattern, lines). The first that matches counts.
LIMITS = [
    ("README.md", 200),
    ("samples-rust-vfifo/*.rs", 450),
    ("rust-kernel/*.rs", 500),
    ("selftests/*.[ch]", 700),
    ("selftests/*.sh", 700),
    ("clients/vfifoctl/*.rs", 400),
]

FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+[ \t]+(.*?)[ \t]*$", re.MULTILINE)


def prose(text):
    """The text without blocks of code and without code in a line."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchors(text):
    """The anchors of a document's headings, as GitHub and GitLab make them."""
    found = []
    for heading in HEADING.findall(FENCE.sub("", text)):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = sum(1 for name in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", name))
        found.append(f"{anchor}-{again}" if again else anchor)
    return found


def links(root, path, files):
    """A line for each link of that document that leads nowhere."""
    folders = {os.path.dirname(file) for file in files}
    wrong = []
    for link in LINK.findall(prose(read(root, path))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
        if target not in files and not any(folder == target or folder.startswith(target + "/") for folder in folders):
            wrong.append(f"{path}: the link {link} leads to no file")
        elif anchor and (not target.endswith(".md") or anchor not in anchors(read(root, target))):
            wrong.append(f"{path}: the link {link} leads to no heading")
    return wrong


def size(root, path):
    """A line if the file is too long, else none."""
    for pattern, most in LIMITS:
        if fnmatch.fnmatchcase(path, pattern):
            lines = read(root, path).count("\n")
            return [f"{path} has {lines} lines, at most {most} are wanted; shorten or split it"] if lines > most else []
    return []


def check(root):
    files = set(repository_files(root))
    documents = [path for path in files if path.endswith(".md")]
    wrong = [] if documents else ["there is no document"]
    for path in sorted(files):
        wrong += size(root, path)
    for path in sorted(documents):
        wrong += links(root, path, files)
    return wrong


def main(root):
    wrong = check(root)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ROOT))
