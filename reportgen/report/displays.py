"""Figures for notebooks, slides and papers, in the manner of scikit-learn's displays: they hold the numbers and draw them later.

What they show is taken from the report of the same explanation, so a figure, its page and its record show the same numbers, and
what a page does not name a figure does not name either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from reportgen.config import Config
from reportgen.errors import RenderError
from reportgen.explain.explanation import Explanation
from reportgen.report.build import build_report
from reportgen.report.display import BODY, INK, SMALL, SOFT, Display, lines_of, title_height, wrapped
from reportgen.report.document import FOREIGN_SCHEMA, Item, Report
from reportgen.report.figures import plot_bars, plot_heatmap
from reportgen.report.glyphs import fonts
from reportgen.report.words import END_ISOLATE, ISOLATE, words

#: Widths of texts in columns of half width: a Chinese character takes two.
_LABEL, _COLUMN = 34, 13
_COLUMN_LINES = 4
#: All columns of a heatmap side by side; the least width of one.
_ALL_COLUMNS, _LEAST = 70, 8


class AttentionDisplay(Display):
    """Bars of attention over the history for one recommended item.

    Parameters
    ----------
    labels : sequence of str, length R
        Strongest first; then, where there are any, what stands for several items or for items that are not shown.
    shares : array of int, shape (R,)
        Whole percent of what speaks for the item; they sum to 100, or there is none.
    said : sequence of str, length R
        The shares as text.
    quiet : sequence of bool, length R
        Lines that stand for no single named item.
    title, note : str

    Attributes
    ----------
    bars_ : BarContainer
    """

    def __init__(
        self,
        labels: Sequence[str],
        shares: Sequence[int] | np.ndarray,
        said: Sequence[str],
        quiet: Sequence[bool],
        title: str,
        note: str = "",
    ) -> None:
        self.labels, self.shares, self.said = tuple(labels), np.asarray(shares, dtype=np.int64), tuple(said)
        self.quiet, self.title, self.note = tuple(quiet), title, note

    @classmethod
    def from_explanation(
        cls, why: Explanation, k: int = 0, locale: str = "en", config: Config | None = None
    ) -> AttentionDisplay:
        """Take the numbers of recommended item `k`, 0 the best."""
        return cls.from_report(build_report(why, locale, config=config), k)

    @classmethod
    def from_report(cls, report: Report, k: int = 0) -> AttentionDisplay:
        """As `from_explanation`, from a report that is there already."""
        item, said = _item(report, k), words(report.locale)
        rows = [row for row in item.ledger.rows if row.cells and row.kind != "total"]
        shares = [row.share or 0 for row in rows]
        title = _plain(said.say("figure.attention", pick=said.title(item.title)) if rows else item.sentence)
        grey = [row.kind != "reason" for row in rows]
        return cls([row.label for row in rows], shares, [said.percent(share) for share in shares], grey, title)

    def _words(self) -> Sequence[str]:
        return (*self.labels, *self.said)

    def _lines(self) -> Sequence[str]:
        return [f"{label} {share}" for label, share in zip(self.labels, self.said, strict=True)]

    def _height(self) -> float:
        return 0.5 + sum(0.16 + 0.15 * lines_of(label, _LABEL) for label in self.labels) + title_height(self.title)

    def _fill(self, ax: Axes) -> None:
        labels = [wrapped(label, _LABEL) for label in self.labels]
        self.bars_, texts = plot_bars(ax, labels, self.shares.tolist(), self.said, self.quiet)
        self.text_ = np.array(texts, dtype=object)
        ax.tick_params(axis="y", labelsize=BODY, labelcolor=INK)
        for text in texts:
            text.set(fontsize=BODY, color=INK)


class HeatmapDisplay(Display):
    """Cells of whole percentages over the history, coloured and printed as in the tables of a page.

    Parameters
    ----------
    values : array of int, shape (R, C)
        Whole percent.
    rows : sequence of str, length R
        The history.
    columns : sequence of str, length C
        Recommended items, or kinds of evidence.
    title, note : str

    Attributes
    ----------
    im_ : QuadMesh
        Its array holds the steps of the colour scale, 0 for nothing.
    """

    def __init__(
        self, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, note: str = ""
    ) -> None:
        self.values = np.asarray(values, dtype=np.int64).reshape(len(rows), len(columns))
        self.rows, self.columns, self.title, self.note = tuple(rows), tuple(columns), title, note

    @classmethod
    def from_explanation(
        cls, why: Explanation, k: int | None = None, locale: str = "en", config: Config | None = None
    ) -> HeatmapDisplay:
        """History x recommended items; with `k`, history x kind of evidence for that item, 0 the best."""
        return cls.from_report(build_report(why, locale, config=config), k)

    @classmethod
    def from_report(cls, report: Report, k: int | None = None) -> HeatmapDisplay:
        """As `from_explanation`, from a report that is there already."""
        if k is not None:
            return cls._of_item(report, _item(report, k))
        maps = [found for section in report.sections for found in section.heatmaps]
        if not maps:
            return cls(np.zeros((0, 0)), (), (), _plain(report.lead))
        table = maps[0]
        return cls(np.array(table.values), table.rows, table.columns, _plain(table.caption), _plain(table.note))

    @classmethod
    def _of_item(cls, report: Report, item: Item) -> HeatmapDisplay:
        said = words(report.locale)
        rows = [row for row in item.ledger.rows if row.cells and row.kind != "total"]
        title = _plain(said.say("figure.evidence", pick=said.title(item.title)) if rows else item.sentence)
        columns = item.ledger.columns if rows else ()
        return cls(np.array([row.cells for row in rows]), [row.label for row in rows], columns, title)

    def _words(self) -> Sequence[str]:
        return (*self.rows, *self.columns)

    def _lines(self) -> Sequence[str]:
        return [
            f"{row}: {', '.join(f'{column} {value}' for column, value in zip(self.columns, values, strict=True))}"
            for row, values in zip(self.rows, self.values.tolist(), strict=True)
        ]

    def _height(self) -> float:
        head = max([0, *(column.count("\n") + 1 for column in self._heads())])
        body = sum(max(0.3, 0.08 + 0.15 * lines_of(row, _LABEL)) for row in self.rows)
        return 0.4 + 0.14 * head + body + title_height(self.title) + (0.25 if self.note else 0.0)

    def _heads(self) -> list[str]:
        width = min(_COLUMN, max(_LEAST, _ALL_COLUMNS // max(len(self.columns), 1)))
        return [wrapped(column, width, _COLUMN_LINES) for column in self.columns]

    def _fill(self, ax: Axes) -> None:
        columns = self._heads()
        if not self.rows:
            self.im_: Any = None
            self.text_ = np.empty((0, 0), dtype=object)
            ax.set_axis_off()
            return
        self.im_, self.text_ = plot_heatmap(ax, self.values, columns)
        ax.set_xticks(np.arange(len(columns)), columns, fontsize=SMALL, color=INK)
        ax.set_yticks(np.arange(len(self.rows)), [wrapped(row, _LABEL) for row in self.rows], fontsize=BODY, color=INK)
        # Paper between the cells, as on the page.
        ax.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(len(self.rows) - 1) + 0.5, minor=True)
        ax.grid(which="minor", color="#ffffff", linewidth=2.5)
        ax.tick_params(which="both", length=0)
        for text in self.text_.flat:
            text.set_fontsize(BODY)
        if self.note:
            ax.set_xlabel(self.note, loc="left", fontsize=SMALL, color=SOFT, fontfamily=fonts(), parse_math=False)


def _item(report: Report, k: int) -> Item:
    if not 0 <= k < len(report.items):
        raise IndexError(f"k = {k}: the list has {len(report.items)} recommended items, counted from 0")
    if report.schema == FOREIGN_SCHEMA:
        raise RenderError(
            "these figures show what speaks for a product, and another model's weights do not say that; use its page"
        )
    return report.items[k]


def _plain(text: str) -> str:
    """A sentence without the marks around its names, which no font draws."""
    return text.replace(ISOLATE, "").replace(END_ISOLATE, "")
