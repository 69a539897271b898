#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts (K)TAP with the kernel's own parser: ktap.py KUNIT-DIR RESULTS SUITE FILE [SECONDS [KEY=VALUE]...]

Appends a line to RESULTS in the format that results.py describes, and names what did not pass.
"""

import sys

kunit_dir, results, suite, path, *more = sys.argv[1:]
sys.path.insert(0, kunit_dir)
sys.dont_write_bytecode = True

import io  # noqa: E402

import kunit_parser  # noqa: E402
from kunit_printer import Printer  # noqa: E402


def leaves(test, prefix):
    """Yields (name, test) of every single case."""
    name = f"{prefix}: {test.name}" if test.name not in ("", "main") else prefix
    if test.subtests:
        for sub in test.subtests:
            yield from leaves(sub, name)
    else:
        yield name, test


def said_after(name):
    """The lines after that of a failed test, where bats explains the failure."""
    said, failed = [], False
    for line in raw:
        if failed and line.startswith("#"):
            said.append(line)
        else:
            failed = line.startswith("not ok ") and line.endswith(name)
    return said


with open(path, encoding="utf-8", errors="replace") as log:
    raw = [line.rstrip("\r\n") for line in log]
# The kselftest runner puts a comment sign before what a program prints.
lines = [line[2:] if line.startswith("# ") else line for line in raw]
# bats prints a plan without a version.
if lines and lines[0].startswith("1.."):
    lines = ["TAP version 13"] + [line.replace(" # skip", " # SKIP") for line in lines]
# A program that does not know the number of its tests prints the plan last; the parser wants it first.
if len(lines) > 2 and lines[-1].startswith("1..") and lines[0].startswith("TAP version"):
    lines.insert(1, lines.pop())

top = kunit_parser.parse_run_tests(iter(lines), Printer(output=io.StringIO()))
counts = top.counts
failed = counts.failed + counts.crashed
fields = [suite, *(more or ["0"])]
for name, test in leaves(top, suite):
    if test.status == kunit_parser.TestStatus.SKIPPED:
        reason = getattr(test, "skip_reason", "")
        print(f"  skipped  {name}{' (' + reason + ')' if reason else ''}")
        fields += [f"skip={name}", f"reason={reason}"]
    elif test.status != kunit_parser.TestStatus.SUCCESS:
        print(f"  FAILED   {name} ({test.status.name.lower()})")
        for line in (test.log or said_after(test.name))[-12:]:
            print(f"           {line}")
if not failed and (counts.errors or not counts.passed + counts.skipped):
    # Truncated output and a wrong number of tests are failures as well.
    print(f"  FAILED   {suite}: incomplete test output")
    failed = 1
with open(results, "a", encoding="utf-8") as out:
    fields = [" ".join(field.split()) for field in fields]
    out.write("\t".join([str(counts.passed), str(failed), str(counts.skipped), *fields]) + "\n")
print(f"{suite}: {counts.passed} passed, {failed} failed" + (f", {counts.skipped} skipped" if counts.skipped else ""))
sys.exit(1 if failed else 0)
