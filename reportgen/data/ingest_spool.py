"""Rows from elsewhere, chunk by chunk -> one Parquet file with the types that the values had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reportgen.config import InputConfig
from reportgen.data.expressions import identifier, quoted
from reportgen.data.ingest_limits import connect, within_limits


class Spool:
    """Takes columns as text, with the kinds of value that stood behind it; writes them typed.

    Parameters
    ----------
    names : sequence of str
        Columns.
    config : InputConfig
        Memory and disk.
    folder : Path
        For what does not fit into memory.
    """

    def __init__(self, names: Sequence[str], config: InputConfig, folder: Path) -> None:
        self.names, self.config, self.rows = tuple(names), config, 0
        self._kinds: list[set[str]] = [set() for _ in names]
        # One thread: the same rows in the same order then give the same bytes, whose hash names the input.
        self._con = connect(folder, config)
        self._con.execute("SET threads = 1")
        self._con.execute(f"CREATE TABLE spooled ({', '.join(f'c{i} VARCHAR' for i in range(len(names)))})")

    def append(self, columns: Sequence[np.ndarray], kinds: Sequence[set[str]]) -> None:
        """Add rows: for each column an array of str and None, and the kinds of the values that are not None."""
        with within_limits(self.config):
            self._con.register("piece", {f"c{i}": column for i, column in enumerate(columns)})
            self._con.execute("INSERT INTO spooled FROM piece")
            self._con.unregister("piece")
        self.rows += columns[0].size
        for known, found in zip(self._kinds, kinds, strict=True):
            known |= found

    def write(self, path: Path) -> None:
        """Write the file."""
        with within_limits(self.config):
            cells = [f"{self._typed(i)} AS {identifier(name)}" for i, name in enumerate(self.names)]
            self._con.execute(f"COPY (SELECT {', '.join(cells)} FROM spooled) TO {quoted(str(path))} (FORMAT parquet)")

    def close(self) -> None:
        """Forget the rows."""
        self._con.close()

    def _typed(self, place: int) -> str:
        """The column as the type of its values; as text where they were of several types."""
        column, kinds = f"c{place}", self._kinds[place]
        if kinds and kinds <= _NUMBERS:
            return f"CAST({column} AS {self._number(column)})"
        return f"CAST({column} AS {_TYPES[next(iter(kinds))]})" if len(kinds) == 1 else column

    def _number(self, column: str) -> str:
        """Whole numbers stay whole, and text where 64 bits do not hold them, so that no id becomes another."""
        whole, small = self._con.execute(
            f"SELECT coalesce(bool_and(regexp_full_match({column}, '-?[0-9]+')), TRUE), "
            f"coalesce(bool_and(try_cast({column} AS BIGINT) IS NOT NULL), TRUE) FROM spooled WHERE {column} IS NOT NULL"
        ).fetchall()[0]
        if whole:
            return "BIGINT" if small else "VARCHAR"
        return "DOUBLE"


_NUMBERS = {"int", "float", "decimal"}
_TYPES: Mapping[str, str] = {"bool": "BOOLEAN", "datetime": "TIMESTAMP", "date": "DATE", "text": "VARCHAR"}
