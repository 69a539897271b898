# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""The ends of a FIFO whose producer never waits: the oldest bytes or records make way for new ones.

The device's attribute overwrite is 1. The consumers return copies that they have found to be intact,
since what is queued can be overwritten at any time. So nothing is peeked at in place.
"""

from typing import NamedTuple

from ._vfifo import (
    OverwritingConsumer as Consumer,
    OverwritingProducer as Producer,
    OverwritingRecordConsumer as RecordConsumer,
    OverwritingRecordProducer as RecordProducer,
)

__all__ = ["Consumer", "Copied", "Producer", "RecordConsumer", "RecordProducer"]


class Copied(NamedTuple):
    """What a consumer has read."""

    data: bytes
    """The bytes, or the record."""

    lost: int
    """How many bytes before them were lost: overwritten or skipped. Headers and padding count."""
