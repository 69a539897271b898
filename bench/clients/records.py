# SPDX-License-Identifier: GPL-2.0
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""One end of a FIFO of records, with the Python package: records.py WAY produce|consume DEVICE SIZE COUNT

It does what records.c does. The ways: "place" works in place, "copy" uses send() and receive(), "aio" works in place with
asyncio.
"""

import asyncio
import sys
import time

import vfifo
from vfifo import aio


def ready():
    print("ready", flush=True)


def took(begin):
    print(time.monotonic() - begin)


def produce_place(device, size, count):
    data = bytes(size)
    with vfifo.RecordProducer(device) as producer:
        for _ in range(count):
            with producer.reserve(size) as place:
                place.put(data)
                place.commit()


def take(records, memory):
    """Copies a record that is there."""
    memory[:] = next(records)
    records.release()


def consume_place(device, size, count):
    memory = memoryview(bytearray(size))
    with vfifo.RecordConsumer(device) as consumer:
        ready()
        consumer.wait()
        begin = time.monotonic()
        for _ in range(count):
            take(consumer.peek(), memory)
        took(begin)


def produce_copy(device, size, count):
    data = bytes(size)
    with vfifo.RecordProducer(device) as producer:
        for _ in range(count):
            producer.send(data)


def consume_copy(device, size, count):
    with vfifo.RecordConsumer(device) as consumer:
        ready()
        consumer.wait()
        begin = time.monotonic()
        for _ in range(count):
            consumer.receive()
        took(begin)


async def produce_async(device, size, count):
    data = bytes(size)
    async with aio.RecordProducer(device) as producer:
        for _ in range(count):
            with await producer.reserve(size) as place:
                place.put(data)
                place.commit()


async def consume_async(device, size, count):
    memory = memoryview(bytearray(size))
    async with aio.RecordConsumer(device) as consumer:
        ready()
        await consumer.wait()
        begin = time.monotonic()
        for _ in range(count):
            take(await consumer.peek(), memory)
        took(begin)


def produce_aio(*arguments):
    asyncio.run(produce_async(*arguments))


def consume_aio(*arguments):
    asyncio.run(consume_async(*arguments))


def main():
    way, end, device, size, count = sys.argv[1:]
    globals()[f"{end}_{way}"](device, int(size), int(count))


if __name__ == "__main__":
    main()
