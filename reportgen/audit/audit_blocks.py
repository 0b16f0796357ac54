"""The parts of an audit report before they are drawn: sections of paragraphs, facts and tables whose cells may hold a plot.

A plot is always beside the number it shows: the table is its own alternative text. Plots are lengths in percent, which the template
sets as style, so they are in the page, on paper and in dark mode alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reportgen.report.figures import STEPS, step_of


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    kind : str
        ``head`` (names its row), ``words``, ``num``, ``bar`` (a bar and the whisker of its interval), ``ratio`` (a point and its whisker
        about 1), ``heat`` (a number on a colour), ``code`` or ``tag`` (a word that stands out).
    text, detail : str
        The number or the words, and what stands below them in small letters.
    start, width, low, span : float
        Of a plot, in percent of the cell: bar or point, and whisker.
    step : int
        Of a colour, 0 for none.
    """

    kind: str
    text: str = ""
    detail: str = ""
    start: float = 0.0
    width: float = 0.0
    low: float = 0.0
    span: float = 0.0
    step: int = 0


@dataclass(frozen=True)
class Row:
    """Cells of one line; with `group`, a line that names those below it."""

    cells: tuple[Cell, ...] = ()
    group: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Table:
    """A table. `columns` are (label, class); a column of class ``plot`` has its label for those who listen."""

    caption: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    note: str = ""
    kind: str = ""

    block = "table"


@dataclass(frozen=True)
class Facts:
    """Names and values, one below the other."""

    facts: tuple[tuple[str, str], ...]

    block = "facts"


@dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is "", ``note`` or ``notice``."""

    text: str
    kind: str = ""

    block = "text"


@dataclass(frozen=True)
class Heading:
    """A heading below that of a section."""

    text: str
    id: str = ""

    block = "heading"


@dataclass(frozen=True)
class Lines:
    """What is typed into a terminal."""

    text: str

    block = "lines"


Block = Table | Facts | Text | Heading | Lines


@dataclass(frozen=True)
class Section:
    """One chapter."""

    id: str
    heading: str
    blocks: tuple[Block, ...]


def row(*cells: Cell, quiet: bool = False) -> Row:
    """A line of a table."""
    return Row(cells, quiet=quiet)


def bar(mean: float, low: float | None, high: float | None, most: float) -> Cell:
    """A bar from 0 to `mean` on a scale that ends at `most`, with the whisker of its interval."""
    scale = 100.0 / most if most > 0 else 0.0
    whisker = (0.0, 0.0) if low is None or high is None else (low * scale, (high - low) * scale)
    return Cell("bar", width=_percent(mean * scale), low=_percent(whisker[0]), span=_percent(whisker[1]))


def ratio_point(ratio: dict[str, Any] | None, widest: float = 2.0) -> Cell:
    """A point on a logarithmic scale with 1 in the middle, which ends at `widest` and one over it."""
    if ratio is None:
        return Cell("ratio", start=50.0)
    at = [_on_scale(ratio[name], widest) for name in ("mean", "low", "high")]
    middle, low, high = (50.0 if at[0] is None else at[0]), at[1], at[2]
    span = 0.0 if low is None or high is None else high - low
    return Cell("ratio", start=_percent(middle), width=1.0, low=_percent(low or 0.0), span=_percent(span))


def _on_scale(ratio: float | None, widest: float) -> float | None:
    if ratio is None:
        return None
    if ratio <= 0:
        return 0.0
    return min(100.0, max(0.0, 50.0 + 50.0 * math.log(ratio) / math.log(widest)))


def heat(text: str, value: float, largest: float) -> Cell:
    """A number on a colour, the darker the larger."""
    return Cell("heat", text, step=min(STEPS, step_of(round(100 * value), max(1, round(100 * largest)))))


def _percent(value: float) -> float:
    return round(min(100.0, max(0.0, value)), 2)


def largest(values: Sequence[float | None]) -> float:
    """The end of a scale for some values."""
    return max((value for value in values if value is not None), default=0.0)
