# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Streams of bytes."""

import errno
import os
import time

import pytest
from conftest import DEADLINE, Later, pattern

import vfifo


def test_in_place(ends):
    producer, consumer = ends
    with producer.reserve(5) as place:
        assert len(place) == 5
        memoryview(place)[:] = b"hello"
        place.commit()
    with consumer.peek(5) as peeked:
        assert len(peeked) == 5
        assert bytes(peeked) == peeked.tobytes() == b"hello"
        peeked.release()
    with pytest.raises(vfifo.NotYet):
        consumer.peek(timeout=0)


def test_pieces_are_whole_where_the_buffer_wraps(ends):
    producer, consumer = ends
    size = producer.capacity * 3 // 4
    for turn in range(8):
        expected = pattern(turn * size, size)
        with producer.reserve(size) as place:
            place.put(expected[: size // 2])
            place.put(expected[size // 2 :], size // 2)
            place.commit(size)
        with consumer.peek(size) as peeked:
            assert peeked.tobytes() == expected
            peeked.release(size)


def test_a_part_is_committed_and_released(ends):
    producer, consumer = ends
    with producer.reserve(100) as place:
        place.put(b"abcdef")
        place.commit(6)
    with consumer.peek() as peeked:
        assert len(peeked) == 6
        peeked.release(2)
    assert consumer.read() == b"cdef"


def test_nothing_happens_without_commit_and_release(ends):
    producer, consumer = ends
    with producer.reserve(10) as place:
        place.put(b"0123456789")
    assert consumer.queued() == 0
    producer.send(b"stays")
    with consumer.peek() as peeked:
        assert bytes(peeked) == b"stays"
    with pytest.raises(ZeroDivisionError), consumer.peek():
        1 / 0
    assert consumer.read() == b"stays"


def test_the_other_end_is_a_file(device):
    with vfifo.Producer(device.path) as producer:
        producer.send(b"from python")
        assert device.read(100) == b"from python"
    with vfifo.Consumer(device.path) as consumer:
        device.write(b"to python")
        assert consumer.read() == b"to python"


def test_files_use_the_buffer_itself(ends, tmp_path):
    producer, consumer = ends
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(pattern(0, 3000))
    with open(source, "rb", buffering=0) as file, producer.reserve(4000) as place:
        size = file.readinto(place)
        assert size == 3000
        place.commit(size)
    with open(target, "wb", buffering=0) as file, consumer.peek(3000) as peeked:
        peeked.release(file.write(peeked))
    assert target.read_bytes() == source.read_bytes()


def test_copies(ends):
    producer, consumer = ends
    producer.send(b"bytes")
    producer.send(bytearray(b" and "))
    producer.send(memoryview(b"..every second..")[::1][2:-2])
    assert consumer.read(3) == b"byt"
    assert consumer.read(0) == b""
    buffer = bytearray(9)
    assert consumer.readinto(buffer) == 9
    assert buffer == b"es and ev"
    assert consumer.readinto(bytearray()) == 0
    assert consumer.read(10000) == b"ery second"
    producer.send(b"")
    assert consumer.queued() == 0
    with pytest.raises(BufferError):
        producer.send(memoryview(b"not in one piece")[::2])
    with pytest.raises(TypeError):
        producer.send("text")
    with pytest.raises((BufferError, TypeError)):
        consumer.readinto(b"constant")


def test_write_takes_what_fits(ends):
    producer, consumer = ends
    capacity = producer.capacity
    assert producer.write(b"") == 0
    assert producer.write(bytes(capacity - 10)) == capacity - 10
    assert producer.room() == 10
    assert producer.write(b"x" * 100) == 10
    assert producer.room() == 0
    with pytest.raises(vfifo.NotYet) as raised:
        producer.write(b"x", timeout=0)
    assert raised.value.errno == errno.EAGAIN
    assert consumer.queued() == capacity


def test_timeouts(ends):
    producer, consumer = ends
    begin = time.monotonic()
    for wait in [
        lambda: consumer.wait(timeout=0.05),
        lambda: consumer.peek(timeout=0.05),
        lambda: consumer.read(timeout=0.05),
    ]:
        with pytest.raises(TimeoutError) as raised:
            wait()
        assert isinstance(raised.value, vfifo.TimedOut)
        assert raised.value.errno == errno.EAGAIN
    assert time.monotonic() - begin >= 0.15
    producer.send(bytes(producer.capacity))
    for wait in [
        lambda: producer.wait(timeout=0.05),
        lambda: producer.reserve(1, timeout=0.05),
        lambda: producer.send(b"x", timeout=0.05),
        lambda: producer.write(b"x", timeout=0.05),
    ]:
        with pytest.raises(vfifo.TimedOut):
            wait()
    for nothing in [
        lambda: consumer.wait(producer.capacity, 0),
        lambda: consumer.read(timeout=0.0),
        lambda: producer.reserve(producer.capacity, timeout=1e300),
        lambda: producer.reserve(producer.capacity, timeout=float("inf")),
    ]:
        nothing()
    for wrong in [-1, float("nan"), -float("inf")]:
        with pytest.raises(ValueError):
            consumer.peek(timeout=wrong)
    with pytest.raises(TypeError):
        consumer.peek(timeout="1")


def test_ranges(ends):
    producer, consumer = ends
    capacity = producer.capacity
    assert capacity == consumer.capacity
    for wrong in [
        lambda: producer.reserve(capacity + 1),
        lambda: producer.send(bytes(capacity + 1)),
        lambda: consumer.peek(capacity + 1),
        lambda: consumer.wait(capacity + 1),
    ]:
        with pytest.raises(vfifo.OutOfRange) as raised:
            wrong()
        assert raised.value.errno == errno.EINVAL
    with pytest.raises(OverflowError):
        producer.reserve(-1)
    place = producer.reserve(10)
    for wrong in [lambda: place.put(b"12345678901"), lambda: place.put(b"x", 10), lambda: place.commit(11)]:
        with pytest.raises(vfifo.OutOfRange):
            wrong()
    # It is still there.
    place.put(b"x", 9)
    place.put(b"", 10)
    place.commit(10)
    peeked = consumer.peek(10)
    with pytest.raises(vfifo.OutOfRange):
        peeked.release(11)
    assert peeked.tobytes()[9:] == b"x"
    peeked.release(0)
    assert consumer.queued() == 10


def test_waits_for_enough(ends):
    producer, consumer = ends
    with Later(lambda: consumer.peek(3000, DEADLINE).tobytes()) as thread:
        for part in range(3):
            producer.send(pattern(part * 1000, 1000))
            time.sleep(0.02)
    assert thread.result == pattern(0, 3000)


def test_both_ends_at_once(ends):
    producer, consumer = ends
    size, total = 1000, 300_000

    def produce():
        for start in range(0, total, size):
            with producer.reserve(size, DEADLINE) as place:
                place.put(sent[start : start + size])
                place.commit()

    sent = pattern(0, total)
    got = bytearray()
    with Later(produce):
        while len(got) < total:
            got += consumer.read(timeout=DEADLINE)
    assert got == sent


def test_queued_bytes_are_there_for_the_next_consumer(device):
    with vfifo.Producer(device.path) as producer:
        producer.send(b"hello")
    with vfifo.Consumer(device.path) as consumer:
        assert consumer.read(2) == b"he"
    assert device.read(100) == b"llo"


def test_wakes_a_reader(device):
    file = device.open()
    with vfifo.Producer(device.path) as producer:
        with Later(os.read, file, 100) as thread:
            time.sleep(0.05)
            producer.send(b"awake")
        assert thread.result == b"awake"
    os.close(file)
