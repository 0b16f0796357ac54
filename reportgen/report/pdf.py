"""``render_pdf``: the page as a tagged PDF/UA-1 file, with nothing fetched from anywhere."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher

from reportgen.errors import RenderError
from reportgen.report.document import Report
from reportgen.report.html import paged_style, render_paged

# Without a base, WeasyPrint only logs a relative address and leaves the picture out; with this one the fetcher refuses it aloud.
_NOWHERE = "https://nowhere.invalid/"


@lru_cache(maxsize=1)
def _fonts() -> FontConfiguration:
    """One font configuration for the process: a new one per report leaks and costs time."""
    return FontConfiguration()


@lru_cache(maxsize=1)
def _paged() -> CSS:
    """The rules for pages, read once."""
    return CSS(string=paged_style())


def render_pdf(report: Report | str, figures: str = "cells", templates: str | Path | None = None) -> bytes:
    """A report as a PDF/UA-1 document.

    Parameters
    ----------
    report : Report or str
        A report, or a page of `render_html` (or of one's own) as it is. Its ``dcterms.created`` is the time written into the
        file, so the clock does not get in.
    figures, templates
        As for `render_html`; for a report only.

    Returns
    -------
    bytes
        The same for the same page, fonts and versions.

    Raises
    ------
    RenderError
        The page asks for something outside itself, or cannot be laid out.
    """
    html = report if isinstance(report, str) else render_paged(report, figures, templates)
    with _without_pauses():
        return _write(html)


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


def _write(html: str) -> bytes:
    fetcher = URLFetcher(allowed_protocols={"data"}, fail_on_errors=True)
    options: dict[str, Any] = {"pdf_variant": "pdf/ua-1", "font_config": _fonts(), "stylesheets": [_paged()]}
    try:
        document = HTML(string=html, url_fetcher=fetcher, base_url=_NOWHERE)
        return bytes(document.write_pdf(**options))
    except FatalURLFetchingError as problem:  # a BaseException: it would pass every usual `except`
        raise RenderError(f"the page asks for something outside itself: {problem}") from None
