"""Letters that no font has: replaced where everybody sees it, told to the operator, never a box in silence."""

from __future__ import annotations

import io
import logging
import subprocess
from collections.abc import Callable

import pikepdf
import pytest
from crafted import craft

from reportgen.errors import RenderError
from reportgen.report.build import build_report
from reportgen.report.document import Report
from reportgen.report.pdf import render_pdf

POPPLER = "apt-get install poppler-utils"
LOGGER = "reportgen.report.coverage"
#: Never assigned: no font has it.
NONE = "\u0378"
PAGE = '<html lang="en"><head><title>x</title></head><body><h1>{}</h1></body></html>'


def report_of(*titles: str) -> Report:
    return build_report(craft([[[1.0, 0, 0, 0]] * len(titles)], titles=list(titles), picks=titles[:1]))


def text_of(data: bytes, program: str) -> str:
    return subprocess.run([program, "-", "-"], input=data, capture_output=True, check=True).stdout.decode("utf-8")


def test_it_is_replaced_and_the_text_is_named(
    caplog: pytest.LogCaptureFixture, pdf_log: list[str], need_tool: Callable[[str, str], str]
) -> None:
    with caplog.at_level(logging.WARNING, LOGGER):
        data = render_pdf(report_of(f"Lamp {NONE}", "Box"))
    text = text_of(data, need_tool("pdftotext", POPPLER))
    assert "Lamp \ufffd" in text
    assert NONE not in text
    told = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert told
    assert all("U+0378" in line and "Lamp" in line for line in told)
    assert pdf_log == []
    with pikepdf.open(io.BytesIO(data)) as pdf:  # the record keeps what the shop wrote
        assert NONE in pdf.attachments["report.json"].get_file().read_bytes().decode("utf-8")


def test_nothing_is_said_where_nothing_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, LOGGER):
        render_pdf(report_of("Lamp", "带盖收纳盒", "e\u0301te\u0301", "صندوق"))
    assert caplog.records == []


@pytest.mark.parametrize(
    "title",
    [
        "Box \U0001f984",
        "\U0001f469\u200d\U0001f4bb Kit",
        "\U00020b9f\U0002a6d6",
        "q\u0308\u0323\u0331",
        "\u2708\ufe0f",
        "\ue000",
    ],
    ids=["emoji", "joined emoji", "extension B", "marks", "variation", "private use"],
)
def test_rare_letters_make_no_report_fail(title: str, pdf_log: list[str]) -> None:
    assert render_pdf(report_of(title, f"{title} again")).startswith(b"%PDF-")
    assert pdf_log == []


def test_a_page_as_text_is_served_alike(caplog: pytest.LogCaptureFixture, need_tool: Callable[[str, str], str]) -> None:
    with caplog.at_level(logging.WARNING, LOGGER):
        data = render_pdf(PAGE.format(f"a{NONE}"))
    assert "a\ufffd" in text_of(data, need_tool("pdftotext", POPPLER))
    assert len(caplog.records) == 1


def test_what_cannot_be_replaced_is_an_error_that_names_it() -> None:
    page = '<html lang="en"><head><title>x</title><style>h1::before{content:"\\378 "}</style></head><body><h1>x</h1></body></html>'
    with pytest.raises(RenderError, match=r"U\+0378"):
        render_pdf(page)
