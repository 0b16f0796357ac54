"""``render_html``: a report becomes one self-contained page, without script and without anything external."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
)
from jinja2.loaders import BaseLoader, ChoiceLoader, PrefixLoader
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from reportgen.errors import ConfigError, RenderError
from reportgen.formats import FIGURES
from reportgen.report.contained import reaches
from reportgen.report.document import Report, Weighing
from reportgen.report.figures import heat_css
from reportgen.report.paged import PagedDrawing
from reportgen.report.tables import Drawing, said
from reportgen.report.theme import theme_css
from reportgen.report.words import words

_ALONE = "runs or fetches something; a page stands alone, so write it into the page, or pictures as data:image/..."
# Strings stay as they are. A space after a colon is one in a declaration: no selector has it there.
_SPACE = re.compile(r"""("[^"]*"|'[^']*')|\s*([{};,])\s*|:\s+""")
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
        A template fails, or one of the operator's own reaches outside the page; names file, line and reason.
    """
    return _draw(report, Drawing(words(report.locale), _known(figures)), templates)


def render_paged(
    report: Report, figures: str = "cells", templates: str | Path | None = None, drawing: PagedDrawing | None = None
) -> str:
    """The same document for a PDF writer: it only names its tables, which are then in `drawing`."""
    return _draw(report, drawing or PagedDrawing(words(report.locale), _known(figures)), templates)


def _known(figures: str) -> str:
    if figures not in FIGURES:
        raise ConfigError(f"figures {figures!r} is not available; use one of {', '.join(FIGURES)}")
    return figures


def _draw(report: Report, drawing: Drawing, templates: str | Path | None) -> str:
    columns = next((item.ledger.columns for item in report.items if item.ledger.columns), ())
    values = {
        "report": report,
        "ledger": drawing.ledger,
        "heatmap": drawing.heatmap,
        "pictures": drawing.pictures,
        "jumps": drawing.jumps,
        "product": drawing.product,
        "chapter": drawing.chapter,
        "say": drawing.words.say,
        "gap": gap(report.locale),
        "column_names": column_names(columns, _points_name(report) or drawing.words.say("ledger.points")),
        "theme": Markup(theme_css(report.theme)),
    }
    return render_page("report.html", values, templates)


def _points_name(report: Report) -> str:
    """What the points of another model's weights are called; "" for a page of ours."""
    return next((item.ledger.points for item in report.items if isinstance(item.ledger, Weighing)), "")


def gap(locale: str) -> str:
    """What stands between two sentences: Chinese has no space there."""
    return "" if locale.startswith("zh") else " "


@lru_cache(maxsize=256)
def column_names(columns: tuple[str, ...], points: str) -> Markup:
    """Style that writes the name of its column into each cell, where a narrow screen shows the rows of a table one by one."""
    cells = (
        (f".item td:nth-child({k + 3})::before,.map .t+p+.t td:nth-child({k + 2})", name)
        for k, name in enumerate(columns)
    )
    rules = [f'{cell}::before{{content:"{_css_text(name)}"}}' for cell, name in (*cells, (".item .p", points))]
    return Markup(f"@media (max-width:40rem){{{''.join(rules)}}}")


def _css_text(text: str) -> str:
    """Text for a quoted string in a style element: whatever is no letter, digit or space is written by its number."""
    return "".join(sign if sign.isalnum() or sign == " " else f"\\{ord(sign):x} " for sign in text)


def render_page(template: str, values: Mapping[str, Any], templates: str | Path | None = None) -> str:
    """Fill a template; it also gets ``css`` with the style sheets ``base``, ``screen`` and ``print``.

    Raises
    ------
    RenderError
        As `render_html`.
    """
    folder = str(templates) if templates is not None else None
    try:
        page = _environment(folder).get_template(template).render({"theme": "", "css": _styles(folder), **values})
    except Exception as problem:  # an operator's template can fail in any way
        file, line = _place(problem, template)
        told = f"template {Path(file).name}, line {line}: {_reason(problem)}"  # no folder: it goes into the run
        raise RenderError(told) from problem
    if folder and (reached := reaches(page)):
        raise RenderError(f"template {_source_of(reached, folder, template)}: {reached!r} {_ALONE}")
    return page


def _reason(problem: Exception) -> str:
    if isinstance(problem, TemplateNotFound):
        return (
            f"reaches for {problem.name!r}, which lies neither in the folder of templates nor among the built-in ones"
        )
    return str(problem)


def _source_of(reached: str, folder: str, template: str) -> str:
    """The operator's file and line that wrote something into the page; the template as a whole where it was put together."""
    sign = reached.rpartition(" ")[2].strip("<>'\"")
    for path in sorted(Path(folder).glob("*")):
        if path.suffix in (".html", ".css"):
            for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
                if sign in line:
                    return f"{path.name}, line {number}"
    return template


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


class _Folder(FileSystemLoader):
    """The operator's templates, and nothing outside their folder, by whatever way it is named."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        found = super().get_source(environment, template)
        if not Path(found[1]).resolve().is_relative_to(Path(self.searchpath[0]).resolve()):
            raise TemplateRuntimeError(f"{template} is a link that leads out of the folder of templates")
        return found


@lru_cache(maxsize=8)
def _environment(folder: str | None) -> Environment:
    own: BaseLoader = PackageLoader("reportgen.templates", "")
    # `extends "built-in/report.html"` is how a template of one's own changes a block of the one it stands in front of.
    loader = ChoiceLoader([_Folder(folder), own, PrefixLoader({"built-in": own})]) if folder else own
    # A template of one's own may come from anybody in the house: it gets at the values it is given and at nothing behind them.
    kind = SandboxedEnvironment if folder else Environment
    environment = kind(
        loader=loader,
        autoescape=True,
        auto_reload=bool(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
    """A style sheet without comments, line ends and the spaces that mean nothing: a quarter of the page is style."""
    lines = "".join(line.strip() for line in _COMMENT.sub("", sheet).splitlines())
    return _SPACE.sub(lambda found: found[1] or found[2] or ":", lines)
