"""Long tables that come beside a data set: another model's weights, its lists, its scores without single items.

They name users and items by the ids of the data set, and are read cell by cell as the other tables are (see `ingest`). What
cannot be read stays in as a flag: whether a row alone is lost with it, or everything said of that product, is for the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np

from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.expressions import Column, blank, id_not_whole, id_text, number
from reportgen.data.ingest_limits import connect, spill_folder, within_limits
from reportgen.data.ingest_load import Opened, find_columns, open_source, reading, take_rejects
from reportgen.data.ingest_problems import FIRST_ROWS, Ledger
from reportgen.data.schema import Problem, TableSpec, show, show_list
from reportgen.data.sources import Source
from reportgen.errors import InputError

#: Codes of ids that the data set does not know, and of cells that hold none.
UNKNOWN, NONE = -1, -2
#: What a cell of a column of numbers holds.
FINE, EMPTY, UNREADABLE, NOT_FINITE = range(4)
#: Flags of an id.
_BLANK, _BROKEN, _LONG = 1, 2, 4


@dataclass(frozen=True)
class LongSpec:
    """What a long table holds.

    Attributes
    ----------
    table : TableSpec
        Its ids name users (``user_id``) and items (all others).
    numbers, texts : tuple of str
    open_ids : tuple of str
        Columns of ids that may be empty or hold what is no item: a padding position, a marker of the model.
    """

    table: TableSpec
    numbers: tuple[str, ...]
    texts: tuple[str, ...] = ()
    open_ids: tuple[str, ...] = ()


@dataclass
class Long:
    """A long table as it was read, one entry per row of the files.

    Attributes
    ----------
    codes : dict of str to ndarray of int64, shape (N,)
        By column of ids: the code in the data set, `UNKNOWN` or `NONE`.
    broken : ndarray of bool, shape (N,)
        An open id that cannot be read: no whole number, or too long.
    numbers : dict of str to ndarray of float64, shape (N,)
        NaN where there is none.
    flags : dict of str to ndarray of int8, shape (N,)
        `FINE`, `EMPTY`, `UNREADABLE` or `NOT_FINITE`.
    texts : dict of str to (ndarray of int64, tuple of str)
        Code of each cell, -1 where empty, and the sorted texts.
    keep : ndarray of bool, shape (N,)
        Rows not set aside.
    ledger : Ledger
    rows_read : int
    """

    codes: dict[str, np.ndarray]
    broken: np.ndarray
    numbers: dict[str, np.ndarray]
    flags: dict[str, np.ndarray]
    texts: dict[str, tuple[np.ndarray, tuple[str, ...]]]
    keep: np.ndarray
    ledger: Ledger
    rows_read: int = 0
    present: frozenset[str] = field(default_factory=frozenset)

    def set_aside(self, bad: np.ndarray, reason: str, example: object = "", *, kept: bool = False) -> None:
        """Note the rows still there that a reason concerns; they go unless `kept`. Nothing happens where there are none."""
        rows = np.flatnonzero(bad & self.keep)
        if rows.size:
            self.ledger.found(reason, int(rows.size), rows[:FIRST_ROWS].tolist(), example, kept=kept)
            if not kept:
                self.keep[rows] = False

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.ledger.problems)


def read_long(spec: LongSpec, sources: Sequence[Source], data: Dataset, config: Config) -> Long:
    """Read every row of a long table. Rows without a user or item that the data set knows are set aside, each with its reason.

    Raises
    ------
    InputError
        A table cannot be used as a whole: a column is missing, there is no row.
    """
    settings = config.input
    with spill_folder(settings) as folder, within_limits(settings), connect(folder, settings) as con:
        reader = _Reader(con, folder, spec, config)
        reader.load(sources)
        found = reader.collect(data)
    _check_ids(found)
    return found


class _Reader:
    """Holds the connection and the raw table."""

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path, spec: LongSpec, config: Config) -> None:
        self.con, self.folder, self.spec, self.config = con, folder, spec, config
        self.ledger, self.read, self.present = Ledger(con, spec.table.name), 0, frozenset[str]()
        ids = "".join(f", {name} VARCHAR, {_flag(name)} UTINYINT" for name in spec.table.ids)
        numbers = "".join(f", {name} DOUBLE, {_flag(name)} UTINYINT" for name in spec.numbers)
        texts = "".join(f", {name} VARCHAR" for name in spec.texts)
        con.execute(f"CREATE TABLE long_raw (file INTEGER{ids}{numbers}{texts})")

    def load(self, sources: Sequence[Source]) -> None:
        lost = 0
        for file, source in enumerate(sources):
            with reading(source):
                opened = open_source(self.con, source, self.config.input, self.folder, f"{self.spec.table.name}_{file}")
                self._require(opened)
                columns, start = find_columns(opened, self.spec.table, {}), self._count()
                self.present |= frozenset(columns)
                cells = ", ".join([str(file), *self._cells(columns)])
                self.con.execute(f"INSERT INTO long_raw SELECT {cells} FROM {opened.relation}")
                ragged = take_rejects(self.con, opened)
            self.ledger.read(opened, start, ragged)
            lost += sum(len(rows.lines) for rows in ragged)
            self.read = self._count() + lost
            if self.read > self.config.input.max_rows:
                told = f"{show(source.name)}: with it the {self.spec.table.name} have {self.read} rows"
                raise InputError(f"{told}, more than [input] max_rows = {self.config.input.max_rows}; split the input")
        if not self.read:
            raise InputError(f"{self.ledger.files.names[0]}: no rows after the header")

    def _require(self, opened: Opened) -> None:
        """These tables have our names of columns: what they are called elsewhere is not in the configuration."""
        table = self.spec.table
        missing = next((name for name in table.required if name not in opened.columns), None)
        if missing is not None:
            file, there = show(opened.source.name), show_list(opened.columns)
            raise InputError(f'{file}: the {table.name} have no column "{missing}"; rename one of: {there}')

    def _count(self) -> int:
        return int(self.con.execute("SELECT count(*) FROM long_raw").fetchall()[0][0])

    def _cells(self, columns: dict[str, Column]) -> list[str]:
        cells = []
        for name in self.spec.table.ids:
            cells += [id_text(columns[name]), self._id_flag(columns[name])]
        for name in self.spec.numbers:
            cells += _number(columns.get(name))
        return cells + [
            f"nullif(trim({columns[name].text}), '')" if name in columns else "NULL" for name in self.spec.texts
        ]

    def _id_flag(self, column: Column) -> str:
        text, limit = id_text(column), self.config.input.max_cell
        checks = (
            (f"{text} IS NOT NULL AND {blank(text)}", _BLANK),
            (id_not_whole(column), _BROKEN),
            (f"length({text}) > {limit}", _LONG),
        )
        return " + ".join(f"CASE WHEN {check} THEN {flag} ELSE 0 END" for check, flag in checks)

    def collect(self, data: Dataset) -> Long:
        """The raw table as arrays in the order of the files, ids as codes of the data set."""
        spec = self.spec
        for name, ids in (("user_ids", data.user_ids), ("item_ids", data.item_ids)):
            self.con.register(f"given_{name}", {"id": ids, "code": np.arange(ids.size)})
        joins, cells = [], []
        for name in spec.table.ids:
            known = "given_user_ids" if name == "user_id" else "given_item_ids"
            joins.append(f"LEFT JOIN {known} AS k_{name} ON k_{name}.id = r.{name}")
            code = f"CASE WHEN r.{name} IS NULL THEN {NONE} ELSE coalesce(k_{name}.code, {UNKNOWN}) END"
            cells += [f"CAST({code} AS BIGINT) AS {name}", f"r.{_flag(name)}"]
        cells += [f"r.{part}" for name in spec.numbers for part in (name, _flag(name))]
        cells += [f"r.{name}" for name in spec.texts]
        found = self.con.execute(
            f"SELECT {', '.join(cells)} FROM (SELECT rowid AS row, * FROM long_raw) r {' '.join(joins)} ORDER BY r.row"
        ).fetchnumpy()
        return self._long(found)  # type: ignore[arg-type]

    def _long(self, found: dict[str, np.ndarray]) -> Long:
        spec, size = self.spec, found["user_id"].size
        broken = np.zeros(size, dtype=bool)
        for name in spec.open_ids:
            broken |= (np.ma.filled(found[_flag(name)], 0) & (_BROKEN | _LONG)) > 0
        long = Long(
            {name: np.asarray(found[name], dtype=np.int64) for name in spec.table.ids},
            broken,
            {name: np.ma.filled(found[name].astype(np.float64), np.nan) for name in spec.numbers},
            {name: np.ma.filled(found[_flag(name)], EMPTY).astype(np.int8) for name in spec.numbers},
            {name: _coded(found[name]) for name in spec.texts},
            np.ones(size, dtype=bool),
            self.ledger,
            self.read,
            self.present,
        )
        for name in spec.table.ids:
            if name not in spec.open_ids:
                flags = np.ma.filled(found[_flag(name)], 0)
                long.set_aside(flags & _BROKEN > 0, "id_not_whole")
                long.set_aside(long.codes[name] == NONE, f"empty_{name}")
                long.set_aside(flags & _BLANK > 0, f"blank_{name}")
                long.set_aside(flags & _LONG > 0, "cell_too_long")
        return long


def _flag(name: str) -> str:
    return f"bad_{name}"


def _number(column: Column | None) -> tuple[str, str]:
    """SQL of a number, NULL where it is none, and of its flag."""
    if column is None:
        return "NULL", str(EMPTY)
    cell = number(column)
    finite = f"CASE WHEN {cell.infinite} THEN NULL ELSE {cell.value} END"
    flag = f"WHEN {cell.empty} THEN {EMPTY} WHEN {cell.unreadable} THEN {UNREADABLE} WHEN {cell.infinite} THEN {NOT_FINITE}"
    return finite, f"CASE {flag} ELSE {FINE} END"


def _coded(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    missing = np.ma.getmaskarray(values)
    plain = np.array(np.ma.getdata(values), dtype=object)
    missing = missing | np.array([value is None for value in plain], dtype=bool)
    names, place = np.unique(np.where(missing, "", plain).astype(str), return_inverse=True)
    codes = np.where(missing, -1, place.reshape(-1))
    if names.size and names[0] == "" and missing.any():
        names, codes = names[1:], np.where(missing, -1, codes - 1)
    return codes.astype(np.int64), tuple(names.tolist())


def _check_ids(long: Long) -> None:
    """Set aside what is about nobody or nothing that the data set knows."""
    long.set_aside(long.codes["user_id"] == UNKNOWN, "unknown_user")
    long.set_aside(long.codes["item_id"] == UNKNOWN, "unknown_pick")
