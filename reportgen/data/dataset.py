"""The carrier ``Dataset``: users, items, histories and the catalogue, checked once and then only read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reportgen.checks import table
from reportgen.config import Config, Privacy
from reportgen.data import store
from reportgen.data.database import fetched
from reportgen.data.ingest import Tables, read_tables
from reportgen.data.schema import REMEDIES, Problem, show
from reportgen.data.sources import Source, resolve
from reportgen.errors import ConfigError, InputError

Where = str | PathLike[str]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Histories as compressed rows, beside the catalogue.

    Attributes
    ----------
    user_ids : ndarray of object (str), shape (U,)
        Sorted by code point. Includes users without any usable event: they get a plain report.
    item_ids : ndarray of object (str), shape (I,)
        Sorted by code point: the catalogue, and items that occur only in events.
    indptr : ndarray of int64, shape (U + 1,)
        Events of user ``u`` are ``indptr[u]:indptr[u + 1]``, **oldest first**.
    items : ndarray of int32, shape (E,)
        Item code of each event.
    timestamps : ndarray of int64, shape (E,)
        Microseconds since 1970-01-01 UTC.
    types : ndarray of int8, shape (E,)
        Index into ``event_types``.
    values : ndarray of float32, shape (E,)
        How much the event counts (``v_e``); negative counts against.
    orders : ndarray of int32, shape (E,)
        Number of the order within its user, 0 for the oldest. Events of one order share it.
    event_types : tuple of str
    catalogue : DataFrame with I rows
        Row ``i`` describes ``item_ids[i]``. Always: ``title`` (str, "" where unknown), ``in_catalogue``, ``sensitive``,
        ``sponsored``, ``price_personalised`` (bool), ``price`` (float64, NaN where unknown). Where the input had them:
        ``category, brand, currency, url, description`` (str or None), ``tags`` (tuple of str), any configured feature
        column.
    users : DataFrame with U rows
        Always: ``name, email, locale`` (str or None), ``opted_out`` (bool); segment columns where given.
    problems : tuple of Problem
        Rows set aside, and notices about rows that were kept.
    rows_read : dict of str to int
        Rows read per table.
    date_only : bool
        True when no timestamp has a time of day.
    synthetic : bool
        True for made-up data; every page then says so.
    private : ndarray of int64, shape (P,)
        Sorted ``user * I + item`` of what a rule about events keeps private for one user, such as a gift. All events of that
        user on that item are meant, since a look at a gift tells of it too. It holds for these users and items in this order.
    policy : reportgen.config.Privacy
        What may be told, as the configuration said with which the data were read.
    columns_read : dict of str to tuple of dict of str to str
        For each table and each of its files or frames: our names of the columns that were found there -> the source's.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    indptr: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray
    types: np.ndarray
    values: np.ndarray
    orders: np.ndarray
    event_types: tuple[str, ...]
    catalogue: pd.DataFrame
    users: pd.DataFrame
    problems: tuple[Problem, ...] = ()
    rows_read: dict[str, int] | None = None
    date_only: bool = False
    synthetic: bool = False
    private: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    policy: Privacy = field(default_factory=Privacy)
    columns_read: dict[str, tuple[dict[str, str], ...]] | None = None

    @classmethod
    def from_files(
        cls, events: Where, items: Where, users: Where | None = None, config: Config | None = None, *,
        not_after: int | None = None,
    ) -> Dataset:  # fmt: skip
        """Read CSV, TSV or Parquet, or ask a SQL database.

        Parameters
        ----------
        events, items, users : str or path
            Each one file, a folder or a glob, or ``"postgresql+psycopg://user@host/database::SELECT ..."``.
        config : Config, optional
        not_after : int, optional
            Microseconds since 1970-01-01 UTC; later events are set aside.

        Raises
        ------
        InputError
            A table cannot be used as a whole, or a database failed.
        """
        config = config or Config()
        with fetched(config.input, {"events": events, "items": items, "users": users}) as files:
            found = [resolve(where, config.input.delimiter) if where is not None else [] for where in files.values()]
            return cls._from_tables(read_tables(found[0], found[1], found[2], config, not_after), config)

    @classmethod
    def from_frames(
        cls, events: pd.DataFrame, items: pd.DataFrame, users: pd.DataFrame | None = None,
        config: Config | None = None, *, not_after: int | None = None,
    ) -> Dataset:  # fmt: skip
        """Take DataFrames with the same columns as the files, through the same checks.

        Parameters
        ----------
        events, items, users : DataFrame
            Indices are ignored; ids of any type become text.
        config : Config, optional
        not_after : int, optional
            Microseconds since 1970-01-01 UTC; later events are set aside.

        Raises
        ------
        InputError
            A table cannot be used as a whole.
        """
        config = config or Config()
        named = {"events": events, "items": items, "users": users}
        found = [[frame_source(name, frame)] if frame is not None else [] for name, frame in named.items()]
        return cls._from_tables(read_tables(found[0], found[1], found[2], config, not_after), config)

    @classmethod
    def _from_tables(cls, tables: Tables, config: Config) -> Dataset:
        plain: dict[str, Any] = {f.name: getattr(tables, f.name) for f in fields(tables)}
        plain["catalogue"] = _frame(tables.catalogue)
        plain["users"] = _frame({k: v for k, v in tables.users.items() if k not in ("in_catalogue", "row")})
        return cls(**plain, synthetic=config.report.synthetic, policy=config.privacy)

    def save(self, folder: str | PathLike[str]) -> str:
        """Write everything into a folder of plain arrays and one JSON file, without pickle.

        Other processes open it by its path and share one copy in memory. The arrays are those of this data set, so a
        folder is as large as they are: 21 bytes per event, and the texts.

        Returns
        -------
        str
            The id: sixteen digits of a hash over all that was written. Equal data sets have equal ids.

        Raises
        ------
        OutputError
            The folder cannot be written, or a column holds something else than text, tuples of text, flags or floats.
        """
        columns = {("ids", name, "text"): getattr(self, name) for name in ("user_ids", "item_ids")}
        for name, frame in (("catalogue", self.catalogue), ("users", self.users)):
            for label in frame.columns:
                values = frame[label].to_numpy()
                columns[name, str(label), store.kind_of(values)] = values
        facts = {name: getattr(self, name) for name in ("date_only", "synthetic", "rows_read", "columns_read")}
        facts |= {"event_types": list(self.event_types), "policy": asdict(self.policy)}
        facts["problems"] = [asdict(problem) for problem in self.problems]
        arrays = {name: getattr(self, name) for name in store.ARRAYS}
        return store.write_folder(Path(folder), arrays, columns, facts)

    @classmethod
    def open(cls, folder: str | PathLike[str], *, verify: bool = True) -> Dataset:
        """Open what :meth:`save` wrote. The arrays of events are memory-mapped and read-only.

        Parameters
        ----------
        folder : str or path
        verify : bool
            Read every byte once and hold it against the hashes that were saved. Names, types, sizes and the list itself
            are checked in any case; a worker may leave the rest to the process that started it.

        Raises
        ------
        InputError
            Not such a folder, of another version, or not what was saved.
        """
        where = Path(folder)
        arrays, columns, facts = store.read_folder(where, verify)
        try:
            policy: Privacy = table(Privacy, facts["policy"], str(where), "policy")
            problems = tuple(Problem(**problem | {"rows": tuple(problem["rows"])}) for problem in facts["problems"])
        except (ConfigError, TypeError, KeyError) as error:
            raise InputError(f"{where}: {store.META} cannot be used ({error}); save the data set again") from error
        plain: dict[str, Any] = arrays | {name: facts[name] for name in ("date_only", "synthetic", "rows_read")}
        plain |= {"event_types": tuple(facts["event_types"]), "problems": problems, "policy": policy}
        if facts.get("columns_read") is not None:
            plain["columns_read"] = {name: tuple(columns) for name, columns in facts["columns_read"].items()}
        for name, ids in (("catalogue", "item_ids"), ("users", "user_ids")):
            plain[ids] = columns.pop(("ids", ids))
            found = {label: values for (place, label), values in columns.items() if place == name}
            plain[name] = _frame(found, plain[ids].size)
        return cls(**plain)

    def history(self, user: int) -> slice:
        """Where the events of user code ``user`` lie in the event arrays, oldest first."""
        return slice(int(self.indptr[user]), int(self.indptr[user + 1]))

    @property
    def time_range(self) -> tuple[int, int] | None:
        """Time of the oldest and the newest event, in microseconds since 1970-01-01 UTC; None without events."""
        return (int(self.timestamps.min()), int(self.timestamps.max())) if self.timestamps.size else None

    def until(self, as_of: int) -> Dataset:
        """Leave out events later than ``as_of`` (microseconds since 1970-01-01 UTC); their number becomes a problem.

        Users and items stay. Values of returns do not change, because they look only at what came before.

        The last answer is kept, since it takes a look at every event and a run asks for the same time again and again. It is a
        second copy of the events where some are left out, and `self` where none is.
        """
        known: tuple[int, Dataset | None] | None = self.__dict__.get("_until")
        if known is None or known[0] != as_of:
            known = as_of, self._cut(as_of)
            object.__setattr__(self, "_until", known)
        return known[1] or self

    def _cut(self, as_of: int) -> Dataset | None:
        """What `until` leaves; None where that is everything."""
        keep = self.timestamps <= as_of
        later = int(keep.size - keep.sum())
        if not later:
            return None
        counts = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))
        problem = Problem("events", "after_as_of", later, remedy=REMEDIES["after_as_of"])
        return replace(
            self,
            indptr=counts[self.indptr],
            problems=(*self.problems, problem),
            **{name: getattr(self, name)[keep] for name in ("items", "timestamps", "types", "values", "orders")},
        )


def _frame(columns: dict[str, np.ndarray], rows: int | None = None) -> pd.DataFrame:
    """A frame whose text stays Python text and None, whatever the pandas version makes of it by default."""
    series = {name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()}
    return pd.DataFrame(series, index=None if rows is None else pd.RangeIndex(rows))


def frame_source(name: str, frame: pd.DataFrame) -> Source:
    """Hand a frame over as plain columns: numbers, times and flags as they are, everything else as text or None."""
    names = [str(column) for column in frame.columns]
    twice = next((column for column in names if names.count(column) > 1), None)
    if twice is not None:
        raise InputError(f'{name} frame: the column "{show(twice)}" stands there twice; rename one of them')
    columns, numeric = {}, set()
    for column, label in enumerate(names):
        columns[label], number = _plain(frame.iloc[:, column])
        if number:
            numeric.add(label)
    return Source(f"{name} frame", columns=columns, numeric=frozenset(numeric))


def _plain(column: pd.Series) -> tuple[np.ndarray, bool]:
    """The values of a column, and whether they are numbers handed over as text."""
    kind = pd.api.types.infer_dtype(column, skipna=True) if column.dtype == object else ""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        values = column.to_numpy()
        return (values.astype(np.float64) if values.dtype == np.float16 else values), False
    if kind in ("floating", "mixed-integer-float"):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), False
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return column.to_numpy().astype("datetime64[us]"), False
    number = kind == "integer" or pd.api.types.is_integer_dtype(column.dtype)
    values = np.empty(len(column), dtype=object)
    values[:] = [_cell(value) for value in column]
    return values, number


def _cell(value: Any) -> str | None:
    if isinstance(value, str):
        # A lone surrogate cannot be written in UTF-8; its escape keeps two such ids apart, U+FFFD would merge them.
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        labels = sorted(value) if isinstance(value, set | frozenset) else value
        return "".join(f"{_cell(label) or ''}\x1f" for label in labels)
    return None if pd.isna(value) else str(value)
