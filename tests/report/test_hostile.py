"""Hostile text in every place that takes text: it stays text, in the page, in the PDF and in a real browser."""

from __future__ import annotations

import io
import re
import socket
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pikepdf
import pytest
from crafted import Page, craft, read_page
from drivers import View, Visit
from hostile import ALWAYS, CASES, LINKS, SHARED, report_of, report_of_many, shared_list

from reportgen import AttentionScorer, Dataset, explain, make_shop
from reportgen.checks import safe_url
from reportgen.config import Config, Links, Operator
from reportgen.errors import ConfigError, RenderError
from reportgen.report.build import build_report
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf
from reportgen.report.words import words
from reportgen.text import clean

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
#: Texts that share one PDF.
GROUP = 12
GROUPS = [tuple(CASES)[at : at + GROUP] for at in range(0, len(CASES), GROUP)]
HARMLESS = "Plain lamp"


@pytest.fixture(scope="module")
def harmless() -> Page:
    return read_page(render_html(report_of(HARMLESS)))


@pytest.fixture(scope="module")
def empty() -> Page:
    return read_page(render_html(report_of("")))


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
    ids = {node.attrs.get("id") for node in page.root.walk()}
    for node in page.root.walk():
        for name, value in node.attrs.items():
            assert not name.startswith("on"), (node.tag, name)
            assert name not in ("src", "srcset", "srcdoc", "action", "formaction", "background")
            if name == "href":
                assert value is not None
                assert value.startswith(("https://", "mailto:")) or (value[:1] == "#" and value[1:] in ids)
            if name == "style":
                assert re.fullmatch(r"width:(\d|[1-9]\d|100)%", value or ""), value
    for forbidden in ("\x00", "\x1b", "\ufffe", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"):
        assert forbidden not in html
    html.encode("utf-8")
    return page


@pytest.mark.parametrize("case", CASES)
def test_hostile_text_stays_text(case: str, harmless: Page, empty: Page) -> None:
    text = CASES[case]
    page = check_page(render_html(report_of(text)))
    # a text of which nothing is left leaves out what it would have said
    assert page.shape == (harmless if clean(text) else empty).shape
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


@pytest.mark.usefixtures("shared_data")  # skips where the list is not
def test_every_shared_text_ran() -> None:
    """Files, pictures and the surroundings of a run carry no text; every other case of the list is a case here."""
    cases = shared_list()
    if cases is None:
        pytest.skip("no shared data: bad_inputs.json is not beside the folder of real data sets")
    with_text = {case["id"] for case in cases if case["kind"] not in ("env", "file") and case["id"] != "ssrf-10"}
    assert {re.match(r"[a-z0-9]+-\d+", name)[0] for name in SHARED} == with_text  # type: ignore[index]
    assert len(SHARED) >= 160


def test_two_million_characters_make_a_page_of_the_usual_size() -> None:
    for text in ("x" * 2_000_000, "\u202ea\u202d" * 700_000):
        report = build_report(craft([[[1.0, 0, 0, 0]]], titles=[text], picks=[text], details=[{"brand": text}]))
        assert len(render_html(report).encode()) < 20_000


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


def drawn(text: str) -> list[ElementTree.Element]:
    """The elements of the pictures of a report that has the text everywhere; none where no font has one of its letters."""
    try:
        html = render_html(report_of(text), "svg")
    except RenderError:
        with pytest.raises(RenderError, match=r"U\+[0-9A-F]{4}"):  # said with its number, never drawn as a box
            render_html(report_of(text), "svg")
        return []
    pictures = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert len(pictures) == 2
    return [element for picture in pictures for element in ElementTree.fromstring(b64decode(picture)).iter()]


@pytest.fixture(scope="module")
def harmless_kinds() -> set[tuple[str, ...]]:
    """Tag and attribute names in pictures of short, of long and of endless words: long ones are set in two lines."""
    texts = (HARMLESS, f"{HARMLESS} " * 20, "W" * 200)
    return {(str(element.tag), *sorted(element.attrib)) for text in texts for element in drawn(text)}


@pytest.mark.parametrize("case", ALWAYS)
def test_hostile_text_in_a_picture_stays_text(case: str, harmless_kinds: set[tuple[str, ...]]) -> None:
    for element in drawn(ALWAYS[case]):
        assert (str(element.tag), *sorted(element.attrib)) in harmless_kinds
        for name, value in element.attrib.items():
            assert not name.endswith("href") or value.startswith(("#", "data:image/png;base64,"))


# --- numbers and fields that are not there


def sparse_shop() -> Dataset:
    """A shop whose catalogue lacks something in every row, in turn: title, category, brand, price; and prices of 0."""
    shop = make_shop(80, 60, random_state=2)
    items, row = shop.items.copy(), np.arange(len(shop.items)) % 5
    for at, column in enumerate(("title", "category", "brand")):
        items.loc[row == at, column] = "" if column == "title" else None
    items.loc[row == 3, "price"] = np.nan
    items.loc[row == 4, "price"] = 0.0
    return Dataset.from_frames(shop.events, items, shop.users)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_a_catalogue_with_holes_makes_whole_pages(locale: str) -> None:
    data = sparse_shop()
    scorer = AttentionScorer().fit(data)
    busiest = data.user_ids[np.argsort(-np.diff(data.indptr), kind="stable")[:6]]
    seen = set()
    for user in busiest:
        why = explain(scorer, data, str(user), n=10)
        page = check_page(render_html(build_report(why, locale)))
        assert not re.search(r"\b(nan|NaN|None|null|NaT|inf)\b", page.root.text)
        for k, title in enumerate(why.picks.title):
            heading = page.root.all("h2")[k].all("bdi")[0].text
            assert heading == (title or words(locale).say("item.no_title"))
            facts = [
                bdi.text for section in page.root.classes("item")[k].classes("facts") for bdi in section.all("bdi")
            ]
            assert "" not in facts
            known = why.picks.details[k]
            price = known.get("price")
            has_price = isinstance(price, float | int) and bool(np.isfinite(price))
            assert len(facts) == sum(bool(known.get(name)) for name in ("category", "brand")) + has_price
            seen |= {("title", bool(title)), ("price", has_price), ("zero", has_price and price == 0)}
    assert seen == {(name, there) for name in ("title", "price", "zero") for there in (True, False)}


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -float("inf"), None, "12", 1e300, -3.0, 0, 0.0, 1e-9])
def test_a_price_is_a_number_or_is_not_shown(price: object) -> None:
    why = craft([[[1.0, 0, 0, 0]]], details=[{"price": price, "currency": "EUR"}])
    facts = [node.text for node in check_page(render_html(build_report(why))).root.classes("facts")]
    if isinstance(price, float | int) and abs(price) < 1e15:
        assert len(facts) == 1
        assert re.fullmatch(r"[-\u2212]?\u20ac[\d,.]+", facts[0]), facts
    else:
        assert facts == []


