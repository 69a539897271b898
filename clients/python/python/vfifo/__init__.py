# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Both ends of a vfifo, a FIFO device of Linux: produce and consume in place.

A Producer reserves room, stores to it and commits. A Consumer peeks at the queued bytes, uses them
and releases them. Both work in the memory that they share, so there is no copy, and no system call
as long as both keep up:

    with vfifo.Producer("/dev/vfifo0") as producer:
        with producer.reserve(5) as place:
            memoryview(place)[:] = b"hello"
            place.commit()

    with vfifo.Consumer("/dev/vfifo0") as consumer:
        with consumer.peek(5) as peeked:
            print(bytes(peeked))
            peeked.release()

RecordProducer and RecordConsumer are for FIFOs of records, the module vfifo.overwriting for those
whose producer overwrites the oldest data, and vfifo.aio for asyncio.
"""

from ._errors import (
    Broken,
    Claimed,
    Ended,
    Error,
    NoReaders,
    NotVfifo,
    NotYet,
    NoWriters,
    OutOfRange,
    Overtaken,
    RecordLength,
    TimedOut,
    WrongKind,
)
from ._vfifo import (
    AnyProducer,
    Consumer,
    End,
    Info,
    Peeked,
    Producer,
    Record,
    RecordConsumer,
    RecordProducer,
    Records,
    Reservation,
)

__version__ = "0.1.0"

__all__ = [
    "AnyProducer",
    "Broken",
    "Claimed",
    "Consumer",
    "End",
    "Ended",
    "Error",
    "Info",
    "NoReaders",
    "NoWriters",
    "NotVfifo",
    "NotYet",
    "OutOfRange",
    "Overtaken",
    "Peeked",
    "Producer",
    "Record",
    "RecordConsumer",
    "RecordLength",
    "RecordProducer",
    "Records",
    "Reservation",
    "TimedOut",
    "WrongKind",
]
