"""One shard: its users explained, told, drawn and brought to the disk, and then a result file that says so.

A shard is a pure function of a run folder and a number: two processes that make the same shard write the same bytes, and a shard
counts as done when its result is there and what it lists is, too. Any machine that sees the run folder can make it.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reportgen.audit.fold_frame import Frame
from reportgen.batch.counting import Counting, frame_of
from reportgen.batch.engine import Engine
from reportgen.batch.origins import Library, Origin, Origins, library_of
from reportgen.batch.people import People, Person
from reportgen.batch.plan import Plan
from reportgen.batch.settings import Failure, RunSettings, Tools
from reportgen.batch.sinks import Files, Listed, Packed
from reportgen.batch.work import Clock, Worker
from reportgen.data.dataset import Dataset
from reportgen.explain.fidelity import Trust
from reportgen.explain.privacy import make_privacy
from reportgen.output.durable import Durable, open_inside
from reportgen.output.entries import open_line, sealed_line
from reportgen.output.folder import WORK
from reportgen.workers.limit import listening

#: What a stage of a user's report that killed or hung its process is called in `errors.jsonl`.
STAGE = "worker"

#: Called with users done and users set aside of the shard at hand.
Tick = Callable[[int, int], None]


def _no_tick(done: int, aside: int) -> None:
    """Say nothing."""


def processor_seconds() -> float:
    """Processor time of this process: what a worker measures its stages with, so that a busy machine does not count."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> int:
    """Most memory of this process in bytes. ``ru_maxrss`` would count what its parent had when it was started."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True)
class Result:
    """What became of a shard.

    Attributes
    ----------
    shard : int
    plan_id : str
    users : int
        Those with a report.
    failures : tuple of Failure
    made : dict of str to int
        Reports per format.
    outputs : tuple of (str, str, int)
        Path, SHA-256 and length of each file.
    seconds : dict of str to float
        By stage.
    peak : int
        Most memory of the process until then, in bytes.
    outcomes : dict of str to int
        What became of users in a run with ``--since``, of `reportgen.batch.origins.OUTCOMES`.
    apart : dict of str to int
        Users of chunks that were taken apart, see `reportgen.batch.work.Worker`.
    """

    shard: int
    plan_id: str
    users: int
    failures: tuple[Failure, ...]
    made: dict[str, int]
    outputs: tuple[Listed, ...]
    seconds: dict[str, float]
    peak: int
    outcomes: dict[str, int] = field(default_factory=dict)
    apart: dict[str, int] = field(default_factory=dict)

    def to_line(self) -> bytes:
        return sealed_line(asdict(self))

    @classmethod
    def from_line(cls, line: bytes) -> Result:
        """Read what `to_line` made; ValueError or TypeError when it is damaged."""
        plain: dict[str, Any] = open_line(line)
        plain["failures"] = tuple(Failure(**failed) for failed in plain["failures"])
        plain["outputs"] = tuple((path, digest, size) for path, digest, size in plain["outputs"])
        return cls(**plain)


def result_path(shard: int) -> str:
    """Where the result of a shard lies in a run folder."""
    return f"{WORK}/results/{shard:06}.json"


def aside_path(shard: int) -> str:
    """Where it stands which users of a shard must not be tried again."""
    return f"{WORK}/aside/{shard:06}.json"


def read_result(run: Path, plan: Plan, shard: int) -> Result | None:
    """The result of a shard; None when it has none of this plan."""
    try:
        with open_inside(run, result_path(shard)) as stream:
            found = Result.from_line(stream.read())
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if (found.plan_id, found.shard) == (plan.plan_id, shard) else None


class Maker:
    """Makes shards with what it holds: in the process that planned the run, or in a worker that opened the job.

    Parameters
    ----------
    run : Path
        The run folder.
    plan : Plan
    settings : RunSettings
        Without the key where the maker is a worker's.
    data : Dataset
    engine : Engine
    people : People
    trust : Trust, optional
    tools : Tools, optional
    clock : callable, optional
    tick : callable, optional
        Called after each user with users done and users set aside of the shard at hand.
    """

    def __init__(
        self, run: Path, plan: Plan, settings: RunSettings, data: Dataset, engine: Engine, people: People,
        trust: Trust | None = None, tools: Tools | None = None, clock: Clock = processor_seconds, tick: Tick = _no_tick,
    ) -> None:  # fmt: skip
        self.run, self.plan, self.settings, self.people = run, plan, settings, people
        self.data, self.engine, self.trust = data, engine, trust
        self.tools, self.own_tools, self.clock, self.tick = tools or engine.tools(), tools is not None, clock, tick
        self.privacy = make_privacy(data, settings.config.privacy)
        self.origin = Origin()

    @cached_property
    def frame(self) -> Frame:
        """What all shards of the run count with."""
        market = self.engine.market(self.data, self.settings.as_of)
        return frame_of(self.plan.run_id, self.settings.n, self.data, market, self.people)

    @cached_property
    def library(self) -> Library | None:
        """The former run whose reports may be taken over."""
        return library_of(self.origin)

    def _worker(self, sink: Files | Packed) -> Worker:
        return Worker(
            self.settings, self.data, self.engine.explainer, self.privacy, sink, self.tools, self.clock, trust=self.trust,
            mailer=self.settings.mailer(self.plan.run_id),
        )  # fmt: skip

    def make(self, shard: int) -> Result:
        """Make a shard and its result file.

        Raises
        ------
        OutputError
            The folder is in trouble: no shard can be finished.
        """
        sink = Packed(self.run, shard) if self.plan.packs else Files(self.run)
        worker, people = self._worker(sink), dict[str, Person]()
        worker.counting = Counting(self.frame, self.data)
        aside = _read_aside(self.run, shard)
        first, last = self.plan.span(shard)
        with listening(), closing(Origins(self.origin, self.library)) as worker.origins:
            for start in range(first, last, self.settings.chunk):
                part = self.people.part(start, min(start + self.settings.chunk, last))
                people |= {person.key: person for person in part}
                self._chunk(worker, part, start, aside)
                self._timed(worker, sink.flush)
        worker.failures.sort(key=lambda failed: (failed.user, failed.stage))
        self._timed(worker, lambda: sink.close(worker.failures, people))
        beside = [worker.counting.file(shard), worker.origins.file(shard, worker.done)]
        result = self._result(shard, worker, [*sink.outputs, *(listed for _, listed in beside)])
        with Durable(self.run) as out:
            for content, listed in beside:
                out.write(listed[0], content)
            out.commit()
            out.write(result_path(shard), result.to_line())
        return result

    def _chunk(self, worker: Worker, part: list[Person], start: int, aside: Mapping[str, str]) -> None:
        worker.failures += [Failure(who.key, STAGE, aside[who.key]) for who in part if who.key in aside]
        rest = [(start + k, person) for k, person in enumerate(part) if person.key not in aside]
        most = self.settings.pdf_limit
        for _ in worker.chunk([who for _, who in rest], [most is None or place < most for place, _ in rest]):
            self.tick(len(worker.done), len(worker.failures))

    def _timed(self, worker: Worker, work: Callable[[], None]) -> None:
        start = self.clock()
        work()
        if worker.done:
            worker.seconds["write"] = worker.seconds.get("write", 0.0) + self.clock() - start

    def _result(self, shard: int, worker: Worker, outputs: list[Listed]) -> Result:
        seconds = {stage: round(spent, 6) for stage, spent in worker.seconds.items()}
        return Result(
            shard, self.plan.plan_id, len(worker.done), tuple(worker.failures), dict(worker.made), tuple(outputs),
            seconds, _peak(), dict(worker.origins.outcomes) if worker.origins is not None else {}, dict(worker.apart),
        )  # fmt: skip

    def probe(self, place: int) -> None:
        """Do for one user all that a shard does but for the writing. Who kills this process is guilty."""
        most = self.settings.pdf_limit
        for _ in self._worker(Packed(self.run, 0)).chunk(
            self.people.part(place, place + 1), [most is None or place < most]
        ):
            pass


def _read_aside(run: Path, shard: int) -> dict[str, str]:
    """Users that were found to kill or hang their process -> how."""
    try:
        with open_inside(run, aside_path(shard)) as stream:
            return {str(key): str(reason) for key, reason in json.load(stream).items()}
    except FileNotFoundError:
        return {}


def write_aside(run: Path, shard: int, reasons: Mapping[str, str]) -> None:
    """Note users of a shard that must not be tried again.

    Raises
    ------
    OutputError
    """
    with Durable(run) as out:
        out.write(aside_path(shard), json.dumps(dict(sorted(reasons.items()))).encode("ascii"))
