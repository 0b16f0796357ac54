"""A limit of time for a piece of work in this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from reportgen.workers.pulse import tell


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Interrupt what is done in this block after some seconds.

    It reaches Python code in the main thread of a process; elsewhere, and with None, there is no limit. What hangs outside of
    Python is for whoever watches the process, who is told of the limit (`reportgen.workers.pulse`).

    Raises
    ------
    TimeoutError
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return
    tell(seconds)
    try:
        with alarm(seconds, TimeoutError(f"took longer than {seconds:g} s")):
            yield
    finally:
        tell(0.0)


@contextmanager
def alarm(seconds: float, error: BaseException) -> Iterator[None]:
    """Raise `error` in the main thread, which must be the calling one, when this block has taken so many seconds."""

    def ring(_signal: int, _frame: object) -> NoReturn:
        raise error

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
