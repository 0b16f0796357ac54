"""The PDF as a document: tagged, complete in itself, the same bytes each time, and closed to the outside."""

from __future__ import annotations

import gc
import hashlib
import io
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pikepdf
import pytest
from crafted import craft, digests, usual

from reportgen.errors import RenderError
from reportgen.report.build import build_report
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf

POPPLER = "apt-get install poppler-utils"


@pytest.fixture(scope="module", params=["en", "zh-CN"])
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(locale: str) -> bytes:
    return render_pdf(usual(locale))


@pytest.fixture
def pdf(data: bytes) -> Iterator[pikepdf.Pdf]:
    with pikepdf.open(io.BytesIO(data)) as opened:
        yield opened


@pytest.fixture
def file(data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    return path


def run(*command: str | Path) -> str:
    return subprocess.run([str(c) for c in command], capture_output=True, check=True, encoding="utf-8").stdout


def test_it_is_tagged_and_says_language_and_title(pdf: pikepdf.Pdf, locale: str) -> None:
    assert bool(pdf.Root.MarkInfo.Marked)
    assert "/StructTreeRoot" in pdf.Root
    assert str(pdf.Root.Lang) == locale
    assert bool(pdf.Root.ViewerPreferences.DisplayDocTitle)
    assert str(pdf.docinfo["/Title"]) == usual(locale).title


def test_it_declares_both_standards_in_one_rdf(pdf: pikepdf.Pdf, locale: str) -> None:
    xmp = pdf.Root.Metadata.read_bytes().decode("utf-8")
    assert xmp.count("<rdf:RDF") == xmp.count("</rdf:RDF>") == 1
    for claim in ('pdfuaid:part="1"', 'pdfaid:part="3"', 'pdfaid:conformance="A"'):
        assert xmp.count(claim) == 1
    assert usual(locale).title in xmp
    with pdf.open_metadata() as metadata:
        assert (metadata["pdfuaid:part"], metadata.pdfa_status) == ("1", "3A")
    assert len(pdf.Root.OutputIntents) == 1


def test_it_carries_the_record_and_nothing_else(pdf: pikepdf.Pdf, locale: str) -> None:
    assert list(pdf.attachments) == ["report.json"]
    spec = pdf.attachments["report.json"]
    assert spec.get_file().read_bytes().decode("utf-8") == usual(locale).to_json()
    assert spec.get_file().mime_type == "application/json"
    assert usual(locale).title in spec.description
    assert str(spec.obj.AFRelationship) == "/Data"
    assert [entry.objgen for entry in pdf.Root.AF] == [spec.obj.objgen]


def test_a_page_as_text_has_no_attachment() -> None:
    with pikepdf.open(io.BytesIO(render_pdf(render_html(usual())))) as pdf:
        assert len(pdf.attachments) == 0
        assert "/AF" not in pdf.Root


def test_it_does_nothing(pdf: pikepdf.Pdf) -> None:
    for key in ("/OpenAction", "/AA", "/AcroForm"):
        assert key not in pdf.Root
    links = {str(n.A.URI) for page in pdf.pages for n in page.get("/Annots", []) if "/URI" in n.get("/A", {})}
    assert links == {"https://shop.test/no", "mailto:a@shop.test"}


def elements(node: pikepdf.Object) -> Iterator[pikepdf.Object]:
    """The structure tree in reading order."""
    if isinstance(node, pikepdf.Dictionary):
        if "/S" in node and node.get("/Type") != "/MCR":
            yield node
        if "/K" in node:
            kids = node.K
            for kid in kids if isinstance(kids, pikepdf.Array) else [kids]:
                yield from elements(kid)


def test_headings_come_in_order(pdf: pikepdf.Pdf) -> None:
    found = [str(element.S) for element in elements(pdf.Root.StructTreeRoot)]
    heads = [tag for tag in found if re.fullmatch("/H[1-6]", tag)]
    assert heads[0] == "/H1"
    assert heads.count("/H1") == 1
    assert set(heads) == {"/H1", "/H2"}
    assert found.index("/H1") < found.index("/H2") < found.index("/Table")


def test_reading_order_starts_with_the_notice_and_the_title(
    file: Path, locale: str, need_tool: Callable[[str, str], str]
) -> None:
    lines = run(need_tool("pdfinfo", POPPLER), "-struct-text", file).splitlines()
    order = [line.strip() for line in lines if line.strip()]
    first = next(n for n, line in enumerate(order) if line.startswith("H1"))
    assert usual(locale).title in " ".join(order[first + 1 : first + 4])
    assert not [line for line in order[:first] if re.match(r"(H2|Table|L)\b", line)]
    text = "\n".join(order)
    assert "TH" in text
    titles = [usual(locale).items[n].title for n in range(5)]
    places = [text.index(f'"{title}"') if f'"{title}"' in text else text.index(title) for title in titles]
    assert places == sorted(places)


def test_every_font_is_embedded_and_maps_to_text(file: Path, need_tool: Callable[[str, str], str]) -> None:
    lines = run(need_tool("pdffonts", POPPLER), file).splitlines()[2:]
    assert lines
    for line in lines:
        embedded, _subset, unicode = re.search(r" (yes|no) +(yes|no) +(yes|no) +\d+ +\d+$", line).groups()  # type: ignore[union-attr]
        assert (embedded, unicode) == ("yes", "yes"), line


def test_the_file_is_sound(file: Path, need_tool: Callable[[str, str], str]) -> None:
    assert "No syntax or stream encoding errors" in run(need_tool("qpdf", "apt-get install qpdf"), "--check", file)


def test_the_writer_says_nothing(locale: str, pdf_log: list[str]) -> None:
    render_pdf(usual(locale))
    assert pdf_log == []


def test_pictures_have_words_too(pdf_log: list[str]) -> None:
    html = render_html(usual(), figures="png")
    with pikepdf.open(io.BytesIO(render_pdf(html))) as pdf:
        figures = [e for e in elements(pdf.Root.StructTreeRoot) if str(e.S) == "/Figure"]
        assert len(figures) == 5
        assert all(str(figure.Alt).startswith("What speaks for it") for figure in figures)
    assert pdf_log == []


def test_the_same_bytes_twice(data: bytes, locale: str) -> None:
    assert render_pdf(usual(locale)) == data


def test_the_same_bytes_in_other_processes_and_time_zones(elsewhere: list[dict[str, str]]) -> None:
    assert {there["pdf"] for there in elsewhere} == {digests()["pdf"]}


def test_the_only_time_inside_is_the_one_given() -> None:
    why = craft([[[1.0, 0, 0, 0]]])
    report = build_report(why, created="2026-07-01T12:34:56Z")
    data = render_pdf(report)
    with pikepdf.open(io.BytesIO(data)) as pdf:
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20260701123456")
        assert str(pdf.docinfo["/ModDate"]).startswith("D:20260701123456")
        xmp = pdf.Root.Metadata.read_bytes().decode("utf-8")
        assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+Z?", xmp)) == {"2026-07-01T12:34:56Z"}
    assert hashlib.sha256(data).digest() == hashlib.sha256(render_pdf(report)).digest()
    other = render_pdf(build_report(why, created="2026-07-02T00:00:00Z"))
    assert other != data


PAGE = '<html lang="en"><head><title>x</title><meta name="dcterms.created" content="2026-07-01T00:00:00Z">{}</head><body>{}</body></html>'
OUTSIDE = {
    "http image": ("", '<img alt="x" src="http://127.0.0.1:9/a.png">'),
    "https image": ("", '<img alt="x" src="https://127.0.0.1:9/a.png">'),
    "file image": ("", '<img alt="x" src="file:///etc/passwd">'),
    "style sheet": ('<link rel="stylesheet" href="http://127.0.0.1:9/a.css">', "x"),
    "import": ("<style>@import url(http://127.0.0.1:9/a.css);</style>", "x"),
    "background": ("<style>body {background: url(file:///etc/passwd)}</style>", "x"),
    "font": (
        "<style>@font-face {font-family: f; src: url(http://127.0.0.1:9/f.ttf)} p {font-family: f}</style>",
        "<p>x</p>",
    ),
    "attachment": ('<link rel="attachment" href="file:///etc/passwd">', "x"),
    "ftp": ("", '<img alt="x" src="ftp://127.0.0.1:9/a.png">'),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_page_that_reaches_outside_is_refused(case: str) -> None:
    head, body = OUTSIDE[case]
    with pytest.raises(RenderError, match="outside itself"):
        render_pdf(PAGE.format(head, body))


def test_a_picture_in_a_picture_is_not_read(tmp_path: Path, pdf_log: list[str]) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">SECRET</text></svg>', "utf-8"
    )
    inner = f'<image width="9" height="9" href="{secret.as_uri()}"/>'
    body = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>x</title>{inner}</svg>'
    try:
        render_pdf(PAGE.format("", body))
    except RenderError:
        return
    assert [line for line in pdf_log if "Failed to render SVG image" in line]


@pytest.mark.parametrize("src", ["logo.png", "/etc/passwd", "../a.png", "//127.0.0.1:9/a.png"])
def test_a_relative_picture_is_refused(src: str) -> None:
    with pytest.raises(RenderError):
        render_pdf(PAGE.format("", f'<img alt="x" src="{src}">'))


def test_a_picture_inside_the_page_is_fine() -> None:
    pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    data = render_pdf(PAGE.format("", f'<h1>x</h1><img alt="x" style="image-rendering: crisp-edges" src="{pixel}">'))
    assert data.startswith(b"%PDF-")


@pytest.mark.parametrize("on", [True, False])
def test_the_garbage_collector_is_left_as_it_was(on: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        render_pdf(PAGE.format("", "<h1>x</h1>"))
        assert gc.isenabled() is on
        with pytest.raises(RenderError):
            render_pdf(PAGE.format("", '<img alt="x" src="http://127.0.0.1:9/a.png">'))
        assert gc.isenabled() is on
    finally:
        (gc.enable if was else gc.disable)()
