#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Records of test runs, and the tables that are made from them.

results.py record FILE KEY=VALUE...   writes a record of a run to FILE; its results are read from standard input
results.py show FOLDER                prints all tables of the records in FOLDER
results.py save [ROOT [NAME]...]      copies the records in ROOT/build/results, all of them or the named ones, to
                                      ROOT/tests/results, and writes the tables; refuses what proves nothing
results.py write [ROOT]               writes the tables into the files that show them, between markers
results.py check [ROOT]               fails, and names the file, if a table is not what the records in
                                      ROOT/tests/results give

A line of results is the numbers of tests that passed, failed and were skipped, a name, a time in seconds, and any
number of KEY=VALUE, with tabs between them. "skip" names a skipped test, and a "reason" after it says why. "group=N"
makes the N lines before it parts of this one. Other keys are kept as they are.
"""

import json
import os
import re
import shutil
import subprocess
import sys

from marked import Marked, markdown, read

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MADE, SAVED = "build/results", "tests/results"
FILES = ("TESTING.md", "BUILDING.md", "README.md")

# The runs that leave a record, by its name.
RUNS = {
    "demo-empty": "`demo`, empty cache",
    "demo": "`demo`",
    "test-empty": "`test`, empty cache",
    "test": "`test`",
    "test-debug": "`test --debug`",
    "selftest-kcsan": "`--kcsan selftest`",
    "matrix": "`matrix`",
    "mutants": "`mutants`",
    "shutdown": "`shutdown`",
    "shutdown-debug": "`--debug shutdown`",
    "series-build": "`series --build`",
    "devbox-test": "`devbox --test`",
    "deb-test": "`deb --test`",
    "soak": "`soak`",
}
COMMANDS = {name: command.split("`")[1] for name, command in RUNS.items()}
# Those whose parts are in the table of times.
TIMED = ("demo-empty", "demo", "test-empty", "test", "test-debug", "soak")

TEXTS = ("command", "date", "commit", "kernel", "accelerator", "error")
NUMBERS = ("processors", "memory", "seconds")
FLAGS = ("modified", "stale", "finished")
COUNTS = ("passed", "failed", "skipped")


def read_part(line):
    """The part of a run that a line of results describes."""
    fields = line.rstrip("\n").split("\t")
    made = dict(zip(("name", *COUNTS), [fields[3] if len(fields) > 3 else "", *map(int, fields[:3])]))
    made["seconds"] = int(fields[4]) if len(fields) > 4 else 0
    skips = []
    for field in fields[5:]:
        key, _, value = field.partition("=")
        if key == "skip":
            skips.append({"test": value, "reason": ""})
        elif key == "reason":
            skips[-1]["reason"] = value
        else:
            made[key] = value
    if skips:
        made["skips"] = skips
    return made


def parts(lines):
    """The parts of a run, in groups."""
    # Each with the number of lines that it stands for.
    found = []
    for line in lines:
        new, count = read_part(line), 1
        if "group" in new:
            wanted, inner = int(new.pop("group")), []
            while wanted > 0:
                inside, size = found.pop()
                inner.insert(0, inside)
                wanted -= size
                count += size
            new.update({key: new[key] + sum(one[key] for one in inner) for key in COUNTS})
            if inner:
                new["parts"] = inner
        found.append((new, count))
    return [one for one, _ in found]


def leaves(content):
    """Every part that has no parts, of a record or of a part."""
    for one in content.get("parts", []):
        if "parts" in one:
            yield from leaves(one)
        else:
            yield one


def record(lines, fields):
    """The record of a run with these results. A run that did not finish, or tested nothing, has failed."""
    given = dict(field.partition("=")[::2] for field in fields)
    made = {key: given.get(key, "") for key in TEXTS}
    made.update({key: int(given[key]) for key in NUMBERS})
    made.update({key: given[key] == "true" for key in FLAGS})
    made["parts"] = parts(lines)
    made.update({key: sum(one[key] for one in made["parts"]) for key in COUNTS})
    made["result"] = "passed" if made["finished"] and made["passed"] and not made["failed"] else "failed"
    return made


def write_json(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def read_record(path):
    """A record that every table can be made of."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        all_tables({name: content for name in RUNS})
        return content
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SystemExit(f"{path} is not the record of a run; remove it") from None


