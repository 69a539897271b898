# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Views of the buffer never outlive what they show."""

import gc

import numpy
import pytest
from conftest import pattern

import vfifo


def views(exporter):
    """Some of what holds a view."""
    yield memoryview(exporter)
    yield memoryview(exporter)[2:5]
    yield memoryview(exporter).cast("H")
    yield numpy.frombuffer(exporter, numpy.uint8)
    yield numpy.frombuffer(exporter, numpy.uint16)[1:].reshape(-1, 1)
    yield [view for view in [memoryview(exporter)] for _ in range(3)]


@pytest.mark.parametrize("number", range(6))
def test_nothing_is_committed_while_there_is_a_view(ends, number):
    producer, consumer = ends
    place = producer.reserve(8)
    place.put(b"reserved")
    view = list(views(place))[number]
    with pytest.raises(BufferError, match="views"):
        place.commit()
    assert consumer.queued() == 0
    del view
    place.commit()
    assert consumer.read() == b"reserved"


@pytest.mark.parametrize("number", range(6))
def test_nothing_is_released_while_there_is_a_view(ends, number):
    producer, consumer = ends
    producer.send(b"queued!!")
    peeked = consumer.peek()
    view = list(views(peeked))[number]
    with pytest.raises(BufferError, match="views"):
        peeked.release()
    with pytest.raises(BufferError, match="views"):
        peeked.release(1)
    assert producer.room() == producer.capacity - 8
    del view
    peeked.release()
    assert producer.room() == producer.capacity


def test_bytes_do_not_change_under_a_view(ends):
    """The producer cannot reuse room that a view shows, however much it wants it."""
    producer, consumer = ends
    capacity = producer.capacity
    producer.send(pattern(0, capacity))
    view = memoryview(consumer.peek())
    for action in [lambda: consumer.read(), lambda: consumer.peek(), lambda: next(consumer)]:
        with pytest.raises(BufferError):
            action()
    with pytest.raises(vfifo.NotYet):
        producer.send(b"x", timeout=0)
    assert view == pattern(0, capacity)
    view.release()
    assert consumer.read() == pattern(0, capacity)
    producer.send(bytes(capacity))


def test_nothing_else_is_done_with_an_end_while_there_is_a_view(ends):
    producer, consumer = ends
    producer.send(b"queued")
    place, peeked = producer.reserve(4), consumer.peek()
    held = memoryview(place), memoryview(peeked)
    for action in [
        lambda: producer.reserve(1),
        lambda: producer.send(b"x"),
        lambda: producer.write(b"x"),
        lambda: producer.wait(),
        lambda: producer.room(),
        lambda: producer.check(),
        lambda: producer.close(),
        lambda: consumer.peek(),
        lambda: consumer.read(),
        lambda: consumer.readinto(bytearray(1)),
        lambda: consumer.wait(),
        lambda: consumer.queued(),
        lambda: consumer.close(),
    ]:
        with pytest.raises(BufferError, match="views"):
            action()
    assert not producer.closed and not consumer.closed
    # What they show is what it was, and can still be used.
    place.put(b"more")
    assert held[0] == b"more" and held[1] == b"queued"
    del held
    place.commit()
    assert consumer.read() == b"queuedmore"


def test_numpy_works_in_place(ends):
    producer, consumer = ends
    with producer.reserve(8000) as place:
        array = numpy.frombuffer(place, numpy.float64)
        assert array.flags.writeable and not array.flags.owndata
        array[:] = numpy.arange(1000) / 7
        # A second array shows the same memory.
        assert numpy.frombuffer(place, numpy.float64)[999] == 999 / 7
        del array
        place.commit()
    with consumer.peek(8000) as peeked:
        array = numpy.frombuffer(peeked, numpy.float64)
        assert not array.flags.writeable and not array.flags.owndata
        assert (array == numpy.arange(1000) / 7).all()
        assert numpy.shares_memory(array, numpy.frombuffer(peeked, numpy.uint8))
        del array
        peeked.release()


def test_numpy_sends_and_receives(ends):
    producer, consumer = ends
    sent = numpy.arange(12, dtype=numpy.int32).reshape(3, 4)
    producer.send(sent)
    got = numpy.zeros((3, 4), numpy.int32)
    assert consumer.readinto(got) == 48
    assert (got == sent).all()


