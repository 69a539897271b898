#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make the patch series from the sources, and keep the kernel tree in step with it.

Git plumbing turns the sources into commits on top of the unpatched kernel, so that the hashes are
the same on every machine. The kernel folder holds the tree (src) and its repository (git):
refs/vfifo/base is the unpatched kernel, refs/vfifo/head the commit that the tree holds. After an
interruption, the file "moving" names the commit that the next run moves the tree to.

Results go to standard output, an error is one line on standard error.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

BASE, HEAD = "refs/vfifo/base", "refs/vfifo/head"
# Left behind by editors and builds. The kernel's .gitignore does not help: Debian's ignores all files.
JUNK = ("*~", ".*.sw?", "*.orig", "*.rej", "*.py[co]", "*.o", "*.ko", "*.cmd", "*.mod", "*.mod.c",
        "*.symvers", "modules.order", "tags", "cscope.*")
# The format of a diff, independent of any configuration.
DIFF = ("--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--diff-algorithm=myers",
        "--src-prefix=a/", "--dst-prefix=b/")


class Failure(Exception):
    """A command that cannot go on; the text says what failed and what to do."""


def read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def write(path: Path, content: bytes) -> None:
    """A file without content is removed."""
    if content:
        path.write_bytes(content)
    else:
        path.unlink(missing_ok=True)


def lines(path: Path) -> list[str]:
    """The lines of a list, without comments."""
    return [text for line in read(path).decode().splitlines() if (text := line.partition("#")[0].strip())]


