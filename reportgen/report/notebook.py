"""A report inside a notebook: in a frame of its own, so that neither page can style or script the other."""

from __future__ import annotations

from html import escape

from reportgen.explain.explanation import Explanation
from reportgen.explain.foreign import ForeignExplanation
from reportgen.report.build import build_report
from reportgen.report.document import Report
from reportgen.report.foreign import build_foreign_report
from reportgen.report.html import render_html

#: Tall enough for the first product and its reasons; the rest scrolls.
HEIGHT = 640
# "important", since a style of the notebook (a theme, or one left by another output) must not take the frame away.
_STYLE = (
    f"all:initial!important;display:block!important;width:100%!important;height:{HEIGHT}px!important;border:0!important"
)


def show_report(report: Report) -> str:
    """The page of a report as an ``iframe`` that needs no file and no network.

    An empty ``sandbox`` allows no script, no form, no window and no access to the notebook; links of the page do nothing there.
    """
    return (
        f'<iframe sandbox="" referrerpolicy="no-referrer" title="{escape(report.title)}" '
        f'style="{_STYLE}" srcdoc="{escape(render_html(report))}"></iframe>'
    )


def show_explanation(why: Explanation) -> str:
    """The report of an explanation, in English and without a name; `build_report` makes others."""
    return show_report(build_report(why))


def show_foreign(why: ForeignExplanation) -> str:
    """The report of a model that is not ours, in English and without a name."""
    return show_report(build_foreign_report(why))
