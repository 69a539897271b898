#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Tests of steps/kernel/documents.py, on repositories with one problem each."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "steps", "kernel"))

import documents  # noqa: E402

MORE = "# More\n\n## By hand: `make`, and more\n\n## Twice\n\n## Twice\n\n```\n# not a heading\n```\n"


class Documents(unittest.TestCase):
    def problems(self, readme="# A\n", **files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {"README.md": readme, "docs/MORE.md": MORE, **files}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            subprocess.run(["git", "init", "-q", root], check=True)
            return documents.check(root)

    def test_good_links(self):
        self.assertEqual(self.problems(
            "# A b\n[1](docs/MORE.md) [2](docs/MORE.md#by-hand-make-and-more) [3](#a-b) [4](docs/) [5](docs/MORE.md#twice-1) "
            "[6](https://example.org/x#y) ![7](docs/MORE.md) `[8](code)`\n```\n[9](code)\n```\n"), [])

    def test_links_are_relative_to_the_document(self):
        self.assertEqual(self.problems(**{"docs/B.md": "[1](MORE.md#more) [2](../README.md#a)\n"}), [])
        self.assertEqual(self.problems(**{"docs/B.md": "[1](docs/MORE.md)\n"}),
                         ["docs/B.md: the link docs/MORE.md leads to no file"])

    def test_no_file(self):
        self.assertEqual(self.problems("[1](docs/LESS.md)\n"), ["README.md: the link docs/LESS.md leads to no file"])

    def test_no_heading(self):
        for link in ("#b", "docs/MORE.md#not-a-heading", "docs/MORE.md#twice-2"):
            found = self.problems(f"# A\n[1]({link})\n")
            self.assertEqual(found, [f"README.md: the link {link} leads to no heading"])

    def test_anchor_in_a_source_file(self):
        found = self.problems("[1](a.c#main)\n", **{"a.c": "int main(void);\n"})
        self.assertEqual(found, ["README.md: the link a.c#main leads to no heading"])

    def test_sizes(self):
        for path, most in (("samples-rust-vfifo/rust_vfifo/a.rs", 450), ("rust-kernel/mm/b.rs", 500), ("selftests/c.h", 700)):
            self.assertEqual(self.problems(**{path: "\n" * most}), [])
            self.assertEqual(self.problems(**{path: "\n" * (most + 1)}),
                             [f"{path} has {most + 1} lines, at most {most} are wanted; shorten or split it"])
        self.assertEqual(len(self.problems("\n" * 201)), 1)
        self.assertEqual(self.problems(**{"docs/LONG.md": "\n" * 1000, "host/d.rs": "\n" * 1000}), [])


if __name__ == "__main__":
    unittest.main()
