#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Tests of steps/kernel/results.py: the records of test runs, and the tables that are made from them."""

import contextlib
import copy
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "steps", "kernel"))

import results  # noqa: E402
from marked import read  # noqa: E402

FIELDS = ["command=test", "date=2026-01-02", "commit=" + "1" * 40, "modified=false", "stale=false", "kernel=7.3.4",
          "accelerator=tcg", "processors=2", "memory=8192", "seconds=3725", "finished=true", "error="]
LINES = [
    "3\t0\t0\tkunit\t61\tlinux=7.3.4\trustc=1.96.0\tcompiler=clang 22",
    "0\t0\t0\tkunit\t70\tgroup=1",
    "2\t0\t1\tselftest a\t5\tskip=selftest a: big | small\treason=no memory",
    "0\t0\t1\tselftest b\t0\tskip=selftest b\treason=",
    "0\t0\t0\tselftest\t9\tgroup=2",
    "0\t0\t0\tbuild\t0\tgroup=0",
]


def a_record(lines=LINES, **changes):
    fields = dict(field.partition("=")[::2] for field in FIELDS) | changes
    return results.record(lines, [f"{key}={value}" for key, value in fields.items()])


class Records(unittest.TestCase):
    def test_short_lines(self):
        self.assertEqual(results.parts(["1\t0\t2\n"]), [{"name": "", "passed": 1, "failed": 0, "skipped": 2, "seconds": 0}])

    def test_skipped_tests(self):
        part = results.read_part(LINES[2])
        self.assertEqual(part["skips"], [{"test": "selftest a: big | small", "reason": "no memory"}])
        self.assertEqual((part["passed"], part["skipped"], part["seconds"]), (2, 1, 5))

    def test_a_value_may_have_an_equals_sign(self):
        self.assertEqual(results.read_part("1\t0\t0\ta\t0\tby=x=1")["by"], "x=1")

    def test_groups(self):
        kunit, selftest, build = a_record()["parts"]
        self.assertEqual((kunit["name"], kunit["passed"], kunit["seconds"]), ("kunit", 3, 70))
        self.assertEqual((selftest["passed"], selftest["skipped"]), (2, 2))
        self.assertEqual([part["name"] for part in selftest["parts"]], ["selftest a", "selftest b"])
        self.assertNotIn("parts", build)

    def test_groups_in_groups(self):
        lines = ["1\t0\t0\ta\t1", "1\t1\t0\tb\t1", "0\t0\t0\tinner\t2\tgroup=2", "1\t0\t0\tc\t1", "0\t0\t0\touter\t4\tgroup=4"]
        outer, = results.parts(["5\t0\t0\tfirst\t1"] + lines)[1:]
        self.assertEqual((outer["passed"], outer["failed"]), (3, 1))
        self.assertEqual([part["name"] for part in outer["parts"]], ["inner", "c"])
        self.assertEqual([part["name"] for part in outer["parts"][0]["parts"]], ["a", "b"])

    def test_sums(self):
        made = a_record()
        self.assertEqual([made[key] for key in results.COUNTS], [5, 0, 2])
        self.assertEqual((made["result"], made["seconds"], made["modified"]), ("passed", 3725, False))

    def test_verdict(self):
        self.assertEqual(a_record(finished="")["result"], "failed")
        self.assertEqual(a_record(lines=[])["result"], "failed")
        self.assertEqual(a_record(lines=["0\t0\t1\ta\t0\tskip=a\treason="])["result"], "failed")
        self.assertEqual(a_record(lines=LINES + ["4\t1\t0\ta\t0"])["result"], "failed")
        self.assertEqual(a_record(lines=["1\t0\t0\ta\t0"])["result"], "passed")


