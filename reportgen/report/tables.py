"""The parts of a page as markup: products, ledgers, heatmaps. Strings are joined here: a page holds hundreds of cells, a run millions."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from markupsafe import Markup, escape

from reportgen.report.document import Heatmap, Item, Ledger, Section, Weighing
from reportgen.report.figures import STEPS, draw_ledger, step_of
from reportgen.report.words import END_ISOLATE, ISOLATE, Words


@dataclass(frozen=True)
class Picture:
    """A drawn figure: a ``data:`` address, and the words that stand for it."""

    src: str
    alt: str


@lru_cache(maxsize=1024)
def said(text: str) -> Markup:
    """A sentence with the names in it set apart as ``<bdi>``."""
    return Markup(_said(text))


def _said(text: str) -> str:
    return str(escape(text)).replace(ISOLATE, "<bdi>").replace(END_ISOLATE, "</bdi>")


@lru_cache(maxsize=65_536)
def safe(text: str) -> str:
    """Text as markup. A title comes again on page after page, and is made safe once."""
    return str(escape(text))


@lru_cache(maxsize=16_384)
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


@lru_cache(maxsize=256)
def _weighing_head(words: Words, caption: str, columns: tuple[str, ...], share: str, points: str) -> str:
    """The table of a `Weighing` up to its first line."""
    names = "".join([f'<th scope="col">{safe(column)}</th>' for column in columns])
    col, head = ('<col class="cp">', f'<th scope="col" class="p">{safe(points)}</th>') if points else ("", "")
    return (
        f'<table class="t"><caption>{safe(caption)}</caption><colgroup><col class="cl"><col class="cs">'
        f'{"<col>" * len(columns)}{col}</colgroup><thead><tr><th scope="col">{safe(words.say("ledger.history"))}</th>'
        f'<th scope="col" class="s">{safe(share)}</th>{names}{head}</tr></thead><tbody>'
    )


_CLASSES = ("z", *[f"h{step}" for step in range(1, STEPS + 1)])


@lru_cache(maxsize=128)
def _inked(largest: int) -> tuple[str, ...]:
    """Every coloured cell of a table whose largest is this one, by whole percentage: to look it up beats filling a template."""
    steps = [min(STEPS, step_of(value, largest)) for value in range(101)]
    return tuple([f'<td class="{_CLASSES[step]}">{value}</td>' for value, step in enumerate(steps)])


@lru_cache(maxsize=128)
def _bars(words: Words, longest: int) -> tuple[str, ...]:
    """Every share with its bar, where the longest bar is this one, by whole percentage."""
    # The number is an element of its own, so that a screen can set it in a column and let all bars begin on one line.
    return tuple(
        [
            f'<td class="s"><b>{text}</b><i style="width:{share * 100 // longest}%"></i></td>'
            for share, text in enumerate(_shares(words))
        ]
    )


def _coloured(values: tuple[int, ...], largest: int) -> str:
    return "".join(map(_inked(largest).__getitem__, values))


_KINDS = {"total": ' class="sum"', "reason": ""}


@lru_cache(maxsize=1024)
def _begun(kind: str, label: str, detail: str) -> str:
    """A line of a ledger up to its numbers; that of a history item comes for one product after another of the same user."""
    told = f'<span class="d">{safe(detail)}</span>' if detail else ""
    named = _KINDS.get(kind, ' class="quiet"')
    return f'<tr{named}><th scope="row"><bdi>{safe(label)}</bdi>{told}</th>'


class Drawing:
    """The parts of one report as a screen shows them."""

    def __init__(self, words: Words, figures: str) -> None:
        self.words, self.figures = words, figures
        self.share = _shares(words)

    def ledger(self, ledger: Ledger | Weighing) -> Markup:
        """The sum of one product as a table: bars, coloured cells, points, total."""
        if isinstance(ledger, Weighing):
            return self.weighing(ledger)
        lines = [row for row in ledger.rows if row.cells and row.kind != "total"]
        inks = _inked(max([1, *[max(row.cells) for row in lines]])).__getitem__
        bars = _bars(self.words, max([1, *[row.share or 0 for row in lines]]))
        width, decimals, words = len(ledger.columns), ledger.decimals, self.words
        rows = []
        for kind, label, detail, share, points, cells in ledger.rows:
            rows.append(_begun(kind, label, detail))
            if width and share is None:
                rows.append("<td></td>" * (width + 1))
            elif width and kind == "total":
                rows.append(f'<td class="s"><b>{self.share[share or 0]}</b></td>{_plain(cells)}')
            elif width:
                rows.append(bars[share or 0])
                rows += map(inks, cells)
            rows.append(_points(words, points, decimals))
        return Markup(f"{_head(words, ledger.caption, ledger.columns)}{''.join(rows)}</tbody></table>")

    def weighing(self, weighing: Weighing) -> Markup:
        """What another model says of one product as a table: bars, coloured cells and, where there are any, points."""
        inks = _inked(max([1, *[max(row.cells, default=0) for row in weighing.rows]])).__getitem__
        bars = _bars(self.words, max([1, *[row.share or 0 for row in weighing.rows]]))
        rows = []
        for kind, label, detail, share, points, cells in weighing.rows:
            blank = "<td></td>" * (len(weighing.columns) - len(cells))
            rows += [
                _begun(kind, label, detail),
                "<td></td>" if share is None else bars[share],
                *map(inks, cells),
                blank,
            ]
            if weighing.points:
                rows.append(
                    '<td class="p"></td></tr>' if points is None else _points(self.words, points, weighing.decimals)
                )
            else:
                rows.append("</tr>")
        head = _weighing_head(self.words, weighing.caption, weighing.columns, weighing.share, weighing.points)
        return Markup(f"{head}{''.join(rows)}</tbody></table>")

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
        data = base64.b64encode(draw_ledger(cast(Ledger, item.ledger), self.figures)).decode("ascii")
        top = self.words.list([f"{row.label} {self.words.percent(row.share or 0)}" for row in lines[:3]])
        return [Picture(f"data:{kind};base64,{data}", f"{item.ledger.caption}: {top}")]

    @staticmethod
    def jumps(items: tuple[Item, ...]) -> Markup:
        """The products as entries of a list of contents."""
        entries = [
            f'<li><a href="#item{item.rank}"><b>{item.rank}</b><bdi>{safe(item.title)}</bdi></a></li>' for item in items
        ]
        return Markup("".join(entries))

    def product(self, item: Item) -> Markup:
        """Everything that the page says of one product."""
        words, title, facts, notes = self.words, safe(item.title), "", ""
        if item.facts:
            facts = f'<p class="facts">{" · ".join([f"<bdi>{safe(fact)}</bdi>" for fact in item.facts])}</p>'
        if item.notes:
            notes = f'<p class="notes">{words.gap.join([_said(note) for note in item.notes])}</p>'
        notices = "".join([f'<p class="notice">{safe(notice)}</p>' for notice in item.notices])
        figures = "".join(
            [
                f'<figure><img src="{picture.src}" alt="{safe(picture.alt)}">'
                f'<figcaption class="note">{safe(picture.alt)}</figcaption></figure>'
                for picture in self.pictures(item)
            ]
        )
        return Markup(
            f'<section class="item" aria-labelledby="item{item.rank}">\n<h2 id="item{item.rank}">'
            f'<span class="rank">{item.rank}</span> <bdi>{title}</bdi></h2>\n{facts}'
            f'<p class="why">{_said(item.sentence)}</p>\n{notices}{figures}{self.ledger(item.ledger)}\n{notes}</section>\n'
        )

    def chapter(self, section: Section, n_items: int) -> Markup:
        """A section below the products; `n_items` is how many of these there are."""
        if not section.heatmaps:
            return _text(section)
        # Where each product is a column, the lines are history items, and their names take more room.
        wide = " r" if len(section.heatmaps[0].columns) == n_items else ""
        tables = "".join([self.heatmap(heatmap) for heatmap in section.heatmaps])
        return Markup(f'<section class="map{wide}"{_opened(section)}{tables}</section>\n')


def _plain(values: tuple[int, ...]) -> str:
    return "".join([f"<td>{value}</td>" for value in values])


def _opened(section: Section) -> str:
    """A section from its label to its links."""
    links = [
        f'<li><a href="{safe(link.url)}" rel="noopener noreferrer">{safe(link.label)}</a></li>'
        for link in section.links
    ]
    listed = f'<ul class="choices links">{"".join(links)}</ul>' if links else ""
    return (
        f' aria-labelledby="{section.id}">\n<h2 id="{section.id}">{safe(section.heading)}</h2>\n'
        f"{''.join([f'<p>{said(paragraph)}</p>' for paragraph in section.paragraphs])}{listed}"
    )


@lru_cache(maxsize=1024)
def _text(section: Section) -> Markup:
    """A section of words alone: the same on page after page."""
    return Markup(f'<section class="text"{_opened(section)}</section>\n')