def test_queued_bytes_are_read_only(ends):
    producer, consumer = ends
    producer.send(b"queued")
    peeked = consumer.peek()
    view = memoryview(peeked)
    assert view.readonly
    with pytest.raises(TypeError):
        view[0] = 1
    with pytest.raises(ValueError):
        numpy.frombuffer(peeked, numpy.uint8)[0] = 1
    with pytest.raises((BufferError, TypeError)), open("/dev/zero", "rb", buffering=0) as file:
        file.readinto(peeked)
    assert not memoryview(producer.reserve(1)).readonly


def test_no_view_of_what_is_over(ends):
    producer, consumer = ends
    place = producer.reserve(4)
    place.commit()
    peeked = consumer.peek()
    peeked.release()
    for over in [
        lambda: memoryview(place),
        lambda: numpy.frombuffer(place, numpy.uint8),
        lambda: place.put(b"x"),
        lambda: place.commit(),
        lambda: bytes(peeked),
        lambda: peeked.tobytes(),
        lambda: peeked.release(),
    ]:
        with pytest.raises(ValueError, match="released"):
            over()


def test_a_reservation_replaces_the_one_before(ends):
    producer, consumer = ends
    first = producer.reserve(4)
    second = producer.reserve(6)
    with pytest.raises(ValueError):
        first.commit()
    # Leaving its block does not give up the other.
    with first:
        pass
    second.put(b"second")
    second.commit()
    assert consumer.read() == b"second"


def test_a_view_outlives_the_block(ends):
    """The reservation is given up, but its memory is not reserved again until the view has gone."""
    producer, consumer = ends
    with producer.reserve(4) as place:
        view = memoryview(place)
    view[:] = b"late"
    with pytest.raises(BufferError):
        producer.reserve(4)
    assert view == b"late"
    view.release()
    producer.reserve(4)
    assert consumer.queued() == 0


def test_closing_waits_for_views(device):
    producer = vfifo.Producer(device.path)
    view = memoryview(producer.reserve(4))
    with pytest.raises(BufferError):
        producer.close()
    view.release()
    producer.close()
    producer.close()
    with vfifo.Producer(device.path):
        pass


def test_an_exception_is_not_hidden_by_views(device):
    """Frames of the traceback hold views. The end is closed for all, and given back with the last one."""
    with pytest.raises(ZeroDivisionError) as raised, vfifo.Producer(device.path) as producer:
        view = memoryview(producer.reserve(4))
        view[0] = 1 // 0
    assert producer.closed
    with pytest.raises(ValueError, match="closed"):
        producer.reserve(1)
    # It is still mapped.
    view[:] = b"safe"
    assert view == b"safe"
    with pytest.raises(vfifo.Claimed):
        vfifo.Producer(device.path)
    view.release()
    del raised
    with vfifo.Producer(device.path):
        pass


def test_a_view_keeps_the_mapping(device):
    view = memoryview(vfifo.Producer(device.path).reserve(4))
    gc.collect()
    view[:] = b"kept"
    assert view == b"kept"
    with pytest.raises(vfifo.Claimed):
        vfifo.Producer(device.path)
    del view
    with vfifo.Producer(device.path):
        pass


def test_views_of_records(record_ends):
    producer, consumer = record_ends
    for payload in [b"one", b"two", b"three"]:
        producer.send(payload)
    records = consumer.peek()
    first, second = next(records), next(records)
    view = memoryview(first)
    with pytest.raises(BufferError):
        records.release()
    with pytest.raises(BufferError):
        consumer.receive()
    assert view == b"one" and bytes(second) == b"two"
    view.release()
    records.release()
    for over in [lambda: bytes(first), lambda: second.tobytes(), lambda: next(records), lambda: records.release()]:
        with pytest.raises(ValueError):
            over()
    assert consumer.receive() == b"three"


def test_records_are_aligned(record_ends):
    producer, consumer = record_ends
    place = producer.reserve(24)
    array = numpy.frombuffer(place, numpy.float64)
    assert array.ctypes.data % 8 == 0
    array[:] = [1, 2, 3]
    del array
    place.commit()
    with consumer.peek() as records:
        assert numpy.frombuffer(next(records), numpy.float64).sum() == 6
        records.release()


def test_others_may_change_what_a_view_shows(device, ends):
    """Not a promise that anybody wants, but what README.md warns of."""
    producer, consumer = ends
    producer.send(b"signed")
    peeked = consumer.peek()
    view = memoryview(peeked)
    copy = bytes(view)
    with device.data() as data:
        at = data.find(b"signed")
        data[at : at + 6] = b"forged"
    assert view == b"forged" and copy == b"signed"
