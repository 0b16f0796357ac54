"""What a verb gets from outside: terminal, clocks, environment. Only `reportgen.cli` makes one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from reportgen.errors import ConfigError
from reportgen.verbs.console import Terminal

if TYPE_CHECKING:
    from reportgen.batch.watch import Watch

DONE, FAILED, USAGE, SOME_ASIDE, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True)
class Door:
    """The outside, as a verb may see it.

    Attributes
    ----------
    console : Terminal
    environment : mapping of str to str
    binary : callable
        The stream that `get` writes a report to.
    wall, steady, exact : callables
        Seconds since 1970; of a clock that does not go back; of one that is exact.
    peak : callable
        Most memory of this process so far, in bytes.
    sleep : callable
        Waits so many seconds.
    """

    console: Terminal
    environment: Mapping[str, str]
    binary: Callable[[], BinaryIO]
    wall: Callable[[], float]
    steady: Callable[[], float]
    exact: Callable[[], float]
    peak: Callable[[], int]
    sleep: Callable[[float], None]

    def source_date(self) -> int | None:
        """``SOURCE_DATE_EPOCH`` in microseconds, None when it is not set.

        Raises
        ------
        ConfigError
        """
        text = self.environment.get("SOURCE_DATE_EPOCH", "")
        if text and not (text.isascii() and text.isdigit() and len(text) <= 11):
            raise ConfigError(f"SOURCE_DATE_EPOCH={text!r} is not a number of seconds since 1970; correct or unset it")
        return int(text) * 1_000_000 if text else None

    def now(self) -> int:
        """Microseconds since 1970: ``SOURCE_DATE_EPOCH``, or the clock on the wall."""
        given = self.source_date()
        return given if given is not None else int(self.wall() * 1_000_000)

    def generated(self, as_of: int) -> tuple[str, str]:
        """The time written into documents, and where it comes from."""
        from reportgen.report.record import iso

        given = self.source_date()
        return (iso(as_of), "as_of") if given is None else (iso(given), "SOURCE_DATE_EPOCH")

    def watch(self, run: Path, metrics: Path | None = None) -> Watch:
        """What sees a run while it runs, with these clocks and this terminal."""
        from reportgen.batch.watch import Watch

        console = self.console
        return Watch(
            run, self.steady, self.wall, self._when, console.show, console.log if console.as_json else None, metrics
        )

    def _when(self, seconds: float) -> str:
        from reportgen.report.record import iso

        return iso(int(seconds * 1_000_000))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure how long something before the run takes; in JSON say that it begins."""
        if self.console.as_json:
            from reportgen.batch.logline import log_line

            self.console.log(log_line("phase", self._when(self.wall()), phase=name))
        with self.console.stage(name):
            yield

    def key(self, given: argparse.Namespace) -> bytes:
        """The secret behind the pseudonyms.

        Raises
        ------
        ConfigError
        """
        from reportgen.verbs.keys import find_key

        return find_key(given.key_file, self.environment, lambda text: self.console.note(text, always=True))
