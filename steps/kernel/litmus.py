#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Runs the litmus tests: litmus.py HERD MODEL FOLDER RESULTS [TEST]...

HERD is the program herd7, MODEL the folder tools/memory-model of a kernel tree. FOLDER gets what is run, and what herd7
prints. Appends a line for each test to RESULTS in the format that results.py describes. Exits with 1 if an outcome is
not the expected one.

litmus/README.md describes the form of the tests. Each mark of a test makes a variant of it, without what has this mark.
"""

import os
import re
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
# In seconds. A test takes less than ten, with all of its variants.
TIMEOUT = 300

MARK = re.compile(r"[ \t]*// \[([^][]+)\]$")
# What orders accesses. Each line with one of these needs a mark.
ORDERING = re.compile(r"\b(smp_\w+|spin_\w+|(cmp)?xchg\w*(?<!_relaxed))\(")
# What remains of an ordering if it is removed. Of other lines, nothing remains.
WEAKER = [
    (re.compile(r"smp_store_release\((\w+), "), r"WRITE_ONCE(*\1, "),
    (re.compile(r"smp_load_acquire\((\w+)\)"), r"READ_ONCE(*\1)"),
    (re.compile(r"\b((?:cmp)?xchg)(_acquire|_release)?\("), r"\1_relaxed("),
]
HEADER = re.compile(r"C (\S+)\n\n\(\*\n(.*?\n)? \*\)\n", re.DOTALL)
CODE = re.compile(r"^ \*   (\S+): (\w+\(\)(?:, \w+\(\))*)$", re.MULTILINE)
OBSERVATION = re.compile(r"^Observation (\S+) (Never|Sometimes|Always) \d+ \d+$", re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def marks(text):
    """The marks of a test, in the order in which they appear."""
    found = [mark[1] for mark in map(MARK.search, text.splitlines()) if mark]
    return list(dict.fromkeys(found))


def variant_name(name, mark):
    return f"{name}+no-" + re.sub(r"\W+", "-", mark)


def weakened(line):
    """A line without its ordering, or None if nothing remains."""
    for ordering, weaker in WEAKER:
        if ordering.search(line):
            return MARK.sub("", ordering.sub(weaker, line))
    return None


def without(text, name, mark):
    """The test without what has this mark."""
    lines = []
    for line in text.splitlines():
        found = MARK.search(line)
        if found and found[1] == mark:
            line = weakened(line)
        if line is not None:
            lines.append(line)
    lines[0] = f"C {variant_name(name, mark)}"
    return "\n".join(lines) + "\n"


def functions(path):
    """The names of the functions in a source file, or None if there is no such file."""
    if not os.path.isfile(os.path.join(ROOT, path)):
        return None
    pattern = r"\bfn (\w+)" if path.endswith(".rs") else r"^\w.*?\b(\w+)\("
    return set(re.findall(pattern, read(os.path.join(ROOT, path)), re.MULTILINE))


def problems(path, text):
    """What is wrong with the form of a test, one line for each problem."""
    header = HEADER.match(text)
    if not header:
        return ["does not begin with C NAME and a comment"]
    found = []
    if header[1] + ".litmus" != os.path.basename(path):
        found.append(f"its name is {header[1]}")
    if " * Result: Never\n" not in header[0]:
        found.append("its comment has no line Result: Never")
    code = CODE.findall(header[0].partition(" * Code:\n")[2])
    if not code:
        found.append("its comment does not name the code")
    for file, names in code:
        there = functions(file)
        if there is None:
            found.append(f"names {file}, which does not exist")
        else:
            found += [f"names {name}(), which is not in {file}"
                      for name in re.findall(r"\w+", names) if name not in there]
    found += [f"no mark: {line.strip()}"
              for line in text[header.end():].splitlines() if ORDERING.search(line) and not MARK.search(line)]
    if not marks(text):
        found.append("has no mark")
    names = [variant_name("", mark) for mark in marks(text)]
    found += [f"two marks are {name[4:]} in the name of a file" for name in set(names) if names.count(name) > 1]
    return found


def outcomes(said):
    """{test: its outcome} from what herd7 has printed. "flagged" follows if the model has complained, for example of
    a data race."""
    found = {}
    for part in re.split(r"^(?=Test )", said, flags=re.MULTILINE):
        observation = OBSERVATION.search(part)
        if observation:
            flags = re.findall(r"^Flag (.+)$", part, re.MULTILINE)
            found[observation[1]] = " ".join([observation[2], *(f"({flag})" for flag in flags)])
    return found


def herd(program, model, folder, name, files):
    """Runs herd7 on files, and returns what it has printed."""
    try:
        ran = subprocess.run([program, "-conf", "linux-kernel.cfg", *files], cwd=model, stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=TIMEOUT, check=False, encoding="utf-8", errors="replace")
        said, errors = ran.stdout, ran.stderr
    except subprocess.TimeoutExpired:
        said, errors = "", f"herd7 has not finished after {TIMEOUT} s\n"
    except OSError as error:
        said, errors = "", f"{error}\n"
    with open(os.path.join(folder, f"{name}.log"), "w", encoding="utf-8") as log:
        log.write(said + errors)
    return said, errors


def run(program, model, folder, path):
    """Runs a test and its variants. Returns the number of expected outcomes, that of all, and a line for each problem."""
    text = read(path)
    name = os.path.basename(path).removesuffix(".litmus")
    wrong = problems(path, text)
    if wrong:
        return 0, 1, wrong
    expected = {name: ("Never",)}
    tests = {name: text}
    for mark in marks(text):
        variant = variant_name(name, mark)
        expected[variant] = ("Sometimes", "Always")
        tests[variant] = without(text, name, mark)
    files = []
    for test, content in tests.items():
        files.append(os.path.join(folder, f"{test}.litmus"))
        with open(files[-1], "w", encoding="utf-8") as file:
            file.write(content)
    said, errors = herd(program, model, folder, name, files)
    found = outcomes(said)
    for test, wanted in expected.items():
        outcome = found.get(test, "no outcome")
        # Without an ordering there may also be a data race.
        if outcome not in wanted and not (test != name and outcome.startswith(wanted)):
            wrong.append(f"{test}: {outcome}; expected: {wanted[0]}")
    passed = len(tests) - len(wrong)
    return passed, len(tests), wrong + (errors.splitlines()[:5] if wrong else [])


def main(arguments):
    if len(arguments) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    program, model, folder, results, *names = arguments
    source = os.path.join(ROOT, "litmus")
    names = names or sorted(file.removesuffix(".litmus") for file in os.listdir(source) if file.endswith(".litmus"))
    status = 0
    with open(results, "a", encoding="utf-8") as out:
        for name in names:
            path = os.path.join(source, f"{name}.litmus")
            start = time.monotonic()
            passed, count, wrong = run(program, model, folder, path)
            if wrong:
                status = 1
                print(f"  FAILED   {name}", *(f"           {line}" for line in wrong), sep="\n", flush=True)
            else:
                needed = ", ".join(marks(read(path)))
                print(f"  ok       {name:{max(map(len, names))}}  Never; Sometimes without {needed}", flush=True)
            out.write(f"{passed}\t{count - passed}\t0\tlitmus {name}\t{round(time.monotonic() - start)}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
