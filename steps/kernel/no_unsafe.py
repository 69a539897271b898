#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Finds the word `unsafe` in the Rust code of a folder, comments and strings left out.

The kernel's macros expand to unsafe code, so forbid(unsafe_code) cannot be used.
"""

import pathlib
import re
import sys

NOT_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | b?c?r(?P<h>\#+)".*?"(?P=h) | b?c?r"[^"]*" | b?c?"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])'""",
    re.DOTALL | re.VERBOSE,
)
bad = 0
files = sorted(pathlib.Path(sys.argv[1]).rglob("*.rs"))
for path in files:
    text = NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), path.read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\bunsafe\b|\bunsafe_code\b|\binclude!", line):
            print(f"{path}:{number}: unsafe code has no place here")
            bad = 1
if not files:
    print(f"{sys.argv[1]}: no Rust files")
sys.exit(bad or not files)