def records(folder):
    """{name: record} of that folder, which need not exist."""
    names = sorted(name.removesuffix(".json") for name in os.listdir(folder) if name.endswith(".json")) \
        if os.path.isdir(folder) else []
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        raise SystemExit(f"{os.path.join(folder, unknown[0])}.json is not the record of a run; remove it")
    return {name: read_record(os.path.join(folder, name + ".json")) for name in names}


def span(seconds):
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def minutes(seconds):
    """The time in whole minutes."""
    return span(max(60, 60 * round(seconds / 60))).removesuffix(" 0 s")


def cell(text):
    return str(text).replace("|", "\\|")


def commit(content):
    return f"`{content['commit'][:12]}`"


def machine(content):
    by = f", {content['accelerator']}" if content["accelerator"] else ""
    return f"{content['processors']} processors, {content['memory'] / 1024:.1f} GiB{by}"


def kernels(content):
    return content["kernel"] or ", ".join(dict.fromkeys(one["kernel"] for one in leaves(content) if one.get("kernel")))


def counted(content):
    return ", ".join(f"{content[key]} {key}" for key in COUNTS if content[key] or key == "passed")


def caption(name, content):
    """The line above a table that is made from one record."""
    if name not in content:
        return f"{RUNS[name]} is not recorded.\n"
    one = content[name]
    return (f"`{one['command']}`: {counted(one)}; {one['date']}, commit {commit(one)}, {span(one['seconds'])}, "
            f"{machine(one)}.\n")


def listed(head, names, content, row):
    """A table with a row for each of these runs that is recorded, and a line that names the others."""
    rows = [row(name, content[name]) for name in names if name in content]
    others = [RUNS[name] for name in names if name not in content]
    return "\n".join(([markdown(head, rows)] if rows else []) +
                     ([f"Not recorded: {'; '.join(others)}.\n"] if others else []))


def runs(content):
    """The runs, one command a line."""
    def row(name, one):
        # With the settings and arguments of that run.
        command = RUNS[name].replace(f"`{COMMANDS[name]}`", f"`{one['command']}`")
        failed = str(one["failed"]) if one["failed"] or one["result"] == "passed" else "the run"
        return [command, str(one["passed"]), failed, str(one["skipped"]), span(one["seconds"]), kernels(one),
                one["date"], commit(one), machine(one)]
    return listed(["command", *COUNTS, "took", "Linux", "date", "commit", "machine"], RUNS, content, row)


def times(content):
    """How long the parts of the longer runs took."""
    def row(name, one):
        inside = ", ".join(f"{part['name']} {span(part['seconds'])}" for part in one["parts"] if part["seconds"])
        return [RUNS[name], span(one["seconds"]), cell(inside)]
    return listed(["command", "took", "of which"], TIMED, content, row)


def skips(content):
    """Every skipped test, with the reason and the runs."""
    found = {}
    for name, one in content.items():
        for inside in leaves(one):
            for skip in inside.get("skips", []):
                found.setdefault((skip["test"], skip["reason"]), []).append(RUNS[name])
    if not found:
        return "No recorded run has skipped a test.\n" if content else "No run is recorded.\n"
    rows = [[cell(test), cell(reason), ", ".join(dict.fromkeys(commands))] for (test, reason), commands in found.items()]
    return markdown(["test", "reason", "skipped by"], rows)


def mutants(content):
    text = caption("mutants", content)
    if "mutants" in content:
        rows = [[one["name"], one.get("kernel", ""), cell(one["by"]), span(one["seconds"])]
                for one in leaves(content["mutants"]) if "by" in one]
        text += "\n" + markdown(["mutant", "kernel", "caught by", "took"], rows)
    return text


def result(one):
    return counted(one) if sum(one[key] for key in COUNTS) > 1 or one["failed"] else \
        "passed" if one["passed"] else "skipped"


def checks(name):
    """The table of the checks of that run, with the kernel of each."""
    def table(content):
        text = caption(name, content)
        if name in content:
            rows = [[cell(one["name"]), one.get("kernel", ""), result(one), span(one["seconds"])]
                    for one in leaves(content[name])]
            text += "\n" + markdown(["check", "kernel", "result", "took"], rows)
        return text
    return table


