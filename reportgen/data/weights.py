"""Tables about another model: its weights, its lists, its scores without single items; checked row by row."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from reportgen.config import Config
from reportgen.data.dataset import Dataset, frame_source
from reportgen.data.ingest_long import EMPTY, FINE, NONE, NOT_FINITE, UNKNOWN, Long, LongSpec, read_long
from reportgen.data.schema import ABLATION, RECOMMENDATIONS, WEIGHTS, Problem, show
from reportgen.data.sources import Source, resolve
from reportgen.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame | str | PathLike[str]

KINDS = ("attention", "contribution")
#: `WeightTable.history` of what is no item: a marker of the model or an item nobody knows, and a padding position.
MARKER, PADDING = UNKNOWN, NONE
_WEIGHTS = LongSpec(
    WEIGHTS,
    ("weight", "rank", "score", "base", "value", "position"),
    ("feature", "kind", "head", "layer", "aggregation"),
    ("history_item_id",),
)
_LISTS = LongSpec(RECOMMENDATIONS, ("rank", "score"), ("source",))
_ABLATION = LongSpec(ABLATION, ("score",), (), ("removed_item_id",))


@dataclass(frozen=True, eq=False)
class WeightTable:
    """Weights of another model, one row per recommended item, position, head and layer; sorted by user, in the order of the files.

    Attributes
    ----------
    user, item : ndarray of int64, shape (N,)
        Codes in the data set.
    history : ndarray of int64, shape (N,)
        Code of the history item, `MARKER` or `PADDING`.
    weight : ndarray of float64, shape (N,)
        Finite; of attention >= 0.
    rank, score, base, value, position : ndarray of float64, shape (N,)
        NaN where the table has none. `value` is what a softmax-pooled score adds up: ``score = sum(weight * value)``.
    feature, head, layer : ndarray of int64, shape (N,)
        Index into `features`, `heads`, `layers`; -1 where the table has none.
    features, heads, layers : tuple of str
        Layers in their order: by number where all are numbers.
    kind : str
        ``attention`` or ``contribution``.
    aggregation : str
        What was already put together before the table was written, in its maker's words.
    indptr : ndarray of int64, shape (U + 1,)
        Rows of user ``u`` of the data set are ``indptr[u]:indptr[u + 1]``.
    problems : tuple of Problem
    rows_read : int
    """

    user: np.ndarray
    item: np.ndarray
    history: np.ndarray
    weight: np.ndarray
    rank: np.ndarray
    score: np.ndarray
    base: np.ndarray
    value: np.ndarray
    position: np.ndarray
    feature: np.ndarray
    head: np.ndarray
    layer: np.ndarray
    features: tuple[str, ...]
    heads: tuple[str, ...]
    layers: tuple[str, ...]
    kind: str
    aggregation: str
    indptr: np.ndarray
    problems: tuple[Problem, ...]
    rows_read: int

    def users(self) -> np.ndarray:
        """Codes of the users who have a row: int64, sorted."""
        return np.flatnonzero(np.diff(self.indptr))


@dataclass(frozen=True, eq=False)
class GivenLists:
    """Lists of another system: items of each user in their order.

    Attributes
    ----------
    indptr : ndarray of int64, shape (U + 1,)
    item : ndarray of int64, shape (N,)
        The first of each user is the best.
    score : ndarray of float64, shape (N,)
        NaN where not given.
    source : str
        What the table calls the system, or "".
    problems : tuple of Problem
    rows_read : int
    """

    indptr: np.ndarray
    item: np.ndarray
    score: np.ndarray
    source: str
    problems: tuple[Problem, ...]
    rows_read: int

    def users(self) -> np.ndarray:
        """Codes of the users who have a list: int64, sorted."""
        return np.flatnonzero(np.diff(self.indptr))


@dataclass(frozen=True, eq=False)
class Ablation:
    """Scores of another model without single history items: all arrays of shape (N,); `removed` is `PADDING` for none."""

    user: np.ndarray
    item: np.ndarray
    removed: np.ndarray
    score: np.ndarray
    problems: tuple[Problem, ...]


def read_weights(where: Table, data: Dataset, config: Config | None = None) -> WeightTable:
    """Read a table of weights.

    Parameters
    ----------
    where : DataFrame, str or path
        A frame, or CSV, TSV or Parquet: one file, a folder or a glob. Columns as of `reportgen.data.schema.WEIGHTS`.
    data : Dataset
        Whose users and items it names.
    config : Config, optional

    Raises
    ------
    InputError
        The table cannot be used as a whole; or it says of some rows that they are attention and of others that they are not.
    """
    long = read_long(_WEIGHTS, _sources("weights", where, config), data, config or Config())
    kind = _kind_of(long)
    _whole_products(long, kind)
    _positions(long)
    return _weight_table(long, data, kind)


def read_lists(where: Table, data: Dataset, config: Config | None = None) -> GivenLists:
    """Read lists of another system; errors and forms as of `read_weights`."""
    long = read_long(_LISTS, _sources("recommendations", where, config), data, config or Config())
    user, item, rank = long.codes["user_id"], long.codes["item_id"], long.numbers["rank"]
    odd = ~np.isin(long.flags["rank"], (FINE, EMPTY)) | (~np.isnan(rank) & ((rank < 1) | (rank != np.floor(rank))))
    long.set_aside(odd, "rank_not_a_rank", kept=True)
    long.set_aside(~np.isin(long.flags["score"], (FINE, EMPTY)), "score_not_a_number", kept=True)
    score = long.numbers["score"]
    place = np.where(odd | np.isnan(rank), np.inf, rank)
    order = np.lexsort((np.arange(user.size), np.where(np.isnan(score), np.inf, -score), place, user))
    first = np.zeros(user.size, dtype=bool)
    kept = order[long.keep[order]]
    first[kept[np.unique(user[kept] * (item.max(initial=0) + 1) + item[kept], return_index=True)[1]]] = True
    long.set_aside(~first, "duplicate_pick")
    order = order[long.keep[order]]
    return GivenLists(
        _bounds(user[order], data), item[order], score[order], _said(long, "source"), long.problems, long.rows_read
    )


def read_ablation(where: Table, data: Dataset, config: Config | None = None) -> Ablation:
    """Read scores without single items; errors and forms as of `read_weights`."""
    long = read_long(_ABLATION, _sources("ablation", where, config), data, config or Config())
    long.set_aside(long.flags["score"] != FINE, "score_not_a_number")
    long.set_aside(long.codes["removed_item_id"] == UNKNOWN, "not_in_table")
    keep = long.keep
    user, item, removed = (long.codes[name][keep] for name in ABLATION.ids)
    return Ablation(user, item, removed, long.numbers["score"][keep], long.problems)


def _sources(name: str, where: Table, config: Config | None) -> list[Source]:
    if isinstance(where, str | PathLike):
        return resolve(where, config.input.delimiter if config else "")
    return [frame_source(name, where)]


def _said(long: Long, column: str) -> str:
    """What a column of text says, all its values in one line."""
    return ", ".join(long.texts[column][1][:3])


def _kind_of(long: Long) -> str:
    """One kind for the whole table: a page cannot be about both."""
    codes, names = long.texts["kind"]
    wrong = next((name for name in names if name.lower() not in KINDS), None)
    if wrong is not None:
        file, rows = long.ledger.files.locate([int(np.flatnonzero(codes == names.index(wrong))[0])])
        raise InputError(f'{file}: row {rows[0]}: kind "{show(wrong)}" is not known; write attention or contribution')
    if len({name.lower() for name in names}) > 1 or (len(names) == 1 and (codes < 0).any() and names[0] != KINDS[0]):
        file, rows = long.ledger.files.locate([int(np.flatnonzero(codes != codes[0])[0])])
        told = "the rows before are of another kind (attention is meant where kind is empty)"
        raise InputError(f"{file}: row {rows[0]}: {told}; write one table for each kind")
    return names[0].lower() if names else KINDS[0]


def _whole_products(long: Long, kind: str) -> None:
    """Where one weight of a product cannot be used, none can: what is left would be shown as more than it is."""
    flags, weight = long.flags["weight"], long.numbers["weight"]
    bad = {
        "weight_not_finite": flags == NOT_FINITE,
        "weight_missing": flags != FINE,
        "weight_negative": (weight < 0) if kind == KINDS[0] else np.zeros(weight.size, dtype=bool),
        "history_id_broken": long.broken,
    }
    lost = np.zeros(weight.size, dtype=bool)
    for reason, rows in bad.items():
        rows = rows & long.keep & ~lost
        if rows.any():
            long.set_aside(rows, reason, "" if reason != "weight_negative" else weight[np.flatnonzero(rows)[0]])
            lost |= rows
    _drop_products(long, lost)


def _drop_products(long: Long, lost: np.ndarray) -> None:
    """Leave out all rows of the products that one of the rows `lost` is about; they were noted with that row."""
    pair = long.codes["user_id"] * (long.codes["item_id"].max(initial=0) + 1) + long.codes["item_id"]
    long.keep &= ~np.isin(pair, pair[lost])


def _positions(long: Long) -> None:
    """Settle rows that speak of one position, head and layer more than once; name what is no product."""
    keys = [long.codes[name] for name in ("user_id", "item_id", "history_item_id")]
    keys += [long.texts[name][0] for name in ("feature", "head", "layer")]
    position = np.where(np.isnan(long.numbers["position"]), -1.0, long.numbers["position"])
    rows = np.flatnonzero(long.keep)
    if "position" in long.present:
        first, same = _repeated([key[rows] for key in (*keys, position)], long.numbers["weight"][rows])
        bad = np.zeros(long.keep.size, dtype=bool)
        bad[rows[~first & ~same]] = True
        long.set_aside(bad, "contradicting_rows")
        _drop_products(long, bad)
        again = np.zeros(long.keep.size, dtype=bool)
        again[rows[~first & same]] = True
        long.set_aside(again, "duplicate_weight")
    rows = np.flatnonzero(long.keep & (keys[2] >= 0))
    first, _ = _repeated([key[rows] for key in keys], long.numbers["weight"][rows])
    again = np.zeros(long.keep.size, dtype=bool)
    again[rows[~first]] = True
    long.set_aside(again, "several_rows", kept=True)
    heavy = long.numbers["weight"] != 0
    long.set_aside((keys[2] == PADDING) & heavy, "padding_position", kept=True)
    long.set_aside((keys[2] == MARKER) & heavy, "not_an_item", kept=True)


def _repeated(keys: list[np.ndarray], weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each row is the first of its key, and whether its weight is that of the first."""
    order = np.lexsort((np.arange(weight.size), *keys))
    change = np.ones(weight.size, dtype=bool)
    if weight.size:
        change[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    group = np.maximum.accumulate(np.where(change, np.arange(weight.size), 0)) if weight.size else order
    first, same = np.zeros(weight.size, dtype=bool), np.zeros(weight.size, dtype=bool)
    first[order] = change
    same[order] = weight[order] == weight[order][group]
    return first, same


def _weight_table(long: Long, data: Dataset, kind: str) -> WeightTable:
    keep = np.flatnonzero(long.keep)
    if not keep.size:
        told = long.ledger.problems[0] if long.ledger.problems else None
        raise InputError(f"weights: no usable row{f' ({told.reason}: {told.remedy})' if told else ''}")
    keep = keep[np.argsort(long.codes["user_id"][keep], kind="stable")]
    layers, layer = _in_order(*long.texts["layer"])
    heads, head = _in_order(*long.texts["head"])
    numbers = {name: long.numbers[name][keep] for name in _WEIGHTS.numbers}
    user, feature = long.codes["user_id"][keep], long.texts["feature"]
    return WeightTable(
        user, long.codes["item_id"][keep], long.codes["history_item_id"][keep], **numbers, feature=feature[0][keep],
        head=head[keep], layer=layer[keep], features=feature[1], heads=heads, layers=layers, kind=kind,
        aggregation=_said(long, "aggregation"), indptr=_bounds(user, data), problems=long.problems,
        rows_read=long.rows_read,
    )  # fmt: skip


def _in_order(codes: np.ndarray, names: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names by number where all are numbers (10 after 9), and the codes that go with that order."""
    if not all(name.isascii() and name.isdigit() for name in names):
        return names, codes
    order = sorted(range(len(names)), key=lambda at: int(names[at]))
    place = np.full(len(names) + 1, -1, dtype=np.int64)
    place[order] = np.arange(len(names))
    return tuple(names[at] for at in order), place[codes]


def _bounds(user: np.ndarray, data: Dataset) -> np.ndarray:
    return np.searchsorted(user, np.arange(data.user_ids.size + 1)).astype(np.int64)
