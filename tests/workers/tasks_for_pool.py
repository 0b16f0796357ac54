"""Tasks that the tests of the pools name: good ones, and ones that do harm to their process.

Every task first leaves a trace, a line ``number pid`` in a file of its own name, so that a test can count what was begun.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from reportgen.workers.limit import time_limit


def _trace(folder: Path, number: int, pid: int | None = None) -> None:
    with (folder / str(number)).open("a", encoding="ascii") as file:
        file.write(f"{number} {pid or os.getpid()}\n")


def square(number: int) -> int:
    return number * number


def traced(folder: Path, number: int) -> int:
    _trace(folder, number)
    return number * number


def slow(folder: Path, seconds: float, number: int) -> int:
    _trace(folder, number)
    time.sleep(seconds)
    return number * number


def poison(folder: Path, how: str, bad: int, number: int) -> int:
    """One number does harm each time."""
    _trace(folder, number)
    if number == bad:
        harm(how)
    time.sleep(0.01)
    return number * number


def spin(seconds: float, number: int) -> int:
    """Use the processor for a while, as real work does."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))
    return number


class UnpicklableError(Exception):
    def __init__(self) -> None:
        super().__init__("has a function inside")
        self.inside = lambda: None


class UnreadableError(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no")


def harm(how: str) -> None:
    if how in ("SIGKILL", "SIGTERM", "SIGSTOP"):
        os.kill(os.getpid(), getattr(signal, how))
    elif how == "segfault":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.string_at(0)
    elif how == "exit 0":
        os._exit(0)
    elif how == "kill the Dask worker":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    elif how == "hang":
        time.sleep(60)
    elif how == "spin":
        while True:
            pass
    elif how == "memory":
        bytearray(1 << 40)
    elif how == "sys.exit":
        sys.exit(5)
    elif how == "unpicklable":
        raise UnpicklableError
    elif how == "unreadable":
        raise UnreadableError
    else:
        raise ValueError(how)


def leaves_a_child(folder: Path, number: int) -> None:
    """The child lives on, and keeps everything open that the worker had open; the trace is the child's."""
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    _trace(folder, number, child)
    os._exit(3)


def unsendable(number: int) -> Any:
    return (lambda: number) if number == 1 else number


def facts_of_worker(_number: int) -> tuple[str | None, bool, int, int]:
    """Threads of linear algebra, whether SIGINT is ignored, soft limits of memory and its own parent."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return os.environ.get("OMP_NUM_THREADS"), ignored, resource.getrlimit(resource.RLIMIT_AS)[0], os.getppid()


def starts_a_program(folder: Path, number: int) -> int:
    _trace(folder, number)
    return subprocess.run([sys.executable, "-c", "pass"], check=True).returncode


def steps(folder: Path, seconds: float, hanging: int, number: int) -> int:
    """Eight steps with a limit each; one number hangs in a step as code does that never comes back to Python."""
    _trace(folder, number)
    for _ in range(8):
        with time_limit(seconds):
            if number == hanging:
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
                time.sleep(600)
            time.sleep(seconds / 2)
    return 8
