# SPDX-License-Identifier: GPL-2.0 OR MIT
# Copyright (C) 2026 Seed 1f3ad1c2 maintainers.
"""The exceptions of the package. All of them are OSErrors, and have an errno."""


class Error(OSError):
    """An operation on a FIFO did not succeed."""


class NotYet(Error, BlockingIOError):
    """Nothing is queued yet, or there is no room yet, or not as much as was asked for (EAGAIN)."""


class TimedOut(NotYet, TimeoutError):
    """The same, after the time that the call was given (EAGAIN)."""


class Ended(Error):
    """There never will be what was asked for: everybody at the other end has gone.

    If somebody comes back, the stream goes on.
    """


class NoWriters(Ended, EOFError):
    """All writers have gone (ENODATA)."""


class NoReaders(Ended, BrokenPipeError):
    """All readers have gone (EPIPE)."""


class Overtaken(Error):
    """The producer has overwritten what was about to be read, in each of several attempts (ESTALE).

    Nothing was taken out. The next attempt skips more.
    """


class Broken(Error):
    """The FIFO is in its error state: a position or the header of a record is impossible (EIO)."""


class RecordLength(Error, ValueError):
    """No record can have this length (EMSGSIZE)."""


class OutOfRange(Error, ValueError):
    """More than the capacity, or than what was reserved or peeked at (EINVAL)."""


class Claimed(Error):
    """This end of the FIFO is mapped already, by this program or another (EBUSY)."""


class NotVfifo(Error):
    """The file is not a vfifo (ENOTTY)."""


class WrongKind(Error):
    """The FIFO is of another kind than the class (EOPNOTSUPP). The message names the right class."""


# As they are known to programs.
for _class in (
    Error, NotYet, TimedOut, Ended, NoWriters, NoReaders, Overtaken, Broken, RecordLength, OutOfRange, Claimed,
    NotVfifo, WrongKind,
):  # fmt: skip
    _class.__module__ = "vfifo"
