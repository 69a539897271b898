# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""The device that the tests use. Bytes that are queued there are lost."""

import fcntl
import gc
import mmap
import os
import pathlib
import struct
import threading

import pytest

import vfifo

VFIFO_CLEAR = 0x6B01
VFIFO_GET_INFO = 0xC0306B03

# Something that should happen at once takes no longer. It is longer in a slow kernel.
DEADLINE = 20 * int(os.environ.get("VFIFO_SCALE", "1"))


def pattern(start, size):
    """Bytes that are different at each place."""
    return bytes((i * 0x9E3779B9 >> 24) & 0xFF for i in range(start, start + size))


class Device:
    def __init__(self, path):
        self.path = path
        self.attributes = pathlib.Path("/sys/class/vfifo") / pathlib.Path(path).name

    def set(self, **settings):
        for name, value in settings.items():
            (self.attributes / name).write_text(str(value))

    def get(self, name):
        return (self.attributes / name).read_text().strip()

    def become(self, framing="stream", overwrite=0, hangup=0):
        """An empty FIFO of that kind."""
        self.clear()
        self.set(hangup=hangup, overwrite=overwrite, framing=framing)

    def clear(self):
        file = self.open()
        try:
            fcntl.ioctl(file, VFIFO_CLEAR)
        finally:
            os.close(file)

    def open(self, flags=os.O_RDWR):
        return os.open(self.path, flags)

    def write(self, data):
        file = self.open()
        try:
            assert os.write(file, data) == len(data)
        finally:
            os.close(file)

    def read(self, size):
        file = self.open(os.O_RDWR | os.O_NONBLOCK)
        try:
            return os.read(file, size)
        finally:
            os.close(file)

    def data(self):
        """The data, mapped as others can do it: they can store to it at any time."""
        file = self.open()
        try:
            info = bytearray(struct.pack("=IIQQQQQ", 48, 0, 0, 0, 0, 0, 0))
            fcntl.ioctl(file, VFIFO_GET_INFO, info)
            _, _, capacity, offset, _, _, _ = struct.unpack("=IIQQQQQ", info)
            return mmap.mmap(file, 2 * capacity, offset=offset)
        finally:
            os.close(file)


@pytest.fixture
def device():
    device = Device(os.environ["VFIFO_DEVICE"])
    # What an earlier test that failed has left.
    gc.collect()
    device.become()
    yield device
    gc.collect()
    device.become()


@pytest.fixture
def ends(device):
    """A producer and a consumer of a stream of bytes."""
    with vfifo.Producer(device.path) as producer, vfifo.Consumer(device.path) as consumer:
        yield producer, consumer


@pytest.fixture
def record_ends(device):
    """A producer and a consumer of records."""
    device.become(framing="record")
    with vfifo.RecordProducer(device.path) as producer, vfifo.RecordConsumer(device.path) as consumer:
        yield producer, consumer


class Later(threading.Thread):
    """Does something in another thread, and joins it."""

    def __init__(self, action, *arguments):
        super().__init__()
        self.action = action
        self.arguments = arguments
        self.error = None

    def run(self):
        try:
            self.result = self.action(*self.arguments)
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.join(DEADLINE)
        assert not self.is_alive()
        if self.error is not None and exception == (None, None, None):
            raise self.error
