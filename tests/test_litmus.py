#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""The program that runs the litmus tests, with a stand-in for herd7; and the form of the tests in litmus/."""

import contextlib
import io
import re
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "steps" / "kernel"))
import litmus  # noqa: E402 pylint: disable=wrong-import-position

TEST = """C one

(*
 * SPDX-License-Identifier: GPL-2.0
 *
 * Result: Never
 *
 * Nothing bad happens.
 *
 * Code:
 *   code/a.rs: give(), take()
 *   code/a.h: keep()
 *)

{}

P0(int *x, int *y)
{
\tint r0;

\tWRITE_ONCE(*x, 1);
\tsmp_mb(); // [both fences]
\tsmp_store_release(y, 1); // [give]
\tsmp_mb(); // [both fences]
\tr0 = cmpxchg_acquire(y, 1, 2); // [a lock]
}

P1(int *x, int *y)
{
\tint r0;

\tr0 = smp_load_acquire(y); // [take]
\tr0 = READ_ONCE(*x); // [look again]
}

exists (1:r0=0)
"""

# Prints for each file the outcome that the file "said" has for it, as herd7 does.
HERD = """#!/usr/bin/env python3
import os, sys
print("no kernel", file=sys.stderr)
said = dict(line.split(" ", 1) for line in open(os.path.join({folder!r}, "said")).read().splitlines())
assert sys.argv[1:3] == ["-conf", "linux-kernel.cfg"] and os.getcwd() == os.path.realpath({folder!r})
for path in sys.argv[3:]:
    name = open(path).readline().split()[1]
    assert os.path.basename(path) == name + ".litmus"
    outcome, *flags = said.get(name, said["any"] if "+no-" in name else "Never").split()
    if outcome != "nothing":
        print(f"Test {{name}} Allowed", *(f"Flag {{flag}}" for flag in flags), "Condition exists (1:r0=0)",
              f"Observation {{name}} {{outcome}} 1 2", "Time 0.01", "", sep="\\n")
"""


class LitmusTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.put("litmus/one.litmus", TEST)
        self.put("code/a.rs", "    pub fn give() {}\nfn take<T>() {}\n")
        self.put("code/a.h", "static inline int keep(int a)\n")
        self.put("out/README", "")
        self.put("herd7", HERD.format(folder=str(self.root)))
        (self.root / "herd7").chmod(0o755)

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def problems(self, old, new, name="one"):
        self.assertIn(old, TEST)
        with mock.patch.object(litmus, "ROOT", str(self.root)):
            return litmus.problems(f"{name}.litmus", TEST.replace(old, new))

    def run_with(self, *said, names=()):
        """What is printed if herd7 says this, and the results; "any" is for all variants."""
        self.put("said", "\n".join(said) + "\n")
        self.put("results", "")
        printed = io.StringIO()
        arguments = [self.root / "herd7", self.root, self.root / "out", self.root / "results", *names]
        with mock.patch.object(litmus, "ROOT", str(self.root)), contextlib.redirect_stdout(printed):
            status = litmus.main([str(argument) for argument in arguments])
        results = (self.root / "results").read_text("utf-8")
        self.assertEqual(status, int("\t0\t0\tlitmus" not in results), printed.getvalue())
        return printed.getvalue().splitlines(), results

    def test_marks(self):
        self.assertEqual(litmus.marks(TEST), ["both fences", "give", "a lock", "take", "look again"])

    def test_variants(self):
        def changed(mark):
            made = litmus.without(TEST, "one", mark).splitlines()
            self.assertEqual(made[0], "C one+no-" + mark.replace(" ", "-"))
            return [line for line in TEST.splitlines()[1:] if line not in made], \
                [line for line in made[1:] if line not in TEST.splitlines()]
        self.assertEqual(changed("both fences"), (["\tsmp_mb(); // [both fences]"] * 2, []))
        self.assertEqual(changed("give"), (["\tsmp_store_release(y, 1); // [give]"], ["\tWRITE_ONCE(*y, 1);"]))
        self.assertEqual(changed("take"), (["\tr0 = smp_load_acquire(y); // [take]"], ["\tr0 = READ_ONCE(*y);"]))
        self.assertEqual(changed("a lock")[1], ["\tr0 = cmpxchg_relaxed(y, 1, 2);"])
        self.assertEqual(changed("look again"), (["\tr0 = READ_ONCE(*x); // [look again]"], []))

    def test_form(self):
        self.assertEqual(self.problems("one", "one"), [])
        self.assertEqual(self.problems("C one", "C two"), ["its name is two"])
        self.assertEqual(self.problems("C one\n", "C one\n\n"), ["does not begin with C NAME and a comment"])
        self.assertEqual(self.problems("Never", "Sometimes"), ["its comment has no line Result: Never"])
        self.assertEqual(self.problems(" * Code:\n", ""), ["its comment does not name the code"])
        self.assertEqual(self.problems("take()", "steal()"), ["names steal(), which is not in code/a.rs"])
        self.assertEqual(self.problems("keep()", "a()"), ["names a(), which is not in code/a.h"])
        self.assertEqual(self.problems("code/a.h", "code/b.h"), ["names code/b.h, which does not exist"])
        self.assertEqual(self.problems(" // [a lock]", ""), ["no mark: r0 = cmpxchg_acquire(y, 1, 2);"])
        self.assertEqual(self.problems(" // [give]", ""), ["no mark: smp_store_release(y, 1);"])
        self.assertEqual(self.problems("cmpxchg_acquire(y, 1, 2); // [a lock]", "cmpxchg_relaxed(y, 1, 2);"), [])
        self.assertEqual(self.problems("[give]", "[a-lock]"), ["two marks are a-lock in the name of a file"])

    def test_as_expected(self):
        printed, results = self.run_with("any Sometimes")
        self.assertEqual(printed, ["  ok       one  Never; Sometimes without both fences, give, a lock, take, look again"])
        self.assertRegex(results, "^6\t0\t0\tlitmus one\t[0-9]+\n$")
        self.assertTrue((self.root / "out/one+no-both-fences.litmus").exists())
        self.assertIn("Observation one Never", (self.root / "out/one.log").read_text("utf-8"))
        # Without an ordering there may be a data race, and the bad outcome may be the only one.
        self.assertRegex(self.run_with("any Sometimes data-race", "one+no-give Always")[1], "^6\t0\t")

    def test_other_outcomes(self):
        printed, results = self.run_with("any Sometimes", "one Sometimes", "one+no-give Never", "one+no-take nothing")
        self.assertEqual(printed, ["  FAILED   one", "           one: Sometimes; expected: Never",
                                   "           one+no-give: Never; expected: Sometimes",
                                   "           one+no-take: no outcome; expected: Sometimes", "           no kernel"])
        self.assertRegex(results, "^3\t3\t0\tlitmus one\t")
        printed, _ = self.run_with("any Sometimes", "one Never data-race")
        self.assertIn("           one: Never (data-race); expected: Never", printed)

    def test_bad_form(self):
        self.put("litmus/one.litmus", TEST.replace(" // [take]", ""))
        printed, results = self.run_with("any Sometimes")
        self.assertEqual(printed, ["  FAILED   one", "           no mark: r0 = smp_load_acquire(y);"])
        self.assertRegex(results, "^0\t1\t0\tlitmus one\t")

    def test_named_tests(self):
        self.put("litmus/two.litmus", TEST.replace("C one", "C two"))
        self.assertEqual(len(self.run_with("any Sometimes")[0]), 2)
        self.assertRegex(self.run_with("any Sometimes", names=["two"])[1], "^6\t0\t0\tlitmus two\t[0-9]+\n$")

    def test_no_herd(self):
        (self.root / "herd7").unlink()
        printed, _ = self.run_with("any Sometimes")
        self.assertIn("one: no outcome; expected: Never", printed[1])
        self.assertIn("No such file", printed[-1])

    def test_herd_that_does_not_finish(self):
        self.put("herd7", "#!/bin/sh\nexec sleep 60\n")
        with mock.patch.object(litmus, "TIMEOUT", 0.1):
            printed, _ = self.run_with("any Sometimes")
        self.assertEqual(printed[-1], "           herd7 has not finished after 0.1 s")


class TestsOfTheProtocol(unittest.TestCase):
    def test_form(self):
        tests = sorted((ROOT / "litmus").glob("*.litmus"))
        self.assertTrue(tests)
        for path in tests:
            with self.subTest(path.name):
                self.assertEqual(litmus.problems(str(path), path.read_text("utf-8")), [])

    def test_readme_lists_them(self):
        table = (ROOT / "litmus/README.md").read_text("utf-8").partition("\n## ")[0]
        rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        listed = [name for row in rows for name in re.findall(r"`(.*?)`", row)]
        there = [path.stem for path in (ROOT / "litmus").glob("*.litmus")]
        self.assertEqual(sorted(listed), sorted(there))


if __name__ == "__main__":
    unittest.main()
