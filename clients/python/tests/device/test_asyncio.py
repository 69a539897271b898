# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Ends for asyncio."""

import asyncio
import os

import pytest
from conftest import DEADLINE, pattern

import vfifo
from vfifo import aio


def run(coroutine):
    """Without pytest-asyncio. No test lasts for ever."""
    return asyncio.run(asyncio.wait_for(coroutine, DEADLINE), debug=False)


def payload(number):
    return pattern(number, 1 + number * 37 % 1500)


def test_records(device):
    device.become(framing="record", hangup=1)
    count = 300

    async def produce(producer):
        async with producer:
            for number in range(count):
                if number % 2:
                    await producer.send(payload(number))
                else:
                    with await producer.reserve(1600) as place:
                        place.put(payload(number))
                        place.commit(len(payload(number)))

    async def consume(consumer):
        async with consumer:
            return [record async for record in consumer]

    async def both():
        consumer = aio.RecordConsumer(device.path)
        producer = aio.RecordProducer(device.path)
        assert producer.largest == producer.capacity - 8 == consumer.capacity - 8
        _, got = await asyncio.gather(produce(producer), consume(consumer))
        assert producer.closed and consumer.closed
        return got

    assert run(both()) == [payload(number) for number in range(count)]


def test_records_in_place(device):
    device.become(framing="record")

    async def both():
        async with aio.RecordProducer(device.path) as producer, aio.RecordConsumer(device.path) as consumer:
            peek = asyncio.create_task(consumer.peek())
            await asyncio.sleep(0.05)
            assert not peek.done()
            await producer.send(b"one")
            with await peek as records:
                assert [bytes(record) for record in records] == [b"one"]
                records.release()
            await producer.wait(100)
            await producer.send(b"two")
            await consumer.wait()
            return await consumer.receive()

    assert run(both()) == b"two"


def test_bytes(device):
    device.become(hangup=1)
    total = pattern(0, 300_000)

    async def produce(producer):
        async with producer:
            await producer.send(total[:1000])
            with await producer.reserve(1000) as place:
                place.put(total[1000:2000])
                place.commit()
            done = 2000
            while done < len(total):
                done += await producer.write(total[done:])

    async def consume(consumer):
        async with consumer:
            got = await consumer.read(10)
            with await consumer.peek(1000) as peeked:
                got += bytes(peeked)[:1000]
                peeked.release(1000)
            buffer = bytearray(10)
            got += buffer[: await consumer.readinto(buffer)]
            assert await consumer.read(0) == b""
            async for data in consumer:
                got += data
            assert await consumer.read() == b""
            assert await consumer.readinto(buffer) == 0
            with pytest.raises(vfifo.NoWriters):
                await consumer.wait()
            return got

    async def both():
        producer, consumer = aio.Producer(device.path), aio.Consumer(device.path)
        return (await asyncio.gather(produce(producer), consume(consumer)))[1]

    assert run(both()) == total


def test_waits_for_more_than_one_byte_without_spinning(device):
    async def both():
        async with aio.Producer(device.path) as producer, aio.Consumer(device.path) as consumer:
            asked = 0
            ask = consumer.end._ask

            class Counting:
                def __getattr__(self, name):
                    return getattr(end, name)

                def _ask(self, need):
                    nonlocal asked
                    asked += 1
                    return ask(need)

            end, consumer.end = consumer.end, Counting()
            peek = asyncio.create_task(consumer.peek(100))
            for _ in range(9):
                await asyncio.sleep(0.02)
                await producer.send(b"0123456789")
            assert not peek.done()
            await producer.send(b"0123456789")
            size = len(await peek)
            consumer.end = end
            return size, asked

    size, asked = run(both())
    assert size == 100
    # One for each news and one at first, and perhaps some without a reason.
    assert asked <= 15


def test_a_cancelled_send_has_queued_nothing(device):
    device.become(framing="record")

    async def both():
        async with aio.RecordProducer(device.path) as producer, aio.RecordConsumer(device.path) as consumer:
            await producer.send(bytes(producer.largest))
            for send in [producer.send(b"cancelled"), producer.reserve(10), producer.wait(10)]:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(send, 0.05)
            assert await consumer.receive() == bytes(producer.largest)
            await producer.send(b"next")
            return await consumer.receive()

    assert run(both()) == b"next"


def test_a_cancelled_wait_has_taken_nothing(device):
    device.become(framing="record")

    async def both():
        async with aio.RecordProducer(device.path) as producer, aio.RecordConsumer(device.path) as consumer:
            for number in range(50):
                receive = asyncio.create_task(consumer.receive())
                await asyncio.sleep(0)
                producer.end.send(b"%d" % number)
                # The news may have come already.
                if number % 2:
                    await asyncio.sleep(0)
                receive.cancel()
                try:
                    got = await receive
                except asyncio.CancelledError:
                    got = await consumer.receive()
                assert got == b"%d" % number

    run(both())


