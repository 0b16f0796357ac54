"""What a run says to people: progress and notes on one stream, results on the other. Streams and clocks are handed in.

Light, like `reportgen.verbs.options`: ``reportgen --help`` loads it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from reportgen.batch.settings import RunSummary
    from reportgen.batch.status import Progress
    from reportgen.verbs.tell import Read

Clock = Callable[[], float]
#: Values are shown in quotes, and may be ids of users. From the first quote to the last, for a value may hold quotes too.
_QUOTED = re.compile(r'".*"', re.DOTALL)


class Terminal:
    """Progress and notes on one stream, results on the other.

    Parameters
    ----------
    told, out : text streams
        For progress, notes and errors; for results.
    clocks : tuple of two callables
        Seconds of a clock that does not go back, and of one that is exact.
    quiet : bool
        No progress and no notes; of the results only the path.
    as_json : bool
        JSON lines for progress, notes and errors.
    """

    def __init__(
        self, told: TextIO, out: TextIO, clocks: tuple[Clock, Clock], quiet: bool = False, as_json: bool = False
    ) -> None:
        self._told, self._out, (self._now, self._exact) = told, out, clocks
        self.quiet, self.as_json = quiet, as_json
        self.bar = told.isatty() and not as_json
        self.wait = 0.1 if self.bar else 5.0
        self.start = self.last = self._now()
        self.half_line = False
        self.seconds: dict[str, float] = {}

    def _line(self, event: str, text: str, **facts: object) -> None:
        if self.half_line:
            self._told.write("\n")
            self.half_line = False
        told = (
            json.dumps({"event": event, "message": _QUOTED.sub('"..."', text)} | facts, ensure_ascii=False)
            if self.as_json
            else f"reportgen: {text}"
        )
        self._say(told + "\n")

    def note(self, text: str, always: bool = False) -> None:
        """Say something that is not a result."""
        if always or not self.quiet:
            self._line("note", text)

    def error(self, text: str, code: int) -> int:
        """Say in one line what went wrong, and return the exit code."""
        from reportgen.text import clean

        self._line("error", clean(text, 1000), exit_code=code)
        return code

    def show(self, progress: Progress, now: float) -> None:
        """Draw a bar on a terminal; elsewhere write a line now and then. In JSON the log tells it."""
        unfinished = progress.finished < progress.total
        if self.quiet or self.as_json or (now - self.last < self.wait and (unfinished or not self.bar)):
            return
        self.last = now
        if not self.bar:
            self._line("progress", progress.line(now))
            return
        self.half_line = unfinished
        width = shutil.get_terminal_size().columns - 1
        text = progress.bar(now, width).ljust(width)  # over the longer one that may stand there
        self._say(f"\r{text}" + "\n" * (not unfinished))

    def log(self, line: str) -> None:
        """Write a line of JSON."""
        if not self.quiet:
            self._say(line + "\n")

    def _say(self, text: str) -> None:
        self._told.write(text)
        self._told.flush()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure how long something takes."""
        start = self._exact()
        yield
        self.seconds[name] = self._exact() - start

    def print(self, line: str) -> None:
        """Write a line of the result."""
        self._out.write(f"{line}\n")
        self._out.flush()

    def tell(self, summary: RunSummary, data: Read, peak: int) -> None:
        """Write the path of the page, and what was made and set aside."""
        from reportgen.batch.watch import closing
        from reportgen.verbs.tell import tell

        lines = [str(summary.index)]
        if not self.quiet:
            lines += tell(summary, data, self.seconds | summary.seconds, peak)
            lines += closing(summary, self._now() - self.start)
        self._out.writelines(f"{line}\n" for line in lines)
        self._out.flush()
