"""Tables drawn onto the pages of a PDF, as text with the structure of a table.

To WeasyPrint's layout each of these tables is one picture. When it is drawn, each of its cells becomes marked content of its own,
and a tree of boxes that only the tagging reads takes the place of the picture: so the file has ``Table``, ``TR``, ``TH`` and ``TD``
with their headers as if every cell had been a box, at a tenth of the cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reportgen.report.lettering import Line, Pen
from reportgen.report.look import Look
from reportgen.report.paged import PaperRow, PaperTable
from reportgen.report.tagged import COLUMN_HEAD, ROW_HEAD, Cell, Group, Tagged, Text, table_cells, written_cells

#: Shares of the width of the page.
_LABELS, _LABELS_ALONE, _LEAST_LABELS, _SHARE, _POINTS = 0.39, 0.30, 0.24, 0.145, 0.075
#: A column of coloured cells is at most and, where there is room, at least so wide (CSS pixels).
_WIDEST, _NARROWEST = 62.0, 44.0
_GAP = 9.0  # between columns of text
_PAD = 2.7  # above and below the text of a row
_NUMBER, _BAR = 30.0, 5.5  # of a share: room for the number, height of the bar
_HAIR = 1.0  # white between coloured cells
_THIN = 0.75  # a rule


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns of a table start, and how wide they are; None for one that is not there."""

    label: float
    share: tuple[float, float] | None
    cells: tuple[float, float]  # the first of them, and the width of each
    points: tuple[float, float] | None


def _columns(table: PaperTable, width: float) -> _Columns:
    share = 0.0 if table.share is None else _SHARE * width
    points = 0.0 if table.points is None else _POINTS * width
    count = len(table.columns)
    label = (_LABELS_ALONE if table.share is None and count else _LABELS) * width
    if not count:
        room = width - share - points
        return _Columns(
            room, (room, share) if share else None, (0.0, 0.0), (width - points, points) if points else None
        )
    each = (width - label - share - points) / count
    if table.share is not None:
        least = (width * (1 - _LEAST_LABELS) - share - points) / count
        each = min(_WIDEST, max(each, min(_NARROWEST, least)))
        label = width - share - points - each * count
    return _Columns(
        label,
        (label, share) if share else None,
        (label + share, each),
        (width - points, points) if points else None,
    )


