# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Producers that overwrite the oldest bytes or records."""

import os
import subprocess
import sys

import pytest
from conftest import DEADLINE, pattern

import vfifo
from vfifo import overwriting


@pytest.fixture
def ends(device):
    device.become(overwrite=1)
    with overwriting.Producer(device.path) as producer, overwriting.Consumer(device.path) as consumer:
        yield producer, consumer


@pytest.fixture
def record_ends(device):
    device.become(framing="record", overwrite=1)
    with overwriting.RecordProducer(device.path) as producer, overwriting.RecordConsumer(device.path) as consumer:
        yield producer, consumer


def test_oldest_bytes_make_way(ends):
    producer, consumer = ends
    capacity = producer.capacity
    with pytest.raises(vfifo.NotYet):
        consumer.read(timeout=0)
    for start in range(0, 3 * capacity, capacity // 4):
        with producer.reserve(capacity // 4) as place:
            memoryview(place)[:] = pattern(start, capacity // 4)
            place.commit()
    assert consumer.queued() == capacity
    data, lost = consumer.read(100)
    assert (data, lost) == (pattern(2 * capacity, 100), 2 * capacity)
    got = consumer.read()
    assert got == overwriting.Copied(pattern(2 * capacity + 100, capacity - 100), 0)
    producer.send(b"next")
    assert next(consumer) == (b"next", 0)
    assert consumer.read(0) == (b"", 0)
    with pytest.raises(vfifo.TimedOut):
        consumer.wait(timeout=0.02)


def test_oldest_records_make_way(record_ends):
    producer, consumer = record_ends
    assert producer.largest == producer.capacity - 8
    with pytest.raises(vfifo.NotYet):
        consumer.receive(timeout=0)
    for number in range(1000):
        producer.send(b"%8d" % number + bytes(1000))
    kept = producer.capacity // 1016
    got, lost = consumer.receive()
    first = int(got[:8])
    assert first == 1000 - kept
    assert lost == first * 1016
    for number in range(first + 1, 1000):
        assert consumer.receive() == (b"%8d" % number + bytes(1000), 0)
    with pytest.raises(vfifo.TimedOut):
        consumer.wait(0.02)
    with pytest.raises(vfifo.RecordLength):
        producer.send(b"")


def test_views_hold_the_producer(ends):
    producer, consumer = ends
    view = memoryview(producer.reserve(4))
    with pytest.raises(BufferError):
        producer.send(b"x")
    view.release()
    producer.send(b"x")


def test_whatever_is_read_is_intact(device):
    """A program in C, or here another process, writes as fast as it can."""
    device.become(framing="record", overwrite=1)
    program = (
        "import sys; from vfifo import overwriting\n"
        "producer = overwriting.RecordProducer(sys.argv[1])\n"
        "print(flush=True)\n"
        "number = 0\n"
        "while True:\n"
        "    producer.send(b'%08d' % number * 200)\n"
        "    number += 1\n"
    )
    # Isolated, since the folder of the tests is not for it.
    command = [sys.executable, "-c", program, device.path]
    with overwriting.RecordConsumer(device.path) as consumer:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            try:
                writer.stdout.readline()
                last, overtaken = -1, 0
                for turn in range(1000):
                    try:
                        # Without a timeout of 0, it is never overtaken.
                        data, _ = consumer.receive(0 if turn % 2 else DEADLINE)
                    except (vfifo.NotYet, vfifo.Overtaken):
                        continue
                    number = int(data[:8])
                    assert data == b"%08d" % number * 200
                    assert number > last
                    last = number
            finally:
                writer.kill()
    assert last > 0


def test_check_tells_that_readers_have_gone(device):
    device.become(overwrite=1, hangup=1)
    with overwriting.Producer(device.path) as producer:
        file = device.open(os.O_RDONLY)
        producer.check()
        os.close(file)
        with pytest.raises(vfifo.NoReaders):
            producer.check()
        # That makes no difference otherwise.
        producer.send(b"goes on")


def test_iterates_to_the_end(device):
    for framing, end in [("stream", overwriting.Consumer), ("record", overwriting.RecordConsumer)]:
        device.become(framing=framing, overwrite=1, hangup=1)
        with end(device.path) as consumer:
            device_file = device.open(os.O_WRONLY)
            os.write(device_file, b"last")
            os.close(device_file)
            assert list(consumer) == [(b"last", 0)]
