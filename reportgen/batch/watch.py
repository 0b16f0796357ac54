"""Seeing a run while it runs: what it says goes to the progress, to ``run_status.json``, to a metrics file and to a log.

Clocks and the terminal are the caller's. None of it knows a user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from reportgen.batch.logline import log_line
from reportgen.batch.metrics import Metrics, last_success, write_metrics
from reportgen.batch.settings import STAGES, RunSummary
from reportgen.batch.status import Closing, Progress, closing_lines, status_of, write_status
from reportgen.errors import ReportgenError

#: Seconds between two writings of status and metrics.
_EVERY = 2.0


@dataclass
class Watch:
    """Where a run is, for all who look.

    Parameters
    ----------
    run : Path
        The run folder.
    now : callable
        Seconds of a clock that does not go back.
    when : callable
        Seconds since 1970 UTC of the wall clock.
    iso : callable
        Such seconds as text.
    show : callable
        Given the progress and the time, as often as a user is finished.
    log : callable, optional
        Takes JSON lines.
    metrics : Path, optional
        A file for Prometheus.
    """

    run: Path
    now: Callable[[], float]
    when: Callable[[], float]
    iso: Callable[[float], str]
    show: Callable[[Progress, float], None]
    log: Callable[[str], None] | None = None
    metrics: Path | None = None
    progress: Progress | None = None
    shards: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    opted_out: int = 0

    def __post_init__(self) -> None:
        self.start, self.started, self._last = self.now(), self.when(), 0.0
        self._refits: Progress | None = None
        self._apart: set[int] = set()
        self._success = last_success(self.metrics) if self.metrics else None

    def say(self, finished: int, total: int, aside: int) -> None:
        """Take users finished, users in all and users set aside."""
        now = self.now()
        if self.progress is None:
            self.progress, self._last = Progress(total, now, finished - aside, aside), now
            self._write("reports")
        seen = self.progress
        # A shard that is made again begins at its first user: the progress waits until it is past where it was.
        aside = max(aside, seen.set_aside)
        seen.update(now, max(min(finished, total) - aside, seen.done), aside)
        self.show(seen, now)
        if now - self._last >= _EVERY:
            self._last = now
            self._write("reports")
            left = seen.remaining(now)
            self.hear("progress", done=seen.done, total=total, set_aside=aside, users_per_second=round(seen.rate(now), 3),
                      eta_seconds=None if left is None else round(left, 1))  # fmt: skip

    def hear(self, event: str, **facts: Any) -> None:
        """Take an event of `reportgen.batch.logline.EVENTS`."""
        self._count(event, facts)
        if event == "refits":
            self._again(facts["done"], facts["total"])
        if event == "damaged" and not facts["file"].startswith(("packs/", "index/")):
            facts = facts | {"file": None}  # its name would be the key of a user
        if self.log is not None:
            self.log(log_line(event, self.iso(self.when()), **facts))

    def _count(self, event: str, facts: dict[str, Any]) -> None:
        """Keep what status and metrics tell while the run goes on."""
        if event == "run_started":
            self.opted_out = facts["opted_out"]
        if event == "shard_again":
            self.shards["again"] += 1
        if event == "chunk_apart":
            self._apart.add(facts["shard"])
            self.shards["apart"] = len(self._apart)
        if event == "shard_done":
            self.shards["done"] += 1
            for stage in STAGES:
                self.seconds[stage] += facts.get(f"{stage}_seconds", 0.0)

    def _again(self, done: int, total: int) -> None:
        """Show how many refits are made; those of an interrupted run do not count for the rate."""
        now = self.now()
        if self._refits is None:
            self._refits = Progress(total, now, done, unit="refits")
        self._refits.update(now, done, 0)
        self.show(self._refits, now)
        if now - self._last >= _EVERY:
            self._last = now
            self._write("stability")

    @contextmanager
    def ending(self, signal: Callable[[], str]) -> Iterator[None]:
        """Note how the run in this block ends, when it does not end well; `signal` names what interrupted it."""
        try:
            yield
        except KeyboardInterrupt:
            seen = self.progress
            self._write("interrupted")
            self.hear(
                "run_interrupted",
                done=seen.done if seen else 0,
                total=seen.total if seen else 0,
                signal=signal() or "SIGINT",
            )
            raise
        except ReportgenError as error:
            self._write("failed")
            self.hear("run_failed", error=type(error).__name__)
            raise

    def done(self, summary: RunSummary) -> None:
        """The run has ended well."""
        users, success = summary.users, self.when()
        self.opted_out = users.opted_out
        if self.progress is None:
            self.progress = Progress(users.reported + users.set_aside, self.now(), users.reported, users.set_aside)
        self._write("done", summary, success)
        self.hear(
            "run_done", run_id=summary.run_id, reported=users.reported, set_aside=users.set_aside,
            opted_out=users.opted_out, seconds=round(self.now() - self.start, 3), bytes=summary.written,
        )  # fmt: skip

    def _write(self, phase: str, summary: RunSummary | None = None, success: float | None = None) -> None:
        if self.progress is None:
            return
        now, seen = self.now(), self.progress
        status = status_of(seen, now, phase, self.iso(self.started), self.iso(self.when()), self.shards)
        write_status(self.run, status)
        if self.metrics is not None:
            users = {"reported": seen.done, "set_aside": seen.set_aside, "opted_out": self.opted_out}
            seconds = summary.seconds if summary and summary.seconds else {k: v for k, v in self.seconds.items() if v}
            write_metrics(self.metrics, Metrics(
                phase in ("reports", "stability"), seen.total, users, seconds, dict(self.shards), seen.rate(now),
                summary.written if summary else 0, success if success is not None else self._success,
            ))  # fmt: skip


def closing(summary: RunSummary, wall: float) -> Iterator[str]:
    """What the end of a run says of shards, speed and size, after what was made and set aside."""
    peaks = {"worker": summary.peak_worker} if summary.peak_worker else {}
    told = Closing(
        summary.run_id, summary.made, summary.users.reported, wall=wall, bytes=summary.written, peaks=peaks,
        shards={word: count for word, count in summary.shards.items() if count},
    )  # fmt: skip
    return islice(closing_lines(told), 1, None)