def matrix(content):
    """KUnit by kernel and compilers, from "matrix" and from "test"."""
    text = caption("matrix", content)
    rows = []
    for name in ("test", "matrix"):
        for one in leaves(content.get(name, {})):
            if "rustc" in one:
                rows.append([*(one.get(key, "") for key in ("linux", "rustc", "compiler")), counted(one), span(one["seconds"]), RUNS[name],
                             content[name]["date"]])
    if rows:
        text += "\n" + markdown(["Linux", "rustc", "C", "KUnit", "took", "run by", "date"], rows)
    return text


TABLES = {"runs": runs, "times": times, "skips": skips, "mutants": mutants, "devbox": checks("devbox-test"),
          "deb": checks("deb-test"), "matrix": matrix}
HEADINGS = {"runs": "Runs", "times": "Times", "skips": "Skipped tests", "mutants": "Mutants",
            "devbox": "Distribution kernels", "deb": "Packages", "matrix": "Kernels and compilers"}
# A time inside of a line. Without a record, it stays as it is.
INLINE = re.compile(r"(<!-- time of (?P<name>[a-z-]+) -->).*?(<!-- end -->)")


class Documents(Marked):
    """The tables, and the times inside of lines."""

    def current(self, text, content):
        def time(found):
            name = found["name"]
            return f"{found[1]}{minutes(content[name]['seconds'])}{found[3]}" if name in content else found[0]
        return INLINE.sub(time, super().current(text, content))


MARKED = Documents("steps/kernel/results.py", SAVED, FILES, TABLES, HEADINGS)


def all_tables(content):
    return MARKED.all("Runs of the tests", content)


def is_ancestor(root, name):
    """Whether that commit is HEAD or one before it."""
    return subprocess.run(["git", "-C", root, "-c", f"safe.directory={root}", "merge-base", "--is-ancestor", name, "HEAD"],
                          capture_output=True, check=False).returncode == 0


def refusal(root, one):
    """Why that record may not be saved, or nothing."""
    if one["result"] != "passed":
        return one["error"] or (f"{one['failed']} failed" if one["failed"] else "the run did not finish")
    if not one["commit"]:
        return "the clone was not a git repository, so the sources are not known; run it in a clone"
    if one["modified"]:
        return "the clone had changes that were not committed; commit them, and run it again"
    if one["stale"]:
        return "the kernel was not built from the sources of that commit; run patch and build, and then this again"
    if not is_ancestor(root, one["commit"]):
        return f"its commit {one['commit'][:12]} is not in the history of this branch; run it again"
    return ""


def save(root, names):
    """Copies what may be saved, says what is refused, and returns whether nothing was."""
    made = records(os.path.join(root, MADE))
    missing = [name for name in names if name not in made]
    if missing or not made:
        raise SystemExit(f"{MADE}/{missing[0] if missing else '*'}.json does not exist; a whole run makes it")
    refused = {name: refusal(root, made[name]) for name in names or made}
    for name, reason in refused.items():
        if reason:
            print(f"  refused  {name}: {reason}")
        else:
            os.makedirs(os.path.join(root, SAVED), exist_ok=True)
            shutil.copyfile(os.path.join(root, MADE, name + ".json"), os.path.join(root, SAVED, name + ".json"))
            print(f"  saved    {name}")
    write(root)
    return not any(refused.values())


def saved(root):
    """The records of the repository."""
    return records(os.path.join(root, SAVED))


def outdated(root=ROOT):
    """{path: text} of the files whose tables are not those of the saved records."""
    return MARKED.outdated(saved(root), root)


def write(root=ROOT):
    MARKED.write(saved(root), root)


def check(root=ROOT):
    return MARKED.check(saved(root), root)


def main(arguments):
    command, *rest = arguments or [""]
    if command == "record" and rest:
        write_json(rest[0], record(sys.stdin, rest[1:]))
    elif command == "show" and len(rest) == 1:
        sys.stdout.write(all_tables(records(rest[0])))
    elif command == "save":
        return 0 if save(rest[0] if rest else ROOT, rest[1:]) else 1
    elif command == "write" and len(rest) <= 1:
        write(*rest)
    elif command == "check" and len(rest) <= 1:
        return check(*rest)
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
