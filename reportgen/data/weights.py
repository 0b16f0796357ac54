"""Tables about another model: its weights, its lists, its scores without single items; checked row by row, for any number of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.config import Config
from reportgen.data.dataset import Dataset, frame_source
from reportgen.data.ingest_long import FINE, NONE, UNKNOWN, Long, LongSpec, LongTable, open_long
from reportgen.data.schema import ABLATION, RECOMMENDATIONS, WEIGHTS, Problem, show
from reportgen.data.sources import Source, resolve
from reportgen.data.weights_check import KINDS, check_list, check_positions, check_products
from reportgen.data.weights_write import TableWriter
from reportgen.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame | str | PathLike[str]

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
#: Array of a table of weights -> type. Those that the table has no column for take no room.
ARRAYS = dict.fromkeys(("item", "history", "feature", "head", "layer"), "int32")
ARRAYS |= dict.fromkeys(_WEIGHTS.numbers, "float64")
_BLOCK = 1 << 20


class _ByUser:
    """Rows of user ``u`` of the data set are ``indptr[u]:indptr[u + 1]``."""

    indptr: np.ndarray

    def rows(self, user: int) -> slice:
        """Where the rows of a user lie."""
        return slice(int(self.indptr[user]), int(self.indptr[user + 1]))

    def users(self) -> np.ndarray:
        """Codes of the users who have a row: int64, sorted."""
        return np.flatnonzero(np.diff(self.indptr))

    def digest(self) -> str:
        """SHA-256 of all that the table says: hexadecimal."""
        found = hashlib.sha256()
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                found.update(f"{name} {value.dtype.str} {value.size}\n".encode("ascii"))
                constant = value.size and value.strides == (0,)
                for start in range(0, 1 if constant else value.size, _BLOCK):
                    found.update(np.ascontiguousarray(value[start : start + (1 if constant else _BLOCK)]).data)
            elif name not in ("problems", "rows_read", "columns"):
                found.update(repr((name, value)).encode("utf-8", "surrogatepass"))
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class WeightTable(_ByUser):
    """Weights of another model, one row per recommended item, position, head and layer; sorted by user, in the order of the files.

    The arrays are maps of files where they are large.

    Attributes
    ----------
    item : ndarray of int32, shape (N,)
        Codes in the data set.
    history : ndarray of int32, shape (N,)
        Code of the history item, `MARKER` or `PADDING`.
    weight : ndarray of float64, shape (N,)
        Finite; of attention >= 0.
    rank, score, base, value, position : ndarray of float64, shape (N,)
        NaN where the table has none. `value` is what a softmax-pooled score adds up: ``score = sum(weight * value)``.
    feature, head, layer : ndarray of int32, shape (N,)
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
    columns : tuple of dict of str to str
        Of each file, as of `Dataset.columns_read`.
    """

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
    columns: tuple[dict[str, str], ...] = ()

    @property
    def user(self) -> np.ndarray:
        """Code of the user of each row: int64, shape (N,); worked out, not kept."""
        return np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))


@dataclass(frozen=True, eq=False)
class GivenLists(_ByUser):
    """Lists of another system: items of each user in their order.

    Attributes
    ----------
    indptr : ndarray of int64, shape (U + 1,)
    item : ndarray of int32, shape (N,)
        The first of each user is the best.
    score : ndarray of float64, shape (N,)
        NaN where not given.
    source : str
        What the table calls the system, or "".
    problems : tuple of Problem
    rows_read : int
    columns : tuple of dict of str to str
        Of each file, as of `Dataset.columns_read`.
    """

    indptr: np.ndarray
    item: np.ndarray
    score: np.ndarray
    source: str
    problems: tuple[Problem, ...]
    rows_read: int
    columns: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Ablation(_ByUser):
    """Scores of another model without single history items.

    Attributes
    ----------
    indptr : ndarray of int64, shape (U + 1,)
    item, removed : ndarray of int32, shape (N,)
        `removed` is `PADDING` where nothing is.
    score : ndarray of float64, shape (N,)
    problems : tuple of Problem
    rows_read : int
    columns : tuple of dict of str to str
        Of each file, as of `Dataset.columns_read`.
    """

    indptr: np.ndarray
    item: np.ndarray
    removed: np.ndarray
    score: np.ndarray
    problems: tuple[Problem, ...]
    rows_read: int
    columns: tuple[dict[str, str], ...] = ()


def read_weights(where: Table, data: Dataset, config: Config | None = None) -> WeightTable:
    """Read a table of weights, out of core.

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
    config = config or Config()
    with open_long(_WEIGHTS, _sources("weights", where, config), config) as long:
        kind = _kind_of(long)
        names = {name: _in_order(long.names(name)) for name in ("feature", "head", "layer")}
        needed = ("item", "history", "weight", *(name for name in ARRAYS if name in long.present and name != "weight"))
        with TableWriter(long.folder, {name: ARRAYS[name] for name in needed}, data) as out:
            for block in long.blocks(data):
                check_products(block, kind)
                check_positions(block, "position" in long.present)
                out.append(block, _weight_columns(block, names))
        _require(out, long)
        plain: dict[str, Any] = out.arrays() | _absent(out) | {f"{name}s": found for name, (found, _) in names.items()}
        return WeightTable(
            **plain, kind=kind, aggregation=_said(long, "aggregation"), indptr=out.indptr,
            **long.told(),
        )  # fmt: skip


