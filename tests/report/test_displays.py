"""Figures for notebooks: the numbers of the page, in its colours, on axes of one's own; and a page inside a notebook."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from crafted import craft, random_explanation, read_page, usual
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from reportgen.errors import ConfigError, RenderError
from reportgen.explain.explanation import Explanation
from reportgen.report.build import build_report
from reportgen.report.display import lines_of, wrapped
from reportgen.report.displays import AttentionDisplay, HeatmapDisplay
from reportgen.report.figures import draw_ledger, heat_palette
from reportgen.report.glyphs import missing, replaced
from reportgen.report.html import render_html

CHINESE = [
    "手工陶瓷马克杯",
    "日式铸铁平底锅，带两个倒口，适合电磁炉和明火使用",
    "羊毛毯",
    "香薰蜡烛",
    "厨房收纳盒",
    "咖啡豆",
    "滤纸",
    "茶壶",
    "砧板",
]
STEP = re.compile(r"h(\d+)")


def chinese() -> Explanation:
    return random_explanation(7, 4, 9, titles=CHINESE, picks=CHINESE[:4], hidden=[2])


def cells(table: object, skip: int, width: int) -> list[list[tuple[int, int]]]:
    """(number, step of its colour) of the coloured cells of each line."""
    rows = [row for body in table.all("tbody") for row in body.all("tr")]
    found = []
    for row in rows:
        coloured = [c for c in row.all("td") if re.fullmatch(r"z|h\d+", (c.attrs.get("class") or "").split(" ")[0])]
        if len(coloured) == width:
            step = [int(m[1]) if (m := STEP.fullmatch((c.attrs["class"] or "").split(" ")[0])) else 0 for c in coloured]
            found.append([(int(c.text), s) for c, s in zip(coloured, step, strict=True)])
    return found[skip:]


def drawn(display: HeatmapDisplay) -> list[list[tuple[int, int]]]:
    steps = display.im_.get_array()
    return [
        [(int(text.get_text()), int(step)) for text, step in zip(line, row, strict=True)]
        for line, row in zip(display.text_, steps, strict=True)
    ]


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_drawn_heatmap_is_the_table_of_the_page(locale: str, seed: int) -> None:
    why = random_explanation(seed, 4, 12, hidden=[0, 5])
    page = read_page(render_html(build_report(why, locale)))
    across = why.plot_heatmap(locale=locale)
    assert drawn(across) == cells(page.heatmaps()[0], 0, len(across.columns))
    assert across.values.sum(axis=0).tolist() == [100] * len(across.columns)
    for k, table in enumerate(page.ledgers()):
        one = why.plot_heatmap(k=k, locale=locale)
        assert drawn(one) == cells(table, 0, len(one.columns))
        assert one.values.sum() == 100


def test_colours_and_inks_are_those_of_the_page() -> None:
    display = random_explanation(4, 4, 12).plot_heatmap()
    for (row, column), text in np.ndenumerate(display.text_):
        step = int(display.im_.get_array()[row, column])
        paper = mpl.colors.to_hex(display.im_.cmap(display.im_.norm(step)))
        assert paper == ("#ffffff" if step == 0 else heat_palette()[step - 1][0])
        if step:
            assert mpl.colors.to_hex(text.get_color()) == heat_palette()[step - 1][1]


def test_the_bars_are_the_shares_of_the_page() -> None:
    why = random_explanation(5, 3, 15, hidden=[1])
    for k, item in enumerate(build_report(why).items):
        display = why.plot_attention(k=k)
        rows = [row for row in item.ledger.rows if row.cells and row.kind != "total"]
        assert [bar.get_width() for bar in display.bars_] == [row.share for row in rows]
        assert [text.get_text() for text in display.text_] == [f"{row.share}%" for row in rows]
        assert [label.get_text().replace("\n", " ") for label in display.ax_.get_yticklabels()] == [
            r.label for r in rows
        ]
        grey = {bar.get_facecolor() for bar, row in zip(display.bars_, rows, strict=True) if row.kind != "reason"}
        named = {bar.get_facecolor() for bar, row in zip(display.bars_, rows, strict=True) if row.kind == "reason"}
        assert len(named) == 1
        assert not grey & named
        assert display.shares.sum() == 100


def test_what_is_hidden_is_in_no_figure_and_no_frame() -> None:
    titles = ["zqsecret tea", "Lamp", "Rug"]
    shown, hidden = (
        craft([[[3.0, 0, 0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0]]], titles=titles, hidden=mask) for mask in ([], [0])
    )
    for why, there in ((shown, True), (hidden, False)):
        displays = [why.plot_attention(), why.plot_heatmap(), why.plot_heatmap(k=0)]
        texts = [one.to_svg().decode() for one in displays] + [one.alt for one in displays]
        texts += [why._repr_html_(), repr(why), build_report(why)._repr_html_()]
        assert [("zqsecret" in text) for text in texts] == [there] * 6 + [there, False, there]


@pytest.mark.parametrize("make", [lambda w, ax: w.plot_attention(ax), lambda w, ax: w.plot_heatmap(ax)])
def test_axes_of_ones_own(make: Callable[..., AttentionDisplay | HeatmapDisplay]) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    display = make(random_explanation(1), left)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert not right.texts
    assert display._repr_png_() is None  # the notebook shows that figure itself
    assert make(random_explanation(1), None).ax_ is not left


def test_nothing_global_is_touched() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import matplotlib; before = matplotlib.rcParams.copy()\n"
        "from crafted import random_explanation\n"
        "why = random_explanation(1); why.plot_attention().to_png(); why.plot_heatmap().to_svg()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams.copy() == before\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_files_are_the_same_each_time(locale: str, tmp_path: Path) -> None:
    why = chinese()
    for one, two in (
        (why.plot_attention(locale=locale), why.plot_attention(locale=locale)),
        (why.plot_heatmap(locale=locale), why.plot_heatmap(locale=locale)),
    ):
        assert one.to_svg() == two.to_svg() == one.to_svg()
        assert one.to_png() == two.to_png() == one.to_png()
        assert b"Date" not in one.to_svg()
        one.save(tmp_path / "a.PNG")
        one.save(tmp_path / "a.svg")
        assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (tmp_path / "a.svg").read_bytes()
        with pytest.raises(ConfigError, match=r"a.pdf: a figure is written as .png or .svg"):
            one.save(tmp_path / "a.pdf")


def test_a_notebook_shows_it_600_pixels_wide_and_sharp() -> None:
    png, told = chinese().plot_heatmap(locale="zh-CN")._repr_png_() or (b"", {})
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert (told["width"], width) == (600, 1200)
    assert height / width == pytest.approx(told["height"] / told["width"], rel=0.01)


def test_no_text_leaves_the_figure_and_none_overlap() -> None:
    pick = "A rather long product title that takes several lines of a column"
    many = craft(np.random.default_rng(0).gamma(0.4, 0.3, (6, 9, 9)), titles=[f"{title} 和 {pick}" for title in CHINESE],
                 picks=[pick] * 6, heads=("together", "next", "via", "category", "brand", "price", "tags", "title", "again"))  # fmt: skip
    for display in (many.plot_attention(), many.plot_heatmap(), many.plot_heatmap(k=0)):
        display.figure_.draw_without_rendering()
        page = display.figure_.bbox
        boxes = [label.get_window_extent() for label in display.ax_.get_xticklabels() if label.get_visible()]
        boxes = boxes if isinstance(display, HeatmapDisplay) else []
        for box in (*boxes, *(label.get_window_extent() for label in display.ax_.get_yticklabels())):
            assert page.x0 - 1 <= box.x0
            assert box.x1 <= page.x1 + 1
        assert all(one.x1 <= two.x0 + 1 for one, two in pairwise(boxes))


def test_a_missing_glyph_is_an_error_that_names_the_text() -> None:
    why = random_explanation(1, titles=["Lamp \U0001f9a9", *[f"Past {n}" for n in range(8)]])
    for draw in (why.plot_attention, why.plot_heatmap):
        with pytest.raises(RenderError, match=r'U\+1F9A9 of "Lamp'):
            draw()
    # Beside its table the same picture has a visible sign instead.
    svg = draw_ledger(build_report(why).items[0].ledger, "svg").decode()
    assert "Lamp \ufffd" in svg
    assert "\U0001f9a9" not in svg
    assert missing("Lampe für 灯") == ""
    assert replaced("a\U0001f9a9b") == "a\ufffdb"


def test_a_title_is_never_a_formula() -> None:
    why = random_explanation(
        1, titles=[r"$\frac{1}{2}$ price $x_1$", *[f"Past {n}" for n in range(8)]], picks=["$a$ $b$"] * 3
    )
    for display in (why.plot_attention(), why.plot_heatmap()):
        assert r"$\frac{1}{2}$ price $x_1$" in display.to_svg().decode()
    figure = Figure()
    display = why.plot_attention(figure.subplots())
    with mpl.rc_context({"text.parse_math": True, "svg.fonttype": "none"}):
        figure.savefig(Path("/dev/null"), format="svg")


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_without_reasons_it_says_so(locale: str) -> None:
    cold = craft(np.zeros((2, 0, 4)))
    report = build_report(cold, locale)
    assert report.items[0].sentence == cold.plot_attention(locale=locale).title
    assert cold.plot_heatmap(locale=locale).title == report.lead
    assert cold.plot_heatmap(k=1, locale=locale).to_png().startswith(b"\x89PNG")
    with pytest.raises(IndexError, match="k = 2: the list has 2 recommended items, counted from 0"):
        cold.plot_attention(k=2)


def test_alt_text_holds_the_numbers() -> None:
    display = AttentionDisplay(["Lamp", "1 other item"], [60, 40], ["60%", "40%"], [False, True], "What speaks for it")
    assert display.alt == "What speaks for it. Lamp 60%; 1 other item 40%."
    table = HeatmapDisplay(np.array([[60, 0], [40, 100]]), ["Lamp", "Rug"], ["A", "B"], "Shares.", "Columns sum.")
    assert table.alt == "Shares. Lamp: A 60, B 0; Rug: A 40, B 100. Columns sum."


@given(text=st.from_regex(r"([ab]{1,9} ?|灯|厨|[灯厨a][，。] ?){0,20}", fullmatch=True), width=st.integers(4, 30))
def test_wrapping_loses_nothing_and_keeps_to_its_width(text: str, width: int) -> None:
    lines = wrapped(text, width).split("\n")
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert lines_of(text, width) == len(lines)
    assert not any(line.startswith(("，", "。")) for line in lines[1:])


# -- a page inside a notebook -----------------------------------------------------------------------------------------


def frame_of(shown: str) -> dict[str, str]:
    found = re.fullmatch(r"<iframe ((?:[a-z]+=\"[^\"]*\" ?)+)></iframe>", shown)
    assert found
    return dict(re.findall(r'([a-z]+)="([^"]*)"', found[1]))


def test_a_report_shows_itself_in_a_frame_of_its_own() -> None:
    report = usual()
    frame = frame_of(report._repr_html_())
    assert frame["sandbox"] == ""
    assert unescape(frame["srcdoc"]) == render_html(report)
    assert frame["title"] == report.title
    assert "height:640px!important" in frame["style"]


def test_an_explanation_shows_itself_as_its_report() -> None:
    why = random_explanation(1, titles=['"><script>alert(1)</script>', *[f"Past {n}" for n in range(8)]])
    assert unescape(frame_of(why._repr_html_())["srcdoc"]) == render_html(build_report(why))


@pytest.mark.validator
def test_styles_outside_do_not_reach_in(need_tool: Callable[[str, str], str], tmp_path: Path) -> None:
    """In a real browser: the frame stands there in its height, and an element inside is still drawn in its own colours."""
    chromium = need_tool("chromium", "apt-get install chromium")
    style = "*{color:red!important;background:yellow!important;display:none!important;height:1px!important}"
    style += "html,body{display:block!important}"
    outside = f'<!DOCTYPE html><html><head><meta charset="utf-8"><style>{style}</style></head><body>{usual()._repr_html_()}</body></html>'
    (tmp_path / "page.html").write_text(outside, encoding="utf-8")
    quiet = [
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
    ]
    words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *quiet]
    words += ["--run-all-compositor-stages-before-draw", "--virtual-time-budget=10000"]  # frames load after their page
    words += [
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--screenshot={tmp_path / 'shot.png'}",
        "--window-size=900,700",
    ]
    words.append((tmp_path / "page.html").as_uri())
    for _ in range(5):  # a browser without a window may take its picture before it has drawn a frame inside
        subprocess.run(words, check=True, capture_output=True, timeout=120)
        colours = mpl.image.imread(tmp_path / "shot.png")[..., :3]
        yellow = (np.abs(colours - [1.0, 1.0, 0.0]).max(axis=2) < 0.02).mean()
        red = (np.abs(colours - [1.0, 0.0, 0.0]).max(axis=2) < 0.02).mean()
        if yellow < 1.0:
            break
    assert 0.0 < yellow < 0.15  # only the margin around the frame
    assert red == 0.0
    assert len(np.unique((colours * 255).astype(int).reshape(-1, 3), axis=0)) > 50  # a page with text, not an empty box
