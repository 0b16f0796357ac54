"""Pools of this machine: this very process, and worker processes that are watched.

Why not pebble, which was measured too (5.2.3, two workers, 3,000 tasks of 2 ms, a SIGKILL to one worker every 0.2 s):
all its workers read one pipe under one lock. A worker that is killed while it holds the lock, or while it is idle, breaks
the pool: 337 tasks failed, and 2,663 had no answer 75 s later. Its limits of time are polled every 0.1 s by a clock that can
jump. Here each worker has a pipe of its own and is given one number at a time, so that a death, at whatever moment, is
seen at once as the end of that pipe and can be charged to one number, and there is nothing in common that can be left locked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import nullcontext, suppress
from multiprocessing.connection import Pipe
from multiprocessing.connection import wait as wait_for

from reportgen.errors import ReportgenError
from reportgen.workers.limit import alarm
from reportgen.workers.pool import TICK, Answer, Task, died, late, told
from reportgen.workers.pool_worker import Limits, Message, Order
from reportgen.workers.pulse import Beat, Pulse, lent

#: One thread each: the workers share the cores, and the sum of a product must not depend on how many there are.
_ENVIRONMENT = ("OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1")
#: A step may take twice its limit and so many seconds, before the process that does not end it is killed: within Python it ends by itself.
_SLACK = 5.0
#: The longest between two looks at what a worker does, in seconds.
_NAP = 1.0
#: So many workers in a row that end before they are ready mean that none ever will be.
_FALSE_STARTS = 3


class _Deadline:
    """Kills a process when its time is up, unless it is called off before: that of the number, or that of a step of it.

    A limit of None never comes. Silence is counted in waits and not by a clock, so that a machine that stood still harms nobody.
    """

    def __init__(self, seconds: float | None, process: subprocess.Popen[bytes], pulse: Pulse):
        self._seconds, self._process, self._pulse = seconds, process, pulse
        self._lock, self._off = threading.Lock(), threading.Event()
        self.reason = ""
        if seconds is not None:
            threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()

    def _watch(self, left: float) -> None:
        beat, silent = self._pulse.hear(), 0.0
        while not (reason := self._over(left, beat, silent)):
            step = 2 * beat.seconds + _SLACK - silent if beat.seconds else left
            nap = min(left, step, _NAP)
            if self._off.wait(nap):
                return
            before, beat = beat, self._pulse.hear()
            left, silent = left - nap, silent + nap if beat == before else 0.0
        self._strike(reason)

    def _over(self, left: float, beat: Beat, silent: float) -> str:
        """Why the time is up; nothing while it is not."""
        if left <= 0:
            return late(self._seconds or 0.0)
        if beat.seconds and silent >= 2 * beat.seconds + _SLACK:
            return f"{late(beat.seconds)} in one step, and could not be interrupted"
        return ""

    def _strike(self, reason: str) -> None:
        with self._lock:
            if not self._off.is_set():
                self.reason = reason
                self._process.kill()

    def call_off(self) -> str:
        """Call it off; why it was too late for that, and the process is killed, or nothing."""
        with self._lock:
            self._off.set()
        return self.reason


class _Worker:
    """A worker process as its parent sees it: its pipe, and the number it is working on."""

    def __init__(self, order: Order):
        self.pipe, theirs = Pipe()
        self.ready, self.number = False, None
        # Not multiprocessing: it runs the caller's main script again, and a Dask worker may not use it.
        # A group of its own: Ctrl-C in a terminal is for the parent, also while the worker has not begun to ignore it.
        with lent() as (self.pulse, page):
            code = (
                f"import sys; sys.path[:] = {sys.path!r}; "
                f"from reportgen.workers.pool_worker import serve; serve({theirs.fileno()}, {page}, {os.getpid()})"
            )
            self.process = subprocess.Popen(
                ["env", *_ENVIRONMENT, sys.executable, "-c", code],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno(), page], process_group=0,
            )  # fmt: skip
        theirs.close()
        with suppress(OSError):  # it is dead already: its pipe will tell
            self.pipe.send(order)

    number: int | None
    deadline: _Deadline

    def begin(self, number: int, seconds: float | None) -> None:
        self.pipe.send(number)
        self.number, self.deadline = number, _Deadline(seconds, self.process, self.pulse)

    def end(self, patience: float = 0.0) -> int:
        """Close the pipe, and kill the process if it does not end by itself; return how it ended."""
        self.pipe.close()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class LocalPool:
    """Processes of this machine, each supervised by itself.

    A process that dies or hangs costs the number it was working on one attempt, and is replaced. Processes are started when
    there is work for them, end with their parent on Linux, and run linear algebra on one thread. For Linux the parent is the
    thread that drives: where that thread ends before its run, the workers end with it.

    Parameters
    ----------
    workers : int
    limits : Limits, optional
    """

    def __init__(self, workers: int, limits: Limits | None = None):
        if workers < 1:
            raise ValueError("a pool needs a worker")
        self.size, self._limits = workers, limits or Limits()
        self._pending: deque[int] = deque()
        self._workers: list[_Worker] = []
        self._false_starts = 0

    @property
    def window(self) -> int:
        return 2 * self.size

    def open(self, task: Task, seconds: float | None) -> None:
        self.close()
        self._order, self._seconds = Order(task, self._limits), seconds

    def submit(self, number: int) -> None:
        self._pending.append(number)

    def recall(self) -> set[int]:
        numbers = set(self._pending)
        self._pending.clear()
        return numbers

    def wait(self) -> list[Answer]:
        self._assign()
        ready = wait_for([worker.pipe for worker in self._workers], TICK)
        # A process that a dead worker has left behind may hold its pipe open: so the worker itself is looked at, too.
        heard = [worker for worker in self._workers if worker.pipe in ready or worker.process.poll() is not None]
        answers = [answer for worker in heard if (answer := self._hear(worker))]
        self._assign()  # before the caller looks at the answers: nobody waits for the caller
        return answers

    def close(self) -> None:
        self._pending.clear()
        for worker in self._workers:
            if worker.number is None:
                worker.pipe.close()
            else:
                worker.deadline.call_off()
                worker.process.kill()
        for worker in self._workers:
            worker.end(patience=1.0)
        self._workers.clear()
        self._false_starts = 0

    def _assign(self) -> None:
        for worker in [worker for worker in self._workers if worker.ready and worker.number is None]:
            if not self._pending:
                return
            try:
                worker.begin(self._pending[0], self._seconds)
            except OSError:  # it died while it had nothing to do
                self._bury(worker)
            else:
                self._pending.popleft()
        starting = sum(not worker.ready for worker in self._workers)
        for _ in range(min(len(self._pending) - starting, self.size - len(self._workers))):
            self._workers.append(_Worker(self._order))

    def _hear(self, worker: _Worker) -> Answer | None:
        try:
            message: Message | None = worker.pipe.recv() if worker.pipe.poll() else None
        except (EOFError, OSError):
            message = None
        except Exception as error:  # its value cannot be read here
            message = Message(Answer(worker.number or 0, "error", reason=f"its value cannot be read: {told(error)}"))
        if message is None:
            return self._bury(worker)
        if message.refusal:
            raise ReportgenError(f"the workers cannot begin: {message.refusal}")
        worker.ready, self._false_starts = True, 0
        if message.answer is None:
            return None
        struck, worker.number = worker.deadline.call_off(), None
        if struck or message.last:
            self._bury(worker)
        return message.answer

    def _bury(self, worker: _Worker) -> Answer | None:
        """See how a worker ended; the number it was working on is charged with it."""
        self._workers.remove(worker)
        code = worker.end(patience=1.0)
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                raise ReportgenError(f"{_FALSE_STARTS} workers in a row ended before they could begin: {died(code)}")
        if worker.number is None:
            return None
        if reason := worker.deadline.call_off():
            return Answer(worker.number, "late", reason=reason)
        if code == -signal.SIGXCPU:
            return Answer(
                worker.number, "late", reason=f"used more than {self._limits.cpu_seconds} s of processor time"
            )
        return Answer(worker.number, "died", reason=died(code))


# --- no other process at all


class _LateError(BaseException):
    """Time is up. Not an Exception, so that no task swallows it."""


class HerePool:
    """This very process, one number at a time: no start-up cost, and no shelter from a task that kills its process.

    A limit of time interrupts Python code only, and only in the main thread; elsewhere it is refused.
    """

    window = 1

    def __init__(self) -> None:
        self._numbers: deque[int] = deque()
        self._seconds: float | None = None

    def open(self, task: Task, seconds: float | None) -> None:
        if seconds is not None and threading.current_thread() is not threading.main_thread():
            raise ReportgenError("a limit of time needs worker processes here; ask for two workers or more")
        self._work, self._seconds = task.load(), seconds

    def submit(self, number: int) -> None:
        self._numbers.append(number)

    def wait(self) -> list[Answer]:
        if not self._numbers:
            return []
        number = self._numbers.popleft()
        try:
            with nullcontext() if self._seconds is None else alarm(self._seconds, _LateError()):
                return [Answer(number, "done", self._work(number))]
        except _LateError:
            return [Answer(number, "late", reason=late(self._seconds or 0.0))]
        except Exception as error:
            return [Answer(number, "error", reason=told(error))]

    def recall(self) -> set[int]:
        numbers = set(self._numbers)
        self._numbers.clear()
        return numbers

    def close(self) -> None:
        self._numbers.clear()
