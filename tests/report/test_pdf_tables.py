"""Tables drawn into a PDF: every figure of the report is there, as text in cells of a real table, and in reading order."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from crafted import craft, random_explanation, usual
from hypothesis import given
from hypothesis import strategies as st

from reportgen.report.build import build_report
from reportgen.report.document import Ledger, Report, Row
from reportgen.report.paged import MOST_LINES, PagedDrawing, PaperTable
from reportgen.report.pdf import render_pdf
from reportgen.report.words import words

POPPLER = "apt-get install poppler-utils"
UPDATE = os.environ.get("REPORTGEN_UPDATE_GOLDEN", "") not in ("", "0")
GOLDEN = Path(__file__).parent / "golden"
Node = pikepdf.Object


def kids(node: Node) -> list[Node]:
    found = node.get("/K", [])
    return list(found) if isinstance(found, pikepdf.Array) else [found]


def elements(node: Node) -> Iterator[Node]:
    for kid in kids(node):
        if isinstance(kid, pikepdf.Dictionary) and "/S" in kid:
            yield kid
            yield from elements(kid)


def tables(data: bytes) -> list[list[list[tuple[str, str, int, bool]]]]:
    """Tables as rows of cells: (tag, scope, span, has content)."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        return [
            [
                [cell_facts(cell) for cell in kids(row)]
                for row in elements(table)
                if str(row.S) == "/TR"
            ]
            for table in elements(pdf.Root.StructTreeRoot)
            if str(table.S) == "/Table"
        ]  # fmt: skip


def cell_facts(cell: Node) -> tuple[str, str, int, bool]:
    about = cell.get("/A", {})
    return str(cell.S), str(about.get("/Scope", "")), int(about.get("/ColSpan", 1)), bool(kids(cell))


def struct_text(data: bytes, program: str, folder: Path) -> str:
    (folder / "a.pdf").write_bytes(data)
    done = subprocess.run(
        [program, "-struct-text", folder / "a.pdf"], capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout


def drawn(report: Report) -> list[PaperTable]:
    """The tables as the page names them."""
    drawing = PagedDrawing(words(report.locale), "cells")
    for item in report.items:
        drawing.ledger(item.ledger)
    for section in report.sections:
        for heatmap in section.heatmaps:
            drawing.heatmap(heatmap)
    return list(drawing.tables.values())


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_every_table_is_a_table_with_heads(locale: str) -> None:
    report = usual(locale)
    expected = drawn(report)
    found = tables(render_pdf(report))
    assert len(found) == len(expected) >= len(report.items) + 2
    for rows, table in zip(found, expected, strict=True):
        width = 1 + (table.share is not None) + len(table.columns) + (table.points is not None)
        assert [fact[:2] for fact in rows[0]] == [("/TH", "/Column")] * width
        assert len(rows) == 1 + len(table.rows)
        for row in rows[1:]:
            assert row[0][:2] == ("/TH", "/Row")
            assert {fact[:2] for fact in row[1:]} == {("/TD", "")}
            assert sum(fact[2] for fact in row) == width


def texts(table: PaperTable) -> list[str]:
    """What a screen reader hears of a table, cell by cell."""
    heads = [table.corner, *([table.share] if table.share is not None else []), *table.columns]
    out = [*([table.caption] if table.caption else []), *heads, *([table.points] if table.points is not None else [])]
    for row in table.rows:
        out.append(f"{row.label} {row.detail}".strip())
        out += [*([row.share] if row.share else []), *(str(value) for value, _ in row.cells)]
        out += [row.points] if row.points is not None else []
    return out


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_every_figure_is_read_in_order(locale: str, need_tool: Callable[[str, str], str], tmp_path: Path) -> None:
    report = usual(locale)
    read = struct_text(render_pdf(report), need_tool("pdfinfo", POPPLER), tmp_path)
    blocks = read.split("Table (block)")[1:]
    for block, table in zip(blocks, drawn(report), strict=True):
        lines = [line.strip()[1:-1] for line in block.splitlines() if line.strip().startswith('"')]
        heard = ["".join(line.replace("\u2068", "").replace("\u2069", "").split()) for line in lines]
        wanted = ["".join(text.replace("\u2068", "").replace("\u2069", "").split()) for text in texts(table)]
        assert heard[: len(wanted)] == wanted


def reading(struct: str) -> str:
    """Structure and texts line by line, without what depends on the fonts: where a line of a paragraph ends, and where a page does."""
    out: list[str] = []
    for line in struct.splitlines():
        bare = line.strip()
        if not bare or bare.startswith(("Span", "NonStruct", "Part", "Sect", "Div")):
            continue
        if bare.startswith('"') and out and out[-1].startswith('"'):
            out[-1] = f"{out[-1][:-1]} {bare[1:]}"
        else:
            out.append(bare)
    return "\n".join(out) + "\n"


def unspaced(text: str) -> list[str]:
    return ["".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_the_reading_order_is_the_golden_one(locale: str, need_tool: Callable[[str, str], str], tmp_path: Path) -> None:
    """After a wanted change: ``REPORTGEN_UPDATE_GOLDEN=1``, as in `test_golden`."""
    read = reading(struct_text(render_pdf(usual(locale)), need_tool("pdfinfo", POPPLER), tmp_path))
    golden = GOLDEN / f"reading-order-{locale}.txt"
    if UPDATE:
        golden.write_text(read, "utf-8")
    (tmp_path / golden.name).write_text(read, "utf-8")
    assert golden.exists(), "no golden file: REPORTGEN_UPDATE_GOLDEN=1"
    assert unspaced(read) == unspaced(golden.read_text("utf-8")), f"see {tmp_path / golden.name}"


def test_two_hundred_events_and_none_are_drawn() -> None:
    for count in (0, 1, 200):
        why = random_explanation(5, 2, count) if count else craft(np.zeros((2, 0, 4)))
        report = build_report(why)
        assert len(tables(render_pdf(report))) == len(drawn(report)) >= 2


ROWS = st.lists(st.tuples(st.text("ab 中", min_size=1, max_size=60), st.booleans()), max_size=80)


@given(ROWS)
def test_parts_hold_every_row_once_and_are_lower_than_a_page(given_rows: list[tuple[str, bool]]) -> None:
    rows = tuple(Row("reason", label, "day" if dated else "", 1, 1, (1,), ) for label, dated in given_rows)  # fmt: skip
    drawing = PagedDrawing(words("en"), "cells")
    drawing.ledger(Ledger("c", ("k",), 2, rows))
    parts = list(drawing.tables.values())
    assert [row.label for part in parts for row in part.rows] == [row.label for row in rows]
    assert [bool(part.caption) for part in parts] == [True] + [False] * (len(parts) - 1)
    assert max(len(part.rows) for part in parts) <= MOST_LINES + 4


def test_a_page_that_names_a_table_by_itself_gets_none(pdf_log: list[str]) -> None:
    page = '<html lang="en"><head><title>x</title></head><body><h1>x</h1><img alt="x" src="data:image/png;reportgen=table,0"></body></html>'
    assert tables(render_pdf(page)) == []
    assert [line for line in pdf_log if "Failed to load image" in line]


def test_two_reports_in_turn_do_not_change_one_another() -> None:
    one, two = usual("en"), usual("zh-CN")
    first = render_pdf(one)
    assert render_pdf(two) != first
    assert render_pdf(one) == first
