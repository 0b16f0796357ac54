"""The part of ``reportgen.toml`` that names the columns of tables about another model: its weights, its lists, its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reportgen.checks import Check, unknown

#: Columns by our names, those that must be there first; see `reportgen.data.schema`.
WEIGHTS_NEEDED = ("user_id", "item_id", "history_item_id", "weight")
WEIGHTS_MORE = ("rank", "score", "base", "value", "position", "feature", "kind", "head", "layer", "aggregation")
LISTS_NEEDED, LISTS_MORE = ("user_id", "item_id"), ("rank", "score", "source")
ABLATION_NEEDED = ("user_id", "item_id", "removed_item_id", "score")


def _check(needed: tuple[str, ...], more: tuple[str, ...] = ()) -> dict[str, Check]:
    """Metadata for a free table: our name -> name in the file, "" for a column that is there and must not be used.

    It says which name we do not know, which needed column would be left out, or which column would be read as two things.
    """
    known = (*needed, *more)

    def complain(given: Mapping[str, str]) -> str | None:
        wrong = next((ours for ours in given if ours not in known), None)
        if wrong is not None:
            return unknown(wrong, known)
        empty = next((ours for ours in needed if not given.get(ours, ours).strip()), None)
        if empty is not None:
            return f"{empty} cannot be left out; write the name of its column in the file"
        # A name that is not mapped stands for itself, so a mapping can also meet a column of one of our own names.
        readers: dict[str, list[str]] = {}
        for ours in known:
            if theirs := given.get(ours, ours):
                readers.setdefault(theirs, []).append(ours)
        twice = next(((theirs, ours) for theirs, ours in readers.items() if len(ours) > 1), None)
        return None if twice is None else _read_twice(*twice, given, needed)

    return {"check": complain}


def _read_twice(theirs: str, readers: list[str], given: Mapping[str, str], needed: tuple[str, ...]) -> str:
    """Two of our names would read one column: the remedy is to map the one that was not mapped, or to leave it out."""
    told = f'the column "{theirs}" would be read as both {readers[0]} and {readers[1]}'
    free = next((ours for ours in readers if ours not in given), readers[1])
    if free in needed:
        return f"{told}; name another column for {free}"
    return f'{told}; name another column for {free}, or leave it out with {free} = ""'


@dataclass(frozen=True)
class WeightsConfig:
    """Columns of another model's weights (``--weights``)."""

    columns: dict[str, str] = field(default_factory=dict, metadata=_check(WEIGHTS_NEEDED, WEIGHTS_MORE))


@dataclass(frozen=True)
class RecommendationsConfig:
    """Columns of another system's lists (``--recommendations``)."""

    columns: dict[str, str] = field(default_factory=dict, metadata=_check(LISTS_NEEDED, LISTS_MORE))


@dataclass(frozen=True)
class AblationConfig:
    """Columns of another model's scores without single items (``--ablation``)."""

    columns: dict[str, str] = field(default_factory=dict, metadata=_check(ABLATION_NEEDED))
