"""``render_pdf``: a report as one file that is PDF/A-3a and PDF/UA-1, with its record embedded and nothing fetched from anywhere."""

from __future__ import annotations

import gc
import html
import io
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pydyf
from weasyprint import CSS, HTML, Attachment
from weasyprint.css import ColorProfile
from weasyprint.css.properties import INITIAL_VALUES
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher

from reportgen.errors import RenderError
from reportgen.report.coverage import Coverage, warn
from reportgen.report.document import Report
from reportgen.report.drawn import DrawnTable
from reportgen.report.html import paged_style, render_paged
from reportgen.report.look import Look, read_look
from reportgen.report.paged import PagedDrawing, PaperTable, replaced
from reportgen.report.running import number_pages
from reportgen.report.words import words
from reportgen.report.xmp import VARIANT, claim_ua

# Without a base, WeasyPrint only logs a relative address and leaves the picture out; with this one the fetcher refuses it aloud.
_NOWHERE = "https://nowhere.invalid/"
#: Width of the text area by paper, in CSS pixels: the paper less the margins of `print.css`.
_WIDTHS = {"A4": (210 - 34) / 25.4 * 96, "Letter": (215.9 - 34) / 25.4 * 96}
#: The colours of the file, under a name that is not one of WeasyPrint's; see `_srgb`.
_INTENT = "reportgen-srgb"
_OPTIONS: dict[str, Any] = {"pdf_variant": VARIANT, "output_intent": _INTENT}
#: Pango and fontconfig are not made for two threads in one font map.
_ONE_AT_A_TIME = threading.Lock()

_STYLE = re.compile(r'<style(?: media="(print|screen)")?>(.*?)</style>\s*', re.DOTALL)
# Such rules belong to a whole document and not to a sheet: they stay in the page.
_WHOLE = re.compile(r"@(?:counter-style|color-profile|layer)")
# Links to the places of a page: for a screen.
_ON_SCREEN_ONLY = re.compile(r'<nav class="jump".*?</nav>\s*', re.DOTALL)
_ISOLATE = re.compile(r"</?bdi>")
_CREATED = re.compile(r'<meta name="dcterms\.created" content="([^"]*)">')
_FROM_RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")
# The running title and the number are drawn: as boxes they cost a tenth of a report.
_NO_MARGIN_BOXES = "@page { @top-left { content: none } @bottom-right { content: none } }"
_ROOT = re.compile(r'<html lang="([^"]*)" dir="(ltr|rtl)">')
_TEXT = re.compile(r">([^<]+)<")


def render_pdf(
    report: Report | str, figures: str = "cells", templates: str | Path | None = None,
    attached: tuple[str, str, str] | None = None,
) -> bytes:  # fmt: skip
    """A report as a PDF document that is PDF/A-3a and PDF/UA-1.

    Letters that no font of this machine has are printed as U+FFFD, and a warning of the logger ``reportgen.report.coverage``
    names them and the text.

    Parameters
    ----------
    report : Report or str
        A report: its record and words (`Report.to_json`) go into the file as the attachment ``report.json``. Or a page of
        `render_html` (or of one's own), laid out as it is and without an attachment. The time written into the file is
        `Report.created`, or the ``dcterms.created`` of the page, so the clock does not get in.
    figures, templates
        As for `render_html`; for a report only.
    attached : (str, str, str), optional
        Name, schema and text of JSON that goes into the file of a page.

    Returns
    -------
    bytes
        The same for the same page, fonts and versions.

    Raises
    ------
    RenderError
        The page asks for something outside itself, or cannot be laid out.
    """
    with _ONE_AT_A_TIME, _without_pauses():
        if isinstance(report, str):
            page = _ON_SCREEN_ONLY.sub("", _printable(report, {})[0])
            document = _laid_out(page, [_sheet(paged_style())], {})
            data = [] if attached is None else [_attachment(*attached, document.metadata.title, _created(page))]
            return _made(document, (), data)
        return _write_report(report, figures, templates)


@contextmanager
def _without_pauses() -> Iterator[None]:
    """Keep the garbage collector out of a layout: it would walk the growing tree of boxes again and again (a fifth of the time).

    It is switched on again afterwards and then takes the tree in one go.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _write_report(report: Report, figures: str, templates: str | Path | None) -> bytes:
    drawing = PagedDrawing(words(report.locale), figures)
    page = _ON_SCREEN_ONLY.sub("", render_paged(report, figures, templates, drawing))
    page, tables = _printable(page, drawing.tables)
    if not _FROM_RIGHT.search(page):  # where everything runs from left to right, there is nothing to isolate
        page = _ISOLATE.sub("", page)
    page, sheets = _taken_out(page)
    look, width = _look(sheets, *_root(page)), _WIDTHS.get(report.theme.page, _WIDTHS["A4"])
    fonts: dict[int, Any] = {}
    told: dict[int, Any] = {}
    pictures = {address: DrawnTable(table, look, width, fonts, told) for address, table in tables.items()}
    document = _laid_out(page, [_sheet(sheet) for sheet in sheets], pictures)
    number_pages(document.pages, report.title, look, fonts, told)
    return _made(document, pictures.values(), [_record(report)])


def _root(page: str) -> tuple[str, str]:
    found = _ROOT.search(page)
    return (html.unescape(found[1]), found[2]) if found else ("", "ltr")


def _taken_out(page: str) -> tuple[str, tuple[str, ...]]:
    """A page without its style sheets, and those of them that are for paper: they are the same for all pages of a run."""
    taken: list[str] = []

    def take(found: re.Match[str]) -> str:
        if _WHOLE.search(found[2]):
            return found[0]
        if found[1] != "screen":
            taken.append(found[2])
        return ""

    return _STYLE.sub(take, page), (*taken, paged_style(), _NO_MARGIN_BOXES)


# --- what all reports of a process share


@lru_cache(maxsize=1)
def _fonts() -> FontConfiguration:
    """One font configuration for the process: a new one per report leaks and costs time."""
    return FontConfiguration()


@lru_cache(maxsize=32)
def _sheet(text: str) -> CSS:
    return CSS(string=text, base_url=_NOWHERE, url_fetcher=_fetcher(), font_config=_fonts())


@lru_cache(maxsize=16)
def _look(sheets: tuple[str, ...], lang: str, direction: str) -> Look:
    return read_look([_sheet(sheet) for sheet in sheets], lang, direction, _fonts())


class _Profile(ColorProfile):  # type: ignore[misc]
    """A colour profile as it is in its file: once its name was asked for, the library under WeasyPrint writes it in another order."""

    content = b""


@lru_cache(maxsize=1)
def _srgb() -> _Profile:
    """WeasyPrint's own profile of colours, which it would open, and leave open, for each document."""
    data = (files("weasyprint.pdf") / "sRGB2014.icc").read_bytes()
    profile = _Profile(io.BytesIO(data), "sRGB2014.icc", "relative-colorimetric", (["r"], ["g"], ["b"]))
    profile.content = data
    return profile


