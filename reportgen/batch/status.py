"""Seeing a run while it runs: how far, how fast, how long still; its status file, and what it says at the end.

Nothing here knows a user: only counts, times and words of a fixed list come in, so none can come out. Times are passed in.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reportgen.formats import FORMATS
from reportgen.output.durable import replace_file

FILE, SCHEMA = "run_status.json", "reportgen.status/1"
PHASES = ("read", "fit", "plan", "reports", "stability", "finish", "done", "interrupted", "failed")
#: Seconds that the rate looks back, and how many points it keeps of them.
WINDOW, POINTS = 60.0, 120
#: Seconds; from less than that no rate is told.
_SHORTEST = 1e-3
_MINUTE, _HOUR = 60, 3600
_MEGABYTE = 1_000_000
#: What is said of shards that have a longer name.
_TOLD = {"apart": "with users made one by one"}


class Progress:
    """How far a run is and how long it still takes, by the rate of the last minute.

    Parameters
    ----------
    total : int
        Users of the run.
    now : float
        Seconds of any clock that does not go back.
    done, set_aside : int
        Users finished by a former, interrupted run. They do not count for the rate.
    window : float
        Seconds that the rate looks back.
    unit : str
        What is counted, where it is not users.

    Attributes
    ----------
    done, set_aside : int
        Users with a report, and users without one; together the users that are finished.
    """

    def __init__(
        self, total: int, now: float, done: int = 0, set_aside: int = 0, window: float = WINDOW, unit: str = "users"
    ) -> None:
        self.total, self.done, self.set_aside, self.unit = total, done, set_aside, unit
        self._window = window
        self._points: deque[tuple[float, int]] = deque([(now, done + set_aside)])

    @property
    def finished(self) -> int:
        """Users with a report and users set aside."""
        return self.done + self.set_aside

    def update(self, now: float, done: int, set_aside: int) -> None:
        """Note how many users are finished by now.

        Raises
        ------
        ValueError
            More users than there are, or fewer than before.
        """
        if not self.done <= done or not self.set_aside <= set_aside or done + set_aside > self.total:
            raise ValueError(f"{done} done and {set_aside} set aside of {self.total}: users were lost or doubled")
        self.done, self.set_aside = done, set_aside
        if len(self._points) > 1 and self._points[-1][0] - self._points[-2][0] < self._window / POINTS:
            self._points.pop()  # the newest point moves on until it is far enough from the one before
        self._points.append((now, self.finished))
        while len(self._points) > 2 and self._points[1][0] <= now - self._window:
            self._points.popleft()

    def rate(self, now: float) -> float:
        """Users per second over the window that ends now; 0 before the first is finished. It falls while nothing happens."""
        start, before = self._points[0]
        return (self.finished - before) / (now - start) if now - start >= _SHORTEST else 0.0

    def remaining(self, now: float) -> float | None:
        """Seconds until the last user is finished, at the present rate; None when that cannot be said."""
        left, rate = self.total - self.finished, self.rate(now)
        if not left:
            return 0.0
        return left / rate if rate else None

    def line(self, now: float) -> str:
        """One line for people."""
        parts = [f"{self.finished:,} of {self.total:,} {self.unit} ({self.finished * 100 // max(self.total, 1)} %)"]
        if self.set_aside:
            parts.append(f"{self.set_aside:,} set aside")
        if rate := self.rate(now):
            parts.append(f"{rate:,.0f} {self.unit}/s" if rate >= 10 else f"{rate:.1f} {self.unit}/s")
        remaining = self.remaining(now)
        if remaining:
            parts.append(f"{duration(remaining)} left")
        return ", ".join(parts)

    def bar(self, now: float, width: int = 80) -> str:
        """The line with a bar before it, never wider than `width` characters."""
        text = self.line(now)
        room = min(width - len(text) - 3, 40)
        if room < 8:
            return text[:width]
        full = room * self.finished // max(self.total, 1)
        return f"[{'#' * full}{'-' * (room - full)}] {text}"


def duration(seconds: float) -> str:
    """A time as people say it: ``48 s``, ``1 min 48 s``, ``3 h 02 min``."""
    whole = math.ceil(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR:,} h {whole % _HOUR // _MINUTE:02} min"


@dataclass(frozen=True)
class Status:
    """What ``run_status.json`` says.

    Attributes
    ----------
    phase : str
        One of `PHASES`.
    started, updated : str
        ISO 8601, of the caller's clock.
    shards : dict of str to int
        ``total``, ``done``, and what else the driver counts.
    eta_seconds : float or None
    """

    phase: str
    started: str
    updated: str
    total: int
    done: int
    set_aside: int
    users_per_second: float = 0.0
    eta_seconds: float | None = None
    shards: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f"phase {self.phase!r} is not one of {', '.join(PHASES)}")

    def to_json(self) -> str:
        """One JSON object; three digits are enough for a rate and tenths for a time."""
        eta = None if self.eta_seconds is None else round(self.eta_seconds, 1)
        plain: dict[str, Any] = {
            "schema": SCHEMA,
            "phase": self.phase,
            "started": self.started,
            "updated": self.updated,
            "users": {"total": self.total, "done": self.done, "set_aside": self.set_aside},
            "users_per_second": float(f"{self.users_per_second:.3g}"),
            "eta_seconds": eta,
            "shards": dict(sorted(self.shards.items())),
        }
        return json.dumps(plain, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def status_of(
    progress: Progress, now: float, phase: str, started: str, updated: str, shards: Mapping[str, int] | None = None
) -> Status:
    """The status of a run that is as far as `progress`."""
    return Status(
        phase, started, updated, progress.total, progress.done, progress.set_aside,
        progress.rate(now), progress.remaining(now), dict(shards or {}),
    )  # fmt: skip


def write_status(run: Path, status: Status) -> None:
    """Put ``run_status.json`` in place of the former one, in one step.

    Raises
    ------
    OutputError
    """
    replace_file(run / FILE, status.to_json().encode("ascii"))


@dataclass(frozen=True)
class Closing:
    """What there is to say at the end of a run.

    Attributes
    ----------
    made : dict of str to int
        Reports per format.
    stages_aside : dict of str to int
        Users set aside, by stage.
    seconds : dict of str to float
        By stage, in the order in which they are told; the sum over all workers.
    wall : float
        Seconds from start to end.
    peaks : dict of str to int
        Most memory in bytes: ``parent``, ``worker``.
    shards : dict of str to int
        ``done``, ``kept`` (of a former run), ``again`` (more than one attempt), ``apart`` (with a chunk of users that failed as a
        whole, so that they were made one by one).
    """

    run_id: str
    made: Mapping[str, int]
    reported: int
    opted_out: int = 0
    not_chosen: int = 0
    stages_aside: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    wall: float = 0.0
    bytes: int = 0
    peaks: Mapping[str, int] = field(default_factory=dict)
    shards: Mapping[str, int] = field(default_factory=dict)


def closing_lines(closing: Closing) -> Iterator[str]:
    """What was made, what was set aside, how long each stage took, in a few plain lines."""
    files = ", ".join(f"{closing.made[word]:,} {word.upper()}" for word in FORMATS if closing.made.get(word))
    yield f"made: {files or 'no report'} for {closing.reported:,} users (run {closing.run_id})"
    for count, what in ((closing.opted_out, "opted out"), (closing.not_chosen, "not chosen")):
        if count:
            yield f"users {what}: {count:,}"
    if aside := Counter(closing.stages_aside).total():
        by_stage = ", ".join(f"{stage} {count:,}" for stage, count in sorted(closing.stages_aside.items()))
        yield f"users set aside: {aside:,} ({by_stage}); see errors.jsonl"
    if closing.shards:
        yield "shards: " + ", ".join(f"{count:,} {_TOLD.get(word, word)}" for word, count in closing.shards.items())
    if spent := sum(closing.seconds.values()):
        stages = (f"{stage} {took:.2f} ({took / spent:.0%})" for stage, took in closing.seconds.items())
        yield f"seconds of work: {', '.join(stages)}"
    if closing.wall:
        yield f"time: {duration(closing.wall)}, {closing.reported / closing.wall:,.0f} users/s"
    if closing.bytes:
        yield f"written: {closing.bytes / _MEGABYTE:,.1f} MB"
    if closing.peaks:
        yield "peak memory: " + ", ".join(f"{who} {peak / _MEGABYTE:,.0f} MB" for who, peak in closing.peaks.items())
