"""The carrier ``Report``: one user's page as frozen plain data, in words and figures, before anything is drawn."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

SCHEMA = "reportgen.report/1"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a ledger.

    Attributes
    ----------
    kind : str
        ``reason``, ``others``, ``folded``, ``against``, ``base`` or ``total``.
    label, detail : str
    share : int or None
        Whole percent of what speaks for the product; None where the line is no part of that.
    points : int
        In units of the ledger's last decimal; all lines but ``total`` sum to the ``total``.
    cells : tuple of int
        The share by kind of evidence, whole percent, one per column; sums to `share`. Empty where there is none.
    """

    kind: str
    label: str
    detail: str
    share: int | None
    points: int
    cells: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """How the score of one product is made: bars (`share`) and heatmap (`cells`) over the history, closing to the score."""

    caption: str
    columns: tuple[str, ...]
    decimals: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A table of whole percentages whose cells are coloured; rows or columns sum to 100 as the note says."""

    caption: str
    note: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A choice the reader has."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with paragraphs, and whatever belongs under them."""

    id: str
    heading: str
    paragraphs: tuple[str, ...]
    links: tuple[Link, ...] = ()
    heatmaps: tuple[Heatmap, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One recommended product with its reasons."""

    rank: int
    title: str
    facts: tuple[str, ...]
    sentence: str
    notes: tuple[str, ...]
    notices: tuple[str, ...]
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Theme:
    """The operator's look, checked and ready for a page.

    Attributes
    ----------
    accent, accent_dark : str
        ``#rrggbb`` on light and on dark paper; "" is the built-in one.
    font : str
        A CSS list of font families that goes in front of the built-in ones, or "".
    logo : str
        A ``data:`` address of a picture, or "".
    logo_alt : str
        The words that stand for the logo.
    page : str
        Paper size of a PDF, ``A4`` or ``Letter``.
    """

    accent: str = ""
    accent_dark: str = ""
    font: str = ""
    logo: str = ""
    logo_alt: str = ""
    page: str = "A4"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one user's page shows, and the record of numbers behind it.

    Attributes
    ----------
    schema, locale, direction : str
    key : str
        Pseudonym of the user.
    title, lead : str
    meta : tuple of str
        For whom, as of when, from which period.
    banner : str
        Said on every page (made-up data), or "".
    items : tuple of Item
    sections : tuple of Section
    footer : tuple of str
    created : str
        ISO 8601 time written into documents.
    record : dict
        The numbers (see `reportgen.report.record`).
    theme : Theme
        How the page looks; no part of what it says, and so not in its JSON.
    """

    schema: str
    locale: str
    direction: str
    key: str
    title: str
    meta: tuple[str, ...]
    banner: str
    lead: str
    items: tuple[Item, ...]
    sections: tuple[Section, ...]
    footer: tuple[str, ...]
    created: str
    record: dict[str, Any]
    theme: Theme = Theme()

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the record, and the page in words under ``page``."""
        page = dataclasses.asdict(self)
        page.pop("theme")
        record: dict[str, Any] = page.pop("record")
        return record | {"page": page}

    def to_json(self) -> str:
        """The record and the page as JSON: sorted keys, no NaN, one line, the same bytes each time."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
