#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks that each file that the given patches add is in an entry that they add to MAINTAINERS.

checkpatch warns about every patch that adds files without changing MAINTAINERS. But an entry for a
folder also covers files of later patches, so this looks at all patches together.
"""

import re
import sys


def covers(pattern, path):
    """As get_maintainer.pl does, for entries without wildcards."""
    return path.startswith(pattern) if pattern.endswith("/") else path == pattern


def main(patches):
    entries, added = [], []
    for patch in patches:
        path = None
        with open(patch, encoding="utf-8") as lines:
            for line in lines:
                header = re.match(r"diff --git a/(\S+) b/", line)
                if header:
                    path = header[1]
                elif path == "MAINTAINERS" and line.startswith("+F:"):
                    entries.append(line[3:].strip())
                elif line.startswith("new file mode "):
                    added.append(path)
    missing = [path for path in added if not any(covers(entry, path) for entry in entries)]
    for path in missing:
        print(f"{path} has no entry in MAINTAINERS; add one to the patch that adds the file")
    return 1 if missing or not added else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
