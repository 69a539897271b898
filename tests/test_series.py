#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The program of the patch series, on a kernel tree of a few files."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "steps" / "kernel"))
from series import Failure, Series  # noqa: E402 pylint: disable=wrong-import-position

NUMBERS = "".join(f"{number}\n" for number in range(1, 21))
CONFIG = "samples/rust/Kconfig"


def diff(path: str, *lines: str, start: int = 1) -> str:
    """A diff of one hunk, without the blobs that a three-way merge needs."""
    old, new = (sum(line[0] != sign for line in lines) for sign in "+-")
    return "\n".join([f"diff --git a/{path} b/{path}", f"--- a/{path}", f"+++ b/{path}",
                      f"@@ -{start},{old} +{start},{new} @@", *lines, ""])


class SeriesTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.here = Path(folder.name)
        self.root, self.kernel, self.src = self.here / "root", self.here / "kernel", self.here / "kernel/src"
        (self.here / "work").mkdir()
        self.put(self.src, {"kernel/a.c": "int a;\n", CONFIG: NUMBERS, ".gitignore": "/*\n"})
        self.put(self.root, {
            "series/folders": "# comment\ncode\tsamples/rust\nmore\tmore\n", "series/outside": "",
            "series/author": "name=A Name\nemail=name@example.org\ndate=1790000000 +0000\n",
            "series/0001-one/message": "samples: one\n\nThe first.\n", "series/0001-one/files": "code/\n",
            "series/0002-two/message": "samples: two\n\nThe second.\n", "series/0002-two/files": "more/b.txt\n",
            "code/a.rs": "first\n", "more/b.txt": "second\n",
        })
        self.series = self.open("7.3.4")
        env = {name: value for name, value in self.series.env.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
        subprocess.run(["git", "init", "-q", "--bare", self.kernel / "git"], env=env, check=True)
        self.series.git("config", "core.bare", "false")
        self.series.git("add", "-A", "-f")
        name = {f"GIT_{role}_{key}": "x" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        base = self.series.oid("commit-tree", self.series.oid("write-tree"), stdin=b"Linux\n", env=name)
        for ref in "base", "head":
            self.series.git("update-ref", f"refs/vfifo/{ref}", base)

    def open(self, version: str) -> Series:
        return Series(self.root, self.kernel, self.here / "work", version, "7.3")

    @staticmethod
    def put(folder: Path, files: dict[str, str]) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        """Changes a line of the Kconfig file in the kernel tree by hand."""
        text = (self.src / CONFIG).read_text(encoding="utf-8")
        self.assertIn(f"\n{old}\n", text)
        self.put(self.src, {CONFIG: text.replace(f"\n{old}\n", f"\n{new}\n")})

    def content(self, commit: str, path: str) -> str:
        return self.series.git("show", f"{commit}:{path}").decode()

    def saved(self, patch: str) -> str:
        return (self.root / "series" / patch / "edits.diff").read_text(encoding="utf-8")

    @staticmethod
    def snapshot(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refused(self, text: str, function, *args) -> None:
        """A failure of one line that says so, and nothing in the repository has changed."""
        before = self.snapshot(self.root)
        with self.assertRaises(Failure) as caught:
            function(*args)
        self.assertIn(text, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(before, self.snapshot(self.root))


class Files(SeriesTest):
    def test_where_files_go(self):
        self.put(self.root, {"series/outside": "*/README.md\n", "code/README.md": "x", "code/deep/c.rs": "x",
                             "code/a.o": "x", "code/a.rs~": "x", "code/.a.rs.swp": "x"})
        (self.root / "code/link.rs").symlink_to("a.rs")
        self.assertEqual(self.series.files(), {"code/a.rs": "samples/rust/a.rs", "more/b.txt": "more/b.txt",
                                               "code/deep/c.rs": "samples/rust/deep/c.rs"})
        self.assertIn("0001-one\tcode/deep/c.rs\tsamples/rust/deep/c.rs", self.series.list_files())

    def test_the_folder_of_the_longest_path_counts(self):
        self.put(self.root, {"series/folders": "code/deep include\ncode samples/rust\n", "code/deep/c.h": "x"})
        self.assertEqual(self.series.files(), {"code/a.rs": "samples/rust/a.rs", "code/deep/c.h": "include/c.h"})

    def test_a_path_beats_a_pattern(self):
        for exact, pattern in ("0001-one", "0002-two"), ("0002-two", "0001-one"):
            self.put(self.root, {f"series/{exact}/files": "code/a.rs\n", "code/c.rs": "third\n",
                                 f"series/{pattern}/files": "code\nmore/*.txt\n"})
            owners = {file: patch.name for file, patch in self.series.owners(self.series.files()).items()}
            self.assertEqual(owners, {"code/a.rs": exact, "code/c.rs": pattern, "more/b.txt": pattern})

    def test_a_file_in_two_patches(self):
        for one, two in ("code/a.rs", "code/a.rs"), ("code/*", "code/*.rs"), ("code/a.*", "code"):
            self.put(self.root, {"series/0001-one/files": f"{one}\n", "series/0002-two/files": f"{two}\nmore\n"})
            self.refused("code/a.rs is in both 0001-one and 0002-two", self.series.make)

    def test_a_file_in_no_patch(self):
        self.put(self.root, {"more/c.txt": "x"})
        self.refused("more/c.txt is in no patch; add it to", self.series.make)

    def test_a_list_that_names_nothing(self):
        for entry in "more/c.txt", "code/*.c":
            self.put(self.root, {"series/0002-two/files": f"more # a comment\n{entry}\n"})
            self.refused(f"0002-two/files names {entry}, which is not there", self.series.make)


class Commits(SeriesTest):
    def test_the_same_on_every_machine(self):
        commits = self.series.make()
        self.put(self.here, {".gitconfig": "[trailer]\n\tifMissing = doNothing\n"})
        with mock.patch.dict(os.environ, {
                "GIT_AUTHOR_NAME": "Other", "GIT_DIR": "/nowhere", "TZ": "Asia/Tokyo", "HOME": str(self.here),
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "trailer.ifMissing", "GIT_CONFIG_VALUE_0": "doNothing"}):
            self.assertEqual(commits, self.open("7.3.4").make())
        said = self.series.git("log", "-1", "--format=%an <%ae> %at %cn %ct %P%n%B", commits[2]).decode()
        self.assertEqual(said.strip(), f"A Name <name@example.org> 1790000002 A Name 1790000002 {commits[1]}\n"
                         "samples: two\n\nThe second.\n\nSigned-off-by: A Name <name@example.org>")

    def test_modes(self):
        (self.root / "code/a.rs").chmod(0o755)
        listed = self.series.git("ls-tree", "-r", self.series.make()[-1], "samples/rust/a.rs", "more/b.txt").decode()
        self.assertEqual(re.findall(r"^\d+", listed, re.MULTILINE), ["100644", "100755"])

    def test_a_patch_that_changes_nothing(self):
        self.put(self.root, {"series/0003-three/message": "three\n", "series/0003-three/files": "\n"})
        self.refused("0003-three changes nothing", self.series.make)
        self.assertEqual(len(self.series.make(empty_ok=True)), 4)

    def test_a_patch_without_message(self):
        self.put(self.root, {"series/0002-two/message": ""})
        self.refused("0002-two has no message", self.series.make)

    def test_an_author_without_date(self):
        self.put(self.root, {"series/author": "name=A Name\nemail=name@example.org\n"})
        self.refused("series/author needs the lines", self.series.make)

    def test_edits_that_do_not_apply(self):
        self.put(self.root, {"series/0002-two/edits.diff": diff(CONFIG, " not", " there", "+new")})
        self.refused(f"0002-two/edits.diff does not apply to Linux 7.3.4 (patch failed: {CONFIG}:1)", self.series.make)
        self.put(self.root, {"series/0002-two/edits.diff": "no diff\n"})
        self.refused("0002-two/edits.diff does not apply", self.series.make)

    def test_patch_files(self):
        patches = self.here / "patches"
        self.put(patches, {"0001-old.patch": "x", "README": "x"})
        self.assertEqual(self.series.format(str(patches)), 2)
        self.assertEqual(sorted(os.listdir(patches)), ["0001-samples-one.patch", "0002-samples-two.patch", "README"])
        self.assertIn("Subject: [PATCH 1/2] samples: one\n", (patches / "0001-samples-one.patch").read_text("utf-8"))

    def test_an_older_kernel(self):
        """Its own patches come first whatever their numbers, and only they are written; less context is enough."""
        self.put(self.root, {
            "series/linux-7.2/0009-zero/message": "zero\n", "series/linux-7.1/0000-other/message": "other\n",
            "series/linux-7.2/0009-zero/edits.diff": diff("kernel/a.c", " int a;", "+int b;"),
            "series/0001-one/edits.diff": diff(CONFIG, " four", " 5", "+half", " 6", " seven", start=4)})
        older = self.open("7.2.1")
        subjects = [older.git("log", "-1", "--format=%s", commit).decode().strip() for commit in older.make()]
        self.assertEqual(subjects, ["Linux", "zero", "samples: one", "samples: two"])
        self.assertIn("\n5\nhalf\n6\n", self.content(older.make()[-1], CONFIG))
        self.assertEqual(older.format(str(self.here / "patches")), 1)
        self.assertEqual(os.listdir(self.here / "patches"), ["0000-zero.patch"])
        self.refused("0001-one/edits.diff does not apply to Linux 7.3.4", self.series.make)

    def test_a_part(self):
        """It is made of its own patches alone, on the unpatched kernel, and numbered by itself."""
        self.put(self.root, {
            "series/parts/second/patches": "0002-two # a comment\n",
            "series/parts/second/cover-letter": "Subject: [PATCH 0/1] the second\n\nWhy.\n"})
        self.assertEqual(self.series.parts(), ["second"])
        base, last = self.series.make_part("second")
        self.assertEqual(self.series.git("diff-tree", "-r", "--name-only", base, last), b"more/b.txt\n")
        mails = self.here / "mails"
        self.put(mails, {"0001-old.patch": "x"})
        self.assertEqual(self.series.format_part("second", str(mails)), [str(mails / "0001-samples-two.patch")])
        self.assertEqual(sorted(os.listdir(mails)), ["0000-cover-letter.patch", "0001-samples-two.patch"])
        self.assertIn("Subject: [PATCH 1/1] samples: two\n", (mails / "0001-samples-two.patch").read_text("utf-8"))
        letter = (mails / "0000-cover-letter.patch").read_text("utf-8")
        self.assertTrue(letter.startswith(
            "From: A Name <name@example.org>\nSubject: [PATCH 0/1] the second\n\nWhy.\n\nA Name (1):\n      samples: two\n"))
        self.assertIn(" create mode 100644 more/b.txt\n", letter)

    def test_a_part_that_needs_the_rest(self):
        self.put(self.root, {
            "series/0001-one/edits.diff": diff(CONFIG, " 4", " 5", "+half", " 6", " 7", start=4),
            "series/0002-two/edits.diff": diff(CONFIG, " half", "+more", " 6", " 7", start=6),
            "series/parts/second/patches": "0002-two\n", "series/parts/second/cover-letter": "Subject: x\n"})
        self.series.make()
        self.refused("0002-two/edits.diff does not apply to Linux 7.3.4 without the patches that are not in "
                     "series/parts/second", self.series.make_part, "second")
        self.put(self.root, {"series/parts/second/patches": "0001-one\n0002-two\n"})
        self.assertEqual(len(self.series.make_part("second")), 3)

    def test_a_part_that_is_not_one(self):
        self.refused("there is no part second with patches; series/ has none", self.series.make_part, "second")
        self.put(self.root, {"series/parts/second/patches": "0003-three\n"})
        self.refused("series/parts/second/patches names '0003-three', which is not in series/",
                     self.series.make_part, "second")
        self.refused("there is no part other with patches; there are second", self.series.make_part, "other")
        self.put(self.root, {"series/parts/second/patches": "0002-two\n"})
        self.refused("cover-letter does not begin with Subject:",
                     self.series.format_part, "second", str(self.here / "mails"))

    def test_a_mutant(self):
        base = self.series.make()[-1]
        self.put(self.here, {"bug.patch": "A bug.\n\n" + diff("code/a.rs", "-first", "+worst"),
                             "other.patch": diff("bench/x.py", "-1", "+2")})
        mutant = self.series.mutant(base, str(self.here / "bug.patch"))
        self.assertEqual(self.series.git("diff-tree", "-r", "--name-only", base, mutant), b"samples/rust/a.rs\n")
        self.assertEqual(self.content(mutant, "samples/rust/a.rs"), "worst\n")
        self.refused("'bench/x.py', which is not part of the series",
                     self.series.mutant, base, str(self.here / "other.patch"))
        self.put(self.root, {"code/a.rs": "changed\n"})
        self.refused("bug.patch does not apply to the sources",
                     self.series.mutant, self.series.make()[-1], str(self.here / "bug.patch"))


class Tree(SeriesTest):
    def head(self) -> str:
        return self.series.oid("rev-parse", "refs/vfifo/head")

    def test_a_move_leaves_the_times_of_the_rest(self):
        self.assertEqual(self.series.patch(), 2)
        for name in "more/b.txt", CONFIG:
            os.utime(self.src / name, (1, 1))
        self.put(self.root, {"code/a.rs": "changed\n", "code/c.rs": "new\n"})
        self.series.patch()
        self.assertEqual((self.src / "samples/rust/a.rs").read_text("utf-8"), "changed\n")
        self.assertTrue((self.src / "samples/rust/c.rs").exists())
        (self.root / "code/c.rs").unlink()
        self.series.patch()
        self.assertFalse((self.src / "samples/rust/c.rs").exists())
        self.assertEqual([(self.src / name).stat().st_mtime for name in ("more/b.txt", CONFIG)], [1, 1])

    def test_an_interrupted_move_is_finished(self):
        self.series.patch()
        self.put(self.kernel, {"moving": self.series.make()[1], "git/index.lock": ""})
        (self.src / "samples/rust/a.rs").write_text("half", encoding="utf-8")
        os.utime(self.src / CONFIG, (1, 1))
        self.series.recover()
        self.assertEqual(self.head(), self.series.make()[1])
        self.assertEqual((self.src / "samples/rust/a.rs").read_text("utf-8"), "first\n")
        self.assertFalse((self.src / "more/b.txt").exists())
        self.assertEqual([self.series.edits(), (self.kernel / "moving").exists()], [[], False])
        # One that had not begun.
        self.put(self.kernel, {"moving": ""})
        self.series.recover()
        self.assertEqual([self.head(), (self.kernel / "moving").exists()], [self.series.make()[1], False])

    def test_a_visit_ends_at_home(self):
        self.series.patch()
        commits = self.series.make()
        for commit in commits[0], commits[1]:
            self.series.visit(commit, home=commits[2])
            self.assertEqual([self.head(), self.series.edits()], [commit, []])
        self.put(self.src, {"samples/rust/a.rs": "by hand\n"})
        self.refused("cannot move", self.series.visit, commits[0], commits[0])
        self.series.recover()
        self.assertEqual([self.head(), self.series.edits()], [commits[2], []])

    def test_edits_by_hand_are_refused(self):
        self.series.patch()
        self.put(self.src, {"kernel/a.o": "x", "kernel/.a.c.swp": "x"})
        self.assertEqual(self.series.patch(), 2)
        for change in (lambda: self.edit("5", "five"), (self.src / "kernel/a.c").unlink,
                       lambda: self.put(self.src, {"kernel/new.c": "x"}), lambda: self.put(self.src, {"Kbuild": "x"})):
            change()
            self.refused("was edited by hand; keep that with ./build-kernel.sh series --save NNNN", self.series.patch)
            self.series.drop()
            self.assertEqual(self.series.edits(), [])
        self.put(self.src, {"samples/rust/a.rs": "by hand\n"})
        self.refused("was edited by hand; edit code/a.rs instead", self.series.patch)
        self.refused("samples/rust/a.rs comes from code/a.rs; edit it there", self.series.save, "1")


class Save(SeriesTest):
    def setUp(self) -> None:
        super().setUp()
        self.series.patch()

    def test_edits_become_part_of_a_patch(self):
        self.edit("5", "five")
        self.put(self.src, {"kernel/extra.c": "extra\n"})
        self.assertIn(f"0001-one now has the edits of {CONFIG}, kernel/extra.c", self.series.save("1"))
        self.assertEqual([self.series.edits(), self.series.patch()], [[], 2])
        self.assertRegex(self.saved("0001-one"), r"(?s)\n\+extra\n.*\n-5\n\+five\n")
        # A second time, and a file that is no longer there.
        self.edit("7", "seven")
        (self.src / "kernel/extra.c").unlink()
        self.series.save("0001")
        self.assertNotIn("extra", self.saved("0001-one"))
        self.assertRegex(self.saved("0001-one"), r"(?s)\+five\n.*\+seven\n")
        # What is edited back is part of no patch.
        self.edit("five", "5")
        self.edit("seven", "7")
        self.series.save("1")
        self.assertFalse((self.root / "series/0001-one/edits.diff").exists())

    def test_later_patches_are_kept_current(self):
        self.edit("8", "eight")
        self.series.save("2")
        self.edit("5", "five")
        self.series.save("1")
        self.assertIn("\n five\n", self.saved("0002-two"))
        self.assertEqual([self.content(commit, CONFIG).split()[4:8:3] for commit in self.series.make()],
                         [["5", "8"], ["five", "8"], ["five", "eight"]])

    def test_a_patch_that_is_not_there(self):
        for number in "3", "one", "", "-1":
            self.refused(f"there is no patch {number} in series/", self.series.save, number)

    def test_nothing_to_save(self):
        self.refused("nothing was edited", self.series.save, "1")

    def test_edits_of_a_later_patch(self):
        self.edit("5", "five")
        self.series.save("2")
        self.edit("five", "cinq")
        self.refused("these edits change lines that 0001-one does not have yet", self.series.save, "1")
        self.series.save("2")
        self.assertIn("\n-5\n+cinq\n", self.saved("0002-two"))

    def test_edits_that_a_later_patch_cannot_take(self):
        """Without the blobs, it has no three-way merge."""
        self.put(self.root, {"series/0002-two/edits.diff":
                             diff(CONFIG, " 3", " 4", "-5", "+five", " 6", " 7", " 8", start=3)})
        for own in {}, {"series/0001-one/edits.diff": diff(CONFIG, " 14", "-15", "+fifteen", " 16", start=14)}:
            self.put(self.root, own)
            self.series.drop()
            self.series.patch()
            self.edit("8", "eight")
            before = self.snapshot(self.src)
            self.refused("0002-two/edits.diff does not apply to Linux 7.3.4", self.series.save, "1")
            self.assertEqual([before, self.series.edits()], [self.snapshot(self.src), [CONFIG]])

    def test_in_an_older_kernel(self):
        self.put(self.root, {"series/linux-7.2/0000-zero/message": "zero\n",
                             "series/linux-7.2/0000-zero/edits.diff": diff("kernel/a.c", " int a;", "+int b;"),
                             "series/0001-one/edits.diff": diff(CONFIG, " four", " 5", "+half", " 6", start=4)})
        older = self.open("7.2.1")
        older.patch()
        self.edit("15", "fifteen")
        self.refused("0001-one is for Linux 7.3, and this tree is Linux 7.2.1", older.save, "1")
        one = self.snapshot(self.root / "series/0001-one")
        older.save("0")
        self.assertIn("\n+fifteen\n", self.saved("linux-7.2/0000-zero"))
        self.assertEqual(one, self.snapshot(self.root / "series/0001-one"))


class CommandLine(SeriesTest):
    def call(self, *args: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, REPOSITORY / "steps/kernel/series.py", "--root", self.root, "--kernel", self.kernel,
             "--version", "7.3.4", "--pinned", "7.3", "--door", "./door", *args],
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done)
        self.assertFalse(list(self.here.glob("tmp.*")))
        self.assertEqual(done.stdout if status else done.stderr, "")
        return done.stderr if status else done.stdout

    def test_results(self):
        self.assertEqual(self.call("make").split(), self.series.make())
        self.assertEqual(self.call("patch"), "2\n")
        self.assertEqual(self.call("edits") + self.call("refuse-edits") + self.call("recover"), "")
        self.put(self.src, {"kernel/new.c": "x"})
        self.assertEqual(self.call("edits"), "kernel/new.c\n")
        self.assertEqual(self.call("drop"), f"series: {self.src} has no edits now\n")

    def test_an_error_is_one_line(self):
        self.put(self.src, {"kernel/new.c": "x"})
        self.assertRegex(self.call("refuse-edits", status=1),
                         r"\Abuild-kernel\.sh: series: .* with \./door series --drop\n\Z")
        self.put(self.here, {"file": "x"})
        self.assertRegex(self.call("format", str(self.here / "file/patches"), status=1),
                         r"\Abuild-kernel\.sh: series: .*\n\Z")
        (self.root / "series/folders").unlink()
        (self.root / "series/folders").mkdir()
        self.assertRegex(self.call("make", status=1), r"\Abuild-kernel\.sh: series: .*series/folders.*\n\Z")


if __name__ == "__main__":
    unittest.main()
