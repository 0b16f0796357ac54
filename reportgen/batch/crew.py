"""Who makes the shards: this process, others of this machine, or a cluster; and how the user is found who kills a process.

What a worker says moves the progress and nothing else. A shard that fails again and again is taken apart: each of its users is
tried alone, without writing, and the shard is made once more without those who killed, hung or broke their process.

One worker is the calling process itself, which nobody watches: a process beside it would cost a second to start and a copy of data
and model on the disk, as much as the whole run of a small shop. Instead it leaves a note while it works. A run that is resumed and
finds such a note died in its own hands, by a user or by something else; from there on a watched process does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.batch.job import make_shard, probe_user
from reportgen.batch.shard import Maker, write_aside
from reportgen.batch.work import Clock
from reportgen.errors import ReportgenError
from reportgen.output.durable import Durable, list_inside
from reportgen.output.folder import WORK
from reportgen.workers.local_pool import HerePool, LocalPool
from reportgen.workers.pool import Outcome, Pool, Task, drive

#: Called with users done, users in all, users set aside so far.
Say = Callable[[int, int, int], None]
#: Called with the name of an event and its facts, as in `reportgen.batch.logline.EVENTS`.
Hear = Callable[..., None]

#: Attempts at a shard before its users are tried one by one, at a user then, and at the shard without the guilty ones.
_FIRST, _PROBES, _LAST = 2, 2, 3
#: A probe may take as long as so many steps of one user, and this to open the job, in seconds.
_STEPS, _OPENING = 6, 120.0
#: Notes of processes that nobody watches, as long as they make shards.
_UNWATCHED = f"{WORK}/unwatched"
#: What is said of a shard that could not be made, in a word.
_CAUSES = {"died": "killed", "late": "time", "error": "error"}


def silent(done: int, total: int, aside: int) -> None:
    """Say nothing."""


def deaf(event: str, **facts: Any) -> None:
    """Pass over an event."""


def still() -> float:
    """A clock that stands still, for callers who do not ask how long it took."""
    return 0.0


def never() -> bool:
    return False


@dataclass(frozen=True)
class Around:
    """What a run is surrounded by; none of it changes a byte.

    Attributes
    ----------
    say : callable
        Called after each user, or shard where other processes work, with users done, users in all, users set aside.
    hear : callable
        Called with an event and its facts.
    clock : callable
        Seconds from any start; only for `RunSummary.seconds`.
    stop : callable
        Asked often; when it turns true the run ends in order, resumable.
    """

    say: Say = silent
    hear: Hear = deaf
    clock: Clock = still
    stop: Callable[[], bool] = never


@contextmanager
def unwatched(run: Path, name: str) -> Iterator[None]:
    """Leave a note in a run folder that shards are made in this very process; it stays only where the process does not end in order.

    Raises
    ------
    OutputError
    """
    note = f"{_UNWATCHED}/{name}"
    with Durable(run) as out:
        out.write(note, b"")
    try:
        yield
    except (ReportgenError, KeyboardInterrupt):
        _take_away(run / note)
        raise
    _take_away(run / note)


def _take_away(note: Path) -> None:
    with suppress(OSError):  # a needless note costs the next resume a second, nothing else
        note.unlink()


class Crew:
    """Makes shards of one run and counts.

    Parameters
    ----------
    maker : Maker
    around : Around

    Attributes
    ----------
    done, aside : int
        Users of finished shards, with a report and without.
    again : int
        Shards that needed more than one attempt.
    """

    def __init__(self, maker: Maker, around: Around) -> None:
        self._maker, self._around = maker, around
        self.done = self.aside = self.again = 0
        # Tools of the caller's own cannot be sent to another process.
        self._fell = not maker.own_tools and bool(list_inside(maker.run, _UNWATCHED))
        maker.tick = self._tick

    @property
    def elsewhere(self) -> bool:
        """Whether other processes do the work."""
        return self._maker.settings.workers > 1 or bool(self._maker.settings.scheduler) or self._fell

    def make(self, shards: Sequence[int]) -> None:
        """Make shards.

        Raises
        ------
        ReportgenError
            The folder is in trouble, no worker can work, or a shard cannot be made at all.
        KeyboardInterrupt
            It was stopped.
        """
        self._say(0, 0)
        with nullcontext() if self.elsewhere else unwatched(self._maker.run, "build"):
            failed = self._shards(shards, _FIRST)
            if failed:
                self._isolate(failed)

    def count(self, users: int, aside: int) -> None:
        """Count the users of a finished shard."""
        self.done += users
        self.aside += aside

    def _say(self, users: int, aside: int) -> None:
        finished, all_aside = self.done + users + self.aside + aside, self.aside + aside
        self._around.say(finished, self._maker.plan.users, all_aside)

    def _tick(self, users: int, aside: int) -> None:
        self._say(users, aside)
        if self._around.stop():
            raise KeyboardInterrupt

    def _pool(self) -> Pool:
        if self._maker.settings.scheduler:
            from reportgen.workers.dask_pool import DaskPool  # half a second of imports for those who have it

            return DaskPool(self._maker.settings.scheduler)
        return LocalPool(self._maker.settings.workers) if self.elsewhere else HerePool()

    def _driven(
        self, work: Callable[[str, int], Any], numbers: Sequence[int], attempts: int, seconds: float | None
    ) -> Iterator[Outcome]:
        task = Task.of(work, str(self._maker.run if not self.elsewhere else self._maker.run.absolute()))
        limit = seconds if self.elsewhere else None  # in this process each step has its own
        yield from drive(task, numbers, self._pool(), attempts=attempts, seconds=limit, stop=self._around.stop)
        if self._around.stop():
            raise KeyboardInterrupt

    def _shards(self, shards: Sequence[int], attempts: int) -> list[Outcome]:
        """Make shards; return those that could not be made."""
        step, failed = self._maker.settings.user_seconds, []
        most = step and step * self._maker.plan.size + _OPENING
        for outcome in self._driven(make_shard, shards, attempts, most):
            self.again += outcome.attempts > 1
            if not outcome.ok:
                failed.append(outcome)
                self._around.hear("worker_lost", shard=outcome.number, cause=_CAUSES[outcome.kind])
                continue
            trouble, users, aside = outcome.value
            if trouble:
                raise ReportgenError(trouble)
            self.count(users, aside)
            self._around.hear(
                "shard_done", shard=outcome.number, users=users, set_aside=aside, attempt=outcome.attempts
            )
            if self.elsewhere:
                self._say(0, 0)
        return failed

    def _isolate(self, failed: Sequence[Outcome]) -> None:
        """Try the users of failed shards one by one; make the shards again without those who kill or hang their process."""
        for shard in sorted(outcome.number for outcome in failed):
            guilty = self._guilty(shard)
            if guilty:
                write_aside(self._maker.run, shard, guilty)
        left = self._shards(sorted(outcome.number for outcome in failed), _LAST)
        if left:
            told = f"shard {left[0].number} cannot be made ({left[0].reason}), though each of its users alone can"
            raise ReportgenError(
                f"{told}; give its process more memory or make smaller shards, and go on with --resume"
            )

    def _guilty(self, shard: int) -> dict[str, str]:
        first, last = self._maker.plan.span(shard)
        keys = [person.key for person in self._maker.people.part(first, last)]
        step = self._maker.settings.user_seconds
        most, numbers = step and step * _STEPS + _OPENING, range(first, last)
        outcomes = self._driven(probe_user, numbers, _PROBES, most)
        return {keys[outcome.number - first]: outcome.reason for outcome in outcomes if not outcome.ok}
