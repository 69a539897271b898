#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the licences of the crates that are linked into a program: notices.py FOLDER

Licences such as MIT ask that their notices are kept with the program. The crates are those of FOLDER/Cargo.lock, and
their files have to be in cargo's cache already.
"""

import json
import os
import re
import subprocess
import sys


def output(*command):
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    if ran.returncode:
        raise SystemExit(f"notices.py: this failed: {' '.join(command)}")
    return ran.stdout


def cargo(folder, command, *arguments):
    return output("cargo", command, "--locked", "--manifest-path", os.path.join(folder, "Cargo.toml"), *arguments)


def notices(folder):
    """The texts of a crate's licences. Where there is a choice, only the text of MIT is needed."""
    names = sorted(name for name in os.listdir(folder) if re.match(r"(?i)(licen[cs]e|copying|notice)", name))
    mit = [name for name in names if "mit" in name.lower()]
    texts = []
    for name in mit or names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            texts.append(file.read().strip("\n"))
    return texts


def main(folder):
    linked = set(re.findall(r"^(\S+) v(\S+)", cargo(folder, "tree", "-e", "normal,no-proc-macro", "--prefix", "none"),
                            re.MULTILINE))
    # Without those for other systems, which need not be in the cache.
    host = re.search(r"^host: (.*)", output("rustc", "-vV"), re.MULTILINE).group(1)
    packages = json.loads(cargo(folder, "metadata", "--format-version", "1", "--filter-platform", host))["packages"]
    print("The programs in this package contain these crates, under these licences.")
    for package in sorted(packages, key=lambda package: package["name"]):
        if package["source"] is None or (package["name"], package["version"]) not in linked:
            continue
        texts = notices(os.path.dirname(package["manifest_path"]))
        if not texts:
            raise SystemExit(f"notices.py: the crate {package['name']} has no file with its licence")
        print(f"\n==== {package['name']} {package['version']}: {package['license']} ====\n")
        print("\n\n".join(texts))


if __name__ == "__main__":
    main(sys.argv[1])
