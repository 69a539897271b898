# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Records."""

import errno
import os
import struct

import pytest
from conftest import DEADLINE, Later, pattern

import vfifo

COUNT = 300


def payload(number):
    return pattern(number, 1 + number * 37 % 1500)


def test_in_place(record_ends):
    producer, consumer = record_ends
    with producer.reserve(100) as place:
        place.put(b"short")
        # The rest is given up.
        place.commit(5)
    producer.send(b"second")
    with consumer.peek() as records:
        copies = [bytes(record) for record in records]
        assert copies == [b"short", b"second"]
        assert list(records) == []
        records.release()
    with pytest.raises(vfifo.NotYet):
        consumer.peek(timeout=0)


def test_only_records_that_were_returned_are_released(record_ends):
    producer, consumer = record_ends
    for number in range(5):
        producer.send(b"%d" % number)
    with consumer.peek() as records:
        for record in records:
            if bytes(record) == b"2":
                break
        records.release()
    assert consumer.receive() == b"3"
    # None was returned.
    consumer.peek().release()
    # They are not released at all.
    with consumer.peek() as records:
        assert [len(record) for record in records] == [1]
    assert consumer.receive() == b"4"


def test_moves_records(record_ends):
    producer, consumer = record_ends

    def produce():
        for number in range(COUNT):
            if number % 2:
                producer.send(payload(number), DEADLINE)
            else:
                with producer.reserve(1600, DEADLINE) as place:
                    place.put(payload(number))
                    place.commit(len(payload(number)))

    got = []
    with Later(produce):
        while len(got) < COUNT:
            if len(got) % 3:
                got.append(consumer.receive(DEADLINE))
            else:
                with consumer.peek(DEADLINE) as records:
                    got += [record.tobytes() for record in records]
                    records.release()
    assert got == [payload(number) for number in range(COUNT)]


def test_the_other_end_is_a_file(device):
    device.become(framing="record")
    with vfifo.RecordProducer(device.path) as producer:
        producer.send(b"one")
        producer.send(b"two")
        assert device.read(100) == b"one"
        assert device.read(100) == b"two"
    with vfifo.RecordConsumer(device.path) as consumer:
        device.write(b"three")
        device.write(b"four")
        assert consumer.queued() == 32
        assert consumer.receive() == b"three"
        assert next(consumer) == b"four"


def test_iterates_to_the_end(device):
    device.become(framing="record", hangup=1)
    with vfifo.RecordConsumer(device.path) as consumer:
        file = device.open(os.O_WRONLY)
        os.write(file, b"one")
        os.write(file, b"two")
        os.close(file)
        assert list(consumer) == [b"one", b"two"]
        with pytest.raises(vfifo.NoWriters) as raised:
            consumer.receive()
        assert raised.value.errno == errno.ENODATA
        with pytest.raises(EOFError):
            consumer.peek()


def test_lengths(record_ends):
    producer, consumer = record_ends
    assert producer.largest == producer.capacity - 8
    for wrong in [
        lambda: producer.send(b""),
        lambda: producer.reserve(0),
        lambda: producer.reserve(producer.largest + 1),
        lambda: producer.wait(producer.largest + 1),
    ]:
        with pytest.raises(vfifo.RecordLength) as raised:
            wrong()
        assert raised.value.errno == errno.EMSGSIZE
    place = producer.reserve(8)
    with pytest.raises(vfifo.OutOfRange):
        place.commit(0)
    place.commit(1)
    consumer.receive()
    largest = pattern(0, producer.largest)
    producer.send(largest)
    with pytest.raises(vfifo.TimedOut):
        producer.send(b"x", timeout=0.02)
    assert consumer.receive() == largest


def test_an_impossible_header_is_told(device, record_ends):
    producer, consumer = record_ends
    producer.send(b"good")
    producer.send(b"wrong header")
    with device.data() as data:
        header = data.find(b"wrong header") - 8
        data[header : header + 8] = struct.pack("=II", 0, 7)
    records = consumer.peek()
    assert next(records).tobytes() == b"good"
    with pytest.raises(vfifo.Broken) as raised:
        next(records)
    assert raised.value.errno == errno.EIO
    # What was good can be released.
    records.release()
    with pytest.raises(vfifo.Broken):
        consumer.receive()
