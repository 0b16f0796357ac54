"""Hostile text in every place that takes text: it stays text, in the page, in the PDF and in a real browser."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from crafted import HEADS, Page, craft, read_page

from reportgen.checks import safe_url
from reportgen.config import Config, Links, Operator
from reportgen.errors import ConfigError
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf
from reportgen.report.words import words
from reportgen.text import clean

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PLACES = ("item.title", "item.category", "user.display_name", "item.url")
#: The cases that run everywhere; the shared list adds the others.
ALWAYS = {
    "script": "<script>alert(1)</script>",
    "img": "<img src=x onerror=alert(1)>",
    "quote-double": '" autofocus onfocus=alert(1) x="',
    "quote-single": "' onmouseover='alert(1)",
    "title-end": "</title><script>alert(1)</script>",
    "style-end": "</style><script>alert(1)</script>",
    "table": "</td></tr></table><table><tr><td colspan=1000000>x",
    "comment": "<!--><script>alert(1)</script>",
    "attachment": '<link rel=attachment href="file:///etc/passwd">',
    "entities": "&lt;b&gt;&amp;#60;",
    "link": '<a href="javascript:alert(1)">x</a>',
    "css": "red;background:url(http://127.0.0.1:9/c)",
    "css-end": "}*{display:none}/*",
    "template": "{{7*7}}{% for x in range(10**9) %}{% endfor %}{# #}",
    "format": "${7*7} #{7*7} %(x)s {0.__class__} {n}",
    "controls": "a\x00b\x0b\x1b[31mred\x07\r\nERROR forged\ud800\ufffe",
    "bidi": "\u202egpj.exe \u2066\u2069\u200f\u2068x",
    "scripts": "日本語 العربية עברית हिन्दी 😀",
    "maths": "Pay $5 or $\\frac{1}{0}$ _x",
    "zalgo": "a" + "\u0301" * 20_000,
    "long": "x" * 100_000,
    "emoji": "👨\u200d👩\u200d👧 family",
    "only-marks": "\u2066\u2069\u200f\u061c",
    "blank": " \t\u2028 ",
}
HARMLESS = "Plain lamp"


def shared_cases() -> dict[str, str]:
    """The shared list, read at collection so that each case is a test of its own; {} where it is absent."""
    folder = os.environ.get("REPORTGEN_SHARED_DATA")
    path = (Path(folder).parent if folder else Path(__file__).resolve().parents[3] / "shared") / "bad_inputs.json"
    if not path.exists():
        return {}
    found = {}
    for case in json.loads(path.read_text("utf-8")):
        if case["where"] in PLACES:
            value = case["value"]
            found[case["id"]] = value["s"] * value["n"] if isinstance(value, dict) else value
    return found


SHARED = shared_cases()
#: The two million characters have a test of their own.
CASES = {name: text for name, text in (ALWAYS | SHARED).items() if len(text) < 1_000_000}


def report_of(text: str, locale: str = "en", more: dict[str, Any] | None = None) -> Report:
    """The same text in every place that takes text from outside."""
    details = [
        {"category": text, "brand": text, "url": text, "price": 3.5, "currency": text[:3], "sponsored": True}
    ] * 2
    why = craft(
        [[[0.4, 0.1, 0.1, 0.1], [0.0, 0.2, 0, 0.05], [0, 0, 0, 0.15], [-0.1, 0, 0, 0]], [[0, 0.7, 0, 0]] * 4],
        titles=[text, "Second", text, text],
        picks=[text, f"{text} {text}"],
        kinds=["purchase", "view", text, "return"],
        details=details,
        heads=(*HEADS[:3], "own"),
    )
    links = {"change": "https://shop.test/a?b=1&c=2", "object": "mailto:no@shop.test"}
    operator = {"name": text, "purpose": text, "contact": text, "address": text, "retention": text, "links": links}
    raw = {
        "operator": operator, "look": {"footer": text}, "features": {"own": {"kind": "category", "label": {"en": text}}},
    } | (more or {})  # fmt: skip
    return build_report(why, locale, config=Config.from_dict(raw), reader=Reader("pseudo", text))


@pytest.fixture(scope="module")
def harmless() -> Page:
    return read_page(render_html(report_of(HARMLESS)))


def check_page(html: str) -> Page:
    """What holds on every page, whatever text is on it."""
    page = read_page(html)
    tags = {tag for tag, _ in page.shape}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "link", "svg", "math", "input"}
    metas = page.root.all("meta")
    assert [m.attrs["content"] for m in metas if m.attrs.get("http-equiv")] == [CSP]
    for raw in page.raw:
        rest = re.sub(r'\s[a-z-]+="[^"]*"', "", raw)
        assert re.fullmatch(r"<[a-z][a-z0-9]*>", rest), raw
    for node in page.root.walk():
        for name, value in node.attrs.items():
            assert not name.startswith("on"), (node.tag, name)
            assert name not in ("src", "srcset", "srcdoc", "action", "formaction", "background")
            if name == "href":
                assert value is not None
                assert value.startswith(("https://", "mailto:"))
            if name == "style":
                assert re.fullmatch(r"width:(\d|[1-9]\d|100)%", value or ""), value
    for forbidden in ("\x00", "\x1b", "\ufffe", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"):
        assert forbidden not in html
    html.encode("utf-8")
    return page


@pytest.mark.parametrize("case", CASES)
def test_hostile_text_stays_text(case: str, harmless: Page) -> None:
    text = CASES[case]
    report = report_of(text)
    start = time.perf_counter()
    html = render_html(report)
    assert time.perf_counter() - start < 2
    page = check_page(html)
    if clean(text):
        assert page.shape == harmless.shape
    else:  # a text that is nothing leaves out what it would have said, and adds nothing
        assert {tag for tag, _ in page.shape} <= {tag for tag, _ in harmless.shape}
        assert len(page.shape) <= len(harmless.shape)
    headings = [h.all("bdi")[0].text for h in page.root.all("h2") if h.all("bdi")]
    assert headings[0] == (clean(text) or words("en").say("item.no_title"))
    labels = [th.all("bdi")[0].text for th in page.ledgers()[0].all("tbody")[0].all("th")]
    assert (clean(text, 56) or words("en").say("item.gone")) in labels
    facts = [bdi.text for bdi in page.root.classes("facts")[0].all("bdi")]
    assert "" not in facts
    if clean(text):
        assert facts[:2] == [clean(text, 40)] * 2
        assert page.root.classes("meta")[0].all("bdi")[0].text == clean(text, 60)
        columns = [th.text for th in page.ledgers()[0].all("thead")[0].all("th")]
        assert columns[5] == clean(text, 40)
        body = page.root.text
        for said in ("Responsible", "Contact", "Address", "How long it is kept", "What it is used for"):
            assert f"{said}: {clean(text, 400)}" in body
    # nothing was decoded once too often or too seldom, and no template, format or percent sign was run
    assert "49" not in headings[0] or "49" in text


def test_every_shared_case_ran(shared_data: Path) -> None:
    path = shared_data.parent / "bad_inputs.json"
    if not path.exists():
        pytest.skip("no shared data: bad_inputs.json is not beside the folder of real data sets")
    cases = [case for case in json.loads(path.read_text("utf-8")) if case["where"] in PLACES]
    assert {case["id"] for case in cases} == set(SHARED)
    assert len(cases) >= 60


def test_two_million_characters_take_no_time() -> None:
    report = report_of("x" * 2_000_000)
    start = time.perf_counter()
    html = render_html(report)
    assert time.perf_counter() - start < 2
    assert len(html.encode()) < 60_000
    start = time.perf_counter()
    build_report(craft([[[1.0, 0, 0, 0]]], titles=["\u202ea\u202d" * 700_000]))
    assert time.perf_counter() - start < 2


URLS = {
    "javascript": "javascript:alert(1)", "mixed case": "JaVaScRiPt:alert(1)", "data": "data:text/html,<script>1</script>",
    "file": "file:///etc/passwd", "scheme-relative": "//127.0.0.1:9/x", "http": "http://127.0.0.1:9/a", "control": "\x01javascript:1",
    "user info": "https://user:pass@evil.test/", "malformed": "http://[::1", "unc": "\\\\host\\share\\x.png",
    "long": "https://x.test/" + "a" * 3000,
} | {name: value for name, value in SHARED.items() if name.startswith("url-")}  # fmt: skip


@pytest.mark.parametrize("case", URLS)
def test_a_link_of_the_operator_is_safe_or_refused(case: str) -> None:
    url = URLS[case]
    if safe_url(url) is None:
        with pytest.raises(ConfigError, match="is not a link that may be shown"):
            Config.from_dict({"operator": {"links": {"object": url}}})
    # also where the settings were made by hand, without that check
    config = Config(operator=Operator(links=Links(object=url)))
    html = render_html(build_report(craft([[[1.0, 0, 0, 0]]]), config=config))
    links = [a.attrs["href"] for a in check_page(html).root.all("a")]
    assert links == ([safe_url(url)] if safe_url(url) else [])
    for link in links:
        assert link is not None
        assert link.isascii()
        assert '"' not in link


GROUPS = (
    "script quote-double title-end attachment",
    "link css template format",
    "controls bidi entities only-marks",
    "scripts long zalgo table",
)


@pytest.mark.parametrize("group", GROUPS)
def test_a_pdf_of_hostile_text(group: str, pdf_log: list[str]) -> None:
    texts = [ALWAYS[name] for name in group.split()]
    parts = [[[0.4, 0.1, 0.1, 0.1]] * len(texts)] * len(texts)
    config = Config.from_dict({"operator": {"name": texts[0], "links": {"object": "https://shop.test/no"}}})
    why = craft(parts, titles=texts, picks=texts, details=[{"category": t, "brand": t} for t in texts])
    data = render_pdf(render_html(build_report(why, config=config, reader=Reader("k", texts[0]))))
    # a script for which this machine has no font is a matter of its own: see test_pdf.py
    assert [line for line in pdf_log if not (".notdef glyph" in line and "scripts" in group)] == []
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert len(pdf.attachments) == 0
        links = [
            str(note.A.URI)
            for page in pdf.pages
            for note in page.get("/Annots", [])
            if "/A" in note and "/URI" in note.A
        ]
        assert set(links) == {"https://shop.test/no"}
        for key in ("/OpenAction", "/AA", "/AcroForm"):
            assert key not in pdf.Root
        names = pdf.Root.get("/Names", {})
        assert "/JavaScript" not in names
        assert "/EmbeddedFiles" not in names


@pytest.mark.validator
def test_a_browser_finds_no_element_of_ours_that_was_not_there(
    need_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    chromium = need_tool("chromium", "apt-get install chromium")
    texts = [text for text in CASES.values() if len(text) < 5000]

    def dump(titles: list[str], name: str) -> str:
        why = craft([[[0.4, 0.1, 0.1, 0.1]] * len(titles)] * len(titles), titles=titles, picks=titles,
                    details=[{"category": t, "brand": t} for t in titles])  # fmt: skip
        config = Config.from_dict({"report": {"reasons": 200}})
        page = tmp_path / f"{name}.html"
        page.write_text(render_html(build_report(why, config=config)), "utf-8")
        run = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom",
             f"--user-data-dir={tmp_path / name}", page.as_uri()],
            capture_output=True, check=True, timeout=100, encoding="utf-8",
        )  # fmt: skip
        return run.stdout

    hostile, plain = (
        dump(texts, "hostile"),
        dump([f"Lamp {n}" if clean(t) else t for n, t in enumerate(texts)], "plain"),
    )

    def shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
        return read_page(html).shape

    assert len(shape(plain)) > 1000
    assert shape(hostile) == shape(plain)  # a dialog would need an element, or would hang the dump until the time limit