def test_a_handful_of_fifos_in_one_loop(device):
    """The two ends of one FIFO, a timer and a socket."""

    async def all_of_them():
        async with aio.Producer(device.path) as producer, aio.Consumer(device.path) as consumer:
            server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            ticker = asyncio.create_task(tick())
            consume = asyncio.create_task(consumer.peek(5))
            while ticks < 3:
                await asyncio.sleep(0)
            await producer.send(b"hello")
            await consume
            ticker.cancel()
            server.close()

    run(all_of_them())


def test_a_busy_task_lets_others_run(device):
    device.become(framing="record")

    async def both():
        async with aio.RecordProducer(device.path) as producer, aio.RecordConsumer(device.path) as consumer:
            other = asyncio.create_task(asyncio.sleep(0))
            turns = 0
            while not other.done():
                # Each of them is ready at once.
                await producer.send(b"x")
                await consumer.receive()
                turns += 1
            return turns

    assert run(both()) <= 64


def test_one_task_at_a_time(device):
    async def both():
        async with aio.Consumer(device.path) as consumer:
            first = asyncio.create_task(consumer.read())
            await asyncio.sleep(0.02)
            with pytest.raises(RuntimeError, match="another task"):
                await consumer.read()
            assert not first.done()
            device.write(b"x")
            return await first

    assert run(both()) == b"x"


def test_closing_ends_a_wait(device):
    async def both():
        consumer = aio.Consumer(device.path)
        read = asyncio.create_task(consumer.read())
        await asyncio.sleep(0.02)
        consumer.close()
        consumer.close()
        with pytest.raises(ValueError, match="closed"):
            await read
        with pytest.raises(ValueError, match="closed"):
            await consumer.read()
        assert repr(consumer) == "<vfifo.aio.Consumer of <vfifo.Consumer closed>>"
        with pytest.raises(ZeroDivisionError):
            async with aio.Consumer(device.path) as consumer:
                read = asyncio.create_task(consumer.read())
                await asyncio.sleep(0.02)
                1 / 0
        with pytest.raises(ValueError, match="closed"):
            await read
        async with aio.Consumer(device.path) as consumer:
            device.write(b"x")
            return await consumer.read()

    assert run(both()) == b"x"


def test_views_hold_the_end(device):
    async def both():
        async with aio.Producer(device.path) as producer:
            view = memoryview(await producer.reserve(4))
            with pytest.raises(BufferError):
                await producer.send(b"x")
            with pytest.raises(BufferError):
                producer.close()
            view.release()
            await producer.send(b"x")

    run(both())


def test_a_new_writer_continues_the_stream(device):
    device.become(hangup=1)

    async def both():
        async with aio.Consumer(device.path) as consumer:
            for number in range(3):
                file = device.open(os.O_WRONLY)
                read = asyncio.create_task(consumer.read())
                await asyncio.sleep(0.02)
                os.write(file, b"%d" % number)
                assert await read == b"%d" % number
                os.close(file)
                assert await consumer.read() == b""

    run(both())


def test_readers_have_gone(device):
    device.become(hangup=1)

    async def both():
        async with aio.Producer(device.path) as producer:
            file = device.open(os.O_RDONLY)
            await producer.send(bytes(producer.capacity))
            send = asyncio.create_task(producer.send(b"x"))
            await asyncio.sleep(0.02)
            assert not send.done()
            os.close(file)
            with pytest.raises(vfifo.NoReaders):
                await send

    run(both())


def test_overwriting(device):
    device.become(overwrite=1, hangup=1)

    async def stream():
        async with aio.OverwritingConsumer(device.path) as consumer:
            file = device.open(os.O_WRONLY)
            read = asyncio.create_task(consumer.read(2))
            await asyncio.sleep(0.02)
            os.write(file, bytes(consumer.capacity) + b"abc")
            got = await read
            assert got.data == bytes(2)
            await consumer.wait(1)
            os.close(file)
            return [len(copied.data) async for copied in consumer], consumer.capacity

    sizes, capacity = run(stream())
    assert sum(sizes) <= capacity + 1
    device.become(framing="record", overwrite=1, hangup=1)

    async def records():
        async with aio.OverwritingRecordConsumer(device.path) as consumer:
            file = device.open(os.O_WRONLY)
            receive = asyncio.create_task(consumer.receive())
            await asyncio.sleep(0.02)
            os.write(file, b"one")
            assert await receive == (b"one", 0)
            os.write(file, b"two")
            await consumer.wait()
            os.close(file)
            return [copied.data async for copied in consumer]

    assert run(records()) == [b"two"]
