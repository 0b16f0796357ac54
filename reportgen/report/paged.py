"""The tables of a report on paper.

A PDF writer lays out each cell of a table as a box, which costs it about a millisecond; a page of receipts has five hundred. But the
places of these cells are known: whole numbers in columns of one width. So the page only names its tables, as pictures, and
`reportgen.report.drawn` draws them: as text, with the structure of a table. Here is what they hold; nothing here knows of PDF.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from markupsafe import Markup, escape

from reportgen.report.document import Heatmap, Ledger, Weighing
from reportgen.report.figures import step_of
from reportgen.report.tables import Drawing
from reportgen.report.words import Words

#: Lines of text in the rows of one table without a break, at most. A longer one is drawn in parts, each with the head: a page may
#: end between them, and none is as high as a page.
MOST_LINES = 42
#: A line of a label has room for about so many letters; those of East Asia count double.
_LETTERS, _LETTERS_ALONE = 46, 36
# No picture is fetched: the PDF writer finds the tables of this report, and of no other, under these addresses.
_ADDRESS = "data:image/png;reportgen=table,{}"


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One row of a table.

    Attributes
    ----------
    kind : str
        As of `reportgen.report.document.Row`; ``reason`` in a heatmap.
    label, detail : str
    share : str
        A percentage in words, or "".
    bar : float
        Length of the bar, from 0 to 1 of the longest.
    cells : tuple of (int, int)
        Number and step of the colour scale, 0 for none. Empty: the row has nothing to say there.
    points : str or None
        None: the table has no such column.
    """

    kind: str
    label: str
    detail: str
    share: str
    bar: float
    cells: tuple[tuple[int, int], ...]
    points: str | None


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table, or a part of one.

    Attributes
    ----------
    caption : str
        Empty for the further parts of a table.
    corner : str
        Over the column of labels.
    share : str or None
        Over the column of percentages with bars; None where there is none.
    columns : tuple of str
        Over the coloured cells.
    points : str or None
        Over the last column; None where there is none.
    rows : tuple of PaperRow
    """

    caption: str
    corner: str
    share: str | None
    columns: tuple[str, ...]
    points: str | None
    rows: tuple[PaperRow, ...]

    def texts(self) -> Iterator[str]:
        """Every text of the table."""
        yield from (self.caption, self.corner, self.share or "", *self.columns, self.points or "")
        for row in self.rows:
            yield from (row.label, row.detail, row.share, row.points or "")


def replaced(table: PaperTable, stand_ins: Mapping[int, str]) -> PaperTable:
    """The same table with other letters, as of `str.translate`."""
    head = [None if text is None else text.translate(stand_ins) for text in (table.caption, table.corner, table.share)]
    return replace(
        table,
        caption=head[0] or "",
        corner=head[1] or "",
        share=head[2],
        columns=tuple(column.translate(stand_ins) for column in table.columns),
        rows=tuple(
            replace(row, label=row.label.translate(stand_ins), detail=row.detail.translate(stand_ins))
            for row in table.rows
        ),
    )


class PagedDrawing(Drawing):
    """Tables of one report on paper.

    Attributes
    ----------
    tables : dict of str to PaperTable
        What the page names so far, by address.
    """

    def __init__(self, words: Words, figures: str) -> None:
        super().__init__(words, figures)
        self.tables: dict[str, PaperTable] = {}

    def ledger(self, ledger: Ledger | Weighing) -> Markup:
        """The sum of one product, named as pictures."""
        if isinstance(ledger, Weighing):
            return self.weighing(ledger)
        say = self.words.say
        return self._named(
            ledger.caption,
            (
                say("ledger.history"),
                say("ledger.share") if ledger.columns else None,
                ledger.columns,
                say("ledger.points"),
            ),
            self._lines(ledger),
        )

    def weighing(self, weighing: Weighing) -> Markup:
        """What another model says of one product, named as pictures."""
        largest = max([1, *(value for row in weighing.rows for value in row.cells)])
        longest = max([1, *(row.share or 0 for row in weighing.rows)])
        unit, number = 10**weighing.decimals, self.words.number
        rows = [
            PaperRow(
                row.kind,
                row.label,
                row.detail,
                "" if row.share is None else self.words.percent(row.share),
                (row.share or 0) / longest,
                tuple((value, step_of(value, largest)) for value in row.cells),
                None
                if not weighing.points
                else "–"
                if row.points is None
                else number(row.points / unit, weighing.decimals),
            )
            for row in weighing.rows
        ]
        head = (self.words.say("ledger.history"), weighing.share, weighing.columns, weighing.points or None)
        return self._named(weighing.caption, head, rows)

    def _lines(self, ledger: Ledger) -> list[PaperRow]:
        lines = [row for row in ledger.rows if row.cells and row.kind != "total"]
        largest = max([1, *(value for row in lines for value in row.cells)])
        longest = max([1, *(row.share or 0 for row in lines)])
        unit = 10**ledger.decimals
        return [
            PaperRow(
                row.kind,
                row.label,
                row.detail,
                "" if row.share is None else self.words.percent(row.share),
                0.0 if row.share is None or row.kind == "total" else row.share / longest,
                tuple((value, 0 if row.kind == "total" else step_of(value, largest)) for value in row.cells),
                self.words.number(row.points / unit, ledger.decimals),
            )
            for row in ledger.rows
        ]

    def heatmap(self, heatmap: Heatmap) -> Markup:
        """A table of coloured cells, named as pictures, and its note."""
        largest = max([1, *(value for row in heatmap.values for value in row)])
        rows = [
            PaperRow("reason", label, "", "", 0.0, tuple((value, step_of(value, largest)) for value in row), None)
            for label, row in zip(heatmap.rows, heatmap.values, strict=True)
        ]
        named = self._named(heatmap.caption, (heatmap.corner, None, heatmap.columns, None), rows)
        return named + Markup(f'<p class="note">{escape(heatmap.note)}</p>')

    def _named(
        self, caption: str, head: tuple[str, str | None, tuple[str, ...], str | None], rows: list[PaperRow]
    ) -> Markup:
        parts = [PaperTable("" if at else caption, *head, part) for at, part in enumerate(_parts(rows))]
        images = []
        for part in parts:
            address = _ADDRESS.format(len(self.tables))
            self.tables[address] = part
            images.append(f'<img class="drawn" src="{address}" alt="{escape(caption)}">')
        return Markup("".join(images))


def _parts(rows: list[PaperRow]) -> list[tuple[PaperRow, ...]]:
    """Rows in parts of about one size, as few as `MOST_LINES` allows; one part where there are no rows."""
    heights = [_lines(row) for row in rows]
    count = max(1, -(-sum(heights) // MOST_LINES))
    # The end of each row on a scale from 0 to 1 says in which part its middle lies.
    ends, total = list(accumulate(heights)), max(1, sum(heights))
    parts: list[list[PaperRow]] = [[] for _ in range(count)]
    for row, end, height in zip(rows, ends, heights, strict=True):
        parts[min(count - 1, (2 * end - height) * count // (2 * total))].append(row)
    return [tuple(part) for part in parts if part] or [()]


def _lines(row: PaperRow) -> int:
    letters = sum(2 if letter >= "\u1100" else 1 for letter in row.label)
    room = _LETTERS if row.points is not None else _LETTERS_ALONE
    return max(1, -(-letters // room)) + bool(row.detail)
