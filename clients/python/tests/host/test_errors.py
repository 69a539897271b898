# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Exceptions, and what can be refused without a device."""

import errno
import os
import pathlib

import pytest

import vfifo
from vfifo import overwriting

CLASSES = [
    vfifo.Producer,
    vfifo.Consumer,
    vfifo.RecordProducer,
    vfifo.RecordConsumer,
    overwriting.Producer,
    overwriting.Consumer,
    overwriting.RecordProducer,
    overwriting.RecordConsumer,
    vfifo.Info,
]


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (vfifo.NotYet, [BlockingIOError]),
        (vfifo.TimedOut, [vfifo.NotYet, BlockingIOError, TimeoutError]),
        (vfifo.NoWriters, [vfifo.Ended, EOFError]),
        (vfifo.NoReaders, [vfifo.Ended, BrokenPipeError]),
        (vfifo.Overtaken, []),
        (vfifo.Broken, []),
        (vfifo.RecordLength, [ValueError]),
        (vfifo.OutOfRange, [ValueError]),
        (vfifo.Claimed, []),
        (vfifo.NotVfifo, []),
        (vfifo.WrongKind, []),
    ],
)
def test_errors_are_what_programs_catch(error, bases):
    for base in [vfifo.Error, OSError, *bases]:
        assert issubclass(error, base)
    raised = error(errno.EIO, "a message")
    assert raised.errno == errno.EIO
    assert raised.strerror == "a message"
    assert error.__module__ == "vfifo"


@pytest.mark.parametrize("end", CLASSES)
class TestOpening:
    def test_another_device(self, end):
        with pytest.raises(vfifo.NotVfifo) as raised:
            end("/dev/null")
        assert raised.value.errno == errno.ENOTTY
        assert raised.value.filename == "/dev/null"
        assert str(raised.value) == "[Errno 25] this file is not a vfifo: '/dev/null'"

    def test_no_device(self, end):
        for path in ["/dev/vfifo/none", b"/dev/vfifo/none", pathlib.Path("/dev/vfifo/none")]:
            with pytest.raises(FileNotFoundError) as raised:
                end(path)
            assert raised.value.errno == errno.ENOENT
            assert raised.value.filename == "/dev/vfifo/none"
            assert raised.value.strerror == "No such file or directory"

    def test_open_files(self, end):
        with open("/dev/null", "r+b", buffering=0) as file:
            for argument in [file, file.fileno()]:
                with pytest.raises(vfifo.NotVfifo):
                    end(argument)
            # It still belongs to the caller.
            os.fstat(file.fileno())

    def test_no_file(self, end):
        with pytest.raises(OSError) as raised:
            end(-1)
        assert raised.value.errno == errno.EBADF
        for wrong in [None, 1.5, ["/dev/vfifo0"]]:
            with pytest.raises(TypeError):
                end(wrong)
        with pytest.raises(ValueError):
            end("/dev/\0")


def test_others_make_no_ends():
    for other in [vfifo.End, vfifo.AnyProducer, vfifo.Reservation, vfifo.Peeked, vfifo.Records, vfifo.Record]:
        with pytest.raises(TypeError):
            other("/dev/null")
