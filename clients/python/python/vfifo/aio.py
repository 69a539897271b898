# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Ends for asyncio.

They have the methods of the ends in the package. Those that wait are coroutines, and take no timeout:
use asyncio.timeout(). Everything else is in the attribute `end`, such as attempts that do not wait.

    async with vfifo.aio.RecordConsumer("/dev/vfifo0") as consumer:
        async for record in consumer:
            print(record)

All coroutines can be cancelled: nothing was queued then, and nothing was taken out. Waiting changes
nothing, and what follows the wait is done in one go.

A producer that overwrites never waits, so there is none here.
"""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import vfifo
from vfifo import overwriting

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = [
    "Consumer",
    "OverwritingConsumer",
    "OverwritingRecordConsumer",
    "Producer",
    "RecordConsumer",
    "RecordProducer",
]

_T = TypeVar("_T", bound=vfifo.End)

# A task that always finds something to do lets others run after so many times.
_FAIR = 32


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


class _Async(Generic[_T]):
    _class: type[_T]

    end: _T
    """The end, for what does not wait. Its methods that wait block the event loop."""

    def __init__(self, file: str | bytes | os.PathLike[str] | os.PathLike[bytes] | int | _HasFileno, /) -> None:
        self.end = self._class(file)  # type: ignore[call-arg]
        self._waiter: asyncio.Future[None] | None = None
        self._turn = 0

    @property
    def capacity(self) -> int:
        """The capacity of the buffer in bytes."""
        return self.end.capacity

    @property
    def closed(self) -> bool:
        """Whether the end was closed."""
        return self.end.closed

    def fileno(self) -> int:
        """The descriptor of the device."""
        return self.end.fileno()

    def close(self) -> None:
        """Give the end back, for other programs. A task that waits gets a ValueError.

        Raises BufferError if there are views of the buffer.
        """
        news = None if self.end.closed else self.end._news()
        self.end.close()
        self._dismiss(news)

    def _dismiss(self, news: int | None) -> None:
        """Ends the wait of a task, after the end was closed."""
        if self._waiter is not None and news is not None:
            # The descriptor may be that of another file soon.
            self._waiter.get_loop().remove_reader(news)
            if not self._waiter.done():
                self._waiter.set_exception(ValueError("this end of the FIFO was closed"))

    async def __aenter__(self) -> Self:
        self.end.__enter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """As close(). After an exception, the end is given back when the last view has gone."""
        news = None if self.end.closed else self.end._news()
        self.end.__exit__(exc_type, exc_value, traceback)
        self._dismiss(news)

    def __repr__(self) -> str:
        return f"<vfifo.aio.{type(self).__name__} of {self.end!r}>"

    async def _ready(self, need: int) -> None:
        """Waits until there are so many bytes: queued, or of room."""
        if self._waiter is not None:
            raise RuntimeError("another task waits at this end of the FIFO")
        self._turn += 1
        if self._turn % _FAIR == 0:
            await asyncio.sleep(0)
        # What happens after this question is news, and makes the descriptor readable. So whatever
        # comes before the loop watches the descriptor is not missed.
        while not self.end._ask(need):
            await self._news()

    async def _news(self) -> None:
        loop = asyncio.get_running_loop()
        news = self.end._news()
        self._waiter = waiter = loop.create_future()
        loop.add_reader(news, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if not self.end.closed:
                loop.remove_reader(news)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _size(data: ReadableBuffer) -> int:
    with memoryview(data) as view:
        return view.nbytes


class Producer(_Async[vfifo.Producer]):
    """The producer's end of a FIFO of bytes."""

    _class = vfifo.Producer

    async def wait(self, size: int = 1) -> None:
        """Wait until `size` bytes can be reserved."""
        await self._ready(size)

    async def reserve(self, size: int) -> vfifo.Reservation:
        """Reserve room for `size` bytes. See vfifo.Producer.reserve."""
        await self._ready(size)
        return self.end.reserve(size, timeout=0)

    async def send(self, data: ReadableBuffer) -> None:
        """Queue all of `data`. See vfifo.Producer.send."""
        await self._ready(_size(data))
        self.end.send(data, timeout=0)

    async def write(self, data: ReadableBuffer) -> int:
        """Queue as many bytes of `data` as there is room for, at least one. Returns their number."""
        await self._ready(min(_size(data), 1))
        return self.end.write(data, timeout=0)


