# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Tables in Markdown files that a program writes, each between two markers that name the table and the program:

<!-- begin NAME: PROGRAM writes this -->
<!-- end NAME -->
"""

import os
import re
import sys


def markdown(head, rows):
    # A column may have an empty head.
    lines = [head, ["---"] * len(head)] + rows
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def read(path, root):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


class Marked:
    """The tables of one program: source is what it makes them from, files are those that show tables, tables is
    {name: function of the content}, and headings {name: heading}."""

    def __init__(self, program, source, files, tables, headings):
        self.program, self.source, self.files, self.tables, self.headings = program, source, files, tables, headings
        self.pattern = re.compile(r"(<!-- begin (?P<name>[a-z-]+): " + re.escape(program) + r" writes this -->\n)"
                                  r".*?(<!-- end (?P=name) -->\n)", re.DOTALL)

    def all(self, title, content):
        """Every table, each below a heading."""
        return f"# {title}\n" + "".join(f"\n## {heading}\n\n{self.tables[name](content)}"
                                       for name, heading in self.headings.items())

    def current(self, text, content):
        """The text with its tables as they should be."""
        return self.pattern.sub(lambda found: f"{found[1]}\n{self.tables[found['name']](content)}\n{found[3]}", text)

    def markers(self, text):
        """The names of the tables that the text has."""
        return [found["name"] for found in self.pattern.finditer(text)]

    def outdated(self, content, root):
        """{path: text} of the files whose tables are not those of the content."""
        texts = {path: read(path, root) for path in self.files}
        new = {path: self.current(text, content) for path, text in texts.items()}
        return {path: text for path, text in new.items() if text != texts[path]}

    def check(self, content, root):
        """The exit status: 1 if files are outdated, which are named."""
        files = list(self.outdated(content, root))
        for path in files:
            print(f"the tables of {path} differ from {self.source}; to write them: python3 {self.program} write", file=sys.stderr)
        return 1 if files else 0

    def write(self, content, root):
        for path, text in self.outdated(content, root).items():
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
