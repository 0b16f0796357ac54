"""Every kind of report as PDF before veraPDF (PDF/A-3a and PDF/UA-1, all rules) and qpdf.

Java starts once for all files of this module. What `templates/` must not hold, because it breaks one of the standards, goes the
same way as a page of its own, and veraPDF must name the rule that it breaks.
"""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pikepdf
import pytest
import samples
from drivers import Verdict
from weasyprint import HTML

from reportgen.errors import RenderError
from reportgen.report.pdf import render_pdf

pytestmark = pytest.mark.validator

#: Profile -> number of its rules in the version that is pinned: all of them are asked.
PROFILES = {"ua1": 106, "3a": 155}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CRISP = 'style="image-rendering: crisp-edges"'
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}<rect width="20" height="20" fill="#123456"/></svg>'
ROWS = '<table><caption>c</caption><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead><tbody><tr>{}</tr></tbody></table>'


def page(body: str = "<p>x</p>", css: str = "", lang: str = ' lang="en"', title: str = "<title>x</title>") -> str:
    head = f'{title}<meta name="dcterms.created" content="2026-07-01T00:00:00Z"><style>{css}</style>'
    return f"<!DOCTYPE html><html{lang}><head>{head}</head><body><h1>Page</h1>{body}</body></html>"


#: What does no harm, each beside the construct that does.
FINE = {
    "page": page(),
    "link": page('<p><a href="https://shop.test/">x</a></p>'),
    "block in a link": page('<a href="https://shop.test/"><p>x</p></a>'),
    "rgba": page('<p class="a">x</p>', css=".a {color: rgba(0, 0, 0, .6)}"),
    "picture": page(f'<p><img alt="x" {CRISP} src="{PIXEL}"></p>'),
    "drawing": page(SVG.format("<title>x</title>")),
    "table": page(ROWS.format('<th scope="row">1</th><td>2</td>')),
    "gradient": page('<p class="a">x</p>', css=".a {background: linear-gradient(#fff, #eee)}"),
    "inline language": page('<p lang="ar">x</p>'),
}
#: What `templates/` must not hold, by one construct a page: the profile and the rule that it breaks.
BREAKS = {
    "element inside a link": (page('<p><a href="https://shop.test/"><span>x</span></a></p>'), "ua1", "7.18.5-1"),
    "bdi inside a link": (page('<p><a href="https://shop.test/"><bdi>x</bdi> y</a></p>'), "ua1", "7.18.5-1"),
    "opacity": (page('<p class="a">x</p>', css=".a {opacity: .5}"), "ua1", "7.1-3"),
    "empty alt": (page(f'<p><img alt="" {CRISP} src="{PIXEL}"></p>'), "ua1", "7.3-1"),
    "no alt": (page(f'<p><img {CRISP} src="{PIXEL}"></p>'), "ua1", "7.3-1"),
    "drawing without title": (page(SVG.format("")), "ua1", "7.3-1"),
    "skipped heading": (page("<h3>x</h3>"), "ua1", "7.4.2-1"),
    "row with fewer cells": (page(ROWS.format('<th scope="row">1</th>')), "ua1", "7.2-43"),
    "no language": (page(lang=""), "ua1", "7.2-29"),
    "no title": (page(title=""), "ua1", "7.1-9"),
    # These are drawn smoothed ("Interpolate"), which PDF/A forbids and PDF/UA does not mind. `paged.css` says "crisp" for a
    # whole page (see `MENDED`); a page of one's own can take that back, and a drawing does not hear of it.
    "smooth background picture": (page(css=f"p {{background: url({PIXEL}); image-rendering: auto}}"), "3a", "6.2.8-3"),
    "smooth raster": (page(f'<p><img alt="x" style="image-rendering: auto" src="{PIXEL}"></p>'), "3a", "6.2.8-3"),
    "raster in a drawing": (
        page(SVG.format(f'<title>x</title><image width="9" height="9" href="{PIXEL}"/>')),
        "3a",
        "6.2.8-3",
    ),
}
#: What breaks one of the standards with the bare writer, and does not with ours.
MENDED = {
    "background picture": page(css=f"p {{background: url({PIXEL})}}"),
    "raster": page(f'<p><img alt="x" src="{PIXEL}"></p>'),
    "missing glyph": page("<p>Lamp \u0378</p>"),  # printed as U+FFFD, with a warning that names the text
}
#: A letter that nobody can replace, since it comes from a style sheet.
BOX = page(css='p::before {content: "\\378"}')

Verdicts = dict[tuple[str, str], Verdict]


