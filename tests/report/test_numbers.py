"""One set of numbers: record, ledger, sentence, page and PDF agree, and everything adds up as printed."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crafted import Page, craft, random_explanation, read_page
from hypothesis import given
from hypothesis import strategies as st

from reportgen.explain.explanation import Explanation
from reportgen.report.build import build_report
from reportgen.report.document import Report
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf
from reportgen.report.record import MAX_REASONS, make_record, record_hash
from reportgen.report.rounding import whole_percents

CASES = {
    "random": lambda: random_explanation(1),
    "folded": lambda: random_explanation(2, hidden=[0, 4]),
    "long": lambda: random_explanation(3, k=4, j=60, hidden=[5]),
    "all folded": lambda: random_explanation(4, j=3, hidden=[0, 1, 2]),
    "cold": lambda: craft(np.zeros((2, 0, 4))),
    "some without": lambda: craft([[[1.0, 0, 0, 0]], [[0, -0.2, 0, 0]], [[0, 0, 0, 0]]]),
    "tiny": lambda: craft([[[1e-5, 2e-5, 0, 0]], [[0, 3e-5, 0, 0]]], base=[1e-5, 0.0]),
    "big": lambda: craft([[[1e5, 2e4, 0, 0]], [[0, -3e3, 0, 1]]], base=[0.0, 2e4]),
}


def explanations(fitted: list[Explanation]) -> list[Explanation]:
    return [*(make() for make in CASES.values()), *fitted]


@pytest.fixture(scope="module")
def pairs(fitted: list[Explanation]) -> list[tuple[Explanation, Report]]:
    return [(why, build_report(why, locale)) for why in explanations(fitted) for locale in ("en", "zh-CN")]


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").removesuffix("%"))


def test_the_record_closes_exactly(pairs: list[tuple[Explanation, Report]]) -> None:
    for why, report in pairs:
        assert len(report.record["recommendations"]) == len(why.scores)
        for item in report.record["recommendations"]:
            reasons = item["reasons"]
            assert abs(item["base"] + sum(r["contribution"] for r in reasons) - item["score"]) <= 1e-9
            assert abs(item["base"] + sum(item["heads"].values()) - item["score"]) <= 1e-9
            for reason in reasons:
                assert abs(sum(reason["by_head"].values()) - reason["contribution"]) <= 1e-9
            weight = sum(r["attention_weight"] for r in reasons)
            assert weight == 0 or abs(weight - 1) <= 1e-9
            assert len(reasons) <= MAX_REASONS + 2


def test_a_long_history_is_summed_beyond_thirty() -> None:
    reasons = make_record(CASES["long"](), "")["recommendations"][0]["reasons"]
    assert [r.get("others", 0) + r.get("folded", 0) for r in reasons[MAX_REASONS:]] == [29, 1]
    strength = [abs(r["contribution"]) for r in reasons[:MAX_REASONS]]
    assert strength == sorted(strength, reverse=True)


def test_the_hash_of_a_record_is_that_of_its_content() -> None:
    one, same, other = (make_record(random_explanation(seed), "k") for seed in (1, 1, 2))
    assert record_hash(one) == record_hash(same) != record_hash(other)
    assert re.fullmatch("[0-9a-f]{64}", record_hash(one))
    assert record_hash(one | {"user": "other"}) != record_hash(one)
    report = build_report(random_explanation(1))
    assert any(record_hash(report.record)[:16] in line for line in report.footer)


def test_every_ledger_adds_up(pairs: list[tuple[Explanation, Report]]) -> None:
    for why, report in pairs:
        whole = whole_percents(why.attention)
        for k, item in enumerate(report.items):
            ledger, record = item.ledger, report.record["recommendations"][k]
            *lines, total = ledger.rows
            assert total.kind == "total"
            assert sum(row.points for row in lines) == total.points
            assert abs(total.points - record["score"] * 10**ledger.decimals) <= 0.5 + 1e-6
            base = next(row for row in lines if row.kind == "base")
            assert abs(base.points - record["base"] * 10**ledger.decimals) < 1 + 1e-3
            shares = [row.share for row in lines if row.share is not None]
            assert sum(shares) == (total.share or 0) == (100 if ledger.columns else 0)
            for row in ledger.rows:
                assert not row.cells or sum(row.cells) == row.share
            if ledger.columns:
                columns = np.array([row.cells for row in lines if row.cells]).sum(axis=0)
                assert tuple(columns) == total.cells
            by_title = {r["title"]: r for r in record["reasons"] if r["title"]}
            titles = list(why.past.title)
            for row in (row for row in lines if row.kind == "reason"):
                j = next((j for j, t in enumerate(titles) if t == row.label), None)
                if j is None or titles.count(row.label) > 1:
                    continue  # shortened on the page
                assert row.share == whole[k, j].sum()
                if row.label in by_title:
                    assert abs(row.share - 100 * by_title[row.label]["attention_weight"]) < 1 + 1e-6
                    exact = by_title[row.label]["contribution"] * 10**ledger.decimals
                    assert abs(row.points - exact) < 1 + 1e-3


def test_the_page_shows_the_reports_numbers(pairs: list[tuple[Explanation, Report]]) -> None:
    for _, report in pairs:
        page = read_page(render_html(report))
        tables = page.ledgers()
        assert len(tables) == len(report.items)
        for item, table in zip(report.items, tables, strict=True):
            ledger, rows = item.ledger, table.cells()
            assert [row[0] for row in rows] == [row.label + row.detail for row in ledger.rows]
            for shown, row in zip(rows, ledger.rows, strict=True):
                assert number(shown[-1]) == pytest.approx(row.points / 10**ledger.decimals, abs=1e-12)
                assert shown[-1][::-1].find(".") == ledger.decimals
                middle = shown[1:-1]
                if not ledger.columns:
                    assert middle == []
                elif row.share is None:
                    assert middle == [""] * (1 + len(ledger.columns))
                else:
                    assert [int(number(cell)) for cell in middle] == [row.share, *row.cells]
            # as printed: the reader who adds the column up gets the total
            points = [round(number(row[-1]) * 10**ledger.decimals) for row in rows]
            assert sum(points[:-1]) == points[-1]
            if ledger.columns:
                shares = [int(number(row[1])) for row in rows[:-1] if row[1]]
                assert sum(shares) == int(number(rows[-1][1])) == 100
        for section in report.sections:
            if section.id != "overview":
                continue
            for heatmap, table in zip(section.heatmaps, page.heatmaps(), strict=True):
                shown = [[int(cell) for cell in row[1:]] for row in table.cells()]
                assert shown == [list(row) for row in heatmap.values]


def test_heatmaps_add_up_as_their_notes_say(pairs: list[tuple[Explanation, Report]]) -> None:
    seen = 0
    for _, report in pairs:
        for section in report.sections:
            for at, heatmap in enumerate(section.heatmaps):
                sums = np.array(heatmap.values).sum(axis=at)
                assert (sums == 100).all()
                seen += 1
    assert seen >= 20


def test_one_figure_is_the_same_in_sentence_ledger_and_overview(pairs: list[tuple[Explanation, Report]]) -> None:
    seen = 0
    for _, report in pairs:
        overview = next((s.heatmaps for s in report.sections if s.id == "overview"), None)
        for item in report.items:
            rows = {row.label: row for row in item.ledger.rows if row.kind == "reason"}
            told = re.findall("\u2068([^\u2068\u2069]*)\u2069\\s?[（(](\\d+)%[）)]", item.sentence)
            for title, share in told:
                assert rows[title].share == int(share)
                seen += 1
            if overview and item.ledger.columns:
                history, evidence = overview
                column = next(c for c, title in enumerate(history.columns) if item.title.startswith(title.rstrip("…")))
                for label, values in zip(history.rows, history.values, strict=True):
                    if (
                        label in rows
                        and list(history.rows).count(label) == 1
                        and list(history.columns).count(history.columns[column]) == 1
                    ):
                        assert values[column] == rows[label].share
                row = evidence.rows.index(history.columns[column])
                if evidence.rows.count(evidence.rows[row]) == 1:
                    assert evidence.values[row] == item.ledger.rows[-1].cells
    assert seen >= 50


def test_the_note_about_the_strongest_subtracts_as_printed(pairs: list[tuple[Explanation, Report]]) -> None:
    seen = 0
    for _, report in pairs:
        for item in report.items:
            if report.locale != "en" or not item.notes or " instead of " not in item.notes[0]:
                continue
            after, before = (
                number(n) for n in re.findall(r"be ([\d.\u2212]+) instead of ([\d.\u2212]+)\.$", item.notes[0])[0]
            )
            row = next(row for row in item.ledger.rows if f"\u2068{row.label}\u2069" in item.notes[0])
            places = item.ledger.decimals
            assert round((before - after) * 10**places) == row.points
            seen += 1
    assert seen >= 10


# -- one user, three renderings --------------------------------------------------------------------------------------

_NUMBER = re.compile(r"\u2212?\d+(?:[.,]\d+)*%?")


def numbers(text: str) -> Counter[str]:
    """Every number in a text as it is printed, and how often; not in which order or cell."""
    return Counter(_NUMBER.findall(text))


def told(why: Explanation, locale: str) -> tuple[Report, dict[str, Any], Page]:
    """The report of one user, its JSON read back, and its page read back."""
    report = build_report(why, locale)
    return report, json.loads(report.to_json()), read_page(render_html(report))


def printed(row: dict[str, Any], decimals: int) -> list[str]:
    """The numbers of one line of a ledger as a page prints them, made from the JSON alone."""
    points = f"{row['points'] / 10**decimals:.{decimals}f}".replace("-", "\u2212")
    return [*([f"{row['share']}%"] if row["share"] is not None else []), *map(str, row["cells"]), points]


@given(
    seed=st.integers(0, 10**6), k=st.integers(1, 5), j=st.integers(1, 40), folded=st.integers(0, 2),
    locale=st.sampled_from(["en", "zh-CN"]),
)  # fmt: skip
def test_page_and_json_show_the_same_figures(seed: int, k: int, j: int, folded: int, locale: str) -> None:
    why = random_explanation(seed, k, j, hidden=range(min(folded, j)), titles=["A" * (n + 1) for n in range(j)])
    report, data, page = told(why, locale)
    exact, shown, tables = data["recommendations"], data["page"]["items"], page.ledgers()
    assert len(exact) == len(shown) == len(tables) == k
    for record, item, table in zip(exact, shown, tables, strict=True):
        decimals = item["ledger"]["decimals"]
        rows = table.cells()
        for row, cells in zip(item["ledger"]["rows"], rows, strict=True):
            assert [cell for cell in cells[1:] if cell] == printed(row, decimals)
        # the exact numbers behind them: what is printed is within one of its last digit
        unit = 10**decimals
        total, base = number(rows[-1][-1]), number(rows[-2][-1])
        assert abs(total - record["score"]) * unit <= 0.5 + 1e-6
        assert abs(base - record["base"]) * unit < 1 + 1e-3
        by_title = {reason["title"]: reason for reason in record["reasons"] if reason["title"]}
        for row, cells in zip(item["ledger"]["rows"], rows, strict=True):
            if row["kind"] == "reason":
                reason = by_title[row["label"]]
                assert abs(number(cells[-1]) - reason["contribution"]) * unit < 1 + 1e-3
                assert abs(number(cells[1]) - 100 * reason["attention_weight"]) < 1 + 1e-6
        # as printed, the shares add up to 100 and the points to the total
        lines = [round(number(cells[-1]) * unit) for cells in rows[:-1]]
        assert sum(lines) == round(total * unit)
        if item["ledger"]["columns"]:
            assert sum(int(number(cells[1])) for cells in rows[:-1] if cells[1]) == 100
    assert report.record == {name: part for name, part in data.items() if name != "page"}


@pytest.mark.validator
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("name", ["random", "folded", "long", "some without", "tiny", "big"])
def test_the_pdf_shows_the_same_figures(
    name: str, locale: str, need_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    pdftotext = need_tool("pdftotext", "apt-get install poppler-utils")
    report, data, page = told(CASES[name](), locale)
    (tmp_path / "a.pdf").write_bytes(render_pdf(report))
    command = [pdftotext, "-layout", str(tmp_path / "a.pdf"), "-"]
    on_paper = numbers(subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout)
    wanted: Counter[str] = Counter()
    for item in data["page"]["items"]:
        for row in item["ledger"]["rows"]:
            wanted.update(printed(row, item["ledger"]["decimals"]))
    for section in data["page"]["sections"]:
        for heatmap in section["heatmaps"]:
            wanted.update(str(value) for row in heatmap["values"] for value in row)
    assert wanted - on_paper == Counter()
    # Page numbers and dates come on top, but no further percentage and no further points: those are as on the screen.
    text = " ".join([node.text for node in page.root.walk() if node.tag in ("td", "p", "caption")])
    screen = numbers(text)
    extra = {token for token in on_paper if "%" in token or "." in token}
    assert {token: on_paper[token] for token in extra} == {token: screen[token] for token in extra}


def test_a_report_as_json_is_stable_and_holds_the_record() -> None:
    one, two = build_report(random_explanation(7)), build_report(random_explanation(7))
    assert one.to_json() == two.to_json()
    assert one.to_dict()["page"]["title"] == "Why you saw these products"
    assert {"schema", "recommendations", "page"} <= one.to_dict().keys()
    assert "\n" not in one.to_json()
