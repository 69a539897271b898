# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Claims, kinds, files, the end of a stream, and processes."""

import errno
import os
import select
import subprocess
import sys

import pytest
from conftest import DEADLINE

import vfifo
from vfifo import overwriting

KINDS = [
    ("stream", 0, vfifo.Producer, vfifo.Consumer),
    ("record", 0, vfifo.RecordProducer, vfifo.RecordConsumer),
    ("stream", 1, overwriting.Producer, overwriting.Consumer),
    ("record", 1, overwriting.RecordProducer, overwriting.RecordConsumer),
]


@pytest.mark.parametrize(("framing", "overwrite", "producer", "consumer"), KINDS)
def test_kinds(device, framing, overwrite, producer, consumer):
    device.become(framing=framing, overwrite=overwrite)
    for _, _, *others in KINDS:
        for end, other in zip((producer, consumer), others, strict=True):
            if end is other:
                with end(device.path):
                    assert device.get("producer_claimed" if end is producer else "consumer_claimed") == "1"
                continue
            with pytest.raises(vfifo.WrongKind) as raised:
                other(device.path)
            assert raised.value.errno == errno.EOPNOTSUPP
            assert raised.value.filename == device.path
            assert raised.value.strerror == (
                f'the framing of this FIFO is "{framing}" and its overwrite is {overwrite}: '
                f"use {end.__module__}.{end.__name__}, not {other.__module__}.{other.__name__}"
            )
    info = vfifo.Info(device.path)
    assert (info.has_records, info.overwrites) == (framing == "record", overwrite == 1)


def test_an_end_has_one_owner(device):
    with vfifo.Producer(device.path) as producer:
        with pytest.raises(vfifo.Claimed) as raised:
            vfifo.Producer(device.path)
        assert raised.value.errno == errno.EBUSY
        with pytest.raises(OSError) as raised:
            device.write(b"x")
        assert raised.value.errno == errno.EBUSY
    assert producer.closed
    device.write(b"x")


def test_closed_ends(device):
    producer = vfifo.Producer(device.path)
    assert repr(producer) == f"<vfifo.Producer fd={producer.fileno()} capacity={producer.capacity}>"
    place = producer.reserve(4)
    producer.close()
    assert repr(producer) == "<vfifo.Producer closed>"
    for action in [
        lambda: producer.send(b"x"),
        lambda: producer.reserve(1),
        lambda: producer.fileno(),
        lambda: producer.__enter__(),
        lambda: producer._ask(1),
        lambda: producer._news(),
        lambda: place.commit(),
        lambda: place.put(b"x"),
        lambda: memoryview(place),
    ]:
        with pytest.raises(ValueError, match="closed"):
            action()
    assert producer.capacity > 0


def test_files(device):
    file = device.open()
    with vfifo.Producer(file) as producer:
        assert producer.fileno() != file
        assert not os.get_inheritable(producer.fileno())
        producer.send(b"x")
    assert vfifo.Info(file).capacity == producer.capacity
    os.close(file)
    with open(device.path, "r+b", buffering=0) as file, vfifo.Consumer(file) as consumer:
        assert consumer.read() == b"x"
    read_only = device.open(os.O_RDONLY)
    with pytest.raises(PermissionError):
        vfifo.Consumer(read_only)
    os.close(read_only)


def test_an_event_loop_can_poll(ends):
    producer, consumer = ends
    poll = select.poll()
    poll.register(consumer, select.POLLIN)
    assert poll.poll(0) == []
    producer.send(b"x")
    assert poll.poll(DEADLINE * 1000) == [(consumer.fileno(), select.POLLIN)]
    assert consumer.read(timeout=0) == b"x"
    assert poll.poll(0) == []


def test_the_end_of_a_stream(device):
    device.become(hangup=1)
    with vfifo.Consumer(device.path) as consumer:
        # Nobody has been there yet.
        with pytest.raises(vfifo.TimedOut):
            consumer.read(timeout=0.02)
        with vfifo.Producer(device.path) as producer:
            producer.check()
            producer.send(b"last")
        with pytest.raises(vfifo.NoWriters) as raised:
            consumer.wait(5)
        assert isinstance(raised.value, EOFError)
        assert raised.value.errno == errno.ENODATA
        assert list(consumer) == [b"last"]
        assert consumer.read() == b"" == consumer.read(timeout=0)
        assert consumer.readinto(bytearray(1)) == 0
        with pytest.raises(EOFError):
            consumer.peek()
        # A new writer continues it.
        device.write(b"more")
        assert consumer.read() == b"more"


def test_readers_have_gone(device):
    device.become(hangup=1)
    with vfifo.Producer(device.path) as producer:
        with vfifo.Consumer(device.path):
            producer.check()
        for action in [producer.check, lambda: producer.send(bytes(producer.capacity)) or producer.send(b"x")]:
            with pytest.raises(BrokenPipeError) as raised:
                action()
            assert isinstance(raised.value, vfifo.NoReaders)
            assert raised.value.errno == errno.EPIPE


def test_info_is_neither_reader_nor_writer(device):
    device.become(hangup=1)
    info = vfifo.Info(device.path)
    assert info.hangs_up and not info.is_broken
    assert not info.has_readers and not info.has_writers
    assert str(info.capacity) == device.get("capacity")
    assert repr(info) == f"<vfifo.Info capacity={info.capacity} hangs up>"
    with vfifo.Consumer(device.path) as consumer:
        assert vfifo.Info(device.path).has_readers
        # It has not met a writer by that.
        with pytest.raises(vfifo.NotYet):
            consumer.wait(timeout=0)


def test_a_child_cannot_use_an_end(ends):
    producer, consumer = ends
    producer.send(b"parent's")
    place, peeked = producer.reserve(1), consumer.peek()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for action in [
                lambda: producer.send(b"x"),
                lambda: producer.close(),
                lambda: place.commit(),
                lambda: bytes(place),
                lambda: peeked.release(),
                lambda: memoryview(peeked),
                lambda: consumer.read(),
            ]:
                try:
                    action()
                except RuntimeError as error:
                    assert "process" in str(error)
                else:
                    raise AssertionError
            # Nor does dropping them do anything.
            del producer, consumer, place, peeked, ends
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    place.commit()
    assert peeked.tobytes() == b"parent's"
    peeked.release()
    assert len(consumer.read()) == 1


def test_a_killed_owner_gives_the_end_back(device):
    program = "import sys, vfifo; p = vfifo.Producer(sys.argv[1]); p.send(b'left'); p.reserve(9); print(flush=True); input()"
    command = [sys.executable, "-c", program, device.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        owner.stdout.readline()
        with pytest.raises(vfifo.Claimed):
            vfifo.Producer(device.path)
        owner.kill()
        owner.wait(DEADLINE)
    with vfifo.Producer(device.path):
        assert device.read(100) == b"left"


def test_subclasses(device):
    class Log(vfifo.Producer):
        def __init__(self, path):
            self.lines = 0

        def log(self, line):
            self.send(line.encode() + b"\n")
            self.lines += 1

    with Log(device.path) as log:
        log.log("one")
        assert log.lines == 1
    assert device.read(100) == b"one\n"
