"""The workers of a Dask cluster as a pool. Needs the extra ``reportgen[dask]``.

A Dask worker does not run a task in itself. It keeps one supervised process beside itself (`local_pool.LocalPool`) and runs
it there. So a task that kills its process, hangs, or eats memory is charged exactly, as on one machine: Dask by itself blames
every task that happened to be with a worker that died, and has no limit of time. What is left for Dask is the death of a
worker as a whole; it then runs the tasks elsewhere, and gives up with `KilledWorker` only after several deaths. Such numbers
are suspects, and the driver runs them again one at a time.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from reportgen.errors import ReportgenError
from reportgen.version import VERSION
from reportgen.workers.local_pool import LocalPool
from reportgen.workers.pool import TICK, Answer, Task, told
from reportgen.workers.pool_worker import Limits

#: How often a quiet pool asks whether there are workers at all, in ticks.
_ROUND = 20
#: Seconds to say goodbye to a scheduler.
_FAREWELL = 2.0
_AGAIN = "what is done is kept: run again with --resume"


def versions() -> dict[str, str]:
    """What must be equal everywhere, or the same input could give other bytes."""
    return {"python": platform.python_version(), "numpy": np.__version__, "reportgen": VERSION}


# --- on a Dask worker


class _Beside:
    """The process beside a Dask worker, kept from task to task, so that what a task has loaded stays loaded."""

    def __init__(self) -> None:
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._pool: LocalPool | None = None
        self._for: object = None

    def answer(self, task: Task, number: int, seconds: float | None, limits: Limits) -> Answer:
        with self._lock:
            self._stop.clear()
            pool = self._opened(task, seconds, limits)
            pool.submit(number)
            while not (answers := pool.wait()):
                if self._stop.is_set():
                    self._close()
                    return Answer(number, "error", reason="the run was stopped")
            return answers[0]

    def _opened(self, task: Task, seconds: float | None, limits: Limits) -> LocalPool:
        if self._pool is None or self._for != (task, seconds, limits):
            self._close()
            self._pool, self._for = LocalPool(1, limits), (task, seconds, limits)
            self._pool.open(task, seconds)
        return self._pool

    def close(self) -> None:
        """End the process; called from the event loop of the worker, which must not wait for a task."""
        self._stop.set()
        if self._lock.acquire(blocking=False):
            self._close()
            self._lock.release()

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._pool = None


_BESIDE = _Beside()


def answer_beside(
    task: Task, number: int, seconds: float | None, limits: Limits, wanted: Mapping[str, str]
) -> Answer | str:
    """Run one number in the process beside this worker. A text instead of an answer says why this worker cannot work.

    The versions are looked at each time: a worker can come after the run has begun.
    """
    if found := _differences(versions(), wanted):
        return f"it has {found}"
    try:
        return _BESIDE.answer(task, number, seconds, limits)
    except ReportgenError as error:
        _BESIDE.close()
        return str(error)


def close_beside() -> None:
    """End the process beside this worker."""
    _BESIDE.close()


def _differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name} {found[name]} instead of {wanted[name]}" for name in wanted if found[name] != wanted[name]
    )


# --- where the driver runs


class DaskPool:
    """The workers of a Dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.5:8786``.
    limits : Limits, optional
        For the process beside each worker.
    patience : float
        Seconds to wait for the scheduler and a first worker, and for a worker to come back when all are gone.
    """

    def __init__(self, address: str, limits: Limits | None = None, patience: float = 15.0):
        self._address, self._limits, self._patience = address, limits or Limits(), patience
        self._client: Any = None
        self._workers = self._quiet = 0
        self._question: _Call | None = None

    @property
    def window(self) -> int:
        return 2 * max(self._workers, 1)

    def open(self, task: Task, seconds: float | None) -> None:
        """Connect, and look at every worker.

        Raises
        ------
        ReportgenError
            No scheduler or no worker in time, a worker with other versions, or with more threads than one.
        """
        self._task, self._seconds, self._quiet = task, seconds, 0
        self._futures: dict[int, Any] = {}
        self._ended: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._question = None
        self._client = _connect(self._address, self._patience)
        self._workers = _check_workers(self._client, self._address, self._patience)

    def submit(self, number: int) -> None:
        client, ended = self._client, self._ended
        if client is None or client.status != "running":
            raise self._lost()
        future = client.submit(answer_beside, self._task, number, self._seconds, self._limits, versions(), pure=False)
        self._futures[number] = future
        # The value is fetched in the thread of the callback: it lies on a worker, which can die just then.
        future.add_done_callback(lambda done: ended.put((number, _fetch(done))))

    def wait(self) -> list[Answer]:
        """As in `Pool`.

        Raises
        ------
        ReportgenError
            The scheduler or every worker is lost, or a worker that has come later does not fit.
        """
        try:
            number, found = self._ended.get(timeout=TICK)
        except Empty:
            self._look()
            return []
        self._quiet = 0
        del self._futures[number]
        if isinstance(found, Answer):
            return [found]
        if isinstance(found, str):
            raise ReportgenError(f"a Dask worker of {self._address} cannot work: {found}; {_AGAIN}")
        return [self._blame(number, found)]

    def _blame(self, number: int, error: Any) -> Answer:
        if isinstance(error, import_module("distributed").KilledWorker):
            deaths = error.allowed_failures + 1
            return Answer(number, "suspect", reason=f"killed {deaths} Dask worker{'s' * (deaths > 1)} in a row")
        if isinstance(error, CancelledError):
            raise self._lost() from error
        return Answer(number, "error", reason=told(error))

    def _look(self) -> None:
        """See, now and then, whether somebody is there; workers may have come or gone."""
        client = self._client
        if client is None or client.status != "running":
            raise self._lost()
        self._quiet += 1
        if self._question is None and self._quiet % _ROUND == 0:
            self._question = _Call(client.nthreads)
        if self._question is not None and not self._question.is_alive():
            self._workers, self._question = len(self._question.result()), None
            if self._workers:
                self._quiet = 0
        if self._quiet * TICK >= self._patience:
            what = "has not answered" if self._workers else "has had no worker"
            raise ReportgenError(f"the Dask scheduler {self._address} {what} for {self._patience:g} s; {_AGAIN}")

    def _lost(self) -> ReportgenError:
        return ReportgenError(f"the Dask scheduler {self._address} was lost; {_AGAIN}")

    def recall(self) -> set[int]:
        return set()  # it is not known what has begun

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, CancelledError):  # the scheduler is gone, or goes in this moment, or stands still
                _Call(_leave, client, list(self._futures.values())).result(_FAREWELL)


class _Call(threading.Thread):
    """A question to the scheduler that cannot hold up the one who asks: by itself, Dask waits for ever for some answers."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, **named: Any):
        super().__init__(daemon=True)
        self._function = partial(function, *arguments, **named)
        self._value: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._function()
        except (Exception, CancelledError) as error:
            self._error = error

    def result(self, seconds: float | None = None) -> Any:
        """The answer; TimeoutError when there is none within the time."""
        self.join(seconds)
        if self.is_alive():
            raise TimeoutError("no answer")
        if self._error is not None:
            raise self._error
        return self._value


