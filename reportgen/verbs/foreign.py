"""The part of ``reportgen build`` that explains another system's lists, or shows another model's weights."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.foreign import PAGES, ForeignRun, build_foreign_run
from reportgen.batch.given import GivenRun, read_summary
from reportgen.batch.settings import RunSettings, Tools
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.weights import GivenLists, WeightTable, read_ablation, read_lists, read_weights
from reportgen.errors import ConfigError, InputError
from reportgen.explain.foreign import ForeignModel, Reading
from reportgen.verbs.door import DONE, SOME_ASIDE, Door

_TABLES = ("weights", "recommendations", "ablation")
_ONLY_WEIGHTS = ("ablation", "model_name", "model_version", "softmax_pooled")


def foreign_tables(given: argparse.Namespace) -> dict[str, str]:
    """The tables named beside the usual three; other verbs that build have none.

    Raises
    ------
    ConfigError
        Options that do not go together.
    """
    found = {name: where for name in _TABLES if (where := getattr(given, name, None)) is not None}
    if "weights" not in found:
        extra = next((name for name in _ONLY_WEIGHTS if getattr(given, name, None)), None)
        if extra:
            raise ConfigError(f"--{extra.replace('_', '-')} goes with --weights")
    elif given.model is not None:
        raise ConfigError(
            "--model goes without --weights: another model's weights are shown as they are, and no model is used"
        )
    wrong = next((word for word in given.format if word not in PAGES), None) if found else None
    if wrong:
        told = f"--format {wrong} does not go with --{next(iter(found))}: a mail tells reasons of our own model for its own list"
        raise ConfigError(f"{told}; use one or more of {','.join(PAGES)}")
    if found and (given.plan_only or given.workers > 1 or given.scheduler):
        named = "--plan-only" if given.plan_only else "--workers" if given.workers > 1 else "--scheduler"
        raise ConfigError(f"{named} does not go with --{next(iter(found))}: such a run is made by one process")
    return found


def weights_run(
    given: argparse.Namespace, files: Mapping[str, str | Path | None], settings: RunSettings, data: Dataset, door: Door
) -> ForeignRun:
    """Read another model's weights.

    Raises
    ------
    InputError
    """
    config = settings.config
    with door.console.stage("read"):
        table: WeightTable = read_weights(str(files["weights"]), data, config)
        ablation = None if files.get("ablation") is None else read_ablation(str(files["ablation"]), data, config)
    model = ForeignModel(given.model_name, given.model_version, given.softmax_pooled)
    return ForeignRun(settings, data, table, Reading(given.heads, given.layers), model, ablation)


def make_foreign(run: ForeignRun, door: Door) -> int:
    """Make the reports, and say what came of it; return the exit code."""
    with door.console.stage("make"):
        summary = build_foreign_run(run, clock=door.exact)
    problems = (*run.table.problems, *(run.ablation.problems if run.ablation else ()))
    door.console.tell(summary, replace(run.data, problems=(*run.data.problems, *problems)), door.peak())
    return SOME_ASIDE if summary.failures else DONE


def with_lists(
    settings: RunSettings, data: Dataset, lists: GivenLists, scorer: AttentionScorer
) -> tuple[RunSettings, Dataset, Tools]:
    """The usual run, on given lists: only users with a list, explained in its order.

    Raises
    ------
    InputError
        A user asked for has no list.
    """
    listed = lists.users()
    listed = listed[~data.users["opted_out"].to_numpy(dtype=bool)[listed]]
    there = tuple(str(user) for user in data.user_ids[listed][: settings.limit])
    have = set(data.user_ids[lists.users()].tolist())
    if settings.users is not None and (set(settings.users) & set(data.user_ids.tolist())) - have:
        raise InputError(
            "a user asked for with --user has no row in the recommendations; add one or leave the user out"
        )
    users = settings.users or there
    rows = (data.rows_read or {}) | {"recommendations": lists.rows_read}
    data = replace(data, problems=(*data.problems, *lists.problems), rows_read=rows)
    run = GivenRun(scorer, data, lists, settings.config, settings.as_of, users)
    return replace(settings, users=users), data, run.tools()


def read_given(files: Mapping[str, str | Path | None], data: Dataset, config: Config) -> GivenLists | None:
    """The lists of another system, where there are any."""
    where = files.get("recommendations")
    return None if where is None else read_lists(str(where), data, config)


def tell_agreement(out: Path, door: Door) -> None:
    """Say how far our model agrees with the given lists."""
    found = read_summary(out)
    told = [f"Kendall's tau {found['tau']:.2f}"] if "tau" in found else []
    told += [f"{100 * found['in_top']:.0f}% of the lists in our first {found['top']}"] if "in_top" in found else []
    door.console.print(f"agreement with the given lists: {', '.join(told) or 'nothing to compare'}")
