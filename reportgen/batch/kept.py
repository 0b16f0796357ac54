"""Going on without reading and fitting again: data and model that an interrupted run kept, and complete runs, which need neither.

Data and model follow from the inputs, the settings and the versions, all of which the plan of a run names. Where these are the
same, what the run kept is what would be read and fitted now.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reportgen.batch.counting import FOLDER as STATISTICS
from reportgen.batch.engine import Engine
from reportgen.batch.engines import open_engine
from reportgen.batch.job import DATA, KEPT, MODEL
from reportgen.batch.origins import FOLDER as ORIGINS
from reportgen.batch.plan import Plan, known_facts, read_plan, shards_of
from reportgen.batch.resume import is_whole, listed, locked, packed_reports, read_failures, read_manifest
from reportgen.batch.settings import RunSettings, RunSummary
from reportgen.batch.unmailed import read_counts
from reportgen.data.dataset import Dataset
from reportgen.data.schema import Problem
from reportgen.errors import InputError, ModelError, OutputError
from reportgen.formats import FORMATS
from reportgen.output.durable import open_inside, remove_inside
from reportgen.output.folder import MANIFEST, WORK
from reportgen.output.manifest import Users, reports_by_format
from reportgen.report.record import microseconds

#: Makes the settings of a run from its reference time, in microseconds.
At = Callable[[int], RunSettings]


def open_kept(out: Path, at: At, own_model: bool) -> tuple[RunSettings, Dataset, Engine | None] | None:
    """Data and model of an interrupted run, where it was a run of the same.

    Parameters
    ----------
    out : Path
        The run folder.
    at : callable
        Makes the settings that are wanted now, given the reference time that the run had.
    own_model : bool
        The model is not fitted but given; it is not taken from what was kept.

    Returns
    -------
    settings : RunSettings
    data : Dataset
        Every byte of it was checked.
    engine : Engine or None
        What explains. None where the model is given.
    or None
        Nothing was kept, it is damaged, or the run there is another one.
    """
    plan = _plan(out)
    try:
        with open_inside(out, KEPT) as stream:
            kept = json.load(stream)
        settings = at(int(kept["as_of"]))
        if plan is None or kept["plan_id"] != plan.plan_id or bool(kept["fitted"]) == own_model:
            return None
        if settings.as_of != int(kept["as_of"]):  # the plan tells whole seconds
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not same_run(plan, settings):
        return None
    try:
        engine = None if own_model else open_engine(str(kept.get("engine")), out / MODEL)
        return settings, Dataset.open(out / DATA), engine
    except (InputError, ModelError):  # such as after a power cut: it is read and fitted again
        with suppress(OSError):
            remove_inside(out, KEPT)
        return None


def _plan(out: Path) -> Plan | None:
    with suppress(OutputError, OSError):
        return read_plan(out)
    return None


def same_run(plan: Plan, settings: RunSettings) -> bool:
    """Whether a plan is of these inputs, settings and versions. Data and model are not looked at: they follow."""
    wanted = known_facts(settings, plan.users)
    return shards_of(settings, plan.users) == (plan.size, plan.packs) and all(
        plan.facts.get(name) == fact for name, fact in wanted.items()
    )


def whole_run(out: Path, at: At, model_id: str) -> tuple[RunSummary, tuple[Problem, ...]] | None:
    """The summary of a complete run of the same, of which every byte is there: nothing needs to be read, fitted or made.

    Parameters
    ----------
    out : Path
    at : callable
        As in `open_kept`.
    model_id : str
        Of the model that is given; empty where one would be fitted.

    Returns
    -------
    summary : RunSummary
    problems : tuple of Problem
        What was said of the rows that were read.
    or None
        It is not complete, not whole, or another run.

    Raises
    ------
    OutputError
        Another run is working there.
    """
    plan, manifest = _plan(out), read_manifest(out)
    if plan is None or manifest is None or (out / WORK).exists():
        return None
    exact = manifest.get("as_of_microseconds")  # of older runs only whole seconds are known
    settings = at(exact if isinstance(exact, int) else microseconds(plan.facts["as_of"]))
    same = same_run(plan, settings) and exact in (None, settings.as_of)
    if not same or (model_id and model_id != plan.facts["model"]["id"]):
        return None
    with locked(out):
        outputs = listed(manifest)
        if not all(is_whole(out, output) for output in outputs):
            return None
        made = reports_by_format(path for path, _, _ in outputs)
        for shard in range(plan.shards) if plan.packs else ():
            made.update(packed_reports(out, shard))
        size = sum(size for path, _, size in outputs if path.split("/")[0] in ("reports", "packs", STATISTICS, ORIGINS))
        summary = RunSummary(
            out / "index.html", out / MANIFEST, plan.run_id, Users(**manifest["users"]),
            {word: made[word] for word in FORMATS if made[word]}, tuple(read_failures(out)), {}, size,
            shards={"kept": plan.shards}, unmailed=dict(sorted(read_counts(out).items())),
        )  # fmt: skip
    return summary, tuple(
        Problem(**problem | {"rows": tuple(problem["rows"])})
        for problem in manifest["problems"]
        if problem["reason"] != "after_as_of"
    )
