"""The one big sort: checked events leave DuckDB as a sorted stream and become arrays on disk, block by block.

Nothing here holds more than a block and the events of the user at its end, however many events there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np

from reportgen.config import EventsConfig
from reportgen.data.arrays import ArrayFile, held_array, open_array
from reportgen.data.effects import assert_order, values_of

Block = dict[str, np.ndarray]
#: Array of the data set -> type.
ARRAYS = {"items": "int32", "timestamps": "int64", "types": "int8", "values": "float32", "orders": "int32"}
#: Up to this size the arrays are read into memory, where they are as fast as can be; beyond it they stay mapped files.
HELD_BYTES = 256 << 20
# Rows of a block. What is computed depends on where blocks end only through rounding, so they end at fixed row numbers.
BLOCK = 1 << 20
# Vectors of 2,048 rows that the engine hands over at once.
_VECTORS = 128
_NO_SOURCE = 2**31 - 1
FIRST_ROWS = 5


@dataclass
class Seen:
    """Rows of one kind of trouble: how many, the first few, and the item of the first."""

    count: int = 0
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    items: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))

    def note(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Add rows in any order."""
        self.count += rows.size
        found, beside = np.concatenate((self.rows, rows)), np.concatenate((self.items, items))
        first = np.argsort(found, kind="stable")[:FIRST_ROWS]
        self.rows, self.items = found[first], beside[first]


@dataclass(frozen=True)
class Histories:
    """The sorted events.

    Attributes
    ----------
    indptr : ndarray of int64, shape (U + 1,)
    arrays : dict of str to ndarray
        The names and types of ``ARRAYS``; read-only maps of deleted files where they are large.
    repeated, unknown : Seen
        Rows that repeat an earlier one, and rows whose item is not in the catalogue.
    """

    indptr: np.ndarray
    arrays: dict[str, np.ndarray]
    repeated: Seen
    unknown: Seen


def sort_events(
    con: duckdb.DuckDBPyConnection, present: set[str], names: tuple[str, ...], config: EventsConfig, folder: Path
) -> Histories:
    """Sort what is usable in ``events_rows`` by user, order and time, and number the orders.

    Parameters
    ----------
    con : DuckDBPyConnection
        With ``events_rows``, ``user_codes``, ``item_codes`` and ``items``.
    present : set of str
        The optional columns that the input has; the others are all empty and take no part in the sort.
    names : tuple of str
        Event types by code.
    config : EventsConfig
    folder : Path
        Where the arrays are written. It may be deleted afterwards.
    """
    users = con.execute("SELECT count(*) FROM user_codes").fetchall()[0][0]
    absent = _column(con, "SELECT id NOT IN (SELECT item_id FROM items) AS c FROM item_codes ORDER BY code")
    counts = np.zeros(users + 1, dtype=np.int64)
    repeated, unknown = Seen(), Seen()
    with ExitStack() as stack:
        files = {n: stack.enter_context(ArrayFile(folder / f"{n}.npy", dtype)) for n, dtype in ARRAYS.items()}
        for rows in user_blocks(_stream(con, present)):
            again = _repeats(rows)
            if again.any():
                repeated.note(rows["row"][again], rows["i"][again])
                rows = {name: column[~again] for name, column in rows.items()}
            strange = absent[rows["i"]]
            unknown.note(rows["row"][strange], rows["i"][strange])
            counts[1:] += np.bincount(rows["u"], minlength=users)
            for name, values in _finish(rows, names, config).items():
                files[name].append(values)
    large = sum(file.size * file.dtype.itemsize for file in files.values()) > HELD_BYTES
    arrays = {name: (open_array if large else held_array)(file.path) for name, file in files.items()}
    return Histories(np.cumsum(counts), arrays, repeated, unknown)


def _column(con: duckdb.DuckDBPyConnection, sql: str) -> np.ndarray:
    found: Block = con.execute(sql).fetchnumpy()  # type: ignore[assignment]
    return np.asarray(found["c"])


def _stream(con: duckdb.DuckDBPyConnection, present: set[str]) -> Iterator[Block]:
    """The sorted rows in pieces, duplicates side by side. Every column is a whole number or a plain float."""
    cells = {"u": "u.code", "first": "ts", "i": "i.code", "ts": "ts", "type": "type", "row": "e.row"}
    keys, joins = ["u", "ts", "type", "i"], ""
    if "order_id" in present:
        _number_orders(con)
        # An event without an order id is an order of its own time, and comes before others of that time.
        cells |= {"first": "coalesce(o.first, ts)", "ord": "coalesce(o.code, 0)"}
        joins += " LEFT JOIN order_codes o ON o.u = u.code AND o.order_id = e.order_id"
        keys[1:1] = ["first", "ord"]
    if "quantity" in present:
        cells["quantity"] = "quantity"
    if "rating" in present:
        # The engine sorts NaN behind all numbers, as it does NULL. Adding 0 makes one zero of -0 and 0.
        cells["rating"] = "coalesce(rating + 0.0, 'nan'::DOUBLE)"
    if "source" in present:
        con.execute(_codes("source_codes", "SELECT DISTINCT source AS id FROM events_rows WHERE source IS NOT NULL"))
        cells["source"] = f"coalesce(s.code, {_NO_SOURCE})"
        joins += " LEFT JOIN source_codes s ON s.id = e.source"
    # Ties are broken by content, and by row only where all is the same: equal rows in other files give equal data.
    keys += [name for name in ("quantity", "rating", "source") if name in cells] + ["row"]
    chosen = ", ".join(f"{sql} AS {name}" for name, sql in cells.items())
    found = con.execute(
        f"SELECT {', '.join(cells)} FROM (SELECT {chosen} FROM events_rows e JOIN user_codes u ON u.id = user_id "
        f"JOIN item_codes i ON i.id = item_id{joins} WHERE reason IS NULL) ORDER BY {', '.join(keys)}"
    )
    while len(piece := found.fetch_df_chunk(_VECTORS)):
        yield {name: piece[name].to_numpy() for name in cells}


