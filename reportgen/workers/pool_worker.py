"""The life of a worker process of `local_pool`: numbers come through a pipe, answers go back, nothing else is shared."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from reportgen.workers import pulse
from reportgen.workers.pool import Answer, Task, told


@dataclass(frozen=True)
class Limits:
    """What a worker may use: bytes of address space, and seconds of processor time for each number."""

    memory: int | None = None
    cpu_seconds: int | None = None

    def hold_memory(self) -> None:
        if self.memory is not None:
            _set_limit(resource.RLIMIT_AS, self.memory)

    def hold_cpu(self) -> None:
        """Allow as much processor time as was used until now and the limit on top; the system counts whole seconds."""
        if self.cpu_seconds is not None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            _set_limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + self.cpu_seconds + 1)


def _set_limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


@dataclass(frozen=True)
class Order:
    task: Task
    limits: Limits


@dataclass(frozen=True)
class Message:
    """From a worker: ready (no answer), or an answer; ``last`` when it ends itself. ``refusal``: it cannot work at all."""

    answer: Answer | None = None
    last: bool = False
    refusal: str = ""


def serve(handle: int, page: int, parent: int) -> None:
    """Work on numbers from a pipe until it ends: the whole life of a worker process. `page` is where it tells of its steps."""
    for inherited in (handle, page):
        os.set_inheritable(inherited, False)  # a process that a task starts must not keep the pipe open
    pulse.wear(page)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _die_with(parent)
    pipe: Connection[Any, Any] = Connection(handle)
    with pipe, suppress(EOFError, ConnectionError):  # the parent has closed, or is gone
        _serve(pipe)


def _serve(pipe: Connection[Any, Any]) -> None:
    order: Order = pipe.recv()
    try:
        work = order.task.load()
        order.limits.hold_memory()
    except Exception as error:
        pipe.send(Message(refusal=told(error)))
        return
    message = Message()
    while not message.last:
        _send(pipe, message)
        number: int = pipe.recv()
        order.limits.hold_cpu()
        message = _attempt(work, number)
    _send(pipe, message)


def _attempt(work: Any, number: int) -> Message:
    try:
        return Message(Answer(number, "done", work(number)))
    except BaseException as error:  # whatever it is, it ends this number and not the worker
        # After a lack of memory the heap is full of holes: a fresh process gives the next number a fair chance.
        return Message(Answer(number, "error", reason=told(error)), last=isinstance(error, MemoryError))


def _send(pipe: Connection[Any, Any], message: Message) -> None:
    try:
        pipe.send(message)
    except (EOFError, OSError):
        raise
    except Exception as error:  # the value cannot be sent; nothing of it is in the pipe
        answer = message.answer
        number = answer.number if answer else -1
        pipe.send(Message(Answer(number, "error", reason=f"its value cannot be sent: {told(error)}")))


def _die_with(parent: int) -> None:
    """Ask the system to kill this process when its parent ends, however it ends (Linux; elsewhere the pipe must do)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)
