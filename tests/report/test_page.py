"""The page as a document, its pictures, and the templates that a user puts in front."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from crafted import Node, Page, craft, digests, read_page, usual
from matplotlib.figure import Figure

from reportgen.errors import ConfigError, RenderError
from reportgen.explain.explanation import Explanation
from reportgen.report.build import build_report
from reportgen.report.document import Report
from reportgen.report.figures import STEPS, contrast, draw_ledger, heat_palette, plot_bars, plot_heatmap, step_of
from reportgen.report.html import _lean, render_html, said
from reportgen.report.words import END_ISOLATE, ISOLATE

SIZE_LIMIT = 60_000


def pages() -> dict[str, Report]:
    made = {f"usual {locale}": usual(locale) for locale in ("en", "zh-CN")}
    made["cold"] = build_report(craft(np.zeros((2, 0, 4))))
    made["nothing"] = build_report(craft(np.zeros((0, 3, 4))))
    made["mixed"] = build_report(craft([[[1.0, 0, 0, 0]], [[0, -0.2, 0, 0]]]))
    return made


PAGES = pages()


@pytest.fixture(scope="module", params=list(PAGES))
def report(request: pytest.FixtureRequest) -> Report:
    return PAGES[request.param]


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return render_html(report)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return read_page(html)


def test_language_direction_title_and_viewport(page: Page, report: Report) -> None:
    root = page.root.all("html")[0]
    assert (root.attrs["lang"], root.attrs["dir"]) == (report.locale, "ltr")
    assert page.root.all("title")[0].text == report.title
    metas = {m.attrs.get("name"): m.attrs.get("content") for m in page.root.all("meta")}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["dcterms.created"] == metas["dcterms.modified"] == report.created == "2026-06-29T00:00:00Z"
    assert metas["referrer"] == "no-referrer"
    assert page.root.all("meta")[0].attrs == {"charset": "utf-8"}


def test_headings_do_not_skip(page: Page) -> None:
    levels = [int(n.tag[1]) for n in page.root.walk() if re.fullmatch("h[1-6]", n.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(n.text.strip() for n in page.root.walk() if re.fullmatch("h[1-6]", n.tag))


def test_one_main_and_landmarks(page: Page) -> None:
    for tag in ("main", "header", "footer"):
        assert len(page.root.all(tag)) == 1


def test_nothing_is_taken_from_elsewhere(page: Page, html: str) -> None:
    for node in page.root.walk():
        for name in ("src", "href"):
            value = node.attrs.get(name)
            if value is None:
                continue
            if node.tag == "a":
                assert value.startswith(("https://", "mailto:", "#"))
            else:
                assert value.startswith("data:")
    styles = " ".join(style.text for style in page.root.all("style"))
    assert "url(" not in styles
    assert "@import" not in styles
    assert "http://" not in html


def test_ids_are_unique_and_every_label_resolves(page: Page) -> None:
    ids = Counter(n.attrs["id"] for n in page.root.walk() if "id" in n.attrs)
    assert all(count == 1 for count in ids.values())
    labels = [n.attrs["aria-labelledby"] for n in page.root.walk() if "aria-labelledby" in n.attrs]
    assert labels
    assert set(labels) <= set(ids)
    targets = [a.attrs["href"] or "" for a in page.root.all("a")]
    assert {t[1:] for t in targets if t.startswith("#")} <= set(ids)


def test_tables_have_captions_and_headers(page: Page, report: Report) -> None:
    tables = page.root.all("table")
    assert len(tables) >= len(report.items)
    for table in tables:
        first = next(part for part in table.inside if isinstance(part, Node))
        assert first.tag == "caption"
        assert first.text.strip()
        heads = table.all("th")
        assert heads
        assert all(th.attrs.get("scope") in ("col", "row") for th in heads)
        assert all(th.text.strip() for th in heads)
        widths = {sum(1 for c in row.inside if isinstance(c, Node)) for row in table.all("tr")}
        assert len(widths) == 1  # a row with fewer cells breaks PDF/UA
        assert len(table.all("col")) in (0, *widths)


def test_the_usual_page_is_small() -> None:
    for locale in ("en", "zh-CN"):
        assert 10_000 < len(render_html(PAGES[f"usual {locale}"]).encode()) <= SIZE_LIMIT


def test_the_same_page_twice(report: Report, html: str) -> None:
    assert render_html(report) == html


def test_the_same_bytes_in_other_processes_and_time_zones(elsewhere: list[dict[str, str]]) -> None:
    here = digests()
    for there in elsewhere:
        assert {kind: there[kind] for kind in ("html", "png", "svg")} == {
            kind: here[kind] for kind in ("html", "png", "svg")
        }


# -- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("figures", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures_have_words_and_are_inside_the_file(figures: str, start: bytes) -> None:
    report = PAGES["usual en"]
    page = read_page(render_html(report, figures=figures))
    pictures = page.root.all("img")
    assert len(pictures) == 5
    assert len(page.ledgers()) == 5  # the table stays
    for item, picture in zip(report.items, pictures, strict=True):
        src = picture.attrs["src"] or ""
        kind, _, data = src.partition(",")
        assert kind == {"png": "data:image/png;base64", "svg": "data:image/svg+xml;base64"}[figures]
        assert base64.b64decode(data).startswith(start)
        top = item.ledger.rows[0]
        assert (picture.attrs["alt"] or "").startswith(f"{item.ledger.caption}: {top.label} {top.share}%")
    assert not page.root.all("svg")


def test_no_picture_where_there_is_nothing_to_show() -> None:
    assert not read_page(render_html(PAGES["cold"], figures="png")).root.all("img")
    assert len(read_page(render_html(PAGES["mixed"], figures="png")).root.all("img")) == 1


@pytest.mark.parametrize("figures", ["", "PNG", "pdf", "seaborn"])
def test_an_unknown_kind_of_figure(figures: str) -> None:
    with pytest.raises(ConfigError, match="use one of cells, png, svg"):
        render_html(PAGES["cold"], figures=figures)


def ledger_of(*titles: str) -> Report:
    return build_report(craft([[[1.0 / (n + 1), 0.1, 0, 0] for n in range(len(titles))]], titles=titles))


def test_signs_of_mathematics_and_underscores_are_literal() -> None:
    titles = ("$5 or $\\frac{1}{0}$", "_private", "$a_1$ and $\\frac{1}{0}$", "100 % <b>&", "a_b^c")
    svg = draw_ledger(ledger_of(*titles).items[0].ledger, "svg").decode()
    texts = [
        t.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for t in re.findall(r">([^<>]+)</text>", svg)
    ]
    for title in titles:
        assert title in texts


def test_a_drawing_is_the_same_twice_and_says_no_time() -> None:
    ledger = PAGES["usual en"].items[0].ledger
    for kind in ("png", "svg"):
        one, two = draw_ledger(ledger, kind), draw_ledger(ledger, kind)
        assert one == two
        assert b"Date" not in one
        assert b"date>" not in one
        assert b"Software" not in one


def test_chinese_labels_are_drawn_with_a_font_that_has_them() -> None:
    names = {font.name for font in mpl.font_manager.fontManager.ttflist}
    if not names & {"WenQuanYi Micro Hei", "Noto Sans CJK SC"}:
        pytest.skip("no Chinese font; to run this test: apt-get install fonts-wqy-microhei")
    assert draw_ledger(PAGES["usual zh-CN"].items[0].ledger, "png")  # a missing glyph would be a warning, so a failure


def test_plots_work_on_any_axes_and_show_the_values() -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    plot_bars(left, ["one", "two", "none"], [60, 40, 0])
    assert [bar.get_width() for bar in left.patches] == [60, 40, 0]
    assert [t.get_text() for t in left.get_yticklabels()] == ["one", "two", "none"]
    assert {"60%", "40%", "0%"} <= {t.get_text() for t in left.texts}
    bottom, top = left.get_ylim()
    assert bottom > top  # the strongest on top
    values = np.array([[50, 10], [0, 40]])
    plot_heatmap(right, values, ("A", "B"))
    assert [t.get_text() for t in right.texts] == ["50", "10", "0", "40"]
    drawn = right.collections[0].get_array()
    assert drawn is not None
    assert drawn.tolist() == [[20, 4], [0, 16]]
    plot_bars(Figure().subplots(), [], [])


@pytest.mark.parametrize(("value", "largest", "step"), [(0, 9, 0), (1, 100, 1), (9, 9, STEPS), (5, 10, 10), (-3, 9, 0)])
def test_step_of(value: int, largest: int, step: int) -> None:
    assert step_of(value, largest) == step


def test_a_larger_value_never_gets_a_paler_cell() -> None:
    for largest in (1, 7, 62, 100):
        steps = [step_of(value, largest) for value in range(largest + 1)]
        assert steps == sorted(steps)
        assert set(steps) <= set(range(STEPS + 1))


def test_cells_on_the_page_have_the_step_of_their_value() -> None:
    report = PAGES["usual en"]
    page = read_page(render_html(report))
    for item, table in zip(report.items, page.ledgers(), strict=True):
        lines = [row for row in item.ledger.rows if row.cells and row.kind != "total"]
        largest = max(value for row in lines for value in row.cells)
        found = [n for n in table.all("td") if re.fullmatch(r"z|h\d+", n.attrs.get("class") or "")]
        expected = [value for row in lines for value in row.cells]
        assert [int(n.text) for n in found] == expected
        classes = [f"h{step_of(value, largest)}" if value else "z" for value in expected]
        assert [n.attrs["class"] for n in found] == classes
        bars = [n.attrs["style"] for n in table.all("i")]
        longest = max(row.share or 0 for row in lines)
        assert bars == [f"width:{(row.share or 0) * 100 // longest}%" for row in lines]


def test_every_ink_reads_on_its_paper(repository: Path) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    for dark in (False, True):
        palette = heat_palette(dark)
        assert len(palette) == STEPS
        assert min(contrast(paper, ink) for paper, ink in palette) >= 4.5
    for sheet, media in (("base.css", "light"), ("screen.css", "dark"), ("print.css", "print")):
        css = (repository / "templates" / sheet).read_text("utf-8")
        rules = [r for r in re.findall(r":root\s*\{([^}]*)\}", css) if "--paper" in r]
        assert rules, media
        ink = dict(re.findall(r"--([a-z]+):\s*(#[0-9a-f]{6})", rules[0]))
        for name, paper in product(("ink", "soft"), ("paper", "wash")):  # the accents: see test_theme.py
            if paper in ink:
                assert contrast(ink[name], ink[paper]) >= 4.5, (media, name, paper)


def test_the_palettes_get_darker_or_lighter_step_by_step() -> None:
    for dark, background in ((False, "#ffffff"), (True, "#000000")):
        ratios = [contrast(paper, background) for paper, _ in heat_palette(dark)]
        assert ratios == sorted(ratios)


def test_no_pyplot_in_the_process() -> None:
    code = (
        "import sys; import reportgen.report.html, reportgen.report.pdf, reportgen.report.build\n"
        "assert 'matplotlib.figure' in sys.modules\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- templates ------------------------------------------------------------------------------------------------------


def test_a_users_template_goes_in_front(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>{{ report.title }} & {{ css.base | length }}</p>", "utf-8")
    assert render_html(PAGES["cold"], templates=tmp_path).startswith("<p>Why you saw these products & ")
    (tmp_path / "report.html").unlink()
    (tmp_path / "print.css").write_text(":root { --brand: #123456; }", "utf-8")
    other = tmp_path / "again"
    other.mkdir()
    (other / "print.css").write_text(":root { --brand: #123456; }", "utf-8")
    assert "--brand:#123456" in render_html(PAGES["cold"], templates=other)
    assert "--brand" not in render_html(PAGES["cold"])


def test_a_users_template_may_not_switch_off_escaping_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("{{ report.items[0].title }}", "utf-8")
    report = build_report(craft([[[1.0, 0, 0, 0]]], picks=["<b>x</b>"]))
    assert render_html(report, templates=tmp_path) == "&lt;b&gt;x&lt;/b&gt;"


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("ok\n{% if %}", 2, "Expected an expression"),
        pytest.param("ok\n\n{{ report.nonsense }}", 3, "nonsense"),
        pytest.param("{{ missing }}", 1, "missing"),
        pytest.param("\n{{ 1 // 0 }}", 2, "zero"),
        pytest.param("\n\n\n{{ report.title + 1 }}", 4, "str"),
    ],
)
def test_a_template_that_fails_names_file_and_line(tmp_path: Path, source: str, line: int, reason: str) -> None:
    (tmp_path / "report.html").write_text(source, "utf-8")
    with pytest.raises(RenderError) as raised:
        render_html(PAGES["cold"], templates=tmp_path)
    message = str(raised.value)
    assert message.startswith(f"template report.html, line {line}: ")  # the name alone: the message goes into the run
    assert reason in message


def test_said_escapes_and_sets_names_apart() -> None:
    text = f"For {ISOLATE}<b>\"A\" & 'B'{END_ISOLATE}: <script>"
    assert said(text) == "For <bdi>&lt;b&gt;&#34;A&#34; &amp; &#39;B&#39;</bdi>: &lt;script&gt;"


def test_real_explanations_make_whole_pages(fitted: list[Explanation]) -> None:
    for why in fitted:
        report = build_report(why)
        html = render_html(report)
        read_page(html)
        assert len(html.encode()) <= SIZE_LIMIT
        assert len(report.items) == 5


def test_a_pdf_asks_for_no_font_features() -> None:
    """WeasyPrint 70 keeps about 150 bytes for every line of text with font features: 0.2 MB per report, for ever."""
    sheets = [
        (style.attrs.get("media"), style.text) for style in read_page(render_html(PAGES["usual en"])).root.all("style")
    ]
    asking = [media for media, sheet in sheets if "tabular-nums" in sheet or "font-feature" in sheet]
    assert asking == ["screen"]


def test_the_contents_lead_to_every_product_and_to_the_choices(page: Page, report: Report) -> None:
    links = [(a.attrs["href"], a.text) for nav in page.root.all("nav") for a in nav.all("a")]
    if len(report.items) < 2:
        assert not page.root.all("nav")
        return
    wanted = [(f"#item{item.rank}", f"{item.rank}{item.title}") for item in report.items]
    assert links[: len(wanted)] == wanted
    assert [href for href, _ in links[len(wanted) :]] == [f"#{s.id}" for s in report.sections if s.links]
    assert page.root.all("nav")[0].attrs["aria-label"]


def test_ranks_stand_in_the_maps_only_where_every_product_does() -> None:
    for name, ranked in (("usual en", True), ("mixed", False)):
        maps = read_page(render_html(PAGES[name])).root.classes("map")
        assert [("r" in (part.attrs["class"] or "").split()) for part in maps] == [ranked], name


def test_one_scale_of_sizes_and_logical_directions(repository: Path) -> None:
    sizes: set[str] = set()
    for name in ("base.css", "screen.css"):
        css = re.sub(r"/\*.*?\*/", "", (repository / "templates" / name).read_text("utf-8"), flags=re.DOTALL)
        sizes |= set(re.findall(r"font(?:-size)?:\s*([\d.]+rem)", css))
        physical = re.findall(r"[\w-]*(?:left|right)[\w-]*\s*:[^;}]*|(?:text-align|float):\s*(?:left|right)", css)
        assert physical == [], name  # a right-to-left page mirrors by itself
    assert len(sizes) <= 9


def test_a_style_sheet_loses_nothing_by_being_lean() -> None:
    css = """a:hover , b { content: "x;  y: {z}" ; margin: 0 auto } /* gone */
    @media (min-width: 3rem) { p > a:not(.b, .c) { font: 1rem/1.2 'A, B', serif } }"""
    lean = _lean(css)
    assert lean == (
        'a:hover,b{content:"x;  y: {z}";margin:0 auto}'
        "@media (min-width:3rem){p > a:not(.b,.c){font:1rem/1.2 'A, B',serif}}"
    )