class Tables(unittest.TestCase):
    def test_times(self):
        self.assertEqual([results.span(n) for n in (0, 59, 60, 3599, 3600, 7320)],
                         ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "2 h 2 min"])
        self.assertEqual([results.minutes(n) for n in (3, 89, 91, 3725)], ["1 min", "1 min", "2 min", "1 h 2 min"])

    def test_nothing_is_recorded(self):
        text = results.all_tables({})
        for command in results.RUNS.values():
            self.assertIn(command, text)
        self.assertEqual(text.count("|"), 0)
        self.assertFalse(any(digit.isdigit() for digit in text))

    def test_runs(self):
        text = results.runs({"test": a_record(command="VFIFO_SCALE=3 test")})
        self.assertIn("| `VFIFO_SCALE=3 test` | 5 | 0 | 2 | 1 h 2 min | 7.3.4 | 2026-01-02 | `111111111111` | "
                      "2 processors, 8.0 GiB, tcg |\n", text)
        self.assertIn("; `test --debug`; ", text)
        self.assertNotIn("; `test`;", text)
        self.assertIn("| `test` | 5 | the run | 2 |", results.runs({"test": a_record(finished="")}))
        text = results.runs({"test-empty": a_record()})
        self.assertIn("| `test`, empty cache | 5 |", text)

    def test_times_of_parts(self):
        self.assertIn("| `test` | 1 h 2 min | kunit 1 min 10 s, selftest 9 s |\n", results.times({"test": a_record()}))

    def test_skips(self):
        text = results.skips({"test": a_record(), "soak": a_record()})
        self.assertIn("| selftest a: big \\| small | no memory | `test`, `soak` |\n", text)
        self.assertEqual(text.count("\n"), 4)
        self.assertEqual(results.skips({"test": a_record(lines=LINES[:1])}), "No recorded run has skipped a test.\n")

    def test_mutants(self):
        lines = ["1\t0\t0\twithout a bug: a\t9", "1\t0\t0\tone\t30\tkernel=plain\tby=a: waits; b: reads",
                 "1\t0\t0\ttwo\t40\tkernel=debug\tby=KASAN"]
        text = results.mutants({"mutants": a_record(lines=lines, command="mutants")})
        self.assertIn("| one | plain | a: waits; b: reads | 30 s |\n| two | debug | KASAN | 40 s |\n", text)
        self.assertNotIn("without", text)

    def test_checks(self):
        lines = ["1\t0\t0\tdkms installs it\t65\tkernel=7.3.4+a", "150\t0\t4\tthe tests\t0\tkernel=7.3.4+b"]
        text = results.TABLES["devbox"]({"devbox-test": a_record(lines=lines, command="devbox --test", kernel="")})
        self.assertIn("`devbox --test`: 151 passed, 4 skipped; 2026-01-02, commit `111111111111`, 1 h 2 min, ", text)
        self.assertIn("| dkms installs it | 7.3.4+a | passed | 1 min 5 s |\n| the tests | 7.3.4+b | 150 passed, 4 skipped | 0 s |\n",
                      text)
        self.assertIn("| 7.3.4+a, 7.3.4+b |", results.runs({"devbox-test": a_record(lines=lines, kernel="")}))

    def test_matrix(self):
        lines = ["12\t0\t1\tkunit\t600\tlinux=7.2.12\trustc=1.85.0\tcompiler=gcc 12"]
        text = results.matrix({"matrix": a_record(lines=lines, command="matrix"), "test": a_record()})
        self.assertIn("| 7.3.4 | 1.96.0 | clang 22 | 3 passed | 1 min 1 s | `test` | 2026-01-02 |\n"
                      "| 7.2.12 | 1.85.0 | gcc 12 | 12 passed, 1 skipped | 10 min 0 s | `matrix` | 2026-01-02 |\n", text)
        text = results.matrix({"test": a_record()})
        self.assertTrue(text.startswith("`matrix` is not recorded.\n\n| Linux |"))


class Documents(unittest.TestCase):
    """The files of this repository."""

    def test_are_current(self):
        self.assertEqual(list(results.outdated()), [], "python3 steps/kernel/results.py write brings them up to date")

    def test_no_table_is_left_out(self):
        found = [name for path in results.FILES for name in results.MARKED.markers(read(path, ROOT))]
        self.assertEqual(sorted(found), sorted(results.TABLES))
        self.assertEqual(sorted(results.HEADINGS), sorted(results.TABLES))

    def test_times_inside_of_lines(self):
        names = [found["name"] for path in results.FILES for found in results.INLINE.finditer(read(path, ROOT))]
        self.assertTrue(names)
        self.assertLessEqual(set(names), set(results.RUNS))
        text = "<!-- time of test -->55 min<!-- end -->, then <!-- time of demo -->1 min<!-- end -->"
        self.assertEqual(results.MARKED.current(text, {}), text)
        self.assertEqual(results.MARKED.current(text, {"test": a_record()}), text.replace("55 min", "1 h 2 min"))

    def test_a_changed_table_is_noticed(self):
        for path in results.FILES:
            text = read(path, ROOT)
            for name in results.MARKED.markers(text):
                end = text.index(f"<!-- end {name} -->")
                self.assertEqual(results.MARKED.current(text[:end] + "1\n" + text[end:], results.records(os.path.join(ROOT, results.SAVED))),
                                 text, f"{path}, {name}")

    def test_saved_records(self):
        for name, one in results.records(os.path.join(ROOT, results.SAVED)).items():
            self.assertIn(name, results.RUNS)
            self.assertEqual((one["result"], one["failed"], one["modified"], one["stale"]), ("passed", 0, False, False), name)
            self.assertRegex(one["commit"], "^[0-9a-f]{40}$", name)
            self.assertEqual([sum(part[key] for part in results.leaves(one)) for key in results.COUNTS],
                             [one[key] for key in results.COUNTS], name)