@pytest.fixture(scope="module")
def log() -> list[str]:
    """What the writer said while `files` were made."""
    return []


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, log: list[str]) -> dict[str, Path]:
    """All kinds of reports as PDF files, by name."""
    folder = tmp_path_factory.mktemp("pdf")
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: log.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("weasyprint", "fontTools")]
    for logger in loggers:
        logger.addHandler(handler)
    made = {name: render_pdf(report) for name, report in samples.reports(folder).items()}
    made |= {f"figures {kind}": render_pdf(samples.rich("en"), kind) for kind in ("png", "svg")}
    for logger in loggers:
        logger.removeHandler(handler)
    return write(folder, made)


def write(folder: Path, made: dict[str, bytes]) -> dict[str, Path]:
    paths = {name: folder / f"{at}.pdf" for at, name in enumerate(made)}
    for name, data in made.items():
        paths[name].write_bytes(data)
    return paths


@pytest.fixture(scope="module")
def verdicts(
    files: dict[str, Path],
    vera: Callable[[list[tuple[str, Path]]], dict[tuple[str, Path], Verdict]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Verdicts:
    """Verdicts by (name, profile) of our reports, of `FINE`, of `MENDED` and of `BREAKS`."""
    pages = FINE | MENDED | {name: html for name, (html, _, _) in BREAKS.items()}
    made = {name: render_pdf(html) for name, html in pages.items()}
    made["box"] = HTML(string=BOX).write_pdf(pdf_variant="pdf/ua-1")  # the writer alone, which only logs it
    paths = files | write(tmp_path_factory.mktemp("single"), made)
    found = vera([(profile, path) for profile in PROFILES for path in paths.values()])
    return {(name, profile): found[profile, path] for profile in PROFILES for name, path in paths.items()}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_report_passes_every_rule(profile: str, files: dict[str, Path], verdicts: Verdicts) -> None:
    assert len(files) >= 18
    assert {name: verdicts[name, profile].failures for name in files if not verdicts[name, profile].passed} == {}
    for name in files:
        verdict = verdicts[name, profile]
        assert verdict.failures == {}
        assert verdict.rules == PROFILES[profile]
        assert verdict.checks > 1000, name


def test_every_report_declares_both_standards(files: dict[str, Path]) -> None:
    for name, path in files.items():
        with pikepdf.open(path) as pdf:
            xmp = pdf.Root.Metadata.read_bytes().decode("utf-8")
        for claim in ("pdfuaid:part(>|=['\"])1", "pdfaid:part(>|=['\"])3", "pdfaid:conformance(>|=['\"])A"):
            assert re.search(claim, xmp), (name, claim)


def test_the_writer_says_nothing(files: dict[str, Path], log: list[str]) -> None:
    assert files
    assert log == []


def test_the_files_are_sound(files: dict[str, Path], need_tool: Callable[[str, str], str]) -> None:
    qpdf = need_tool("qpdf", "apt-get install qpdf")
    for name, path in files.items():
        done = subprocess.run([qpdf, "--check", path], capture_output=True, encoding="utf-8", check=False)
        assert (done.returncode, done.stderr) == (0, ""), name


# --- negative controls


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", FINE | MENDED)
def test_a_page_without_a_fault_passes(case: str, profile: str, verdicts: Verdicts) -> None:
    assert verdicts[case, profile].failures == {}


@pytest.mark.parametrize("case", BREAKS)
def test_what_templates_must_not_hold_breaks_the_standard(case: str, verdicts: Verdicts) -> None:
    _, profile, rule = BREAKS[case]
    verdict = verdicts[case, profile]
    assert not verdict.passed
    assert set(verdict.failures) == {rule}
    other = next(name for name in PROFILES if name != profile)
    assert verdicts[case, other].failures == {}


def test_a_missing_glyph_breaks_both_standards_and_is_refused(verdicts: Verdicts) -> None:
    with pytest.raises(RenderError, match=r"U\+0378"):
        render_pdf(BOX)
    assert "7.21.8-1" in verdicts["box", "ua1"].failures
    assert "6.2.11.8-1" in verdicts["box", "3a"].failures


def test_a_file_that_is_damaged_is_seen(
    files: dict[str, Path], tmp_path: Path, need_tool: Callable[[str, str], str]
) -> None:
    data = files["bare"].read_bytes()
    (tmp_path / "cut.pdf").write_bytes(data[: len(data) * 2 // 3])
    qpdf = need_tool("qpdf", "apt-get install qpdf")
    assert subprocess.run([qpdf, "--check", tmp_path / "cut.pdf"], capture_output=True, check=False).returncode != 0
