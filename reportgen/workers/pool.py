"""The driver of shards: numbered tasks go to a pool of workers and come back as outcomes, whatever happens to a worker.

Nothing here knows of reports. A task is a function named by its module and plain arguments, called with one number. The
driver keeps a bounded window of numbers in flight, runs again what failed, and finds out who is guilty where a backend
cannot tell. The backends are `local_pool.HerePool` (this process), `local_pool.LocalPool` (supervised processes
of this machine) and `dask_pool.DaskPool` (the workers of a Dask cluster); each is a `Pool`.

An outcome says what a worker said. Whoever builds a manifest reads the files, so that a task which was done but whose
worker died before it could say so is harmless: it is done again.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import PurePath
from typing import Any, Literal, Protocol

#: How long a pool waits before the driver asks again whether to stop, in seconds.
TICK = 0.1
#: The longest reason that is kept, in characters: an exception can carry a whole document.
LONGEST_REASON = 500

#: ``done``; ``error``: an exception; ``died``: its process ended; ``late``: a limit of time was passed.
Kind = Literal["done", "error", "died", "late"]


@dataclass(frozen=True)
class Task:
    """A function by its name and its first arguments; the last argument is the number of the piece of work.

    Attributes
    ----------
    module, name : str
        Where a worker imports the function from.
    arguments : tuple
        Texts, bytes, numbers, truth values, paths, None, and tuples of these: a name for the data, never the data.
    """

    module: str
    name: str
    arguments: tuple[Any, ...] = ()

    @classmethod
    def of(cls, function: Callable[..., Any], *arguments: Any) -> Task:
        """Name a function; raise TypeError where a worker could not import it, or an argument is not plain."""
        task = cls(function.__module__, function.__qualname__, arguments)
        if task.module == "__main__" or not task.name.isidentifier() or task.load().func is not function:
            raise TypeError(f"{task.module}.{task.name} is not a function that a worker can import by its name")
        for argument in arguments:
            _check_plain(argument)
        return task

    def load(self) -> partial[Any]:
        """Import the function, ready to be called with a number."""
        return partial(getattr(import_module(self.module), self.name), *self.arguments)


def _check_plain(argument: Any) -> None:
    if isinstance(argument, tuple):
        for part in argument:
            _check_plain(part)
    elif not isinstance(argument, str | bytes | int | float | PurePath | None):
        raise TypeError(f"tasks are given paths and numbers, not {type(argument).__name__}: write it to a file first")


@dataclass(frozen=True)
class Answer:
    """What became of one attempt. ``suspect``: a process died with several numbers in it, and nobody knows whose fault."""

    number: int
    kind: Kind | Literal["suspect"]
    value: Any = None
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one number; there is at most one for each.

    Attributes
    ----------
    number : int
    kind : str
        ``done``, or why not: ``error`` (an exception), ``died`` (its process ended), ``late`` (over a limit of time).
    value : object
        What the function returned.
    reason : str
        For people: ``ValueError: ...``, ``killed by signal 9 (SIGKILL)``, ``took longer than 30 s``; of the last attempt.
    attempts : int
        Times that this number was tried and is to blame for; a process that died from another's fault does not count.
    """

    number: int
    kind: Kind
    value: Any
    reason: str
    attempts: int

    @property
    def ok(self) -> bool:
        return self.kind == "done"


class Pool(Protocol):
    """Where numbers are worked on. Opened and closed by the driver; it can be opened again afterwards."""

    @property
    def window(self) -> int:
        """Numbers that may be in flight at once."""

    def open(self, task: Task, seconds: float | None) -> None:
        """Get ready for a task, with a limit of time for each number."""

    def submit(self, number: int) -> None:
        """Take a number into flight."""

    def wait(self) -> list[Answer]:
        """Wait until something has ended, or about `TICK` seconds; every number in flight gets one answer in the end."""

    def recall(self) -> set[int]:
        """Give back the numbers that no worker has begun; they get no answer."""

    def close(self) -> None:
        """End the workers at once, whatever they do."""


def _never() -> bool:
    return False


