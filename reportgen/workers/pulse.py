"""What a worker is doing tells its parent how long it may take: a word in memory that both share.

A limit of time for a whole shard is the sum of what its users may take, which is hours where a user may take minutes. So a worker
says for each step how long that may take, and its parent ends it when the step goes on well beyond that. The step itself is
interrupted at its limit by `limit.time_limit`; this is for what hangs outside of Python, where no signal is heard.
Two numbers are written into a shared page, so that a step costs a microsecond and no system call.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

_BEAT = struct.Struct("=Qd")


@dataclass(frozen=True)
class Beat:
    """What was said last: how many steps were begun or ended until then, and the seconds of this one; 0 between two steps."""

    count: int
    seconds: float


class Pulse:
    """A page of memory that a process shares with one that it starts; `handle` is the file behind it."""

    def __init__(self, handle: int) -> None:
        self._page = mmap.mmap(handle, mmap.PAGESIZE)

    def say(self, seconds: float) -> None:
        """A step begins that may take so many seconds, or with 0 it has ended."""
        _BEAT.pack_into(self._page, 0, _BEAT.unpack_from(self._page)[0] + 1, seconds)

    def hear(self) -> Beat:
        """What was said last. While it is being said, it may be half of it: two that are equal are whole."""
        return Beat(*_BEAT.unpack_from(self._page))


@contextmanager
def lent() -> Iterator[tuple[Pulse, int]]:
    """A new pulse, and the descriptor to start a process with, which is open as long as the block lasts."""
    with _memory() as file:
        file.write(bytes(mmap.PAGESIZE))  # a page with nothing behind it could not be written on a full disk
        yield Pulse(file.fileno()), file.fileno()


def _memory() -> IO[bytes]:
    anonymous = getattr(os, "memfd_create", None)  # Linux; nothing of it is on a disk
    return open(anonymous("pulse"), "w+b", buffering=0) if anonymous else tempfile.TemporaryFile(buffering=0)


#: The pulse of this process, where it is a worker.
_OWN: list[Pulse] = []


def wear(handle: int) -> None:
    """From now on the steps of this process are told through an inherited page."""
    _OWN[:] = [Pulse(handle)]


def tell(seconds: float) -> None:
    """Tell whoever watches this process about a step; nothing where nobody does."""
    for pulse in _OWN:
        pulse.say(seconds)