# --- PDF


@pytest.fixture
def reached() -> Iterator[list[str]]:
    """What the process reaches for while the test runs: connections, names looked up, addresses opened, foreign files."""
    _heard.clear()
    _listening.append(True)
    yield _heard
    _listening.pop()


_heard: list[str] = []
_listening: list[bool] = []


def _hear(event: str, given: tuple[Any, ...]) -> None:
    if not _listening:
        return
    outside = event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system")
    outside |= event == "urllib.Request" and not str(given[0]).startswith("data:")  # a part of the page itself
    outside |= event == "open" and re.match(r"/etc/(passwd|shadow)|/dev/u?random|//", str(given[0])) is not None
    if outside:
        _heard.append(f"{event} {given[:2]}")


sys.addaudithook(_hear)  # cannot be taken away again, so it only listens where a test asks for it


def pdf_facts(data: bytes) -> tuple[set[str], dict[str, bytes], set[str]]:
    """Links, attachments, and whatever could act by itself."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        notes = [note for page in pdf.pages for note in page.get("/Annots", [])]
        links = {str(note.A.URI) for note in notes if "/URI" in note.get("/A", {})}
        active = {str(key) for key in ("/OpenAction", "/AA", "/AcroForm") if key in pdf.Root}
        active |= {str(note.A.S) for note in notes if "/A" in note and str(note.A.S) != "/URI"}
        active |= {"/JavaScript"} & set(pdf.Root.get("/Names", {}).keys())
        return links, {name: spec.get_file().read_bytes() for name, spec in pdf.attachments.items()}, active


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_a_pdf_of_hostile_text(
    names: tuple[str, ...], pdf_log: list[str], reached: list[str], record_property: Callable[[str, object], None]
) -> None:
    report = report_of_many([CASES[name] for name in names])
    start = time.process_time()
    data = render_pdf(report)
    record_property("cpu_seconds_per_product", round((time.process_time() - start) / len(names), 3))
    links, attached, active = pdf_facts(data)
    assert links == set(LINKS.values())
    assert attached == {"report.json": report.to_json().encode()}
    assert active == set()
    assert reached == []
    # a script for which this machine has no font is a matter of its own: see test_pdf.py
    assert [line for line in pdf_log if ".notdef glyph" not in line] == []


def test_the_checks_of_a_pdf_see_a_planted_fault(reached: list[str]) -> None:
    page = '<html lang="en"><head><title>x</title>{}</head><body><h1>x</h1><a href="javascript:alert(1)">x</a></body></html>'
    data = render_pdf(page.format('<link rel="attachment" title="x" href="data:text/plain,x">'))
    links, attached, _ = pdf_facts(data)
    assert links == {"javascript:alert(1)"}
    assert list(attached.values()) == [b"x"]
    assert reached == []
    with socket.socket() as talk:
        talk.settimeout(1)
        talk.connect_ex(("127.0.0.1", 9))
    Path("/etc/passwd").read_bytes()
    assert [line.split()[0] for line in reached] == ["socket.connect", "open"]


# --- a real browser

Browser = Callable[..., dict[str, dict[View, Visit]]]
#: Markup in a title as a page without escaping would hold it, and what the browser must tell of it.
LEAKS = {
    "script": ("<script>alert(1)</script>", "dialogs"),
    "image": ("<img src=x onerror=alert(1)>", "dialogs"),
    "request": ("<img src=http://127.0.0.1:9/a.png>", "requests"),
    "sheet": ("<link rel=stylesheet href=http://127.0.0.1:9/x.css>", "requests"),
    "element": ("<b>bold</b>", ""),
}


@pytest.mark.validator
def test_a_browser_takes_all_of_it_as_text(browser: Browser, tmp_path: Path) -> None:
    """Every text in every field, in Chromium, with the page's own ban on scripts switched off: the escaping must stand alone."""
    html = {name: render_html(report_of(text)) for name, text in CASES.items()}
    html |= {f"zh {name}": render_html(report_of(text, "zh-CN")) for name, text in ALWAYS.items()}
    planted = {name: render_html(report_of(HARMLESS)).replace(HARMLESS, markup) for name, (markup, _) in LEAKS.items()}
    pages = html | {"harmless": render_html(report_of(HARMLESS)), "nothing": render_html(report_of(""))}
    pages |= {f"leak {name}": page for name, page in planted.items()}
    found = visit(browser, pages, tmp_path)
    for name in html:
        text = CASES[name.removeprefix("zh ")]
        seen = found[name]
        assert (seen.dialogs, seen.requests, seen.complaints) == ([], [], []), name
        assert seen.elements == found["harmless" if clean(text) else "nothing"].elements, name
    for name, (_, field) in LEAKS.items():  # negative controls
        seen = found[f"leak {name}"]
        assert not field or getattr(seen, field), name
        assert seen.elements != found["harmless"].elements, name


def visit(browser: Browser, pages: dict[str, str], folder: Path) -> dict[str, Visit]:
    files = {name: folder / f"{at}.html" for at, name in enumerate(pages)}
    for name, page in pages.items():
        files[name].write_text(page, "utf-8")
    view = View(1280, "light")
    return {name: seen[view] for name, seen in browser(files, views=[view], axe=False).items()}
