"""Counting what was found wrong, with row numbers as a person counts them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np

from reportgen.data.expressions import quoted
from reportgen.data.ingest_load import Opened, Ragged
from reportgen.data.schema import REMEDIES, Problem, show

FIRST_ROWS = 5


@dataclass
class Files:
    """The files of one table, and where the rows of each begin in the raw table.

    Attributes
    ----------
    names : list of str
    starts : list of int
        Rows stored before each file.
    lost : list of tuple of int
        Rows of each file that never reached the raw table, ascending.
    """

    names: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    lost: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, name: str, start: int, lost: Sequence[int]) -> None:
        """Note a file that was read."""
        self.names.append(name)
        self.starts.append(start)
        self.lost.append(tuple(sorted(lost)))

    def locate(self, rows: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """File of the first row, and the numbers of those rows that lie in the same file."""
        at = bisect_right(self.starts, rows[0]) - 1
        end = self.starts[at + 1] if at + 1 < len(self.starts) else float("inf")
        return self.names[at], tuple(self._number(at, row) for row in rows if row < end)

    def _number(self, at: int, row: int) -> int:
        number = row - self.starts[at] + 1
        for lost in self.lost[at]:
            if lost > number:
                break
            number += 1
        return number


@dataclass(frozen=True)
class Check:
    """A condition in SQL, the reason that goes with it, and SQL of the value to show."""

    where: str
    reason: str
    example: str = "''"
    kept: bool = True


@dataclass
class Ledger:
    """Problems of one table, in the making."""

    con: duckdb.DuckDBPyConnection
    table: str
    files: Files = field(default_factory=Files)
    problems: list[Problem] = field(default_factory=list)

    def note(
        self, reason: str, count: int, rows: Sequence[int], example: object = "", *, kept: bool = False, file: str = ""
    ) -> None:
        """Add a problem; the remedy goes with the reason."""
        code = reason.split("/")[0]
        remedy = REMEDIES[code.split(":")[0]]
        shown = "" if example is None else show(example)
        self.problems.append(Problem(self.table, code, count, tuple(rows), shown, remedy, kept, file))

    def read(self, opened: Opened, start: int, ragged: Sequence[Ragged]) -> None:
        """Note a file that was read: where its rows begin, and what the parser could not take."""
        name = show(opened.source.name)
        self.files.add(name, start, [line for rows in ragged for line in rows.lines])
        for rows in ragged:
            self.note(rows.reason, rows.count, rows.lines[:FIRST_ROWS], rows.example, file=name)
        if opened.nuls:
            self.note("nul_bytes", opened.nuls, (), kept=True, file=name)

    def set_aside(self, relation: str, codes: Sequence[str]) -> None:
        """Add the rows of ``relation`` that have a reason, reason by reason."""
        for code, count, rows, example in self._first(relation, "reason IS NOT NULL", "reason", "example"):
            self.found(codes[code], count, rows, example, kept=False)

    def rows(self, relation: str, checks: Sequence[Check]) -> None:
        """Add the rows of ``relation`` that fulfil each condition, where there are any: one pass counts them all."""
        counted = ", ".join(f"count(*) FILTER ({check.where})" for check in checks)
        counts = self.con.execute(f"SELECT {counted} FROM {relation}").fetchall()[0]
        for check, some in zip(checks, counts, strict=True):
            if some:
                ((_, count, rows, shown),) = self._first(relation, check.where, quoted(check.reason), check.example)
                self.found(check.reason, count, rows, shown, kept=check.kept)

    def _first(self, relation: str, where: str, key: str, example: str) -> list[tuple[int, int, list[int], str]]:
        return self.con.execute(
            f"SELECT {key} AS key, count(*), min(row, {FIRST_ROWS}), arg_min({example}, row) FROM {relation} "
            f"WHERE {where} GROUP BY key ORDER BY key"
        ).fetchall()

    def found(self, reason: str, count: int, rows: list[int], example: object, *, kept: bool) -> None:
        """Add a problem whose first rows are given by their place in the raw table, ascending."""
        name, numbers = self.files.locate(rows)
        self.note(reason, count, numbers, example, kept=kept, file=name)


@dataclass
class _Found:
    """Rows that one reason concerns: how many, the first of them, and the value of the very first."""

    kept: bool
    count: int = 0
    rows: list[int] = field(default_factory=list)
    shown: object = ""


class Tally:
    """Rows with a reason, collected from blocks that are not in the order of the files.

    Parameters
    ----------
    ledger : Ledger
        Gets a problem for each reason when all blocks have been seen.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._found = ledger, dict[str, _Found]()

    def add(self, reason: str, rows: np.ndarray, shown: np.ndarray | None = None, *, kept: bool) -> None:
        """Note rows, by their places in the raw table, and what they say. Reasons keep the order in which they are asked for first."""
        found = self._found.setdefault(reason, _Found(kept))
        if not rows.size:
            return
        first = np.argsort(rows, kind="stable")[:FIRST_ROWS]
        if shown is not None and (not found.rows or rows[first[0]] < found.rows[0]):
            found.shown = shown[first[0]]
        found.rows = sorted([*found.rows, *rows[first].tolist()])[:FIRST_ROWS]
        found.count += int(rows.size)

    def close(self) -> None:
        """Hand everything over to the ledger."""
        for reason, found in self._found.items():
            if found.count:
                self._ledger.found(reason, found.count, found.rows, found.shown, kept=found.kept)
        self._found.clear()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was handed over."""
        return tuple(self._ledger.problems)