class DrawnTable:
    """A table as the picture that WeasyPrint lays out and draws.

    Parameters
    ----------
    table : PaperTable
    look : Look
    width : float
        Of the text area of the page, in CSS pixels.
    fonts, told : dict
        As of `Pen`: shared by all tables of a document.
    """

    def __init__(
        self, table: PaperTable, look: Look, width: float, fonts: dict[int, Any], told: dict[int, Line]
    ) -> None:
        self.table, self.look, self.width = table, look, width
        self._shared = fonts, told
        self._columns = _columns(table, width)
        self._paper: dict[bytes, list[bytes]] = {}  # rectangles by colour
        self._inline = self._detail_beside_label()
        self.height = 0.0
        caption = [Cell("caption", [self._caption()])] if table.caption else []
        head = Group("thead", [Group("tr", self._head())])
        body = Group("tbody", [Group("tr", list(self._row(row))) for row in table.rows])
        self._boxes = [*caption, head, *([body] if table.rows else [])]

    # --- what WeasyPrint asks of a picture

    def get_intrinsic_size(self, _resolution: float, _font_size: float) -> tuple[float, float, float]:
        """Width, height and their ratio."""
        return self.width, self.height, self.width / self.height

    def draw(self, stream: Any, width: float, height: float, _style: Any) -> None:
        """Draw, and leave a table to the tagging in the place of the picture.

        WeasyPrint has opened marked content for the picture: the first text goes into it. It will also close what is open at the
        end, which is an artifact without content.
        """
        scale = min(width / self.width, height / self.height)
        if abs(scale - 1) > 1e-6:  # an operator's style sheet may have other margins
            stream.transform(a=scale, d=scale)
        box, mark = stream._tags.popitem()
        pen = Pen(stream, *self._shared)
        first, *others = written_cells(self._boxes)
        stream._tags[first] = mark
        _write(pen, first)
        pen.write(b"EMC /Artifact BMC")
        for ink, places in self._paper.items():
            pen.write(ink + b" " + b" ".join(places) + b" f")
        pen.write(b"EMC")
        for cell in others:
            number = len(stream._tags)
            stream._tags[cell] = {"tag": "Span", "mcid": number}
            pen.write(b"/Span <</MCID %d>> BDC" % number)
            _write(pen, cell)
            pen.write(b"EMC")
        pen.write(b"/Artifact BMC")
        box.__class__, box.element_tag, box.children = Tagged, "div", self._boxes

    def tag(self, pdf: Any) -> None:
        """Finish the structure after WeasyPrint has written it, with the scope of each head.

        WeasyPrint would give each cell the list of its heads instead. In a table of plain rows and columns that says the same
        (ISO 14289-1, 7.5) in five times the bytes; so it gets to see a ``Div``, which is renamed here.
        """
        first = True
        for cell in table_cells(self._boxes):
            mark = cell.mark
            if cell.element_tag == "th":
                mark["A"]["Scope"] = "/Row" if cell.element is ROW_HEAD else "/Column"
            elif len(mark["A"]) == 1:
                del mark["A"]
            if first:
                first, row = False, pdf.objects[int(mark["P"].split()[0])]
                group = pdf.objects[int(row["P"].split()[0])]
                pdf.objects[int(group["P"].split()[0])]["S"] = "/Table"

    # --- the places

    def _fill(self, ink: bytes, x: float, y: float, width: float, height: float) -> None:
        left = self.width - x - width if self.look.right_to_left else x
        self._paper.setdefault(ink, []).append(b"%.2f %.2f %.2f %.2f re" % (left, y, width, height))

    def _rule(self, y: float) -> None:
        self._fill(self.look.rule, 0.0, y, self.width, _THIN)

    def _text(self, part: str, lines: Sequence[Line], at: float, width: float, y: float, side: float = 0.0) -> Text:
        """Lines one below the other in a column: at its start (`side` 0), in its middle (.5) or at its end (1)."""
        letters, placed = self.look.letters[part], []
        if self.look.right_to_left:
            at, side = self.width - at - width, 1.0 - side
        for number, line in enumerate(lines):
            middle = y + (number + 0.5) * letters.leading
            placed.append((line, at + side * (width - line.width), middle + (line.ascent - line.descent) / 2))
        return Text(tuple(placed), self.look.inks[part])

    def _caption(self) -> Text:
        lines = self.look.letters["caption"].lines(self.table.caption, self.width)
        text = self._text("caption", lines, 0.0, self.width, 0.0)
        self.height = len(lines) * self.look.letters["caption"].leading + _PAD
        return text

    def _head(self) -> list[Any]:
        """Names over the columns, on one base."""
        letters, columns, table = self.look.letters["head"], self._columns, self.table
        at, each = columns.cells
        places = [(table.corner, 0.0, columns.label - _GAP, 0.0)]
        if columns.share:
            places.append((table.share or "", columns.share[0], columns.share[1] - _GAP, 0.0))
        places += [(name, at + k * each + 2.0, each - 4.0, 0.5) for k, name in enumerate(table.columns)]
        if columns.points:
            places.append((table.points or "", *columns.points, 1.0))
        lines = [letters.lines(name, width) for name, _, width, _ in places]
        bottom = self.height + max(map(len, lines)) * letters.leading
        cells: list[Any] = []
        for (_, start, width, side), found in zip(places, lines, strict=True):
            text = self._text("head", found, start, width, bottom - len(found) * letters.leading, side)
            cells.append(Cell("th", [text], COLUMN_HEAD) if found else Group("th"))
        self._rule(bottom + _PAD)
        self.height = bottom + _PAD + _THIN
        return cells

    # --- rows

    def _detail_beside_label(self) -> float:
        """Where the column of details starts, if all of them fit beside their labels; else 0: they stand below."""
        widest = [0.0, 0.0]
        for row in self.table.rows:
            part = self.look.part(row, "label")
            for at, (name, text) in enumerate(((part, row.label), ("detail", row.detail))):
                widest[at] = max([widest[at], *(line.width for line in self.look.letters[name].lines(text))])
        start = self._columns.label - _GAP - widest[1]
        return start if widest[1] and widest[0] + _GAP <= start else 0.0

    def _row(self, row: PaperRow) -> Iterator[Any]:
        look, columns, top = self.look, self._columns, self.height
        label, detail = look.part(row, "label"), "detail"
        room = columns.label - _GAP
        said = f"{row.label} " if row.detail else row.label  # a space, for those who hear the two
        lines, below = look.letters[label].lines(said, room), look.letters[detail].lines(row.detail, room)
        high = len(lines) * look.letters[label].leading
        deep = 0.0 if self._inline else len(below) * look.letters[detail].leading
        self.height = top + high + deep + 2 * _PAD
        if row.kind == "total":
            self._rule(top)
            self._rule(self.height - 2 * _THIN)
            self._rule(self.height)
            self.height += _THIN
        texts = [self._text(label, lines, 0.0, room, top + _PAD)]
        if below:
            start = self._inline or 0.0
            texts.append(self._text(detail, below, start, room - start, top + _PAD + (0.0 if self._inline else high)))
        yield Cell("th", texts, ROW_HEAD)
        yield from self._numbers(row, top, high + deep + 2 * _PAD)

    def _numbers(self, row: PaperRow, top: float, height: float) -> Iterator[Any]:
        columns, part = self._columns, self.look.part
        if columns.share and row.share:
            yield self._share(row, top, height)
        if row.cells:
            yield from self._heat(row, top, height)
        elif blank := len(self.table.columns) + bool(columns.share and not row.share):
            yield Group("td", colspan=blank)
        if columns.points:
            yield self._number(part(row, "points"), row.points or "", *columns.points, (top, height), 1.0)

    def _number(
        self, part: str, text: str, at: float, width: float, rows: tuple[float, float], side: float, ink: bytes = b""
    ) -> Cell:
        line, (top, height) = self.look.letters[part].line(text), rows
        y = top + (height - self.look.letters[part].leading) / 2
        placed = self._text(part, (line,), at, width, y, side)
        return Cell("td", (Text(placed.lines, ink) if ink else placed,))

    def _share(self, row: PaperRow, top: float, height: float) -> Cell:
        at, width = self._columns.share or (0.0, 0.0)
        if row.bar:
            longest = width - _NUMBER - 2 * _GAP
            self._fill(self.look.bar, at + _NUMBER + 5.0, top + (height - _BAR) / 2, row.bar * longest, _BAR)
        return self._number(self.look.part(row, "share"), row.share, at, _NUMBER, (top, height), 1.0)

    def _heat(self, row: PaperRow, top: float, height: float) -> Iterator[Cell]:
        at, each = self._columns.cells
        for k, (value, step) in enumerate(row.cells):
            paper, ink = self.look.heat[step]
            if paper:
                self._fill(paper, at + k * each + _HAIR / 2, top + _HAIR / 2, each - _HAIR, height - _HAIR)
            part = "sum-cell" if row.kind == "total" else "cell" if step else "zero"
            yield self._number(part, str(value), at + k * each, each, (top, height), 0.5, ink)


def _write(pen: Pen, cell: Cell) -> None:
    for text in cell.texts:
        pen.write(text.ink)
        for line, x, y in text.lines:
            pen.text(line, x, y)
