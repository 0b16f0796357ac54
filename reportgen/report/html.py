"""``render_html``: a report becomes one self-contained page, without script and without anything external."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, PackageLoader, StrictUndefined, TemplateSyntaxError
from jinja2.loaders import BaseLoader, ChoiceLoader
from markupsafe import Markup

from reportgen.errors import ConfigError, RenderError
from reportgen.report.document import Report
from reportgen.report.figures import heat_css
from reportgen.report.paged import PagedDrawing
from reportgen.report.tables import Drawing, said
from reportgen.report.words import words

FIGURES = ("cells", "png", "svg")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def render_html(report: Report, figures: str = "cells", templates: str | Path | None = None) -> str:
    """Draw a report as one HTML document.

    Parameters
    ----------
    report : Report
    figures : str
        ``cells``: the heatmaps are tables with coloured cells. ``png`` or ``svg``: a picture drawn by matplotlib stands above
        each of these tables, embedded in the file.
    templates : path, optional
        A folder whose templates go in front of the built-in ones.

    Raises
    ------
    RenderError
        A template fails; names file, line and reason.
    """
    return _draw(report, Drawing(words(report.locale), _known(figures)), templates)


def render_paged(report: Report, figures: str = "cells", templates: str | Path | None = None) -> str:
    """The same document for a PDF writer: the tables as `reportgen.report.paged` lays them out."""
    return _draw(report, PagedDrawing(words(report.locale), _known(figures)), templates)


def _known(figures: str) -> str:
    if figures not in FIGURES:
        raise ConfigError(f"figures {figures!r} is not available; use one of {', '.join(FIGURES)}")
    return figures


def _draw(report: Report, drawing: Drawing, templates: str | Path | None) -> str:
    values = {"report": report, "ledger": drawing.ledger, "heatmap": drawing.heatmap, "pictures": drawing.pictures}
    return render_page("report.html", values, templates)


def render_page(template: str, values: Mapping[str, Any], templates: str | Path | None = None) -> str:
    """Fill a template; it also gets ``css`` with the style sheets ``base``, ``screen`` and ``print``."""
    folder = str(templates) if templates is not None else None
    try:
        return _environment(folder).get_template(template).render(css=_styles(folder), **values)
    except Exception as problem:  # an operator's template can fail in any way
        file, line = _place(problem, template)
        raise RenderError(
            f"template {Path(file).name}, line {line}: {problem}"
        ) from problem  # no folder: it goes into the run


def _place(problem: Exception, template: str) -> tuple[str, int]:
    """Where a template failed: a syntax error knows it; for the others Jinja puts the template's own lines into the traceback."""
    if isinstance(problem, TemplateSyntaxError):
        return problem.filename or problem.name or template, problem.lineno
    frames = traceback.extract_tb(problem.__traceback__)
    found = [frame for frame in frames if frame.filename.endswith((".html", ".css"))]
    return (found[-1].filename, found[-1].lineno or 0) if found else (template, 0)


def paged_style() -> str:
    """The style sheet that only a PDF gets."""
    return _environment(None).get_template("paged.css").render()


@lru_cache(maxsize=8)
def _environment(folder: str | None) -> Environment:
    own: BaseLoader = PackageLoader("reportgen.templates", "")
    loader = ChoiceLoader([FileSystemLoader(folder), own]) if folder else own
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["said"] = said
    return environment


@lru_cache(maxsize=8)
def _styles(folder: str | None) -> dict[str, Markup]:
    """The style sheets, each filled once: they are ours or the operator's, never a customer's."""
    colours = {"heat_dark": heat_css(dark=True)}
    sheets = {
        name: _environment(folder).get_template(f"{name}.css").render(colours) for name in ("base", "screen", "print")
    }
    sheets["base"] += heat_css()
    return {name: Markup(_lean(sheet)) for name, sheet in sheets.items()}


def _lean(sheet: str) -> str:
    """A style sheet without comments, line ends and indents: a tenth of the page is style."""
    return "".join(line.strip() for line in _COMMENT.sub("", sheet).splitlines())
