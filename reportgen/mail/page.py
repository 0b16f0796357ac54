"""What a mail shows of a report: the first products, their strongest reasons, one small heatmap, the reader's choices."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace

from reportgen.report.document import FOREIGN_SCHEMA, Heatmap, Item, Ledger, Link, Report, Weighing
from reportgen.report.figures import draw_ledger, heat_palette, step_of
from reportgen.report.surrogate import SCHEMA as SURROGATE_SCHEMA
from reportgen.report.words import END_ISOLATE, ISOLATE, Words
from reportgen.text import clean

#: Products, reasons of each, and lines of the heatmap.
MOST_ITEMS, MOST_REASONS, MOST_LINES = 5, 3, 6
#: Graphemes of a title: whatever the settings of pages allow, a mail must stay short.
MOST_TITLE = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """A line under a product: `share` in whole percent, `said` as text; `quiet` where it stands for no item by name."""

    label: str
    share: int
    said: str
    quiet: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the heatmap: `step` of the colour scale, 0 for nothing, with its `paper` and `ink`."""

    value: int
    step: int
    paper: str
    ink: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The small heatmap: history items by products, which are named by their ranks.

    A row is its label, its cells, and whether it stands for several items or for such as have no name here: then it has no colour,
    so that the eye goes to what can be named.
    """

    caption: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...], bool], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One product in a mail."""

    item: Item
    bars: tuple[Bar, ...]
    picture: str
    alt: str


@dataclass(frozen=True, slots=True)
class MailPage:
    """Everything that both forms of a mail show, in this order.

    Attributes
    ----------
    subject, preheader : str
    items : tuple of Shown
    shares : str
        What the percentages of the bars say.
    more : int
        Products of the report that are not in the mail.
    chart : Chart or None
    used : tuple of str
        Which data were used.
    links : tuple of Link
    who : tuple of str
        Who answers for it, with a contact and a postal address.
    small : tuple of str
    """

    report: Report
    subject: str
    preheader: str
    items: tuple[Shown, ...]
    shares: str
    more: int
    chart: Chart | None
    used_heading: str
    used: tuple[str, ...]
    links_heading: str
    links: tuple[Link, ...]
    who: tuple[str, ...]
    small: tuple[str, ...]


def mail_page(report: Report, words: Words, figures: str, postal: str) -> MailPage:
    """Choose what a mail shows.

    Parameters
    ----------
    report : Report
    words : Words
    figures : str
        ``cells``, or ``png`` for a drawn figure per product beside them.
    postal : str
        Address by letter, "" where the report's own is all there is.
    """
    kind = about(report)
    sections = {section.id: section for section in report.sections}
    data, choices = sections["data"], sections["choices"]
    who = choices.paragraphs
    if postal and not any(postal in line for line in who):
        who = (*who, words.say("choices.address", address=f"{ISOLATE}{postal}{END_ISOLATE}"))
    first = report.items[:MOST_ITEMS]
    return MailPage(
        report,
        words.say(f"mail.{kind}subject"),
        words.say(f"mail.{kind}preheader"),
        tuple(_shown(item, words, figures) for item in first),
        words.say(f"mail.{kind}shares"),
        len(report.items) - len(first),
        _chart(report, words) if "overview" in sections else None,
        data.heading,
        data.paragraphs,
        choices.heading,
        choices.links,
        who,
        report.footer,
    )


def about(report: Report) -> str:
    """What a mail must not be silent about, as the first part of the names of its sentences.

    ``given_``: reasons of our model for another system's list; ``attention_`` and ``contribution_``: what another model looked at, or
    counted; empty for our model and its own list.
    """
    if report.schema == FOREIGN_SCHEMA:
        # Quotation marks inside of texts are escaped in JSON, so only a field can look like this.
        return "contribution_" if '"kind":"contribution"' in report.record_json else "attention_"
    return "given_" if f'"schema":"{SURROGATE_SCHEMA}"' in report.record_json else ""


def _shown(item: Item, words: Words, figures: str) -> Shown:
    item, bars = replace(item, title=clean(item.title, MOST_TITLE)), _bars(item.ledger, words)
    if isinstance(item.ledger, Weighing):  # what was measured of the weights, or was not, belongs to what they say
        return Shown(replace(item, sentence=words.join([item.sentence, *item.notes])), bars, "", "")
    if figures == "cells" or not bars:
        return Shown(item, bars, "", "")
    data = b64encode(draw_ledger(item.ledger, "png")).decode("ascii")
    told = words.list([f"{bar.label} {bar.said}" for bar in bars])
    return Shown(item, bars, f"data:image/png;base64,{data}", f"{item.ledger.caption}: {told}")


def _bars(ledger: Ledger | Weighing, words: Words) -> tuple[Bar, ...]:
    """The strongest reasons by name and everything else in one or two lines: together they are 100 %."""
    lines = [row for row in ledger.rows if row.share and row.kind != "total"]
    named = [row for row in lines if row.kind == "reason"]
    keep, folded = named[:MOST_REASONS], [row for row in lines if row.kind in ("folded", "markers")]
    bars = [Bar(row.label, row.share or 0, words.percent(row.share or 0), False) for row in keep]
    rest = sum(row.share or 0 for row in lines) - sum(row.share or 0 for row in (*keep, *folded))
    if rest:
        bars.append(Bar(words.say("mail.rest"), rest, words.percent(rest), True))
    return (*bars, *(Bar(row.label, row.share or 0, words.percent(row.share or 0), True) for row in folded))


def _chart(report: Report, words: Words) -> Chart | None:
    if report.schema == FOREIGN_SCHEMA:  # its bars say all of it
        return None
    heatmap = next(section for section in report.sections if section.id == "overview").heatmaps[0]
    # Its columns are the products that the history speaks for, in their order.
    ranks = [item.rank for item in report.items if item.ledger.columns]
    width = sum(rank <= MOST_ITEMS for rank in ranks)
    if not width or len(ranks) != len(heatmap.columns):
        return None
    rows = _gathered(heatmap, words, width)
    named = {row.label for item in report.items for row in item.ledger.rows if row.kind == "reason"}
    largest = max((max(values) for label, values in rows if label in named), default=0)
    # The caption names the largest share of the whole list: it is only said where the whole list is shown.
    caption = heatmap.caption if width == len(ranks) else words.say("mail.chart")
    return Chart(
        caption,
        heatmap.corner,
        tuple(words.count(rank) for rank in ranks[:width]),
        tuple(
            (label, tuple(_cell(value, largest * (label in named)) for value in values), label not in named)
            for label, values in rows
        ),
    )


def _gathered(heatmap: Heatmap, words: Words, width: int) -> list[tuple[str, tuple[int, ...]]]:
    """The first lines as they are; where there are more, the others in one, so that each column still adds up to 100."""
    rows = [(label, values[:width]) for label, values in zip(heatmap.rows, heatmap.values, strict=True)]
    if len(rows) <= MOST_LINES:
        return rows
    rest = tuple(sum(column) for column in zip(*(values for _, values in rows[MOST_LINES - 1 :]), strict=True))
    return [*rows[: MOST_LINES - 1], (words.say("mail.rest"), rest)]


def _cell(value: int, largest: int) -> Cell:
    step = step_of(value, largest) if largest else 0
    return Cell(value, step, *heat_palette()[step - 1]) if step else Cell(value, 0, "", "")


def without_logo(page: MailPage) -> MailPage:
    """The page with words in place of a logo that mail programs do not show (SVG)."""
    theme = replace(page.report.theme, logo="")
    return replace(page, report=replace(page.report, theme=theme))
