"""Pages of mails before the outside judges: the tables of caniemail, and Chromium with axe-core, with pictures and without."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import mails
import pytest
import samples
from crafted import usual
from drivers import Support, View, Visit

from reportgen.mail.preview import render_preview
from reportgen.mail.render import render_mail, write_eml
from reportgen.report.document import Report
from reportgen.report.words import LOCALES

pytestmark = pytest.mark.validator

CLIENTS = ("gmail.*", "outlook.*", "apple-mail.*", "yahoo.*", "samsung-email.*", "thunderbird.*")
VIEWS = tuple(View(width, scheme) for width in (600, 320) for scheme in ("light", "dark"))
#: What some programs do not show -> why the mail reads well without it. Anything that is not here fails the test.
KNOWN = {
    "@media": "narrower edges and dark colours: without it the page is fluid and light",
    "<style> element": "holds only the @media rules; everything else is in the elements",
    "display:none": "the preheader: where it is shown it has one pixel and the colour of its paper",
    "display": "as display:none; no other value is used",
    "overflow": "as display:none",
    "max-width": "of the page: Outlook gets a table of 600 px around it; of the preheader: as display:none",
    "height property": "max-height of the preheader: as display:none",
    "white-space": "a percentage of four signs stays in one line without it, for its column is as wide as its longest word",
    "word-break": "only for words that are longer than a phone is wide",
    "aria-hidden attribute": "of the preheader: it may be read aloud; it is a sentence",
    "aria-label attribute": "of the article: its heading says the same",
    "role attribute": "tables for layout are read as tables then; their cells are in the order of the page",
    "<body> element": "its paper: every cell has its own",
    "background": "of cells: the attribute bgcolor says the same",
    "margin": "never negative, and never on a span; where it is not kept, paragraphs stand closer",
    "padding": "on cells only",
    "text-align": "left, right and center only",
    "text-decoration": "underline only",
    "<img> element": "of figures: the same figures stand below them as text",
    "lang attribute": "on the article inside the page and not on a cell",
    "dir attribute": "the same for the whole mail, and on no link",
    "font-size": "in pixels",
    "font-weight": "400 and 600; a program that knows only normal and bold takes the nearer one",
    "line-height": "in pixels; Outlook may set lines closer or wider",
    "width property": "no widths in styles but the page's",
    "width attribute": "of cells in percent",
    "border": "of one and three pixels, on cells",
    "align attribute": "center only",
    "mailto: links": "with an address alone, or its subject",
    "font-family": "every list ends in a family that all have",
    "color": "as six digits",
}
#: What axe-core asks of a whole page and a mail cannot have: the program around it has the landmarks.
PAGE_ONLY = {
    "landmark-one-main": "the program that shows the mail has the main landmark",
    "region": "as above; the mail is one article",
}

#: Ranks above the heatmap have one digit; their contrast is that of the accent, which headings have too.
TOO_SHORT = "Element content is too short"


def reports() -> dict[str, Report]:
    made = {f"rich {locale}": samples.rich(locale) for locale in LOCALES}
    made |= {f"long {locale}": samples.history(200, locale) for locale in LOCALES}
    return made | {
        "usual": usual(),
        "none": samples.history(0, "en"),
        "hostile": samples.hostile(),
        "rtl": samples.arabic("en"),
    }


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages as files; one with its pictures beside it, and the same where pictures are off."""
    folder = tmp_path_factory.mktemp("mails")
    found = {}
    for name, report in reports().items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(render_mail(report, config=mails.config()).html, "utf-8")
    drawn = render_mail(samples.rich("en"), "png", mails.config())
    html = drawn.html
    (folder / "pictures off.html").write_text(re.sub(r'src="cid:[^"]*"', "", html), "utf-8")
    for picture in drawn.images:
        (folder / f"{picture.cid}.png").write_bytes(picture.data)
        html = html.replace(f"cid:{picture.cid}", f"{picture.cid}.png")
    (folder / "pictures.html").write_text(html, "utf-8")
    return found | {name: folder / f"{name}.html" for name in ("pictures", "pictures off")}


