"""Boxes that only the tagging of a PDF sees: they give a drawn table the structure of a laid-out one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from weasyprint.css.properties import INITIAL_VALUES
from weasyprint.formatting_structure import boxes

from reportgen.report.lettering import Line


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the table: its lines with the places where their baselines start, and its ink."""

    lines: tuple[tuple[Line, float, float], ...]
    ink: bytes


# After everything is drawn, the writer looks for outlines in all boxes.
_UNSEEN = {**INITIAL_VALUES, "visibility": "hidden"}


class Cell(boxes.ReplacedBox):  # type: ignore[misc]
    """A cell or a caption. Only the tagging sees it: it takes the marked content of this box for the cell's own."""

    style = _UNSEEN

    def __init__(self, tag: str, texts: Sequence[Text], element: Any = None, colspan: int = 1) -> None:
        self.element_tag, self.element, self.colspan = tag, element or PLAIN, colspan
        self.texts, self.children = texts, ()


class Group(boxes.Box):  # type: ignore[misc]
    """A row, a group of rows, or a cell without content."""

    style = _UNSEEN

    def __init__(self, tag: str, children: Sequence[Any] = (), colspan: int = 1) -> None:
        self.element_tag, self.element, self.colspan = tag, PLAIN, colspan
        self.children = children


class Tagged(boxes.BlockBox):  # type: ignore[misc]
    """What a picture turns into once it is drawn."""


PLAIN = SimpleNamespace(tag="", attrib={})
ROW_HEAD = SimpleNamespace(tag="th", attrib={"scope": "row"})
COLUMN_HEAD = SimpleNamespace(tag="th", attrib={"scope": "col"})


def table_cells(found: Sequence[Any]) -> Iterator[Any]:
    """Every cell of a row, in reading order."""
    for box in found:
        if box.element_tag in ("th", "td"):
            yield box
        else:
            yield from table_cells(box.children)


def written_cells(found: Sequence[Any]) -> Iterator[Cell]:
    """Every cell with content, in reading order."""
    for box in found:
        if isinstance(box, Cell):
            yield box
        else:
            yield from written_cells(box.children)
