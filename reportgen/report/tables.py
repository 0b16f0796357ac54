"""The tables of a page as markup: ledgers and heatmaps. Strings are joined here: a page holds hundreds of cells, a run millions."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup, escape

from reportgen.report.document import Heatmap, Item, Ledger, Row
from reportgen.report.figures import STEPS, draw_ledger, step_of
from reportgen.report.words import END_ISOLATE, ISOLATE, Words


@dataclass(frozen=True)
class Picture:
    """A drawn figure: a ``data:`` address, and the words that stand for it."""

    src: str
    alt: str


@lru_cache(maxsize=16_384)
def said(text: str) -> Markup:
    """A sentence with the names in it set apart as ``<bdi>``."""
    return Markup(str(escape(text)).replace(ISOLATE, "<bdi>").replace(END_ISOLATE, "</bdi>"))


@lru_cache(maxsize=65_536)
def safe(text: str) -> str:
    """Text as markup. A title comes again on page after page, and is made safe once."""
    return str(escape(text))


@lru_cache(maxsize=65_536)
def _points(words: Words, points: int, decimals: int) -> str:
    return f'<td class="p">{words.number(points / 10**decimals, decimals)}</td></tr>'


@lru_cache(maxsize=16)
def _shares(words: Words) -> tuple[str, ...]:
    """Every whole percentage as text of a page."""
    return tuple(safe(words.percent(share)) for share in range(101))


@lru_cache(maxsize=256)
def _head(words: Words, caption: str, columns: tuple[str, ...]) -> str:
    """The table of a ledger up to its first line: the same for every product with the same kinds of evidence."""
    say, width = words.say, len(columns)
    wide = f'<col class="cs">{"<col>" * width}' if width else ""
    share = f'<th scope="col" class="s">{safe(say("ledger.share"))}</th>' if width else ""
    names = "".join([f'<th scope="col">{safe(column)}</th>' for column in columns])
    return (
        f'<table class="t"><caption>{safe(caption)}</caption><colgroup><col class="cl">{wide}<col class="cp"></colgroup>'
        f'<thead><tr><th scope="col">{safe(say("ledger.history"))}</th>{share}{names}'
        f'<th scope="col" class="p">{safe(say("ledger.points"))}</th></tr></thead><tbody>'
    )


@lru_cache(maxsize=1)
def _cells() -> tuple[tuple[str, ...], ...]:
    """Every coloured cell there can be, by step and whole percentage: a look-up is faster than filling a template."""
    kinds = ["z", *(f"h{step}" for step in range(1, STEPS + 1))]
    return tuple(tuple(f'<td class="{kind}">{value}</td>' for value in range(101)) for kind in kinds)


@lru_cache(maxsize=128)
def _steps(largest: int) -> tuple[int, ...]:
    return tuple(min(STEPS, step_of(value, largest)) for value in range(101))


def _coloured(values: tuple[int, ...], largest: int) -> str:
    cells, steps = _cells(), _steps(largest)
    return "".join([cells[steps[value]][value] for value in values])


_KINDS = {"total": ' class="sum"', "reason": ""}


class Drawing:
    """Tables of one report as a screen shows them."""

    def __init__(self, words: Words, figures: str) -> None:
        self.words, self.figures = words, figures
        self.share = _shares(words)

    def _bar(self, share: int, largest: int) -> str:
        # The number is an element of its own, so that a screen can set it in a column and let all bars begin on one line.
        return f'<td class="s"><b>{self.share[share]}</b><i style="width:{share * 100 // largest}%"></i></td>'

    def ledger(self, ledger: Ledger) -> Markup:
        """The sum of one product as a table: bars, coloured cells, points, total."""
        lines = [row for row in ledger.rows if row.cells and row.kind != "total"]
        largest = max([1, *[max(row.cells) for row in lines]])
        longest = max([1, *[row.share or 0 for row in lines]])
        width, decimals = len(ledger.columns), ledger.decimals
        rows = [self._line(row, width, (largest, longest), decimals) for row in ledger.rows]
        return Markup(f"{_head(self.words, ledger.caption, ledger.columns)}{''.join(rows)}</tbody></table>")

    def _line(self, row: Row, width: int, largest: tuple[int, int], decimals: int) -> str:
        detail = f'<span class="d">{safe(row.detail)}</span>' if row.detail else ""
        kind = _KINDS.get(row.kind, ' class="quiet"')
        head = f'<tr{kind}><th scope="row"><bdi>{safe(row.label)}</bdi>{detail}</th>'
        points = _points(self.words, row.points, decimals)
        if not width:
            return head + points
        if row.share is None:
            return head + "<td></td>" * (width + 1) + points
        if row.kind == "total":
            return f'{head}<td class="s"><b>{self.share[row.share]}</b></td>{_plain(row.cells)}{points}'
        return f"{head}{self._bar(row.share, largest[1])}{_coloured(row.cells, largest[0])}{points}"

    def heatmap(self, heatmap: Heatmap) -> Markup:
        """A table of coloured cells under a caption that says the finding."""
        largest = max([1, *[max(row, default=0) for row in heatmap.values]])
        columns = "".join([f'<th scope="col"><bdi>{safe(column)}</bdi></th>' for column in heatmap.columns])
        lines = [
            f'<tr><th scope="row"><bdi>{safe(label)}</bdi></th>{_coloured(row, largest)}</tr>'
            for label, row in zip(heatmap.rows, heatmap.values, strict=True)
        ]
        return Markup(
            f'<table class="t"><caption>{said(heatmap.caption)}</caption><colgroup><col class="cl">{"<col>" * len(heatmap.columns)}'
            f'</colgroup><thead><tr><th scope="col">{safe(heatmap.corner)}</th>{columns}</tr></thead>'
            f'<tbody>{"".join(lines)}</tbody></table><p class="note">{safe(heatmap.note)}</p>'
        )

    def pictures(self, item: Item) -> list[Picture]:
        """The matplotlib figure of a product where pictures are wanted and there is something to show."""
        lines = [row for row in item.ledger.rows if row.cells and row.kind != "total"]
        if self.figures == "cells" or not lines:
            return []
        kind = {"png": "image/png", "svg": "image/svg+xml"}[self.figures]
        data = base64.b64encode(draw_ledger(item.ledger, self.figures)).decode("ascii")
        top = self.words.list([f"{row.label} {self.words.percent(row.share or 0)}" for row in lines[:3]])
        return [Picture(f"data:{kind};base64,{data}", f"{item.ledger.caption}: {top}")]


def _plain(values: tuple[int, ...]) -> str:
    return "".join([f"<td>{value}</td>" for value in values])
