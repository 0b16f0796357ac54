"""``render_mail``: a report becomes a short mail, as a page for mail programs and as plain text that holds everything.

This is the door to the other ``mail_*`` modules: the message with its headers (`build_message`, `write_eml`) and the files for mail
services (`render_crm`) are made from the same `Mail`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from css_inline import CSSInliner
from markupsafe import Markup, escape

from reportgen.config import Config
from reportgen.errors import ConfigError, RenderError
from reportgen.mail.address import MOST_SUBJECT, header_text
from reportgen.mail.crm import MERGE_FIELDS, Crm, render_crm
from reportgen.mail.message import build_message, message_id, unsubscribe_token, write_eml
from reportgen.mail.page import MailPage, mail_page, without_logo
from reportgen.mail.parts import MOST_HTML, STOP, Mail, Picture, taken_out
from reportgen.mail.setup import mail_problems, mail_setup, postal_address
from reportgen.mail.text import mail_text, plain
from reportgen.report.document import Report, Theme
from reportgen.report.figures import heat_palette
from reportgen.report.html import render_page
from reportgen.report.words import name, words

__all__ = [
    "MERGE_FIELDS", "Crm", "Mail", "Picture", "build_message", "mail_problems", "mail_setup", "message_id", "render_crm", "render_mail",
    "unsubscribe_token", "write_eml",
]  # fmt: skip

FIGURES = ("cells", "png")
_ACCENT, _ACCENT_DARK = "#1f5a94", "#8ec1f2"
# Short, for they stand in a hundred elements.
_SANS = "-apple-system, 'Segoe UI', Roboto, Arial, sans-serif"
_SERIF = "Georgia, 'Times New Roman', serif"
_CHINESE = "'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
#: Width of a column of the heatmap, whole percent of the page, by the number of columns.
_COLUMN = (0, 30, 24, 17, 13, 11)
#: Elements that run or fetch something, or that mail programs take out; an operator's template may have them by mistake.
#: The page has been through a parser of HTML, which writes their names in small letters.
_REFUSED = re.compile(r"<(script|svg|iframe|object|embed|form|link|base|video|audio|input|button|math)\b")


def render_mail(
    report: Report, figures: str = "cells", config: Config | None = None, templates: str | Path | None = None, *,
    pictures: bool = True,
) -> Mail:  # fmt: skip
    """Make the mail of one report. It has no address yet: see `build_message`.

    Parameters
    ----------
    report : Report
    figures : str
        ``cells``: bars and heatmap are cells of tables. ``png``: a picture of each product, drawn by matplotlib, travels with the
        page besides.
    config : Config, optional
        Its ``[mail]`` has a subject and a postal address of the operator's own.
    templates : path, optional
        A folder whose ``mail.html`` and ``mail.css`` go in front of the built-in ones.
    pictures : bool
        False tells the logo in words: a mail service could only fetch it from a server, and so learn who reads what.

    Returns
    -------
    Mail
        The same for the same report.

    Raises
    ------
    ConfigError
        Unknown kind of figures.
    RenderError
        A template fails, or the page holds what no mail may hold, or is longer than 90,000 bytes.
    """
    if figures not in FIGURES:
        raise ConfigError(f"figures {figures!r} are not available in a mail; use one of {', '.join(FIGURES)}")
    config = config or _BUILT_IN
    language = words(report.locale)
    page = mail_page(report, language, figures, postal_address(config))
    subject = header_text(config.mail.subject.get(report.locale, ""), MOST_SUBJECT) or page.subject
    if not pictures or report.theme.logo.startswith("data:image/svg"):
        page = without_logo(page)
    html = _inlined(render_page("mail.html", _values(page, subject), templates))
    html, images = taken_out(html)
    _check(html)
    text = mail_text(page, language)
    return Mail(report.locale, report.key, subject, page.preheader, html, text, images, len(page.items))


_BUILT_IN = Config()


def _values(page: MailPage, subject: str) -> dict[str, Any]:
    report, language = page.report, words(page.report.locale)
    width = len(page.chart.columns) if page.chart else 0
    overview = next((section.heading for section in report.sections if section.id == "overview"), "")
    return {
        "page": page,
        "subject": subject,
        "overview": overview,
        "column_width": _COLUMN[width],
        "logo": report.theme.logo,
        "say": language.say,
        "told": _told,
        "alone": _alone,
        "stop": STOP,
        "heat": heat_palette(),
        "heat_dark": heat_palette(dark=True),
        "start": "right" if report.direction == "rtl" else "left",
        "end": "left" if report.direction == "rtl" else "right",
        **_look(report.theme, report.locale),
    }


@lru_cache(maxsize=16_384)
def _told(text: str) -> Markup:
    """A sentence for the page. Many programs drop ``<bdi>``, so names that turn the direction keep their Unicode isolates."""
    return escape(plain(text))


@lru_cache(maxsize=16_384)
def _alone(text: str) -> Markup:
    """A title or an operator's word that stands alone."""
    return escape(plain(name(text)))


@lru_cache(maxsize=16)
def _look(theme: Theme, locale: str) -> dict[str, Any]:
    """Colours and fonts. Names of fonts stand in single quotes, because a style stands in double ones.

    Of the operator's own list the first name is taken: the whole of a long one, a hundred times, would fill the mail.
    """
    sans, serif = (_CHINESE, _CHINESE) if locale.startswith("zh") else (_SANS, _SERIF)
    own = theme.font.replace('"', "'").partition(",")[0]
    return {
        "accent": theme.accent or _ACCENT,
        "accent_dark": theme.accent_dark or _ACCENT_DARK,
        "font": Markup(f"{own}, {sans}" if own else sans),
        "serif": Markup(f"{own}, {serif}" if own else serif),
    }


@lru_cache(maxsize=1)
def _inliner() -> CSSInliner:
    return CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def _inlined(page: str) -> str:
    """The page with its styles in its elements; what is left of the style sheet stands behind the declaration of the charset."""
    html = _inliner().inline(page)
    before, start, rest = html.partition("<style>")
    kept, end, after = rest.partition("</style>")
    if not end or "</head>" not in after:
        return html
    head, close, body = after.partition("</head>")
    return f"{before}{head}{start}{kept}{end}{close}{body}"


def _check(html: str) -> None:
    size = len(html.encode("utf-8"))
    if size > MOST_HTML:
        raise RenderError(
            f"the page of a mail has {size} bytes, at most {MOST_HTML}: mail programs cut off what is longer"
        )
    if found := _REFUSED.search(html):
        raise RenderError(f"the page of a mail holds <{found[1]}>, which mail programs take out or run")
    if STOP not in html:
        raise RenderError("the page of a mail has no link to stop the mails; its template must show {{ stop }}")
