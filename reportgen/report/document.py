"""The carrier ``Report``: one user's page as frozen plain data, in words and figures, before anything is drawn."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import Any, NamedTuple

SCHEMA = "reportgen.report/1"


class Row(NamedTuple):
    """One line of a ledger. A page has some fifty: a tuple is made in a third of the time of a frozen dataclass.

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
    record_json : str
        The numbers as canonical JSON (see `reportgen.report.record`); the record hash is of this text.
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
    record_json: str
    theme: Theme = Theme()

    def _repr_html_(self) -> str:
        return str(import_module("reportgen.report.notebook").show_report(self))

    @property
    def record(self) -> dict[str, Any]:
        """The numbers as data, read from `record_json`."""
        record: dict[str, Any] = json.loads(self.record_json)
        return record

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the record, and the page in words under ``page``. `json_schema` says what stands in it."""
        whole: dict[str, Any] = json.loads(self.to_json())
        return whole

    def to_json(self) -> str:
        """The record and the page as JSON: sorted keys, no NaN, one line, the same bytes each time.

        Without ``page`` it is the record, to the byte: whoever takes ``page`` out of it and writes the rest again in the same
        way has the text whose SHA-256 the page names.
        """
        page = {name: getattr(self, name) for name in _PAGE}
        told = json.dumps(
            page, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        )
        # Inside a text this mark would read `,\"rec...`, so its first place is where "page" belongs among the sorted keys.
        before, mark, after = self.record_json.partition(',"recommendations":')
        return f'{before},"page":{told}{mark}{after}'


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `Report.to_json`: every field with its unit, and nothing that is not named there.

    Returns
    -------
    dict
        A new one at each call. The file itself is ``reportgen/report/schema/report.json``.
    """
    text = (files("reportgen.report") / "schema" / "report.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


#: Fields of a report that its JSON holds under ``page``.
_PAGE = tuple(field.name for field in dataclasses.fields(Report) if field.name not in ("record_json", "theme"))


def _plain(part: Any) -> dict[str, Any]:
    """A part of a page as JSON takes it."""
    told = {name: getattr(part, name) for name in part.__slots__}
    if isinstance(part, Ledger):  # JSON would write a tuple as a list
        told["rows"] = [row._asdict() for row in part.rows]
    return told