def _codes(table: str, ids: str) -> str:
    """SQL that numbers texts in code point order."""
    code = "CAST(row_number() OVER (ORDER BY id) - 1 AS INTEGER) AS code"
    return f"CREATE TABLE {table} AS SELECT id, {code} FROM ({ids})"


def _number_orders(con: duckdb.DuckDBPyConnection) -> None:
    """Make ``order_codes``: the first time of each order, and its place among the orders that begin at that time."""
    con.execute(
        """CREATE TABLE order_codes AS SELECT u, order_id, first,
        row_number() OVER (ORDER BY u, first, order_id) AS code FROM (
        SELECT u.code AS u, order_id, min(ts) AS first FROM events_rows JOIN user_codes u ON u.id = user_id
        WHERE reason IS NULL AND order_id IS NOT NULL GROUP BY ALL)"""
    )


def user_blocks(pieces: Iterator[Block], least: int | None = None) -> Iterator[Block]:
    """Put pieces together to blocks of whole users; asserts that users ascend from block to block.

    Parameters
    ----------
    pieces : iterator of dict of str to ndarray
        Sorted by ``u``, the user, a whole number from 0.
    least : int, optional
        Rows of a block but for the last; `BLOCK` when None.
    """
    least = BLOCK if least is None else least
    held: list[Block] = []
    size, last = 0, -1
    for piece in pieces:
        held.append(piece)
        size += piece["u"].size
        # A user may be longer than many pieces: nothing is put together before the user at the mark has ended.
        while size > least and held[-1]["u"][-1] != _user_at(held, least - 1):
            rows = _joined(held)
            cut = int(np.searchsorted(rows["u"], rows["u"][least - 1], side="right"))
            yield _ascending({name: column[:cut] for name, column in rows.items()}, last)
            last = int(rows["u"][cut - 1])
            held, size = [{name: column[cut:] for name, column in rows.items()}], size - cut
    if size:
        yield _ascending(_joined(held), last)


def _user_at(held: list[Block], place: int) -> int:
    for piece in held:
        if place < piece["u"].size:
            return int(piece["u"][place])
        place -= piece["u"].size
    raise AssertionError("a place beyond the rows that are held")


def _joined(held: list[Block]) -> Block:
    return {name: np.concatenate([piece[name] for piece in held]) for name in held[0]}


def _ascending(rows: Block, last: int) -> Block:
    users = rows["u"]
    if users[0] <= last or np.any(users[1:] < users[:-1]):
        raise AssertionError("the reader returned events out of order")
    return rows


def _repeats(rows: Block) -> np.ndarray:
    """Whether a row says the same as the one before it; equal rows lie side by side, the earliest first."""
    same = np.ones(rows["u"].size, dtype=bool)
    same[0] = False
    for name, column in rows.items():
        if name != "row":
            bits = column.view(np.int64) if column.dtype.kind == "f" else column
            same[1:] &= bits[1:] == bits[:-1]
    return same


def _finish(rows: Block, names: tuple[str, ...], config: EventsConfig) -> Block:
    """The arrays of one block; asserts that each user's rows are in order."""
    users, first, order = rows["u"], rows["first"], rows.get("ord")
    fresh = np.ones(users.size, dtype=bool)
    fresh[1:] = users[1:] != users[:-1]
    starts = fresh.copy()
    starts[1:] |= first[1:] != first[:-1]
    if order is not None:
        starts[1:] |= order[1:] != order[:-1]
    number = np.cumsum(starts)
    orders = number - np.repeat(number[fresh], np.diff(np.append(np.flatnonzero(fresh), users.size)))
    assert_order(users, first, rows["ts"] if order is None else order)
    assert_order(users, orders, rows["ts"])
    quantity = rows.get("quantity", np.ones(users.size))
    rating = rows.get("rating", np.full(users.size, np.nan))
    values = values_of(users, rows["i"], rows["type"], quantity, rating, names, config)
    return {"items": rows["i"], "timestamps": rows["ts"], "types": rows["type"], "values": values, "orders": orders}