class Saving(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.root = os.path.join(work.name, "clone")
        os.makedirs(self.root)
        for path in results.FILES:
            shutil.copyfile(os.path.join(ROOT, path), os.path.join(self.root, path))
        # Whatever is saved in this repository, these begin without a record.
        results.write(self.root)
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "one")
        self.commit = self.git("rev-parse", "HEAD")

    def git(self, *arguments):
        return subprocess.run(["git", "-C", self.root, "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
                              check=True, capture_output=True, text=True).stdout.strip()

    def made(self, name, **changes):
        results.write_json(os.path.join(self.root, results.MADE, name + ".json"), a_record(**{"commit": self.commit} | changes))

    def save(self, *names):
        """The status, and what is said."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = results.main(["save", self.root, *names])
        return status, said.getvalue()

    def saved(self):
        return sorted(results.records(os.path.join(self.root, results.SAVED)))

    def refused(self, reason, **changes):
        self.made("test", **changes)
        before = {path: read(path, self.root) for path in results.FILES}
        status, said = self.save()
        self.assertEqual((status, self.saved()), (1, []))
        self.assertEqual(said.count("\n"), 1)
        self.assertIn("  refused  test: " + reason, said)
        self.assertEqual({path: read(path, self.root) for path in results.FILES}, before)

    def test_save(self):
        self.made("test")
        self.made("mutants", command="mutants")
        self.assertEqual(self.save(), (0, "  saved    mutants\n  saved    test\n"))
        self.assertEqual(self.saved(), ["mutants", "test"])
        self.assertEqual(results.check(self.root), 0)
        self.assertIn("| `test` | 5 | 0 | 2 | 1 h 2 min |", read("TESTING.md", self.root))
        self.assertIn("<!-- time of test -->1 h 2 min<!-- end -->", read("README.md", self.root))
        # A later run takes the place of an earlier one; the other record stays.
        self.made("test", seconds="60")
        self.assertEqual(self.save("test")[0], 0)
        self.assertIn("| `test` | 5 | 0 | 2 | 1 min 0 s |", read("TESTING.md", self.root))
        self.assertEqual(self.saved(), ["mutants", "test"])

    def test_named_records_only(self):
        self.made("test")
        self.made("mutants", finished="")
        self.assertEqual(self.save("test"), (0, "  saved    test\n"))
        self.assertEqual(self.saved(), ["test"])

    def test_one_refusal_does_not_stop_the_others(self):
        self.made("matrix", finished="", error="matrix: 1 of 8 did not pass")
        self.made("test")
        self.assertEqual(self.save(), (1, "  refused  matrix: matrix: 1 of 8 did not pass\n  saved    test\n"))
        self.assertEqual(self.saved(), ["test"])

    def test_failed(self):
        self.refused("2 failed", lines=LINES + ["0\t2\t0\ta\t0"])

    def test_unfinished(self):
        self.refused("the run did not finish", finished="")

    def test_no_commit(self):
        self.refused("the clone was not a git repository", commit="")

    def test_modified(self):
        self.refused("the clone had changes that were not committed", modified="true")

    def test_stale(self):
        self.refused("the kernel was not built from the sources of that commit", stale="true")

    def test_commit_of_another_branch(self):
        tree = self.git("rev-parse", "HEAD^{tree}")
        self.refused("its commit ", commit=self.git("commit-tree", "-m", "another", tree))
        self.refused("its commit 111111111111 is not in the history", commit="1" * 40)

    def test_an_earlier_commit(self):
        self.git("commit", "-q", "--allow-empty", "-m", "two")
        self.made("test")
        self.assertEqual(self.save()[0], 0)

    def test_no_record(self):
        with self.assertRaisesRegex(SystemExit, r"^build/results/\*.json does not exist; a whole run makes it$"):
            results.save(self.root, [])
        self.made("test")
        with self.assertRaisesRegex(SystemExit, "^build/results/soak.json does not exist"):
            results.save(self.root, ["test", "soak"])
        self.assertEqual(self.saved(), [])

    def test_a_file_that_is_no_record(self):
        for name, text in (("holiday", json.dumps(a_record())), ("soak", "{"), ("soak", "{}"), ("soak", "[]"), ("soak", "1")):
            self.made("test")
            path = os.path.join(self.root, results.MADE, name + ".json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            with self.assertRaisesRegex(SystemExit, f"/build/results/{name}.json is not the record of a run; remove it$"):
                results.save(self.root, [])
            self.assertEqual(self.saved(), [])
            os.unlink(path)

    def test_check_names_the_file(self):
        self.made("devbox-test", command="devbox --test")
        os.makedirs(os.path.join(self.root, results.SAVED))
        shutil.copyfile(os.path.join(self.root, results.MADE, "devbox-test.json"),
                        os.path.join(self.root, results.SAVED, "devbox-test.json"))
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(results.check(self.root), 1)
        self.assertIn("the tables of BUILDING.md differ", said.getvalue())
        results.write(self.root)
        self.assertEqual(results.check(self.root), 0)

    def test_record_is_written_from_lines(self):
        path = os.path.join(self.root, "deeper", "test.json")
        subprocess.run([sys.executable, results.__file__, "record", path, *FIELDS], input="\n".join(LINES) + "\n", text=True, check=True)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(json.load(file), a_record())
        self.assertEqual(os.listdir(os.path.dirname(path)), ["test.json"])

    def test_records_are_not_changed_by_tables(self):
        content = {name: a_record() for name in results.RUNS}
        before = copy.deepcopy(content)
        results.all_tables(content)
        self.assertEqual(content, before)


if __name__ == "__main__":
    unittest.main()
