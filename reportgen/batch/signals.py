"""Being asked to stop: the first SIGINT or SIGTERM is noted, so that a run can end in order; the second one interrupts at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody asked to stop; ``name`` is the signal, such as ``SIGTERM``, and empty before."""

    def __init__(self) -> None:
        self.name = ""

    def __call__(self) -> bool:
        return bool(self.name)

    def hear(self, number: int, _frame: FrameType | None = None) -> None:
        """Note a signal.

        Raises
        ------
        KeyboardInterrupt
            It is the second one.
        """
        if self.name:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name


@contextmanager
def stopping() -> Iterator[Stop]:
    """Note the signals that ask to stop, as long as the block lasts. Outside of the main thread nothing is changed."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.hear) for number in _STOPPING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupting() -> Iterator[None]:
    """Let SIGTERM interrupt like Ctrl-C, so that what is half done is taken back and the exit code says so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def at_once() -> Iterator[None]:
    """Let already the first signal interrupt what writes nothing and asks nobody, such as a fit. It is noted by `stopping` all the same."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _STOPPING}

    def interrupt(number: int, frame: FrameType | None) -> None:
        if callable(noted := before[signal.Signals(number)]):
            noted(number, frame)
        raise KeyboardInterrupt

    for number in _STOPPING:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