class Series:
    """The series for one kernel tree: version is that of the tree, pinned what patches/ is for."""

    def __init__(self, root: Path, kernel: Path, work: Path, version: str, pinned: str,
                 door: str = "./build-kernel.sh") -> None:
        self.root, self.kernel, self.work, self.version, self.door = root, kernel, work, version, door
        self.src, self.moving, self.folder = kernel / "src", kernel / "moving", root / "series"
        self.linux = ".".join(version.split(".")[:2])
        self.pinned, self.is_pinned = pinned, self.linux == pinned
        # Without the caller's repository and configuration.
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.env |= {"GIT_DIR": str(kernel / "git"), "GIT_WORK_TREE": str(self.src), "GIT_CONFIG_NOSYSTEM": "1",
                     "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def git(self, *args: str, stdin: bytes = b"", index: str = "", env: dict[str, str] | None = None) -> bytes:
        """The output of that command, on an index of that name in the work folder if there is one."""
        extra = {"GIT_INDEX_FILE": str(self.work / index)} if index else {}
        config = ("-c", "core.compression=0", "-c", "core.fsync=none", "-c", "gc.auto=0")
        done = subprocess.run(["git", "-C", str(self.src), *config, *args], input=stdin, capture_output=True,
                              env=self.env | extra | (env or {}), check=False)
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode(errors="replace")
        if "No space left" in said:
            raise Failure("the disk is full; free some space and run it again")
        reason = re.search(r"^(?:error|fatal): (.*)", said, re.MULTILINE)
        raise Failure(reason[1] if reason else f"git {args[0]} failed with status {done.returncode}")

    def oid(self, *args: str, **options) -> str:
        """The same for a command that prints an object name."""
        return self.git(*args, **options).decode().strip()

    # The sources

    def older(self) -> list[Path]:
        """The patches that only an older kernel needs; they come first."""
        return sorted((self.folder / f"linux-{self.linux}").glob("[0-9][0-9][0-9][0-9]-*/"))

    def patches(self) -> list[Path]:
        return self.older() + sorted(self.folder.glob("[0-9][0-9][0-9][0-9]-*/"))

    def files(self) -> dict[str, str]:
        """{path here: path in the kernel tree} of the files of the mapped folders."""
        found, outside = {}, lines(self.folder / "outside") + [f"*/{pattern}" for pattern in JUNK]
        for folder, target in sorted(line.split() for line in lines(self.folder / "folders")):
            for path in (self.root / folder).rglob("*"):
                file = path.relative_to(self.root).as_posix()
                if path.is_file() and not path.is_symlink() and not any(fnmatchcase(file, one) for one in outside):
                    found[file] = target + file.removeprefix(folder)
        return found

    def ours(self) -> dict[str, str]:
        return {path: file for file, path in self.files().items()}

    def list_files(self) -> list[str]:
        """Print each file of the series: its patch, path here, path in the kernel tree, with tabs between."""
        files = self.files()
        return sorted(f"{patch.name}\t{file}\t{files[file]}" for file, patch in self.owners(files).items())

    def owners(self, files: dict[str, str]) -> dict[str, Path]:
        """{path here: its patch}. A path beats a pattern; otherwise a file has exactly one patch."""
        exact, matched = {}, {}
        for patch in self.patches():
            for entry in lines(patch / "files"):
                pattern = entry.rstrip("/") + "/*" if (self.root / entry).is_dir() else entry
                found = [entry] if entry in files else [file for file in files if fnmatchcase(file, pattern)]
                if not found:
                    raise Failure(f"{patch.name}/files names {entry}, which is not there; remove that line")
                for file in found:
                    other = (exact if entry in files else matched).setdefault(file, patch)
                    if other != patch:
                        raise Failure(f"{file} is in both {other.name} and {patch.name}; take it out of one of them")
        for file in sorted(files.keys() - exact.keys() - matched.keys()):
            raise Failure(f"{file} is in no patch; add it to a series/NNNN-*/files or to series/outside")
        return matched | exact

    def add(self, index: str, files: dict[str, str]) -> None:
        paths = "\n".join(str(self.root / file) for file in files)
        blobs = self.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=paths.encode()).decode().split()
        info = "".join(f"{'100755' if os.access(self.root / file, os.X_OK) else '100644'} {blob}\t{path}\0"
                       for blob, (file, path) in zip(blobs, files.items(), strict=True))
        self.git("update-index", "-z", "--index-info", stdin=info.encode(), index=index)

    def commit(self, tree: str, parent: str, message: bytes, number: int) -> str:
        """A signed-off commit; each patch is a second later than the one before."""
        try:
            author = dict(line.split("=", 1) for line in lines(self.folder / "author"))
            name, email, (seconds, zone) = author["name"], author["email"], author["date"].split()
            date = f"{int(seconds) + number} {zone}"
        except (KeyError, ValueError):
            raise Failure("series/author needs the lines name=, email= and date=SECONDS ZONE") from None
        message = self.git("interpret-trailers", "--trailer", f"Signed-off-by: {name} <{email}>", stdin=message)
        env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
               for key, value in (("NAME", name), ("EMAIL", email), ("DATE", date))}
        return self.oid("commit-tree", tree, "-p", parent, stdin=message.rstrip(b"\n") + b"\n", env=env)

    def apply(self, index: str, diff: bytes, alone: bool = False) -> None:
        """Applies a diff, which may be empty. An older kernel may have other lines around an edit."""
        reason = None
        if not diff:
            return
        for how in [[]] if alone else [[], ["--3way"]] if self.is_pinned else [[], ["-C1"], ["--3way"]]:
            try:
                self.git("apply", "--cached", "--whitespace=nowarn", *how, stdin=diff, index=index)
                return
            except Failure as failure:
                reason = reason or failure
        raise reason

    def parts(self) -> list[str]:
        """Print the names of the parts of the series that can be sent without the rest."""
        return sorted(path.name for path in (self.folder / "parts").glob("*/"))

    def part(self, name: str) -> list[Path]:
        """The patches of a part."""
        file, patches = self.folder / "parts" / name / "patches", {path.name: path for path in self.patches()}
        try:
            found = [patches[entry] for entry in lines(file)]
        except KeyError as entry:
            raise Failure(f"series/parts/{name}/patches names {entry}, which is not in series/; correct it") from None
        if not found:
            known = f"there are {', '.join(self.parts())}" if self.parts() else "series/ has none"
            raise Failure(f"there is no part {name} with patches; {known}")
        return found

    def make(self, empty_ok: bool = False, part: str = "") -> list[str]:
        """Make the commits of the series from the sources, and print them, the unpatched kernel first."""
        files = self.files()
        owners = self.owners(files)
        commits = [self.oid("rev-parse", BASE)]
        tree = self.oid("rev-parse", f"{BASE}^{{tree}}")
        self.git("read-tree", BASE, index="series")
        for number, patch in enumerate(self.part(part) if part else self.patches(), 1):
            self.add("series", {file: path for file, path in files.items() if owners[file] == patch})
            edits, message = read(patch / "edits.diff"), read(patch / "message")
            try:
                self.apply("series", edits, alone=bool(part))
            except Failure as failure:
                without = f" without the patches that are not in series/parts/{part}" if part else ""
                raise Failure(f"{patch.name}/edits.diff does not apply to Linux {self.version}{without} ({failure}); "
                              "correct it") from None
            if not message:
                raise Failure(f"{patch.name} has no message; write its subject and text to {patch.name}/message")
            before, tree = tree, self.oid("write-tree", index="series")
            if tree == before and not empty_ok:
                raise Failure(f"{patch.name} changes nothing; add its files to {patch.name}/files")
            commits.append(self.commit(tree, commits[-1], message, number))
        if len(commits) == 1:
            raise Failure("there is no patch in series/; add a folder NNNN-slug/ as in series/README.md")
        return commits

    def make_patches(self, folder: str) -> list[str]:
        """Make the commits, write the patch files to FOLDER (for an older kernel, only those that come
        before the series), and print the commits."""
        target, commits, numbering = Path(folder).absolute(), self.make(), ("--numbered", "--start-number=1")
        last = commits[-1]
        if not self.is_pinned:
            last, numbering = commits[len(self.older())], ("--no-numbered", "--start-number=0")
        self.mails(target, numbering, commits[0], last)
        return commits

    def format(self, folder: str) -> int:
        """Write the patch files to FOLDER, and print how many."""
        self.make_patches(folder)
        return len(list(Path(folder).glob("*.patch")))

    def mails(self, target: Path, numbering: tuple[str, ...], base: str, last: str) -> None:
        """Write the commits after BASE as patch files to an emptied folder."""
        for path in target.glob("*.patch"):
            path.unlink()
        self.git("format-patch", "-q", "-o", str(target), *DIFF, *numbering, "--zero-commit", "--stat=75",
                 "--no-signature", "--subject-prefix=PATCH", "--no-attach", "--no-thread", "--no-cover-letter",
                 f"{base}..{last}")

    def make_part(self, part: str) -> list[str]:
        """Make the commits of a part on the unpatched kernel, and print them, that kernel first."""
        return self.make(part=part)

    def format_part(self, part: str, folder: str) -> list[str]:
        """Write the mails of a part to FOLDER, the cover letter first, and print the patches."""
        target, commits = Path(folder).absolute(), self.make_part(part)
        base, last = commits[0], commits[-1]
        self.mails(target, ("--numbered", "--start-number=1"), base, last)
        patches = sorted(str(path) for path in target.glob("*.patch"))
        letter = read(self.folder / "parts" / part / "cover-letter")
        if not letter.startswith(b"Subject: "):
            raise Failure(f"series/parts/{part}/cover-letter does not begin with Subject:; write that line")
        sender = self.git("log", "-1", "--format=From: %an <%ae>", last)
        summary = self.git("shortlog", f"{base}..{last}") + self.git("diff", "--stat=75", "--summary", *DIFF, base, last)
        write(target / "0000-cover-letter.patch", sender + letter.rstrip(b"\n") + b"\n\n" + summary)
        return patches

    def mutant(self, base: str, name: str) -> str:
        """Print the commit that is BASE with the patch FILE, which is for the sources here, on top."""
        files, text = self.files(), Path(name).read_text(encoding="utf-8")
        try:
            diff = re.sub(r"(?m)^(--- a/|\+\+\+ b/)(\S+)", lambda found: found[1] + files[found[2]], text)
        except KeyError as path:
            raise Failure(f"{name} changes {path}, which is not part of the series; correct it") from None
        self.git("read-tree", base, index="mutant")
        try:
            self.git("apply", "--cached", stdin=diff.encode(), index="mutant")
        except Failure as failure:
            raise Failure(f"{name} does not apply to the sources ({failure}); update it") from None
        return self.commit(self.oid("write-tree", index="mutant"), base, f"mutant {Path(name).stem}\n".encode(), 0)

    # The kernel tree

    def strangers(self) -> list[str]:
        """New files in the kernel tree."""
        return self.git("ls-files", "-z", "-o", *(f"--exclude={one}" for one in JUNK)).decode().split("\0")[:-1]

    def edits(self) -> list[str]:
        """Print the files of the kernel tree that were edited by hand."""
        self.git("update-index", "-q", "--refresh")
        return self.git("diff-files", "-z", "--name-only").decode().split("\0")[:-1] + self.strangers()

    def refuse_edits(self) -> None:
        """Fail if there are any."""
        for path in self.edits()[:1]:
            file = self.ours().get(path)
            advice = f"edit {file} instead, and" if file else f"keep that with {self.door} series --save NNNN, or"
            raise Failure(f"{self.src}/{path} was edited by hand; {advice} discard it with {self.door} series --drop")

    def visit(self, commit: str, home: str) -> None:
        """Move the kernel tree to COMMIT until "recover" moves it to HOME; only files that differ are written."""
        before = read(self.moving)
        write(self.moving, home.encode())
        try:
            self.git("read-tree", "-m", "-u", HEAD, commit)
        except Failure as failure:
            write(self.moving, before)
            raise Failure(f"cannot move {self.src} to another commit ({failure}); "
                          f"if files there were edited, discard that with {self.door} series --drop") from None
        self.git("update-ref", HEAD, commit)

    def recover(self) -> None:
        """Finish a move of the kernel tree that was interrupted, or end a visit."""
        (self.kernel / "git/index.lock").unlink(missing_ok=True)
        commit = read(self.moving).decode().strip()
        # Otherwise it was interrupted before it began.
        if re.fullmatch("[0-9a-f]{40,}", commit):
            self.git("read-tree", "--reset", "-u", commit)
            self.git("update-ref", HEAD, commit)
        write(self.moving, b"")

    def patch(self) -> int:
        """Move the kernel tree to the series, and print the number of patches."""
        self.recover()
        commits = self.make()
        self.refuse_edits()
        self.visit(commits[-1], home=commits[-1])
        write(self.moving, b"")
        return len(commits) - 1

    def drop(self) -> str:
        """Discard the edits made by hand."""
        self.recover()
        for path in self.strangers():
            (self.src / path).unlink(missing_ok=True)
        self.git("read-tree", "--reset", "-u", HEAD)
        return f"series: {self.src} has no edits now"

    def write_edits(self, patch: Path, old: str, new: str) -> None:
        """edits.diff is the difference of two trees without our own files."""
        exclude = (f":(exclude,literal){path}" for path in self.ours())
        write(patch / "edits.diff", self.git("diff-tree", "-p", "-r", *DIFF, old, new, "--", ".", *exclude))

    def save(self, number: str) -> str:
        """Make them part of patch NUMBER; if any patch does not apply then, nothing changes."""
        self.recover()
        patches = self.patches()
        found = [patch for patch in patches if number.isdecimal() and int(patch.name[:4]) == int(number)]
        if len(found) != 1:
            raise Failure(f"there is no patch {number} in series/; give the number of one of its folders")
        patch, place = found[0], patches.index(found[0])
        # The edits of the series itself are those of the pinned kernel.
        writable = patches if self.is_pinned else self.older()
        if patch not in writable:
            raise Failure(f"{patch.name} is for Linux {self.pinned}, and this tree is Linux {self.version}; "
                          f"save to a patch in series/linux-{self.linux}/")
        edits, ours = self.edits(), self.ours()
        if not edits:
            raise Failure(f"nothing was edited in {self.src}; edit files there first")
        for path in edits:
            if path in ours:
                raise Failure(f"{path} comes from {ours[path]}; edit it there")
        shutil.copy(self.kernel / "git/index", self.work / "edited")
        names = "".join(f"{path}\0" for path in edits).encode()
        self.git("update-index", "--add", "--remove", "-z", "--stdin", stdin=names, index="edited")
        diff = self.git("diff-tree", "-p", "-r", *DIFF, HEAD, self.oid("write-tree", index="edited"))
        commits = self.make(empty_ok=True)
        self.git("read-tree", commits[place + 1], index="patched")
        try:
            self.apply("patched", diff)
        except Failure as failure:
            raise Failure(f"these edits change lines that {patch.name} does not have yet ({failure}); "
                          "save them to a later patch") from None
        before = {one: read(one / "edits.diff") for one in writable}
        try:
            self.write_edits(patch, commits[place], self.oid("write-tree", index="patched"))
            commits = self.make(empty_ok=True)
            for one, old, new in zip(patches, commits, commits[1:]):
                if one in writable and (one / "edits.diff").exists():
                    self.write_edits(one, old, new)
        except BaseException as failure:
            for one, text in before.items():
                write(one / "edits.diff", text)
            if isinstance(failure, Failure):
                raise Failure(f"nothing was saved, since with these edits in {patch.name} {failure}") from None
            raise
        self.git("update-index", "--add", "--remove", "-z", "--stdin", stdin=names)
        write(self.moving, commits[-1].encode())
        self.recover()
        return f"series: {patch.name} now has the edits of {', '.join(edits)}; {self.door} series updates patches/"


