"""A limit of time for a piece of work in this process.

A process has one timer and one handler of its signal. To put a handler in and out costs more than all the rest of a limit, and a report has
a limit at each of its steps; so whoever sets many limits says so once, with `listening`. Limits may lie in each other: the timer is set
for the one whose time is up first, and what has gone by is counted by the timer itself, so that no clock is needed.

Python drops what is raised in a finaliser or a callback of the garbage collector. A limit whose error is lost that way rings again.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from reportgen.workers.pulse import tell

Hook = Callable[["sys.UnraisableHookArgs"], Any]
#: The least that the timer is set to: 0 would mean never. And when it rings again that came while a limit was being set or taken away.
_SOON, _LATER = 1e-6, 1e-4


class _Timer:
    """The timer of this process: the limits that are open, the outermost first, and what it was set to last."""

    def __init__(self) -> None:
        self.open: list[alarm] = []
        self.heard = False
        self.former_hook: Hook = sys.unraisablehook
        self._set = 0.0

    def begin(self, limit: alarm) -> None:
        if self.open:
            self._count()
        self.open.append(limit)
        self._start()

    def end(self, limit: alarm) -> None:
        self.open.remove(limit)  # first: what rings in this moment must find it gone
        self._count()
        if self.open:
            self._start()

    def ring(self, _signal: int, frame: FrameType | None) -> None:
        """Raise what belongs to the limit whose time is up; nothing where that is none: somebody else sent the signal."""
        if _is_ours(frame):
            if any(not limit.rung for limit in self.open):
                signal.setitimer(signal.ITIMER_REAL, _LATER)
            return
        self._count()
        due = next((limit for limit in self.open if not limit.rung and limit.left <= 0.0), None)
        if due is not None:
            due.rung = True
        self._start()
        if due is not None:
            raise due.error

    def dropped(self, error: BaseException | None) -> bool:
        """Ring again where Python has dropped an error of an open limit; return whether it was one."""
        limit = next((limit for limit in self.open if limit.error is error), None)
        if limit is None:
            return False
        limit.rung = False
        self._count()
        self._start()
        return True

    def _count(self) -> None:
        """Stop, and take from all limits what has gone by."""
        gone = self._set - signal.setitimer(signal.ITIMER_REAL, 0.0)[0]
        self._set = 0.0
        for limit in self.open:
            limit.left -= gone

    def _start(self) -> None:
        """Go on for the limit that is up first. Each rings once: what its error does not end goes on without it."""
        waiting = [limit.left for limit in self.open if not limit.rung]
        if waiting:
            self._set = max(min(waiting), _SOON)
            signal.setitimer(signal.ITIMER_REAL, self._set)


_TIMER = _Timer()


def _on_dropped(told: sys.UnraisableHookArgs) -> None:
    """For `sys.unraisablehook`."""
    if not _TIMER.dropped(told.exc_value):
        _TIMER.former_hook(told)


def _listen() -> tuple[Any, Hook]:
    """Put handler and hook in; return the former ones."""
    hook = sys.unraisablehook
    if hook is not _on_dropped:
        _TIMER.former_hook = hook
    sys.unraisablehook = _on_dropped
    return signal.signal(signal.SIGALRM, _TIMER.ring), hook


def _leave(handler: Any, hook: Hook) -> None:
    signal.signal(signal.SIGALRM, handler)
    sys.unraisablehook = hook


def _is_ours(frame: FrameType | None) -> bool:
    """Whether a signal came while a limit was being set or taken away, which an error must not leave half done."""
    while frame is not None:
        if frame.f_code.co_filename == __file__:
            return True
        frame = frame.f_back
    return False


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def listening() -> Iterator[None]:
    """Put the handler in once for all limits in this block, and the former one back at its end.

    For work with very many limits that sets no handler of SIGALRM itself. Outside of the main thread it does nothing, as limits do.
    """
    if not _in_main_thread():
        yield
        return
    before, heard = _listen(), _TIMER.heard
    _TIMER.heard = True
    try:
        yield
    finally:
        _TIMER.heard = heard
        _leave(*before)


class alarm:  # noqa: N801  (used like a function)
    """Raise `error` in the main thread, which must be the calling one, when this block has taken so many seconds."""

    __slots__ = ("_before", "error", "left", "rung")

    def __init__(self, seconds: float, error: BaseException) -> None:
        self.left, self.error, self.rung = seconds, error, False
        self._before: tuple[Any, Hook] | None = None

    def __enter__(self) -> None:
        if not _TIMER.heard:
            self._before = _listen()
        _TIMER.begin(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _TIMER.end(self)
        if self._before is not None:
            _leave(*self._before)


class time_limit:  # noqa: N801  (used like a function)
    """Interrupt what is done in this block after some seconds.

    It reaches Python code in the main thread of a process; elsewhere, and with None or 0, there is no limit. What hangs outside of
    Python is for whoever watches the process, who is told of the limit (`reportgen.workers.pulse`).

    Parameters
    ----------
    seconds : float, optional

    Raises
    ------
    TimeoutError
    """

    __slots__ = ("_alarm", "_seconds")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._alarm: alarm | None = None

    def __enter__(self) -> None:
        if self._seconds and _in_main_thread():
            self._alarm = alarm(self._seconds, TimeoutError(f"took longer than {self._seconds:g} s"))
            tell(self._seconds)
            self._alarm.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._alarm is not None:
            self._alarm.__exit__(kind, error, at)
            tell(0.0)
