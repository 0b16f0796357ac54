"""Long tables that come beside a data set: another model's weights, its lists, its scores without single items.

They name users and items by the ids of the data set, and are read cell by cell as the other tables are (see `ingest`). They may be longer
than memory: the engine sorts them by user, and what is checked is checked for some whole users at a time. What cannot be read stays in
as a flag: whether a row alone is lost with it, or everything said of that product, is for the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.expressions import Column, blank, id_not_whole, id_text, number
from reportgen.data.ingest_limits import connect, spill_folder, within_limits
from reportgen.data.ingest_load import find_columns, open_source, reading, source_names, take_rejects
from reportgen.data.ingest_problems import Ledger, Tally
from reportgen.data.ingest_sort import Block, user_blocks
from reportgen.data.schema import TableSpec, show
from reportgen.data.sources import Source
from reportgen.errors import InputError

#: Codes of ids that the data set does not know, and of cells that hold none.
UNKNOWN, NONE = -1, -2
#: What a cell of a column of numbers holds.
FINE, EMPTY, UNREADABLE, NOT_FINITE = range(4)
#: Flags of an id.
_BLANK, _BROKEN, _LONG = 1, 2, 4
#: Rows that are checked in one go, at least; a user is never cut.
BLOCK = 1 << 18


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
    """Rows of some whole users as they were read, by user and then in the order of the files.

    Attributes
    ----------
    row : ndarray of int64, shape (N,)
        Place among all rows of the files.
    codes : dict of str to ndarray of int64, shape (N,)
        By column of ids: the code in the data set, `UNKNOWN` or `NONE`.
    broken : ndarray of bool, shape (N,)
        An open id that cannot be read: no whole number, or too long.
    numbers : dict of str to ndarray of float64, shape (N,)
        NaN where there is none.
    flags : dict of str to ndarray of int8, shape (N,)
        `FINE`, `EMPTY`, `UNREADABLE` or `NOT_FINITE`.
    texts : dict of str to ndarray of int64, shape (N,)
        Index into `LongTable.names`, -1 where empty.
    keep : ndarray of bool, shape (N,)
        Rows not set aside.
    """

    row: np.ndarray
    codes: dict[str, np.ndarray]
    broken: np.ndarray
    numbers: dict[str, np.ndarray]
    flags: dict[str, np.ndarray]
    texts: dict[str, np.ndarray]
    tally: Tally
    keep: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.keep = np.ones(self.row.size, dtype=bool)

    def set_aside(self, bad: np.ndarray, reason: str, shown: np.ndarray | None = None, *, kept: bool = False) -> None:
        """Note the rows still there that a reason concerns, with the value of the first; they go unless `kept`."""
        at = np.flatnonzero(bad & self.keep)
        self.tally.add(reason, self.row[at], None if shown is None else shown[at], kept=kept)
        if not kept:
            self.keep[at] = False


class LongTable:
    """A long table that was loaded; see `open_long`.

    Attributes
    ----------
    folder : Path
        For arrays that are too large for memory. It goes with the table; what is mapped stays.
    tally : Tally
        What is wrong with the rows; whole only after the last block.
    present : frozenset of str
        Columns that a file has.
    columns : list of dict of str to str
        Of each file our names of its columns -> the file's.
    rows_read : int
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path, spec: LongSpec, config: Config) -> None:
        self.con, self.folder, self.spec, self.config = con, folder, spec, config
        self.ledger, self.rows_read, self.present = Ledger(con, spec.table.name), 0, frozenset[str]()
        self.columns = list[dict[str, str]]()
        self.tally, self._names = Tally(self.ledger), dict[str, tuple[str, ...]]()
        ids = "".join(f", {name} VARCHAR, {_flag(name)} UTINYINT" for name in spec.table.ids)
        con.execute(f"CREATE TABLE long_raw (file INTEGER{ids})")

    def told(self) -> dict[str, Any]:
        """What is known of the table as a whole, as fields of what is made from it."""
        return {"problems": self.tally.problems, "rows_read": self.rows_read, "columns": tuple(self.columns)}

    def load(self, sources: Sequence[Source]) -> None:
        names: dict[str, str] = getattr(self.config, self.spec.table.name).columns
        lost = 0
        for file, source in enumerate(sources):
            with reading(source):
                opened = open_source(self.con, source, self.config.input, self.folder, f"{self.spec.table.name}_{file}")
                columns, start = find_columns(opened, self.spec.table, names), self._count()
                self.columns.append(source_names(columns))
                self._widen(frozenset(columns))
                cells = {"file": str(file)} | self._cells(columns)
                into, values = ", ".join(cells), ", ".join(cells.values())
                self.con.execute(f"INSERT INTO long_raw ({into}) SELECT {values} FROM {opened.relation}")
                ragged = take_rejects(self.con, opened)
            self.ledger.read(opened, start, ragged)
            lost += sum(len(rows.lines) for rows in ragged)
            self.rows_read = self._count() + lost
            if self.rows_read > self.config.input.max_rows:
                told = f"{show(source.name)}: with it the {self.spec.table.name} have {self.rows_read} rows"
                raise InputError(f"{told}, more than [input] max_rows = {self.config.input.max_rows}; split the input")
        if not self.rows_read:
            raise InputError(f"{self.ledger.files.names[0]}: no rows after the header")

    def _widen(self, columns: frozenset[str]) -> None:
        """Columns that no file has take no room, and no time in the sort."""
        fresh, self.present = columns - self.present, self.present | columns
        for name in (*self.spec.numbers, *self.spec.texts):
            if name in fresh and name in self.spec.numbers:
                self.con.execute(f"ALTER TABLE long_raw ADD COLUMN {name} DOUBLE")
                self.con.execute(f"ALTER TABLE long_raw ADD COLUMN {_flag(name)} UTINYINT DEFAULT {EMPTY}")
            elif name in fresh:
                self.con.execute(f"ALTER TABLE long_raw ADD COLUMN {name} VARCHAR")

    def _count(self) -> int:
        return int(self.con.execute("SELECT count(*) FROM long_raw").fetchall()[0][0])

    def _cells(self, columns: dict[str, Column]) -> dict[str, str]:
        """SQL of each cell by its column in the raw table."""
        cells = dict[str, str]()
        for name in self.spec.table.ids:
            cells |= {name: id_text(columns[name]), _flag(name): self._id_flag(columns[name])}
        for name in self.spec.numbers:
            if name in columns:
                cells[name], cells[_flag(name)] = _number(columns[name])
        texts = [name for name in self.spec.texts if name in columns]
        return cells | {name: f"nullif(trim({columns[name].text}), '')" for name in texts}

    def _id_flag(self, column: Column) -> str:
        text, limit = id_text(column), self.config.input.max_cell
        checks = (
            (f"{text} IS NOT NULL AND {blank(text)}", _BLANK),
            (id_not_whole(column), _BROKEN),
            (f"length({text}) > {limit}", _LONG),
        )
        return " + ".join(f"CASE WHEN {check} THEN {flag} ELSE 0 END" for check, flag in checks)

    def names(self, column: str) -> tuple[str, ...]:
        """The different texts of a column in the order of their code points; none where no file has it."""
        if column not in self._names:
            self._names[column] = ()
            if column in self.present:
                self.con.execute(
                    f"""CREATE TABLE names_{column} AS SELECT name, row_number() OVER (ORDER BY name) - 1 AS code
                    FROM (SELECT DISTINCT {column} AS name FROM long_raw WHERE {column} IS NOT NULL)"""
                )
                found = self.con.execute(f"SELECT name FROM names_{column} ORDER BY code").fetchall()
                self._names[column] = tuple(name for (name,) in found)
        return self._names[column]

    def first(self, where: str, *values: object) -> tuple[str, int] | None:
        """File and number of the first row of which something is so, as a person counts it."""
        found = self.con.execute(f"SELECT min(rowid) FROM long_raw WHERE {where}", values).fetchall()[0][0]
        if found is None:
            return None
        file, rows = self.ledger.files.locate([int(found)])
        return file, rows[0]

    def blocks(self, data: Dataset) -> Iterator[Long]:
        """All rows, some whole users at a time, ids as codes of the data set.

        Rows without a user or item that the data set knows are set aside, each with its reason.
        """
        for rows in user_blocks(self._stream(data), BLOCK):
            long = self._long(rows)
            self._check_ids(long)
            yield long
        self.tally.close()

    def _stream(self, data: Dataset) -> Iterator[Block]:
        """The sorted rows in pieces, whole numbers and floats only; users count from 0, so that those without one come first."""
        for name, ids in (("user_ids", data.user_ids), ("item_ids", data.item_ids)):
            self.con.register(f"given_{name}", {"id": ids, "code": np.arange(ids.size)})
        cells, joins = {"row": "r.row"}, []
        for name in self.spec.table.ids:
            known = "given_user_ids" if name == "user_id" else "given_item_ids"
            joins.append(f"LEFT JOIN {known} AS k_{name} ON k_{name}.id = r.{name}")
            cells[name] = f"CASE WHEN r.{name} IS NULL THEN {NONE} ELSE coalesce(k_{name}.code, {UNKNOWN}) END"
            cells[_flag(name)] = f"r.{_flag(name)}"
        cells["u"] = f"{cells['user_id']} - {NONE}"
        for name in self.spec.numbers:
            if name in self.present:
                cells |= {name: f"coalesce(r.{name}, 'nan'::DOUBLE)", _flag(name): f"r.{_flag(name)}"}
        for name in self.spec.texts:
            if self.names(name):
                joins.append(f"LEFT JOIN names_{name} AS t_{name} ON t_{name}.name = r.{name}")
                cells[name] = f"coalesce(t_{name}.code, -1)"
        chosen = ", ".join(f"{sql} AS {name}" for name, sql in cells.items())
        relation = f"(SELECT rowid AS row, * FROM long_raw) r {' '.join(joins)}"
        found = self.con.execute(f"SELECT * FROM (SELECT {chosen} FROM {relation}) ORDER BY u, row")
        while len(piece := found.fetch_df_chunk(_VECTORS)):
            yield {name: piece[name].to_numpy() for name in cells}

    def _long(self, rows: Block) -> Long:
        spec, size = self.spec, rows["row"].size
        nothing, empty, none = np.broadcast_to(np.nan, size), np.broadcast_to(np.int8(EMPTY), size), np.int64(-1)
        broken = np.zeros(size, dtype=bool)
        for name in spec.open_ids:
            broken |= (rows[_flag(name)] & (_BROKEN | _LONG)) > 0
        self._flags = {name: rows[_flag(name)] for name in spec.table.ids}
        return Long(
            rows["row"],
            {name: rows[name].astype(np.int64) for name in spec.table.ids},
            broken,
            {name: rows.get(name, nothing) for name in spec.numbers},
            {name: rows.get(_flag(name), empty) for name in spec.numbers},
            {name: rows.get(name, np.broadcast_to(none, size)) for name in spec.texts},
            self.tally,
        )

    def _check_ids(self, long: Long) -> None:
        """Set aside what cannot be read, and what is about nobody or nothing that the data set knows."""
        for name in self.spec.table.ids:
            if name not in self.spec.open_ids:
                flags = self._flags[name]
                long.set_aside(flags & _BROKEN > 0, "id_not_whole")
                long.set_aside(long.codes[name] == NONE, f"empty_{name}")
                long.set_aside(flags & _BLANK > 0, f"blank_{name}")
                long.set_aside(flags & _LONG > 0, "cell_too_long")
        long.set_aside(long.codes["user_id"] == UNKNOWN, "unknown_user")
        long.set_aside(long.codes["item_id"] == UNKNOWN, "unknown_pick")


# Vectors of 2,048 rows that the engine hands over at once.
_VECTORS = 32


@contextmanager
def open_long(spec: LongSpec, sources: Sequence[Source], data_config: Config) -> Iterator[LongTable]:
    """Load a long table; inside the block its rows can be had.

    Raises
    ------
    InputError
        A table cannot be used as a whole: a column is missing, there is no row, a limit is too low.
    """
    settings = data_config.input
    with spill_folder(settings) as folder, within_limits(settings), connect(folder, settings) as con:
        table = LongTable(con, folder, spec, data_config)
        table.load(sources)
        yield table


def _flag(name: str) -> str:
    return f"bad_{name}"


def _number(column: Column) -> tuple[str, str]:
    """SQL of a number, NULL where it is none, and of its flag."""
    cell = number(column)
    finite = f"CASE WHEN {cell.infinite} THEN NULL ELSE {cell.value} END"
    flag = f"WHEN {cell.empty} THEN {EMPTY} WHEN {cell.unreadable} THEN {UNREADABLE} WHEN {cell.infinite} THEN {NOT_FINITE}"
    return finite, f"CASE {flag} ELSE {FINE} END"