# {command: its arguments}; each is a method of Series.
COMMANDS = {"list-files": (), "make": (), "make-patches": ("folder",), "format": ("folder",),
            "mutant": ("base", "file"), "patch": (), "edits": (), "refuse-edits": (), "save": ("number",), "drop": (),
            "visit": ("commit", "home"), "recover": (),
            "parts": (), "make-part": ("part",), "format-part": ("part", "folder")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="this repository")
    parser.add_argument("--kernel", type=Path, required=True, help="the folder of the kernel's src and git")
    parser.add_argument("--version", required=True, help="the version of that kernel, such as 7.3.4")
    parser.add_argument("--pinned", required=True, help="the kernel series that patches/ is for, such as 7.3")
    parser.add_argument("--door", default="./build-kernel.sh", help="the program and options that advice names")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, values in COMMANDS.items():
        command = commands.add_parser(name, help=getattr(Series, name.replace("-", "_")).__doc__)
        for value in values:
            command.add_argument(value)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="tmp.", dir=options.kernel.parent) as work:
            series = Series(options.root.resolve(), options.kernel.resolve(), Path(work), options.version,
                            options.pinned, options.door)
            values = (getattr(options, value) for value in COMMANDS[options.command])
            result = getattr(series, options.command.replace("-", "_"))(*values)
    except KeyboardInterrupt:
        return 130
    except (Failure, OSError) as failure:
        print(f"build-kernel.sh: series: {failure}", file=sys.stderr)
        return 1
    for line in result if isinstance(result, list) else [] if result is None else [result]:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
