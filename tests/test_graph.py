#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The program that compares the graphs of the cover letters with the code."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "kernel"))
import graph  # noqa: E402 pylint: disable=wrong-import-position

WHOLE = "Subject: [PATCH 00/3] all\n\n  1 queue    -\n  2 device   1\n  3 sample   2\n"
PART = "Subject: [PATCH 0/1] queues\n\n  1 queue    -\n"


class GraphTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.put({
            "series/cover-letter": WHOLE,
            "series/0001-rust-queue/files": "rust-kernel/queue.rs\n", "rust-kernel/queue.rs": "",
            "series/0002-rust-device/files": "rust-kernel/device.rs\n",
            "rust-kernel/device.rs": "use kernel::queue::Queue;\n",
            "series/0003-sample/files": "sample\n", "sample/a.rs": "use kernel::device::Device;\n",
            "series/parts/queue/patches": "0001-rust-queue # a comment\n", "series/parts/queue/cover-letter": PART,
        })

    def put(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def said(self):
        said = io.StringIO()
        with mock.patch.object(graph, "ROOT", str(self.root)), contextlib.redirect_stdout(said):
            status = graph.main()
        self.assertEqual(status, 1 if said.getvalue() else 0)
        return said.getvalue().splitlines()

    def letter(self, name, old, new):
        """What is said after that change of a cover letter."""
        text = (self.root / name).read_text("utf-8")
        self.assertIn(old, text)
        self.put({name: text.replace(old, new)})
        said = self.said()
        self.put({name: text})
        return said

    def test_right(self):
        self.assertEqual(self.said(), [])

    def test_the_whole_series(self):
        name = "series/cover-letter"
        self.assertEqual(self.letter(name, "device   1", "device   -"), [f"patch 2 needs 1, and {name} does not say so"])
        self.assertEqual(self.letter(name, "queue    -", "queue    2"), [
            f"patch 1 does not need 2, as {name} says", f"patch 1 needs 1, which comes later, by {name}",
            f"patch 1 needs 2, which comes later, by {name}", f"patch 2 needs 2, which comes later, by {name}"])
        self.assertIn(f"patch 3 is not in the graph of {name}", self.letter(name, "  3 sample   2\n", ""))
        self.assertEqual(self.letter(name, "sample   2\n", "sample   2\n  4 more     -\n"),
                         [f"the graph of {name} has a patch 4, which does not exist"])
        self.assertEqual(self.letter(name, "00/3", "00/4"), [f"the subject of {name} does not begin with [PATCH 0/3]"])
        self.assertEqual(self.letter(name, "queue ", "queues"), [f"the graph of {name} calls 0001-rust-queue queues"])

    def test_a_part(self):
        name = "series/parts/queue/cover-letter"
        self.assertEqual(self.letter(name, "  1 queue    -\n", ""), [f"patch 1 is not in the graph of {name}"])
        self.assertEqual(self.letter(name, "0/1", "0/2"), [f"the subject of {name} does not begin with [PATCH 0/1]"])
        self.put({"series/parts/queue/patches": "0002-rust-device\n", name: PART.replace("queue ", "device")})
        self.assertEqual(self.said(), [f"0002-rust-device needs 0001-rust-queue, which {name} does not send"])
        # Its numbers are its own.
        self.put({"series/parts/queue/patches": "0002-rust-device\n0003-sample\n",
                  name: "Subject: [PATCH 0/2] x\n\n 1 device -\n 2 sample -\n"})
        self.assertEqual(self.said(), [f"0002-rust-device needs 0001-rust-queue, which {name} does not send",
                                       f"patch 2 needs 1, and {name} does not say so"])

    def test_a_part_of_nothing(self):
        self.put({"series/parts/queue/patches": "0004-more\n"})
        self.assertEqual(self.said(), ["series/parts/queue/patches names a patch that is not in series/"])
        self.put({"series/parts/queue/patches": "# none\n"})
        self.assertEqual(self.said(), ["series/parts/queue/patches names no patch"])


if __name__ == "__main__":
    unittest.main()
