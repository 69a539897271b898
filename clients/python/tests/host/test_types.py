# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""The types, as mypy sees them."""

import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("mypy")

PACKAGE = pathlib.Path(__file__).parents[2]


def run(folder, *arguments):
    """Runs it in that folder, where it leaves its cache."""
    command = [sys.executable, "-m", *arguments]
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout


def mypy(tmp_path, *sources):
    run(tmp_path, "mypy", "--strict", "--config-file", "", *map(str, sources))


def test_stubs_match_the_classes(tmp_path):
    # It is a method of Python's since 3.12; the classes have it in 3.11 as well, but only in C.
    allowed = tmp_path / "allowed"
    allowed.write_text(r"vfifo\.(Peeked|Record|Reservation)\.__buffer__" + "\n")
    run(tmp_path, "mypy.stubtest", "vfifo", "--ignore-missing-stub", "--allowlist", str(allowed), "--ignore-unused-allowlist")


def test_module_for_asyncio(tmp_path):
    mypy(tmp_path, "-m", "vfifo.aio")


def test_readme(tmp_path):
    readme = (PACKAGE / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert blocks
    sources = []
    for number, block in enumerate(blocks):
        sources.append(tmp_path / f"block{number}.py")
        sources[-1].write_text(block)
    # Before, the types of numpy know of no exporters but their own.
    mypy(tmp_path, "--python-version", "3.12", *sources)


def test_programs(tmp_path):
    source = tmp_path / "program.py"
    source.write_text(
        "import vfifo\n"
        "from vfifo import overwriting\n"
        "def copy(consumer: vfifo.RecordConsumer, producer: vfifo.AnyProducer) -> int:\n"
        "    with consumer.peek(timeout=1.5) as records:\n"
        "        for record in records:\n"
        "            producer.send(record)\n"
        "            with memoryview(record) as view:\n"
        "                print(view[0])\n"
        "        records.release()\n"
        "    return sum(len(record) for record in consumer)\n"
        "def lost(consumer: overwriting.Consumer) -> int:\n"
        "    data, lost = consumer.read(100)\n"
        "    return lost + len(data)\n"
    )
    mypy(tmp_path, source)
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import vfifo\nvfifo.Producer('/dev/vfifo0').send('text')\n")
    with pytest.raises(AssertionError, match="incompatible type"):
        mypy(tmp_path, wrong)
