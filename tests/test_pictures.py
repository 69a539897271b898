#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Tests of pictures/draw.py --check, on a folder with one problem each."""

import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "pictures"))

import draw  # noqa: E402

SOURCE = "digraph one { a -> b }\n"
DRAWING = '<?xml version="1.0"?>\n<svg width="1pt">\n</svg>\n'


class Pictures(unittest.TestCase):
    def problems(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                with open(os.path.join(folder, name.replace("_", ".")), "w", encoding="utf-8") as file:
                    file.write(text)
            return draw.check(folder)

    def good(self):
        return draw.with_record(DRAWING, "one.dot", SOURCE)

    def test_clean(self):
        self.assertNotEqual(self.good(), DRAWING)
        self.assertEqual(self.problems(one_dot=SOURCE, one_svg=self.good()), [])

    def test_source_changed(self):
        found = self.problems(one_dot=SOURCE + "\n", one_svg=self.good())
        self.assertEqual(found, ["pictures/one.svg was made from another one.dot; run pictures/draw.py"])

    def test_drawing_changed(self):
        found = self.problems(one_dot=SOURCE, one_svg=self.good().replace("1pt", "2pt"))
        self.assertEqual(found, ["pictures/one.svg was changed by hand; run pictures/draw.py"])

    def test_no_drawing(self):
        self.assertEqual(self.problems(one_dot=SOURCE), ["pictures/one.svg does not exist; run pictures/draw.py"])

    def test_no_record(self):
        found = self.problems(one_dot=SOURCE, one_svg=DRAWING)
        self.assertEqual(found, ["pictures/one.svg does not say that it was made from one.dot; run pictures/draw.py"])

    def test_two_records(self):
        found = self.problems(one_dot=SOURCE, one_svg=draw.with_record(self.good(), "one.dot", SOURCE))
        self.assertEqual(len(found), 1)

    def test_record_of_another_source(self):
        found = self.problems(one_dot=SOURCE, one_svg=draw.with_record(DRAWING, "two.dot", SOURCE))
        self.assertEqual(len(found), 1)

    def test_no_source(self):
        found = self.problems(one_dot=SOURCE, one_svg=self.good(), two_svg=self.good())
        self.assertEqual(found, ["pictures/two.svg has no source; add its .dot file or remove it"])

    def test_screen(self):
        text = "# a comment\n|ab <c>\n|▃░\n:bb.gggt\n:rr.....\n"
        drawing = draw.screen.svg(text)
        xml.etree.ElementTree.fromstring(drawing)
        self.assertIn(">ab</text>", drawing)
        self.assertIn(">&lt;c&gt;</text>", drawing)
        self.assertEqual(self.problems(one_screen=text, one_svg=draw.with_record(drawing, "one.screen", text)), [])
        self.assertEqual(len(self.problems(one_screen=text, one_svg=self.good())), 1)

    def test_wrong_screens(self):
        for text in ("", "|a\n", "|a\n:b\n:b\n", "|a\n:x\n", "|abc\n:bb\n", "a\n|a\n:b\n"):
            with self.assertRaises(ValueError):
                draw.screen.svg(text)

    def test_nothing(self):
        self.assertEqual(self.problems(), ["pictures/ has no .dot file"])


if __name__ == "__main__":
    unittest.main()
