"""Files or frames in, checked once; plain sorted arrays out. One validation engine (SQL in DuckDB) for both.

Of the files in this folder only those named ``ingest*`` touch duckdb: ``ingest`` gives the arrays, ``ingest_steps``
runs the steps, ``ingest_load`` opens sources, ``ingest_events``, ``ingest_rows`` and ``ingest_items`` check them,
``ingest_problems`` counts what was wrong, ``ingest_sort`` streams the sorted events into arrays, ``ingest_limits`` holds
memory and disk to the configuration and ``ingest_spool`` takes the rows of a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from reportgen.checks import safe_url
from reportgen.config import Config
from reportgen.data.expressions import identifier
from reportgen.data.ingest_events import event_types
from reportgen.data.ingest_limits import connect, spill_folder, within_limits
from reportgen.data.ingest_load import check_settings
from reportgen.data.ingest_rows import Shape
from reportgen.data.ingest_sort import Histories
from reportgen.data.ingest_steps import Steps
from reportgen.data.schema import Problem
from reportgen.data.sources import Source

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Tables:
    """What was read, as arrays; the fields mean the same as those of ``Dataset``."""

    user_ids: np.ndarray
    item_ids: np.ndarray
    indptr: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray
    types: np.ndarray
    values: np.ndarray
    orders: np.ndarray
    event_types: tuple[str, ...]
    catalogue: Arrays
    users: Arrays
    problems: tuple[Problem, ...]
    rows_read: dict[str, int]
    date_only: bool
    private: np.ndarray
    columns_read: dict[str, tuple[dict[str, str], ...]]


def read_tables(
    events: Sequence[Source], items: Sequence[Source], users: Sequence[Source], config: Config,
    not_after: int | None = None,
) -> Tables:  # fmt: skip
    """Read, check and number everything.

    Parameters
    ----------
    events, items, users : sequence of Source
        ``users`` may be empty.
    config : Config
    not_after : int, optional
        Microseconds since 1970-01-01 UTC; later events are set aside as out of range.

    Raises
    ------
    InputError
        A table cannot be used as a whole.
    """
    settings = config.input
    with spill_folder(settings) as folder, within_limits(settings), connect(folder, settings) as con:
        check_settings(con, config)
        steps = Steps(con, folder, config)
        steps.read_items(items)
        steps.read_users(users)
        return _collect(con, steps, config, steps.read_events(events, not_after))


def _collect(con: duckdb.DuckDBPyConnection, steps: Steps, config: Config, histories: Histories) -> Tables:
    user_ids, item_ids = _ids(con, "user_codes"), _ids(con, "item_codes")
    catalogue = _catalogue(con, steps)
    users = _columns(con, "user_codes", "users", steps.user_shape, steps.present["users"])
    problems = tuple(problem for ledger in steps.ledgers.values() for problem in ledger.problems)
    return Tables(
        user_ids=user_ids, item_ids=item_ids, indptr=histories.indptr, **histories.arrays,
        event_types=event_types(config), catalogue=catalogue, users=users, problems=problems,
        rows_read=steps.rows_read, date_only=steps.date_only, private=steps.private,
        columns_read={name: tuple(columns) for name, columns in steps.columns.items()},
    )  # fmt: skip


def _ids(con: duckdb.DuckDBPyConnection, table: str) -> np.ndarray:
    found: Arrays = con.execute(f"SELECT id FROM {table} ORDER BY code").fetchnumpy()  # type: ignore[assignment]
    return _text(found["id"])


def _text(values: np.ndarray) -> np.ndarray:
    """Text with None where the engine says NULL."""
    out = np.array(np.ma.getdata(values), dtype=object)
    out[np.ma.getmaskarray(values)] = None
    return out


def _columns(con: duckdb.DuckDBPyConnection, codes: str, table: str, shape: Shape, present: set[str]) -> Arrays:
    """The columns of a settled table, one row per code; of optional columns only those that the input had."""
    kept = {name: kind for name, kind in shape.kinds.items() if name in present or kind == "flag" or name in _ALWAYS}
    cells = [_select(name, kind) for name, kind in kept.items()]
    found: Arrays = con.execute(  # type: ignore[assignment]
        f"SELECT {', '.join([*cells, 't.row AS row'])} FROM {codes} c LEFT JOIN {table} t ON t.{shape.id} = c.id "
        "ORDER BY c.code"
    ).fetchnumpy()
    out = {name: _column(values, kept[name]) for name, values in found.items() if name != "row"}
    return out | {"in_catalogue": ~np.ma.getmaskarray(found["row"]), "row": np.ma.filled(found["row"], -1)}


_ALWAYS = ("title", "price", "name", "email", "locale")


def _select(name: str, kind: str) -> str:
    cell = f"t.{identifier(name)}"
    return f"coalesce({cell}, {'FALSE' if kind == 'flag' else repr('')}) AS {identifier(name)}" if (
        kind == "flag" or name == "title"
    ) else f"{cell} AS {identifier(name)}"  # fmt: skip


def _column(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "price":
        return np.ma.filled(values.astype(np.float64), np.nan)
    if kind == "flag":
        return np.asarray(np.ma.filled(values, False), dtype=bool)
    if kind == "tags":
        return _tags(_text(values))
    return _text(values)


def _tags(values: np.ndarray) -> np.ndarray:
    out = np.empty(values.size, dtype=object)
    out[:] = [tuple(text.split("\x1f")) if text else () for text in values]
    return out


def _catalogue(con: duckdb.DuckDBPyConnection, steps: Steps) -> Arrays:
    found = _columns(con, "item_codes", "items", steps.item_shape, steps.present["items"])
    rows = found.pop("row")
    if "url" in found:
        links = np.array([safe_url(text) if text else None for text in found["url"]], dtype=object)
        unsafe = np.flatnonzero(
            [text is not None and link is None for text, link in zip(found["url"], links, strict=True)]
        )
        if unsafe.size:
            steps.note_links(rows[unsafe], found["url"][unsafe])
        found["url"] = links
    return found