class RecordProducer(_Async[vfifo.RecordProducer]):
    """The producer's end of a FIFO of records."""

    _class = vfifo.RecordProducer

    @property
    def largest(self) -> int:
        """The length of the largest record."""
        return self.end.largest

    async def wait(self, size: int = 1) -> None:
        """Wait until a record of `size` bytes fits."""
        await self._ready(size)

    async def reserve(self, size: int) -> vfifo.Reservation:
        """Reserve room for a record of up to `size` bytes. See vfifo.RecordProducer.reserve."""
        await self._ready(size)
        return self.end.reserve(size, timeout=0)

    async def send(self, data: ReadableBuffer) -> None:
        """Queue `data` as one record. See vfifo.RecordProducer.send."""
        await self._ready(_size(data))
        self.end.send(data, timeout=0)


class Consumer(_Async[vfifo.Consumer]):
    """The consumer's end of a FIFO of bytes."""

    _class = vfifo.Consumer

    async def wait(self, size: int = 1) -> None:
        """Wait until `size` bytes are queued."""
        await self._ready(size)

    async def peek(self, size: int = 1) -> vfifo.Peeked:
        """The queued bytes, in place, when there are `size`. See vfifo.Consumer.peek."""
        size = max(size, 1)
        await self._ready(size)
        return self.end.peek(size, timeout=0)

    async def read(self, size: int = -1) -> bytes:
        """Take at most `size` bytes out, or all that are queued. Returns b"" at the end."""
        try:
            await self._ready(min(abs(size), 1))
        except vfifo.NoWriters:
            return b""
        return self.end.read(size, timeout=0)

    async def readinto(self, buffer: WriteableBuffer) -> int:
        """Take bytes out, to `buffer`. Returns their number, or 0 at the end."""
        try:
            await self._ready(min(_size(buffer), 1))
        except vfifo.NoWriters:
            return 0
        return self.end.readinto(buffer, timeout=0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if data := await self.read():
            return data
        raise StopAsyncIteration


class RecordConsumer(_Async[vfifo.RecordConsumer]):
    """The consumer's end of a FIFO of records."""

    _class = vfifo.RecordConsumer

    async def wait(self) -> None:
        """Wait until a record is queued."""
        await self._ready(1)

    async def peek(self) -> vfifo.Records:
        """The queued records, in place, when there is one. See vfifo.RecordConsumer.peek."""
        await self._ready(1)
        return self.end.peek(timeout=0)

    async def receive(self) -> bytes:
        """Take the oldest record out. Raises NoWriters at the end."""
        await self._ready(1)
        return self.end.receive(timeout=0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except vfifo.NoWriters:
            raise StopAsyncIteration from None


class OverwritingConsumer(_Async[overwriting.Consumer]):
    """The consumer's end of a FIFO of bytes whose producer overwrites the oldest ones."""

    _class = overwriting.Consumer

    async def wait(self, size: int = 1) -> None:
        """Wait until `size` bytes are queued. They may be overwritten before they are read."""
        await self._ready(size)

    async def read(self, size: int = -1) -> overwriting.Copied:
        """Take at most `size` bytes out, or all that are queued. Raises NoWriters at the end."""
        while True:
            await self._ready(min(abs(size), 1))
            try:
                return self.end.read(size, timeout=0)
            except (vfifo.NotYet, vfifo.Overtaken):
                await asyncio.sleep(0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> overwriting.Copied:
        try:
            return await self.read()
        except vfifo.NoWriters:
            raise StopAsyncIteration from None


class OverwritingRecordConsumer(_Async[overwriting.RecordConsumer]):
    """The consumer's end of a FIFO of records whose producer overwrites the oldest ones."""

    _class = overwriting.RecordConsumer

    async def wait(self) -> None:
        """Wait until a record is queued. It may be overwritten before it is read."""
        await self._ready(1)

    async def receive(self) -> overwriting.Copied:
        """Take the oldest record out. Raises NoWriters at the end."""
        while True:
            await self._ready(1)
            try:
                return self.end.receive(timeout=0)
            except (vfifo.NotYet, vfifo.Overtaken):
                await asyncio.sleep(0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> overwriting.Copied:
        try:
            return await self.receive()
        except vfifo.NoWriters:
            raise StopAsyncIteration from None
