"""``build_run``: data and a fitted scorer become a run folder with one report per user.

A run is planned, cut into shards, and each shard is made by whoever is at work: this process, others of this machine, or a cluster.
What is on the disk decides what is done. Index and manifest are made from the results that the shards left there, never from what
a worker said, so a run that is interrupted at any moment goes on from where the disk says it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from reportgen.attention.scorer import AttentionScorer
from reportgen.audit.erase import check_mendable
from reportgen.batch.closing import Total, close_run
from reportgen.batch.common import common_of
from reportgen.batch.crew import Around, Crew, Hear, Say, deaf, never, silent, still
from reportgen.batch.engine import Engine, engine_of
from reportgen.batch.hearing import Hearing
from reportgen.batch.job import at_hand, write_job
from reportgen.batch.origins import Origin, changed_parts, secret_of
from reportgen.batch.people import Choice, choose
from reportgen.batch.plan import Plan, make_plan, write_plan
from reportgen.batch.refits import PATH as STABILITY_FILE
from reportgen.batch.refits import keep_measured, measure_stability
from reportgen.batch.resume import (
    check_plan,
    clear_parts,
    is_whole,
    listed,
    locked,
    read_manifest,
    recovered,
    standing,
    write_results,
)
from reportgen.batch.settings import RunSettings, RunSummary, Since, Tools
from reportgen.batch.shard import Maker
from reportgen.batch.unmailed import read_counts
from reportgen.batch.work import Clock
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.output.folder import RunFolder, check_folder
from reportgen.output.former import Former


def build_run(
    settings: RunSettings, data: Dataset, scorer: AttentionScorer | Engine, say: Say = silent,
    tools: Tools | None = None, clock: Clock = still, *, hear: Hear = deaf, stop: Callable[[], bool] = never,
) -> RunSummary:  # fmt: skip
    """Make the reports of a run.

    A user who fails at any stage is set aside in ``errors.jsonl`` and the run goes on. The same data, scorer,
    settings and versions give the same bytes in every file, whoever makes the shards and in whatever order.

    Parameters
    ----------
    settings : RunSettings
    data : Dataset
    scorer : AttentionScorer or Engine
        Our model, fitted on the catalogue of `data`; or whatever else explains, see `reportgen.batch.engine`.
    say : callable, optional
        Called with users done, users in all, users set aside: after each user, or after each shard where other processes work.
    tools : Tools, optional
        Only for a run in this process.
    clock : callable, optional
        Seconds from any start; only for `RunSummary.seconds`.
    hear : callable, optional
        Called with the name of an event and its facts, see `reportgen.batch.logline`.
    stop : callable, optional
        Asked often; when it turns true, the run ends in order and can be resumed.

    Returns
    -------
    RunSummary

    Raises
    ------
    OutputError
        The folder cannot be used, or fails on the way.
    InputError
        An unknown user, or none at all.
    ConfigError
        The run to be resumed is another one.
    ReportgenError
        Every user failed; no manifest is written. Or the workers cannot work.
    KeyboardInterrupt
        It was stopped.
    """
    with _opened(settings, data, engine_of(scorer), tools, Around(say, hear, clock, stop)) as run:
        return run.complete() or run.go()


def plan_run(
    settings: RunSettings, data: Dataset, scorer: AttentionScorer | Engine, *, clock: Clock = still
) -> tuple[Plan, list[int]]:
    """Prepare a run whose shards are made by others, with ``reportgen shard``; `build_run` with ``resume`` completes it.

    Returns
    -------
    plan : Plan
    missing : list of int
        Shards that are still to be made.
    """
    with _opened(settings, data, engine_of(scorer), None, Around(clock=clock)) as run:
        if run.complete():
            return run.plan, []
        return run.plan, run.prepare(travels=True)


@contextmanager
def _opened(
    settings: RunSettings, data: Dataset, engine: Engine, tools: Tools | None, around: Around
) -> Iterator[_Run]:
    """Check everything, then take the folder."""
    settings.check()
    check_folder(settings.out, settings.overwrite or settings.resume)
    engine.check(settings, data)
    if tools is not None and (settings.workers > 1 or settings.scheduler):
        raise ConfigError("tools of your own cannot be sent to other processes; use one worker")
    choice = choose(data, settings.key, settings.locale, settings.users, settings.limit, engine.users(data))
    plan = make_plan(settings, data, engine, choice)
    maker = Maker(settings.out, plan, settings, data, engine, choice.people, None, tools, around.clock)
    former = _former(settings, tools)
    settings.out.mkdir(parents=True, exist_ok=True)
    with locked(settings.out):
        resumed = settings.resume and check_plan(settings.out, plan)
        made_up = settings.synthetic or settings.config.report.synthetic
        folder = RunFolder(settings.out, settings.overwrite or settings.resume, made_up, keep=resumed)
        around = replace(around, hear=Hearing(settings.out, plan, around.hear))
        run = _Run(maker, choice, folder, around, resumed, Crew(maker, around), former)
        with at_hand(maker):
            yield run


def _former(settings: RunSettings, tools: Tools | None) -> Former | None:
    """The run whose reports may be taken over, opened before any work."""
    if settings.since is None:
        return None
    if tools is not None:
        raise ConfigError(
            "since: what tools of your own would make cannot be known from a former run; leave one of them out"
        )
    if settings.out.exists() and settings.since.exists() and settings.out.samefile(settings.since):
        raise ConfigError(f"{settings.since} is the folder of this very run; name another one with --since")
    former = Former(settings.since)
    changed_parts(former, {})  # so that a run that does not say it is refused before another is replaced
    return former


@dataclass
class _Run:
    """A run whose folder is taken."""

    maker: Maker
    choice: Choice
    folder: RunFolder
    around: Around
    resumed: bool
    crew: Crew
    former: Former | None = None
    kept: int = 0
    since: Since = field(default_factory=Since)
    seconds: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.maker.plan

    def complete(self) -> RunSummary | None:
        """The summary of a complete run, of which nothing is written again. A damaged one is opened again, and None returned."""
        manifest = read_manifest(self.folder.out) if self.resumed else None
        if manifest is None:
            return None
        outputs, out = listed(manifest), self.folder.out
        results = recovered(out, self.plan, self.choice.people, outputs)
        damaged = [output[0] for output in outputs if not is_whole(out, output)]
        if results and not damaged:
            self.folder.clear_work()
            clear_parts(out)
            total = Total.of(results)
            total.unmailed = read_counts(out)
            return total.summary(self.folder, self.plan, self.choice, {}, {"kept": len(results)})
        for path in damaged:
            if not path.startswith(
                ("reports/", "packs/", "statistics/", "origins/")
            ):  # those are named with their shard
                self.around.hear("damaged", file=path, cause="damaged")
        check_mendable(out)
        keep_measured(self.maker, outputs)
        self.folder.unseal()
        write_results(out, results)
        return None

    def go(self) -> RunSummary:
        """Make what is missing, and complete the run."""
        plan, settings, hear = self.plan, self.maker.settings, self.around.hear
        hear(
            "run_started", run_id=plan.run_id, users=plan.users, shards=plan.shards, workers=settings.workers,
            resumed=self.resumed, opted_out=self.choice.opted_out,
        )  # fmt: skip
        hear("phase", phase="plan")
        missing = self.prepare(self.crew.elsewhere)
        hear("phase", phase="reports")
        self.crew.make(missing)
        if settings.stability:
            hear("phase", phase="stability")
            self._fit_again()
        hear("phase", phase="finish")
        return self._finish()

    def prepare(self, travels: bool) -> list[int]:
        """Write plan and job, and list the shards that are to be made."""
        out = self.folder.out
        if self.resumed:
            check_mendable(out)
            self.folder.unseal()
            clear_parts(out)
        write_plan(out, self.plan)
        self._measure()
        self._look_back()
        write_job(self.maker, travels)
        return self._missing() if self.resumed else list(range(self.plan.shards))

    def _measure(self) -> None:
        """Measure once how far the reasons can be trusted; every report shows it."""
        start, maker = self.around.clock(), self.maker
        files, maker.trust = maker.engine.measure(maker.settings, maker.data, maker.privacy)
        for path, content in files.items():
            self.folder.write(path, content, "application/json")
        self.seconds["trust"] = self.around.clock() - start

    def _fit_again(self) -> None:
        """Measure how stable the reasons are. No report depends on it, so it comes after them."""
        start = self.around.clock()
        self.folder.write(STABILITY_FILE, measure_stability(self.maker, self.around), "application/json")
        self.after["stability"] = self.around.clock() - start

    def _look_back(self) -> None:
        """Say what all reports share, and whether a former run shared the same."""
        maker, former = self.maker, self.former
        common = common_of(maker.plan, maker.settings, maker.engine, maker.trust)
        changed = changed_parts(former, common) if former else []
        if former is not None:
            self.since = Since(former.run.name, tuple(changed))
        taken_from = "" if former is None or changed else str(former.run.absolute())
        maker.origin = Origin(secret_of(maker.settings.key), common, taken_from)

    def _missing(self) -> list[int]:
        missing = []
        for shard, result, damaged in standing(self.folder.out, self.plan):
            if damaged:
                self.around.hear("damaged", file=damaged, cause="damaged")
            if result is None:
                missing.append(shard)
            else:
                self.crew.count(result.users, len(result.failures))
                self.kept += 1
        return missing

    def _finish(self) -> RunSummary:
        start = self.around.clock()
        if self.crew.elsewhere:
            clear_parts(self.folder.out)  # of workers that died
        total = Total.read(self.folder.out, self.plan)
        shards = {"done": self.plan.shards - self.kept, "kept": self.kept, "again": self.crew.again}
        close_run(self.folder, self.plan, self.maker, self.choice, total)
        self.folder.clear_work()
        if not self.crew.elsewhere:
            total.peak = 0  # it is this process's own, which its caller knows
        seconds = self.seconds | total.seconds | self.after | {"finish": self.around.clock() - start}
        return total.summary(self.folder, self.plan, self.choice, seconds, shards, self.since)
