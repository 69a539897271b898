#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of steps/kernel/licences.py, on repositories with one problem each."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "steps", "kernel"))

import licences  # noqa: E402

SPDX = "SPDX-License-Identifier:"
CLEAN = {
    "LICENSE": "Valid-License-Identifier: GPL-2.0\nValid-License-Identifier: GPL-2.0-only\ntext\n",
    "LICENSES/GPL-2.0": "Valid-License-Identifier: GPL-2.0\nValid-License-Identifier: GPL-2.0-only\ntext\n",
    "LICENSES/MIT": "Valid-License-Identifier: MIT\ntext\n",
    "LICENSES/Linux-syscall-note": "SPDX-Exception-Identifier: Linux-syscall-note\ntext\n",
    "driver.rs": f"// {SPDX} GPL-2.0\n",
    "script": f"#!/bin/sh\n# {SPDX} GPL-2.0-only\n",
    "uapi.h": f"/* {SPDX} (GPL-2.0 WITH Linux-syscall-note) */\n",
    "map.h": f"/* {SPDX} GPL-2.0 OR MIT */\n/* Copyright (C) 2026 A Name */\n",
    "crate/Cargo.toml": f'# {SPDX} GPL-2.0\n[package]\nlicense = "GPL-2.0-only"\n',
    "README.md": "prose\n",
    "series/0001/edits.diff": f"+// {SPDX} GPL-2.0\n",
}


class Licences(unittest.TestCase):
    def problems(self, **changes):
        """What is found if the files of CLEAN have these contents; None removes a file."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **changes}.items():
                if text is not None:
                    os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                    with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                        file.write(text)
            subprocess.run(["git", "init", "-q", root], check=True)
            return licences.problems(root)

    def one(self, text, **changes):
        found = self.problems(**changes)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_clean(self):
        self.assertEqual(self.problems(), [])

    def test_no_line(self):
        self.one("driver.rs: no SPDX", **{"driver.rs": "// a driver\n"})

    def test_no_line_in_a_file_of_an_unknown_kind(self):
        self.one("new.thing: no SPDX", **{"new.thing": "x\n"})

    def test_a_line_that_comes_too_late(self):
        self.one("driver.rs: no SPDX", **{"driver.rs": "\n" * licences.HEADER_LINES + CLEAN["driver.rs"]})

    def test_a_licence_without_a_text(self):
        self.one("driver.rs: names BSD-2-Clause", **{"driver.rs": f"// {SPDX} GPL-2.0 OR BSD-2-Clause\n"})

    def test_an_exception_without_a_text(self):
        self.one("uapi.h: names Linux-syscall-note", **{"LICENSES/Linux-syscall-note": None})

    def test_a_licence_of_a_crate_without_a_text(self):
        cargo = f'# {SPDX} GPL-2.0\nlicense = "MPL-2.0"\n'
        self.one("crate/Cargo.toml: names MPL-2.0", **{"crate/Cargo.toml": cargo})

    def test_a_licence_that_only_an_edit_names(self):
        self.one("edits.diff: names ISC", **{"series/0001/edits.diff": f" x\n+// {SPDX} ISC\n-// {SPDX} Zlib\n"})

    def test_a_text_that_nothing_names(self):
        self.one("LICENSES/ISC: no file", **{"LICENSES/ISC": "Valid-License-Identifier: ISC\n"})

    def test_mit_without_a_holder(self):
        self.one("map.h: offered under the MIT", **{"map.h": f"/* {SPDX} GPL-2.0 OR MIT */\n"})

    def test_the_copy_at_the_top_is_the_same(self):
        self.one("LICENSE: differs", **{"LICENSE": "another\n"})

    def test_all_texts_are_missing(self):
        found = self.problems(**{path: None for path in CLEAN if path.startswith("LICENSES/")})
        self.assertEqual(sorted(line.split(":")[0] for line in found), [
            "crate/Cargo.toml", "crate/Cargo.toml", "driver.rs", "map.h", "map.h", "script", "series/0001/edits.diff",
            "uapi.h", "uapi.h"])

    def test_what_git_ignores_is_left_out(self):
        self.assertEqual(self.problems(**{".gitignore": f"# {SPDX} GPL-2.0\n/build/\n", "build/x.c": "int x;\n"}), [])

    def test_no_repository(self):
        with tempfile.TemporaryDirectory() as root, self.assertRaisesRegex(SystemExit, "git cannot list"):
            licences.problems(root)


class ThisRepository(unittest.TestCase):
    def test_is_clean(self):
        self.assertEqual(licences.problems(licences.ROOT), [])

    def test_every_exception_is_needed(self):
        paths = licences.repository_files(licences.ROOT)
        for pattern, reason in licences.WITHOUT:
            with self.subTest(pattern):
                self.assertTrue(any(licences.fnmatch.fnmatchcase(path if "/" in pattern else os.path.basename(path), pattern)
                                    for path in paths), f"nothing matches {pattern} ({reason})")


if __name__ == "__main__":
    unittest.main()