def drive(
    task: Task, numbers: Iterable[int], pool: Pool, *, attempts: int = 3, seconds: float | None = None,
    stop: Callable[[], bool] = _never, grace: float = 3.0,
) -> Iterator[Outcome]:  # fmt: skip
    """Run a task for each number and yield the outcomes as they come, in any order.

    A number that fails is tried again, after the others, until it has failed `attempts` times. Numbers that were in one
    process when it died, where the backend cannot tell which of them is guilty, are run again at the end, one at a time.

    Parameters
    ----------
    task : Task
    numbers : iterable of int
        Each at most once.
    pool : Pool
    attempts : int
    seconds : float, optional
        The longest that one attempt may take.
    stop : callable, optional
        Asked about ten times a second. When it turns true, nothing more is begun, and what is in flight may end.
    grace : float, optional
        Seconds that it may take to end then; what is not ready is dropped. A number without an outcome is not done.

    Yields
    ------
    Outcome

    Raises
    ------
    ReportgenError
        The pool cannot work at all. Outcomes until then hold.
    """
    desk = _Desk(pool, attempts, deque(numbers))
    if len(set(desk.waiting)) < len(desk.waiting):
        raise ValueError("a number is given twice")
    if attempts < 1 or (seconds is not None and seconds <= 0):
        raise ValueError("there must be an attempt, and time for it")
    return _drive(desk, task, seconds, stop, grace)


def _drive(desk: _Desk, task: Task, seconds: float | None, stop: Callable[[], bool], grace: float) -> Iterator[Outcome]:
    if not desk.waiting:
        return
    try:
        desk.pool.open(task, seconds)
        while not stop():
            desk.fill()
            if not desk.flight:
                return
            yield from desk.outcomes()
        desk.flight -= desk.pool.recall()
        with _countdown(grace) as over:
            while desk.flight and not over.is_set():
                yield from desk.outcomes()
    finally:
        desk.pool.close()


@contextmanager
def _countdown(seconds: float) -> Iterator[threading.Event]:
    """An event that comes after some seconds: the rooms have no clock, and need none."""
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()


@dataclass
class _Desk:
    """Which number is where. A number is in one of `waiting`, `alone` and `flight`, or it has had its outcome."""

    pool: Pool
    attempts: int
    waiting: deque[int]
    alone: deque[int] = field(default_factory=deque)
    flight: set[int] = field(default_factory=set)
    suspects: set[int] = field(default_factory=set)
    failed: Counter[int] = field(default_factory=Counter)

    def fill(self) -> None:
        while self.waiting and len(self.flight) < self.pool.window:
            self._send(self.waiting.popleft())
        if self.alone and not self.flight:
            self._send(self.alone.popleft())

    def _send(self, number: int) -> None:
        self.flight.add(number)
        self.pool.submit(number)

    def outcomes(self) -> list[Outcome]:
        return [outcome for answer in self.pool.wait() if (outcome := self._judge(answer))]

    def _judge(self, answer: Answer) -> Outcome | None:
        number = answer.number
        self.flight.remove(number)
        if answer.kind == "suspect" and number not in self.suspects:
            self.suspects.add(number)
            self.alone.append(number)
            return None
        if answer.kind == "done":
            return Outcome(number, "done", answer.value, "", self.failed[number] + 1)
        self.failed[number] += 1
        if self.failed[number] < self.attempts:
            (self.alone if number in self.suspects else self.waiting).append(number)
            return None
        kind = "died" if answer.kind == "suspect" else answer.kind  # it was alone: nobody else can be blamed
        return Outcome(number, kind, None, answer.reason, self.failed[number])


def told(error: BaseException) -> str:
    """Say in one line what went wrong, without a folder of this machine; an exception whose text fails is told too."""
    try:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    except Exception:
        text = "its message cannot be read"
    return f"{type(error).__name__}: {text}"[:LONGEST_REASON]


def died(code: int) -> str:
    """Say how a process ended; `code` as in `subprocess`: negative for a signal."""
    if code >= 0:
        return f"its process ended by itself with code {code}"
    known = {member.value: member.name for member in signal.Signals}
    return f"killed by signal {-code} ({known.get(-code, 'unknown')})"


def late(seconds: float) -> str:
    return f"took longer than {seconds:g} s"