class _Style(dict[str, Any]):
    """The initial style, in the font configuration of the process."""

    font_config: FontConfiguration


@lru_cache(maxsize=1)
def _coverage() -> Coverage:
    style = _Style(INITIAL_VALUES, font_family=["sans-serif"])
    style.font_config = _fonts()
    return Coverage(style)


def _fetcher() -> URLFetcher:
    return URLFetcher(allowed_protocols={"data"}, fail_on_errors=True)


# --- letters that no font has


def _printable(page: str, tables: dict[str, PaperTable]) -> tuple[str, dict[str, PaperTable]]:
    """The page and its tables with U+FFFD for what cannot be printed, and a warning."""
    texts = [text for table in tables.values() for text in table.texts()]
    letters = set(html.unescape(page) if "&#" in page else page).union(*texts)
    missing = _coverage().missing(letters)
    if not missing:
        return page, tables
    warn(missing, (*(html.unescape(text) for text in _TEXT.findall(page)), *texts))
    stand_ins = _coverage().stand_ins(missing)
    return page.translate(stand_ins), {address: replaced(table, stand_ins) for address, table in tables.items()}


def _check_glyphs(fonts: Iterable[Any]) -> None:
    """What was written in another way than as a plain letter of the page, such as by its number, could not be replaced."""
    missing = sorted({point for font in fonts for point in font.missing})
    if missing:
        points = ", ".join(f"U+{point:04X} ({chr(point)!r})" for point in missing[:5])
        raise RenderError(f"no font has {points} of this page; install a font that has it, or change the text")


# --- the writer


def _record(report: Report) -> Attachment:
    return _attachment("report.json", report.schema, report.to_json(), report.title, report.created)


def _attachment(name: str, schema: str, text: str, title: str, created: str) -> Attachment:
    when = datetime.fromisoformat(created)
    return Attachment(
        string=text,
        name=name,
        description=f"{title} (JSON, {schema})",
        created=when,
        modified=when,
        relationship="Data",
    )


def _created(page: str) -> str:
    """The time that a page says of itself."""
    found = _CREATED.search(page)
    if found is None:
        raise RenderError('the page has no <meta name="dcterms.created">, so nothing can be attached to it')
    return html.unescape(found[1])


def _laid_out(page: str, sheets: list[CSS], pictures: Mapping[str, DrawnTable]) -> Any:
    with _nothing_from_outside():
        source = HTML(string=page, url_fetcher=_fetcher(), base_url=_NOWHERE)
        # The writer looks for a picture in this cache before it fetches: so our tables are found, and nobody else's.
        return source.render(
            font_config=_fonts(),
            stylesheets=sheets,
            cache=dict(pictures),
            color_profiles={_INTENT: _srgb()},
            **_OPTIONS,
        )


def _made(document: Any, tables: Collection[DrawnTable] = (), attachments: Sequence[Attachment] = ()) -> bytes:
    claim_ua(document.metadata)
    with _nothing_from_outside():
        made = document.write_pdf(
            attachments=list(attachments), finisher=lambda _document, pdf: _finish(pdf, tables), **_OPTIONS
        )
    _check_glyphs(document.fonts.values())
    return bytes(made)


@contextmanager
def _nothing_from_outside() -> Iterator[None]:
    try:
        yield
    except FatalURLFetchingError as problem:  # a BaseException: it would pass every usual `except`
        raise RenderError(f"the page asks for something outside itself: {problem}") from None


def _finish(pdf: Any, tables: Iterable[DrawnTable]) -> None:
    """What the writer leaves to be done, right before the bytes are made."""
    for table in tables:
        table.tag(pdf)
    if "AF" in pdf.catalog:  # WeasyPrint 70 lists each attachment twice among the associated files
        pdf.catalog["AF"][:] = dict.fromkeys(pdf.catalog["AF"])
    pdf.objects[:] = [_Written(written) for written in pdf.objects]


class _Written(pydyf.Object):  # type: ignore[misc]
    """An object whose bytes are made once. The writer wants all of them twice: for the file, and for the hash in its identifier."""

    data = b""
    compressible = False

    def __init__(self, original: Any) -> None:
        self.number, self.generation, self.free = original.number, original.generation, original.free
        self.offset, self.compressible = original.offset, original.compressible
        self.data = original.data if original.free != "f" else b""
