# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""What the package consists of."""

import importlib.metadata
import inspect
import pathlib
import re
import sys

import pytest

import vfifo
from vfifo import aio, overwriting

MODULES = [vfifo, overwriting, aio]


def test_version_is_that_of_the_package():
    assert vfifo.__version__ == importlib.metadata.version("vfifo")


def test_native_part_is_for_all_versions():
    from vfifo import _vfifo

    assert _vfifo.__file__.endswith(".abi3.so")


def test_types_are_included():
    folder = pathlib.Path(vfifo.__file__).parent
    for name in ["py.typed", "__init__.pyi", "overwriting.pyi"]:
        assert (folder / name).is_file()


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_listed(module):
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and inspect.isclass(value) and value.__module__.startswith("vfifo")
    }
    assert public == set(module.__all__)
    assert module.__all__ == sorted(module.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_everything_is_documented(module):
    assert module.__doc__
    for name in module.__all__:
        value = getattr(module, name)
        assert value.__doc__, name
        assert value.__module__ == module.__name__, name
        for method, function in vars(value).items():
            if not method.startswith("_") and callable(function):
                assert function.__doc__, f"{name}.{method}"


def test_signatures_can_be_seen():
    assert str(inspect.signature(vfifo.AnyProducer.reserve)) == "(self, /, size, timeout=None)"
    assert str(inspect.signature(vfifo.Consumer.read)) == "(self, /, size=-1, timeout=None)"


def test_numpy_is_not_needed():
    # Other tests of this process may have imported it.
    source = "import sys, vfifo.aio; sys.exit('numpy' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", source]).returncode == 0


def test_readme_shows_what_exists():
    readme = pathlib.Path(__file__).parents[2] / "README.md"
    for name in set(re.findall(r"\bvfifo((?:\.[A-Za-z_]+)+)", readme.read_text())):
        value = vfifo
        for part in name[1:].split("."):
            if part not in ("rst", "md"):
                value = getattr(value, part)
