# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""Waiting lets other threads and signal handlers run."""

import os
import signal
import threading
import time

import pytest
from conftest import DEADLINE, Later

import vfifo


def test_other_threads_run(ends):
    """Both ends of this FIFO are in one process. If waiting kept the interpreter, it would be stuck."""
    producer, consumer = ends
    with Later(consumer.read, 100, DEADLINE) as thread:
        time.sleep(0.05)
        producer.send(b"for the other thread")
    assert thread.result == b"for the other thread"
    producer.send(bytes(producer.capacity))
    with Later(producer.send, b"waits", DEADLINE):
        time.sleep(0.05)
        assert len(consumer.read(10)) == 10


def test_one_thread_at_a_time(ends):
    producer, consumer = ends
    with Later(consumer.read, 100, DEADLINE) as thread:
        while not thread.is_alive():
            pass
        time.sleep(0.1)
        for action in [consumer.queued, consumer.close, lambda: consumer.read(timeout=0)]:
            with pytest.raises(RuntimeError, match="another thread"):
                action()
        producer.send(b"x")
    assert thread.result == b"x"


class Interrupt(Exception):
    pass


@pytest.fixture
def alarm():
    """Calls that handler soon."""

    def start(handler, seconds=0.1):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.getsignal(signal.SIGALRM)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_signals_interrupt(ends, alarm):
    producer, consumer = ends

    def handler(*_):
        raise Interrupt

    producer.send(bytes(producer.capacity))
    peeked = consumer.peek()
    peeked.release()
    for wait in [
        lambda: consumer.read(),
        lambda: consumer.peek(timeout=DEADLINE),
        lambda: next(consumer),
        lambda: consumer.wait(),
    ]:
        alarm(handler)
        with pytest.raises(Interrupt):
            wait()
    # Nothing is lost, and nobody is left waiting.
    producer.send(b"x")
    assert consumer.read() == b"x"
    producer.send(bytes(producer.capacity))
    for wait in [lambda: producer.send(b"x"), lambda: producer.reserve(1), lambda: producer.wait()]:
        alarm(handler)
        with pytest.raises(Interrupt):
            wait()
    assert consumer.read() == bytes(producer.capacity)


def test_control_c(ends):
    _, consumer = ends
    timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        consumer.read(timeout=DEADLINE)
    timer.join()


def test_a_handler_that_returns_does_not_end_the_wait(ends, alarm):
    _, consumer = ends
    called = []
    alarm(lambda *_: called.append(1))
    begin = time.monotonic()
    with pytest.raises(vfifo.TimedOut):
        consumer.read(timeout=0.4)
    assert called == [1]
    assert time.monotonic() - begin >= 0.4
