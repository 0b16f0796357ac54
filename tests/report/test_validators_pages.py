"""Every kind of page before the outside judges: Chromium with axe-core, the Nu Html Checker and html-validate.

Each program starts once for all pages of this module. The pages with a planted fault go the same way as the good ones and
show that each judge sees what it is there for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from drivers import VIEWS, Finding, View, Visit

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.index import render_index
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings, Tools
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.output.manifest import Manifest, Users
from reportgen.report.document import Report
from reportgen.report.html import render_html

pytestmark = pytest.mark.validator

#: What axe-core cannot decide by itself on our pages: rule and start of the markup -> why it is right as it is.
UNDECIDED = {
    "color-contrast <text ": "words of a plot lie on its lines; they have the colours of the page's own text, which is judged",
}
#: What html-validate objects to and we do on purpose.
ON_PURPOSE = {
    "no-inline-style": "the length of a bar is a number that the code formats; the page has no script and no other way to say it",
}

GOOD = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Page</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<style>:root{color-scheme:light dark}body{background:light-dark(#fff,#111);color:light-dark(#111,#eee)}"
    "p{overflow-wrap:anywhere}</style></head>"
    "<body><main><h1>Page</h1>{}</main></body></html>"
)
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
#: A fault and what must find it: a rule of axe-core, a word of the Nu Html Checker, a rule of html-validate, "" where it is silent.
FAULTS = {
    "pale text": ('<p style="color:#999;background:#fff">Pale</p>', "color-contrast", "", ""),
    "picture without words": (f'<img src="{PIXEL}">', "image-alt", "alt", "wcag/h37"),
    "skipped heading": ("<h3>Deep</h3>", "heading-order", "skipping", "heading-level"),
    "link without words": ('<a href="https://shop.test/"></a>', "link-name", "", "wcag/h30"),
    "list without list": ("<li>One</li>", "listitem", "not allowed as child", "element-permitted-parent"),
    "wrong nesting": ("<p><b>One</p></b>", "", "b", "close-order"),
    "twice the same id": ('<p id="a">One</p><p id="a">Two</p>', "", "Duplicate ID", "no-dup-id"),
    "unknown attribute value": ('<p dir="sideways">One</p>', "", "sideways", "attribute-allowed-values"),
    "unknown role": ('<p role="banana">One</p>', "aria-roles", "banana", ""),
    "small target": (
        '<p><a href="https://shop.test/1" style="font-size:4px">1</a></p><p style="margin:0;line-height:1"><a href="https://shop.test/2" '
        'style="font-size:4px;display:block">2</a><a href="https://shop.test/3" style="font-size:4px;display:block">3</a></p>',
        "target-size", "", "",
    ),
}  # fmt: skip
#: A fault and the field of `Visit` that tells of it.
LEAKS = {
    "script": ("<script>alert(1)</script>", "dialogs"),
    "handler": ('<img alt="x" src="data:," onerror="alert(1)">', "dialogs"),
    "picture": ('<img alt="x" src="http://127.0.0.1:9/a.png">', "requests"),
    "style sheet": ('<link rel="stylesheet" href="http://127.0.0.1:9/a.css">', "requests"),
    "frame": ('<iframe title="x" src="file:///nowhere.html"></iframe>', "requests"),
    "complaint": ("<script>console.error(1)</script>", "complaints"),
}
TOO_WIDE = '<div style="width:500px">Wide</div>'

Pages = dict[str, Path]
Browsed = dict[str, dict[View, Visit]]
Found = dict[str, list[Finding]]


def index(folder: Path) -> tuple[str, str]:
    """The index of a run with reports, with a user set aside and with one who opted out."""
    shop = make_shop(60)
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    unlucky: list[Report] = []

    def report(*given: object, **named: object) -> Report:
        made = Tools().report(*given, **named)
        unlucky.append(made)
        if len(unlucky) == 1:
            raise ValueError("a <failure> for the table of failures")
        return made

    as_of = int(data.timestamps.max())
    settings = RunSettings(
        folder / "run", b"a key for tests", as_of, "2026-01-01T00:00:00Z", formats=("html", "json"), limit=4
    )
    summary = build_run(settings, data, AttentionScorer().fit(data), tools=Tools(report=report))
    return "index", summary.index.read_text("utf-8")


def foreign_indexes() -> dict[str, str]:
    """The index of runs on another model's weights and on another system's lists, and of a run with mails that lacks some."""

    def page(locale: str, model: dict[str, Any], unmailed: dict[str, int] | None, *tables: str) -> str:
        counted = {name: {"rows": 1, "set_aside": 0} for name in ("events", *tables)}
        manifest = Manifest(
            "0" * 16, "2026-06-30T00:00:00Z", "as_of", "2026-06-30T12:00:00Z", False, "k", "t", {}, model, Users(3, 3, 0, 0, 0),
            counted, (), (),
        )  # fmt: skip
        settings = RunSettings(Path(), b"a key for tests", 0, "2026-01-01T00:00:00Z", locale=locale)
        return render_index(manifest, settings, [], [], [], None, unmailed)

    model = {"id": "foreign-1", "name": "<SASRec>", "version": "2", "kind": "attention"}
    return {
        "index, weights": page("en", model, None, "weights"),
        "index, lists": page("zh-CN", {"id": "m"}, None, "recommendations"),
        "index, without mail": page("en", {"id": "m"}, {"<no> address": 2, "there is no product to tell of": 1}),
    }


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All kinds of pages by name."""
    folder = tmp_path_factory.mktemp("samples")
    pages = {name: render_html(report) for name, report in samples.reports(folder).items()}
    pages |= {f"figures {kind}": render_html(samples.rich("en"), kind) for kind in ("png", "svg")}
    return pages | dict(samples.evaluations()) | dict([index(folder)]) | foreign_indexes()


