# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Tables in Markdown files that a program writes, each between two markers that name the table and the program:

<!-- begin NAME: PROGRAM writes this -->
<!-- end NAME -->
"""

import os
import re


def markdown(head, rows):
    # A column may have an empty head.
    lines = [head, ["---"] * len(head)] + rows
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def read(path, root):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


class Marked:
    """The tables of one program: files are those that show tables, tables is {name: function of the content}."""

    def __init__(self, program, files, tables):
        self.program, self.files, self.tables = program, files, tables
        self.pattern = re.compile(r"(<!-- begin (?P<name>[a-z-]+): " + re.escape(program) + r" writes this -->\n)"
                                  r".*?(<!-- end (?P=name) -->\n)", re.DOTALL)

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

    def write(self, content, root):
        for path, text in self.outdated(content, root).items():
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