def _weight_columns(block: Long, names: dict[str, tuple[tuple[str, ...], np.ndarray]]) -> dict[str, np.ndarray]:
    codes = {"item": block.codes["item_id"], "history": block.codes["history_item_id"]}
    texts = {name: place[block.texts[name]] for name, (_, place) in names.items()}
    return codes | block.numbers | texts


def _absent(out: TableWriter) -> dict[str, np.ndarray]:
    """Columns that no file has: one value that stands for all."""
    rest = {name: dtype for name, dtype in ARRAYS.items() if name not in out.files}
    return {
        name: np.broadcast_to(np.array(np.nan if dtype == "float64" else -1, dtype=dtype), out.size)
        for name, dtype in rest.items()
    }


def read_lists(where: Table, data: Dataset, config: Config | None = None) -> GivenLists:
    """Read lists of another system; errors and forms as of `read_weights`."""
    config = config or Config()
    with open_long(_LISTS, _sources("recommendations", where, config), config) as long:
        with TableWriter(long.folder, {"item": "int32", "score": "float64"}, data) as out:
            for block in long.blocks(data):
                order = check_list(block)
                columns = {"item": block.codes["item_id"], "score": block.numbers["score"]}
                out.append(block, columns, order)
        source = _said(long, "source")
        return GivenLists(out.indptr, source=source, **dict[str, Any](out.arrays() | long.told()))


def read_ablation(where: Table, data: Dataset, config: Config | None = None) -> Ablation:
    """Read scores without single items; errors and forms as of `read_weights`."""
    config = config or Config()
    with open_long(_ABLATION, _sources("ablation", where, config), config) as long:
        with TableWriter(long.folder, {"item": "int32", "removed": "int32", "score": "float64"}, data) as out:
            for block in long.blocks(data):
                block.set_aside(block.flags["score"] != FINE, "score_not_a_number")
                block.set_aside(block.codes["removed_item_id"] == UNKNOWN, "not_in_table")
                columns = {"item": block.codes["item_id"], "removed": block.codes["removed_item_id"]}
                out.append(block, columns | {"score": block.numbers["score"]})
        return Ablation(out.indptr, **dict[str, Any](out.arrays() | long.told()))


def _sources(name: str, where: Table, config: Config) -> Sequence[Source]:
    if isinstance(where, str | PathLike):
        return resolve(where, config.input.delimiter)
    return [frame_source(name, where)]


def _said(long: LongTable, column: str) -> str:
    """What a column of text says, all its values in one line."""
    return ", ".join(long.names(column)[:3])


def _require(out: TableWriter, long: LongTable) -> None:
    if not out.size:
        told = long.tally.problems[0] if long.tally.problems else None
        raise InputError(f"weights: no usable row{f' ({told.reason}: {told.remedy})' if told else ''}")


def _kind_of(long: LongTable) -> str:
    """One kind for the whole table: a page cannot be about both."""
    names = long.names("kind")
    wrong = next((name for name in names if name.lower() not in KINDS), None)
    if wrong is not None and (place := long.first("kind = ?", wrong)):
        told = f'kind "{show(wrong)}" is not known; write attention or contribution'
        raise InputError(f"{place[0]}: row {place[1]}: {told}")
    empty = bool(names) and long.first("kind IS NULL") is not None
    if len({name.lower() for name in names}) > 1 or (empty and names[0].lower() != KINDS[0]):
        place = long.first("kind IS DISTINCT FROM (SELECT kind FROM long_raw WHERE rowid = 0)")
        told = "the rows before are of another kind (attention is meant where kind is empty)"
        raise InputError(f"{place and place[0]}: row {place and place[1]}: {told}; write one table for each kind")
    return names[0].lower() if names else KINDS[0]


def _in_order(names: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names by number where all are numbers (10 after 9), and of each code its place in that order; the last is for no name."""
    place = np.full(len(names) + 1, -1, dtype=np.int64)
    numbers = all(name.isascii() and name.isdigit() for name in names)
    order = sorted(range(len(names)), key=lambda at: int(names[at])) if numbers else list(range(len(names)))
    place[order] = np.arange(len(names))
    return tuple(names[at] for at in order), place
