"""The part of ``reportgen build`` that explains another system's lists, or shows another model's weights."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.engine import Engine, Scored
from reportgen.batch.foreign import Foreign
from reportgen.batch.given import PATH, Given, read_summary
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.weights import Ablation, GivenLists, WeightTable, read_ablation, read_lists, read_weights
from reportgen.errors import ConfigError
from reportgen.explain.foreign import ForeignModel, Reading
from reportgen.verbs.door import Door

_TABLES = ("weights", "recommendations", "ablation")
_ONLY_WEIGHTS = ("ablation", "model_name", "model_version", "softmax_pooled")


def given_tables(given: argparse.Namespace) -> dict[str, str]:
    """The tables of another system that were named, by name."""
    return {name: where for name in _TABLES if (where := getattr(given, name, None)) is not None}


def foreign_tables(given: argparse.Namespace) -> dict[str, str]:
    """The tables named beside the usual three; other verbs that build have none.

    Raises
    ------
    ConfigError
        Options that do not go together.
    """
    found = given_tables(given)
    if "weights" not in found:
        extra = next((name for name in _ONLY_WEIGHTS if getattr(given, name, None)), None)
        if extra:
            raise ConfigError(f"--{extra.replace('_', '-')} goes with --weights")
    elif given.model is not None:
        raise ConfigError(
            "--model goes without --weights: another model's weights are shown as they are, and no model is used"
        )
    if found and given.stability:
        told = "it fits our own model again, and these reports are not made by what it recommends"
        raise ConfigError(f"--stability does not go with --{next(iter(found))}: {told}; leave one of them out")
    return found


def how_read(given: argparse.Namespace) -> dict[str, str | bool]:
    """How weights are read, as the settings of a run hold it; nothing in other runs."""
    names = ("heads", "layers", "model_name", "model_version", "softmax_pooled")
    return {name: getattr(given, name) for name in names} if getattr(given, "weights", None) is not None else {}


def read_engine(
    given: argparse.Namespace, files: Mapping[str, str | Path | None], data: Dataset, config: Config, door: Door,
    scorer: Callable[[], AttentionScorer],
) -> tuple[Dataset, Engine]:  # fmt: skip
    """What explains the users: our model, alone or on given lists, or the table of another model.

    Parameters
    ----------
    given : Namespace
    files : mapping of str to str or Path
        Tables by name.
    data : Dataset
    config : Config
    door : Door
    scorer : callable
        Loads our model, or fits it.

    Returns
    -------
    data : Dataset
        It knows of the further tables' rows and problems, too.
    engine : Engine

    Raises
    ------
    InputError, ConfigError, ModelError
    """
    weights, lists, ablation = (files.get(name) for name in ("weights", "recommendations", "ablation"))
    if weights is not None:
        with door.stage("read"):
            table = read_weights(str(weights), data, config)
            removed = None if ablation is None else read_ablation(str(ablation), data, config)
        how = Reading(given.heads, given.layers)
        how.check(table.heads, table.layers)
        data = _noted(data, "weights", table)
        if removed is not None:
            data = _noted(data, "ablation", removed)
        return data, Foreign(
            table, how, ForeignModel(given.model_name, given.model_version, given.softmax_pooled), removed
        )
    if lists is not None:
        with door.stage("read"):
            found = read_lists(str(lists), data, config)
        return _noted(data, "recommendations", found), Given(scorer(), found)
    return data, Scored(scorer())


def _noted(data: Dataset, name: str, table: WeightTable | GivenLists | Ablation) -> Dataset:
    """The data set with what a further table says of its own rows and columns."""
    return replace(
        data, problems=(*data.problems, *table.problems), rows_read=(data.rows_read or {}) | {name: table.rows_read},
        columns_read=(data.columns_read or {}) | {name: table.columns},
    )  # fmt: skip


def tell_agreement(out: Path, door: Door) -> None:
    """Say how far our model agrees with the given lists, where there were any."""
    if not (out / PATH).is_file():
        return
    found = read_summary(out)
    told = [f"Kendall's tau {found['tau']:.2f}"] if "tau" in found else []
    told += [f"{100 * found['in_top']:.0f}% of the lists in our first {found['top']}"] if "in_top" in found else []
    door.console.print(f"agreement with the given lists: {', '.join(told) or 'nothing to compare'}")