def _leave(client: Any, futures: Sequence[Any]) -> None:
    if client.status == "running":
        client.cancel(futures)
        client.run(close_beside, on_error="ignore")
    client.close()


def _fetch(future: Any) -> Any:
    try:
        return future.result()
    except (Exception, CancelledError) as error:
        return error


def _connect(address: str, patience: float) -> Any:
    try:
        distributed = import_module("distributed")
    except ImportError:
        raise ReportgenError("a Dask scheduler needs more packages: pip install 'reportgen[dask]'") from None
    try:
        # Asked first: a client that fails over its own address is never closed, and holds up others when it is collected.
        import_module("distributed.comm").get_address_host_port(address)
    except ValueError as error:
        raise ReportgenError(
            f"{address} is not the address of a Dask scheduler, such as tcp://10.0.0.5:8786"
        ) from error
    try:
        return _Call(distributed.Client, address, timeout=patience, set_as_default=False).result(patience + 1.0)
    except OSError as error:
        raise ReportgenError(f"no Dask scheduler answers at {address} within {patience:g} s: {told(error)}") from error


def _check_workers(client: Any, address: str, patience: float) -> int:
    """Count the workers; refuse when there is none, or one that does not fit."""
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError:
        raise ReportgenError(f"the Dask scheduler {address} has no worker after {patience:g} s") from None
    threads = client.nthreads()
    if many := {worker: count for worker, count in threads.items() if count != 1}:
        worker, count = min(many.items())
        raise ReportgenError(f"the Dask worker {worker} has {count} threads; start workers with --nthreads 1")
    for worker, found in sorted(_Call(client.run, versions, on_error="return").result(patience).items()):
        if isinstance(found, BaseException):
            raise ReportgenError(f"the Dask worker {worker} cannot run reportgen: {told(found)}")
        if different := _differences(found, versions()):
            raise ReportgenError(f"the Dask worker {worker} has {different}; install the same there")
    return len(threads)