@pytest.fixture(scope="module")
def files(ours: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Our pages and those with a fault, as files. Their names say nothing, so that a name is no part of the test."""
    folder = tmp_path_factory.mktemp("pages")
    planted = {name: fault[0] for name, fault in (FAULTS | LEAKS).items()} | {
        "too wide": TOO_WIDE,
        "good": "<p>Fine</p>",
    }
    pages = {}
    for name, page in (ours | {name: GOOD.replace("{}", body) for name, body in planted.items()}).items():
        pages[name] = folder / f"{len(pages)}.html"
        pages[name].write_text(page, "utf-8")
    return pages


@pytest.fixture(scope="module")
def browsed(files: Pages, browser: Callable[..., Browsed]) -> Browsed:
    return browser(files)


@pytest.fixture(scope="module")
def by_vnu(files: Pages, vnu: Callable[[Pages], Found]) -> Found:
    return vnu(files)


@pytest.fixture(scope="module")
def by_html_validate(files: Pages, html_validate: Callable[[Pages], Found]) -> Found:
    return html_validate(files)


def told(found: list[dict[str, str]]) -> list[str]:
    return [f"{f['rule']}: {f['html']} ({f['reason']})" for f in found]


def settled(found: dict[str, str]) -> bool:
    return f"{found['rule']} {found['html']}".startswith(tuple(UNDECIDED))


def test_there_is_a_page_of_every_kind(ours: dict[str, str]) -> None:
    assert len(ours) >= 20
    assert "a &lt;failure&gt; for the table" in ours["index"]
    assert 'src="data:image/png' in ours["en, rich, own look"]
    assert 'src="data:image/svg' in ours["zh-CN, rich, own look"]
    assert "<svg" in ours["evaluation"]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_axe_finds_nothing(ours: dict[str, str], browsed: Browsed, view: View) -> None:
    visits = {name: browsed[name][view] for name in ours}
    assert {name: told(visit.violations) for name, visit in visits.items() if visit.violations} == {}
    open_questions = {name: told([f for f in visit.incomplete if not settled(f)]) for name, visit in visits.items()}
    assert {name: questions for name, questions in open_questions.items() if questions} == {}
    for name, visit in visits.items():
        assert {"color-contrast", "document-title", "html-has-lang", "region"} <= set(visit.passes), name


def test_dark_is_dark_and_light_is_light(ours: dict[str, str], browsed: Browsed) -> None:
    for name in ours:
        for view in VIEWS:
            channels = [int(c) for c in browsed[name][view].background.strip("rgba()").split(",")[:3]]
            assert (max(channels) < 64) if view.scheme == "dark" else (min(channels) > 220), (name, view)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_pages_fit_their_window_and_ask_for_nothing(ours: dict[str, str], browsed: Browsed, view: View) -> None:
    visits = {name: browsed[name][view] for name in ours}
    assert {name: visit.overflow for name, visit in visits.items() if visit.overflow > 0} == {}
    for name, visit in visits.items():
        assert (visit.dialogs, visit.requests, visit.complaints) == ([], [], []), name


def test_the_nu_checker_finds_nothing(ours: dict[str, str], by_vnu: Found) -> None:
    assert {name: by_vnu[name] for name in ours if by_vnu[name]} == {}


def test_html_validate_finds_nothing_that_is_not_on_purpose(ours: dict[str, str], by_html_validate: Found) -> None:
    found = {name: [f for f in by_html_validate[name] if f.rule not in ON_PURPOSE] for name in ours}
    assert {name: findings for name, findings in found.items() if findings} == {}


def test_every_exception_is_still_needed(ours: dict[str, str], browsed: Browsed, by_html_validate: Found) -> None:
    assert {f.rule for name in ours for f in by_html_validate[name]} >= set(ON_PURPOSE)
    asked = [f"{f['rule']} {f['html']}" for name in ours for visit in browsed[name].values() for f in visit.incomplete]
    for known in UNDECIDED:
        assert any(question.startswith(known) for question in asked), known


# --- negative controls


@pytest.mark.parametrize("case", FAULTS)
def test_a_planted_fault_is_seen(case: str, browsed: Browsed, by_vnu: Found, by_html_validate: Found) -> None:
    _, axe, word, rule = FAULTS[case]
    seen = {f["rule"] for visit in browsed[case].values() for f in visit.violations}
    assert axe in seen if axe else not seen, seen
    assert any(word in f.message for f in by_vnu[case]) if word else by_vnu[case] == [], by_vnu[case]
    found = {f.rule for f in by_html_validate[case]} - set(ON_PURPOSE)
    assert rule in found if rule else not found, found


@pytest.mark.parametrize("case", LEAKS)
def test_a_planted_leak_is_seen(case: str, browsed: Browsed) -> None:
    for visit in browsed[case].values():
        assert getattr(visit, LEAKS[case][1])


def test_a_page_that_is_too_wide_is_seen(browsed: Browsed) -> None:
    assert {view.width for view, visit in browsed["too wide"].items() if visit.overflow > 0} == {320}


def test_a_good_page_is_good(browsed: Browsed, by_vnu: Found, by_html_validate: Found) -> None:
    """The faults above stand on this page: what is found there is theirs."""
    for visit in browsed["good"].values():
        assert told(visit.violations) == told(visit.incomplete) == []
        assert (visit.dialogs, visit.requests, visit.complaints) == ([], [], [])
    assert by_vnu["good"] == []
    assert by_html_validate["good"] == []