@pytest.fixture(scope="module")
def support(
    pages: dict[str, Path], caniemail: Callable[..., dict[str, list[Support]]], tmp_path_factory: pytest.TempPathFactory
):  # type: ignore[no-untyped-def]
    bad = tmp_path_factory.mktemp("bad") / "bad.html"
    bad.write_text(
        '<div style="position:absolute;display:flex"><video src="https://x.test/v"></video><bdi>x</bdi></div>'
    )
    return caniemail(pages | {"bad": bad}, CLIENTS)


def test_every_finding_of_caniemail_has_its_reason(support: dict[str, list[Support]], pages: dict[str, Path]) -> None:
    for name in pages:
        assert support[name], name
        unknown = [(found.title, found.clients, found.notes) for found in support[name] if found.title not in KNOWN]
        assert unknown == [], name


def test_caniemail_sees_what_mail_programs_do_not_show(support: dict[str, list[Support]]) -> None:
    seen = {found.title for found in support["bad"]} - KNOWN.keys()
    assert {"position", "<bdi> element", "<video> element"} <= seen or len(seen) >= 3, seen


@pytest.fixture(scope="module")
def visits(
    pages: dict[str, Path], browser: Callable[..., dict[str, dict[View, Visit]]]
) -> dict[str, dict[View, Visit]]:
    return browser(pages, views=VIEWS)


def test_every_view_of_every_mail_is_accessible(visits: dict[str, dict[View, Visit]]) -> None:
    for name, views in visits.items():
        for view, visit in views.items():
            left = [found for found in visit.violations if found["rule"] not in PAGE_ONLY]
            assert left == [], (name, view)
            undecided = [found for found in visit.incomplete if TOO_SHORT not in found["reason"]]
            assert undecided == [], (name, view)
            assert {"color-contrast", "document-title", "html-has-lang"} <= set(visit.passes), (name, view)


def test_no_mail_is_wider_than_its_window_or_asks_for_anything(visits: dict[str, dict[View, Visit]]) -> None:
    for name, views in visits.items():
        for view, visit in views.items():
            assert visit.overflow <= 0, (name, view)
            assert visit.dialogs == visit.complaints == [], (name, view)
            wanted = 3 if name == "pictures" else 0
            assert len(set(visit.requests)) <= wanted, (name, view)


def test_the_dark_is_dark(visits: dict[str, dict[View, Visit]]) -> None:
    for views in visits.values():
        for view, visit in views.items():
            assert visit.background == ("rgb(21, 24, 27)" if view.scheme == "dark" else "rgb(253, 252, 249)")


@pytest.fixture(scope="module")
def previews(
    tmp_path_factory: pytest.TempPathFactory, browser: Callable[..., dict[str, dict[View, Visit]]]
) -> dict[str, dict[View, Visit]]:
    folder, pages = tmp_path_factory.mktemp("previews"), dict[str, Path]()
    for name, report, figures in (("cells", samples.rich("en"), "cells"), ("pictures", samples.rich("zh-CN"), "png")):
        pages[name] = folder / f"{name}.html"
        mail = write_eml(mails.message_of(report, figures=figures))
        pages[name].write_text(render_preview(mail, report.locale), "utf-8")
    return browser(pages, views=tuple(View(width, scheme) for width in (1440, 400) for scheme in ("light", "dark")))


def test_a_preview_is_accessible_asks_for_nothing_and_is_not_wider_than_its_window(
    previews: dict[str, dict[View, Visit]],
) -> None:
    for name, views in previews.items():
        for view, visit in views.items():
            left = [found for found in visit.violations if found["rule"] not in PAGE_ONLY]
            assert left == [], (name, view)
            assert visit.overflow <= 0, (name, view)
            # axe-core asks what stands in the frames, and they do not answer it either.
            assert [told for told in visit.complaints if "postMessage" not in told] == visit.dialogs == [], (name, view)
            assert set(visit.requests) == set(), (name, view)
