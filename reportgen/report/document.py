"""The carrier ``Report``: one user's page as frozen plain data, in words and figures, before anything is drawn."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import Any, NamedTuple

import orjson

SCHEMA = "reportgen.report/1"
#: Of a page about a model that is not ours.
FOREIGN_SCHEMA = "reportgen.foreign-report/1"


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


class WeighRow(NamedTuple):
    """One line of a `Weighing`.

    Attributes
    ----------
    kind : str
        ``reason``, ``others``, ``folded`` (not shown), ``markers`` (positions that are no items), ``against``, ``base``, ``gap``
        (what the parts leave open of the score) or ``total``.
    label, detail : str
    share : int or None
        Whole percent of the weight; None where the line has none.
    points : int or None
        In units of the last decimal; None where nothing was measured.
    cells : tuple of int
        Whole percent, one per column; as the columns may overlap, they need not sum to `share`.
    """

    kind: str
    label: str
    detail: str
    share: int | None
    points: int | None
    cells: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weighing:
    """What another model says of one product. It closes to no score unless it has a line ``total``.

    Attributes
    ----------
    caption : str
    columns : tuple of str
    share, points : str
        Headings; `points` is "" where the table has no such column.
    decimals : int
    rows : tuple of WeighRow
    """

    caption: str
    columns: tuple[str, ...]
    share: str
    points: str
    decimals: int
    rows: tuple[WeighRow, ...]


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
    ledger: Ledger | Weighing


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
        try:
            told = self._page().decode("utf-8")
        except orjson.JSONEncodeError:  # half a character, which has no UTF-8, or what is no JSON at all
            page = {name: getattr(self, name) for name in _PAGE}
            told = json.dumps(page, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
        # Inside a text this mark would read `,\"rec...`, so its first place is where "page" belongs among the sorted keys.
        before, mark, after = self.record_json.partition(_MARK)
        return f'{before},"page":{told}{mark}{after}'

    def to_bytes(self) -> bytes:
        """`to_json` as a file holds it: in UTF-8 and with a line end. A run makes these, and the page never is a text on the way.

        Raises
        ------
        UnicodeEncodeError
            The page or the record has half a character.
        """
        try:
            told = self._page()
        except orjson.JSONEncodeError:
            return f"{self.to_json()}\n".encode()
        before, mark, after = self.record_json.encode().partition(_MARK.encode())
        return b"".join((before, b',"page":', told, mark, after, b"\n"))

    def _page(self) -> bytes:
        """The page in an eighth of the time of `json`, and the same bytes where it holds texts and whole numbers, as it does."""
        page = {name: getattr(self, name) for name in _PAGE}
        return orjson.dumps(page, default=_plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def json_schema(name: str = "report") -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `Report.to_json`: every field with its unit, and nothing that is not named there.

    Parameters
    ----------
    name : str
        ``report``, ``surrogate`` for a list that is not ours, or ``foreign`` for weights of a model that is not ours.

    Returns
    -------
    dict
        A new one at each call. The files themselves are in ``reportgen/report/schema``.
    """
    text = (files("reportgen.report") / "schema" / f"{name}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


#: Where the page stands in a record: before this, since keys are sorted.
_MARK = ',"recommendations":'
#: Fields of a report that its JSON holds under ``page``.
_PAGE = tuple(sorted({field.name for field in dataclasses.fields(Report)} - {"record_json", "theme"}))
#: Fields of the parts of a page in the order in which JSON has them.
_SORTED = {
    kind: tuple(sorted(field.name for field in dataclasses.fields(kind)))
    for kind in (Ledger, Weighing, Heatmap, Link, Section, Item)
}


def _plain(part: Any) -> dict[str, Any]:
    """A part of a page as JSON takes it, keys in their order. Every page has some fifty rows, so theirs are written out."""
    told = {name: getattr(part, name) for name in _SORTED[type(part)]}
    if isinstance(part, Ledger | Weighing):  # JSON would write a tuple as a list
        told["rows"] = [
            {"cells": cells, "detail": detail, "kind": kind, "label": label, "points": points, "share": share}
            for kind, label, detail, share, points, cells in part.rows
        ]
    return told
