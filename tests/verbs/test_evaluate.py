"""``reportgen evaluate``: the table, the JSON file and the page, from a small shop."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from reportgen.attention.comparison import OURS, Comparison
from reportgen.attention.evaluation import Evaluation, Quality
from reportgen.attention.measures import MEASURES, Mean
from reportgen.attention.peers import ALS
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.errors import OutputError
from reportgen.report.evaluation_page import make_rows, render_evaluation, table_lines, verdict
from reportgen.report.figures import Points, draw_points
from reportgen.report.record import iso
from reportgen.report.words import message_keys, words
from reportgen.verbs.evaluate import (
    JSON,
    PAGE,
    check_evaluation_folder,
    run_evaluation,
    tell_evaluation,
    write_evaluation,
)

GENERATED = ("2026-01-01T00:00:00Z", "as_of")
FACTS = {
    "users": 3, "items": 4, "events": 5, "synthetic": True, "as_of": "2026-01-01T00:00:00Z", "version": "0",
    "generated_at": "2026-01-01T00:00:00Z", "generated_at_source": "as_of",
}  # fmt: skip


@pytest.fixture(scope="module")
def shop() -> Dataset:
    made = make_shop(200)
    return Dataset.from_frames(made.events, made.items, made.users)


@pytest.fixture(scope="module")
def found(shop: Dataset) -> Comparison:
    return run_evaluation(shop, Config(), int(shop.timestamps.max()), 10, 100, clock=iter(range(1000)).__next__)


def crafted(values: dict[str, list[float]], n: int = 10) -> Evaluation:
    """An evaluation whose every measure of a recommender has the given values, one per user."""
    per_user = {name: {what: np.array(v) for what in MEASURES} for name, v in values.items()}
    qualities = {
        name: Quality(*(Mean.of(np.array(v)) for _ in MEASURES), coverage=0.5, n_users=len(v))
        for name, v in values.items()
    }
    return Evaluation(n, 4, qualities, per_user)


# --- the comparison on a shop


def test_everybody_is_judged_on_the_same_users(found: Comparison) -> None:
    names = [OURS, "popularity", "knn", "ease", "ease_recency", *(["als"] if ALS.is_there() else [])]
    assert list(found.everything.qualities) == names
    assert {quality.n_users for quality in found.everything.qualities.values()} == {100}
    assert found.cold is not None
    assert list(found.cold.qualities) == [OURS, "content", "random"]
    assert found.tuned["ease"]
    assert set(found.chosen["ease_recency"]) == {"half_life", "l2"}


def test_ours_is_not_behind_by_more_than_chance(found: Comparison) -> None:
    for other in found.everything.qualities:
        lead = found.everything.difference(OURS, other)
        assert lead.mean > -3 * max(lead.se, 1e-9), other
    assert found.cold is not None
    lead = found.cold.difference(OURS, "random")
    assert lead.mean > 2 * lead.se


def test_the_table_is_aligned_and_says_who_and_what(found: Comparison) -> None:
    lines = list(tell_evaluation(found))
    assert lines[0] == verdict(found.everything)
    assert lines[2] == f"All items: the last order of 100 users hidden, {found.everything.n_items:,} items"
    head = lines[3]
    assert head.split() == ["NDCG@10", "Recall@10", "Hit", "rate@10", "MRR@10", "Lead", "Shown", "Fit", "s"]
    rows = lines[4 : 4 + len(found.everything.qualities)]
    assert {len(line) for line in (head, *rows)} == {len(head)}
    ours = next(line for line in rows if line.startswith("reportgen"))
    assert f"{found.everything[OURS].ndcg.mean:.3f} ± {found.everything[OURS].ndcg.se:.3f}" in ours
    assert any(line.startswith("New items, among themselves: ") for line in lines)


def test_the_files_hold_the_figures_and_nobody(found: Comparison, shop: Dataset, tmp_path: Path) -> None:
    as_of = int(shop.timestamps.max())
    page = write_evaluation(found, shop, as_of, GENERATED, tmp_path / "new" / "out", False)
    assert sorted(path.name for path in page.parent.iterdir()) == [PAGE, JSON]
    record = json.loads((page.parent / JSON).read_text("utf-8"))
    assert record["all"]["recommenders"][OURS]["ndcg"]["mean"] == found.everything[OURS].ndcg.mean
    assert record["cold"]["recommenders"]["random"]["recall"]["mean"] >= 0
    assert record["as_of"] == iso(as_of)
    assert (record["users"], record["items"]) == (shop.user_ids.size, shop.item_ids.size)
    texts = [path.read_text("utf-8") for path in page.parent.iterdir()]
    assert not any("second" in text and "seconds_" in text for text in texts)
    for user in shop.user_ids:
        assert not any(re.search(rf"\b{re.escape(str(user))}\b", text) for text in texts)
    assert f"{found.everything[OURS].ndcg.mean:.3f}" in texts[0] + texts[1]


def test_the_same_bytes_twice(found: Comparison, shop: Dataset, tmp_path: Path) -> None:
    as_of = int(shop.timestamps.max())
    for name in ("one", "two"):
        write_evaluation(found, shop, as_of, GENERATED, tmp_path / name, False)
    for name in (JSON, PAGE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


# --- where it is written


def test_a_former_evaluation_is_replaced_with_leave_alone(found: Comparison, shop: Dataset, tmp_path: Path) -> None:
    write_evaluation(found, shop, 0, GENERATED, tmp_path, False)
    with pytest.raises(OutputError, match="--overwrite"):
        write_evaluation(found, shop, 0, GENERATED, tmp_path, False)
    write_evaluation(found, shop, 0, GENERATED, tmp_path, True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_evaluation_folder(tmp_path / "file", True)
    with pytest.raises(OutputError, match="cannot be written"):
        write_evaluation(found, shop, 0, GENERATED, tmp_path / "file" / "below", True)


def test_nothing_is_written_through_a_link(found: Comparison, shop: Dataset, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / PAGE).symlink_to(outside)
    (out / f".{JSON}.part").symlink_to(outside)
    write_evaluation(found, shop, 0, GENERATED, out, True)
    assert outside.read_text() == "mine"
    assert not (out / PAGE).is_symlink()


# --- words


@pytest.mark.parametrize(
    ("ours", "ease", "told"),
    [
        ([0.5, 0.6, 0.7, 0.6], [0.1, 0.2, 0.3, 0.21], "reportgen has the highest NDCG@10, clearly ahead of EASE"),
        ([0.1, 0.2, 0.3, 0.21], [0.5, 0.6, 0.7, 0.6], "EASE ranks better than reportgen"),
        ([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.1, 1.0], "No clear winner: reportgen and EASE"),
        ([0.4], [0.1], "No clear winner"),
    ],
)
def test_the_verdict_follows_the_lead_and_its_error(ours: list[float], ease: list[float], told: str) -> None:
    low = [0.0] * len(ours)
    found = crafted({OURS: ours, "ease": ease, "popularity": low})
    assert verdict(found).startswith(told)
    assert f"{np.mean(ours):.3f}" in verdict(found)


def test_the_verdict_of_one_alone_is_its_figure() -> None:
    assert verdict(crafted({OURS: [0.5, 0.5]})) == "reportgen reaches NDCG@10 0.500."


def test_rows_go_by_quality_and_show_a_lead_with_its_sign() -> None:
    rows = make_rows(crafted({OURS: [0.2, 0.2], "ease": [0.3, 0.5], "mine": [0.1, 0.1]}))
    assert [row.label for row in rows] == ["EASE", "reportgen", "mine"]
    assert rows[0].lead == ("\u22120.200", "± 0.100")
    assert rows[1].lead == ("", "")
    assert rows[2].lead == ("+0.100", "± 0.000")


def test_a_single_user_has_no_error() -> None:
    lines = list(table_lines(crafted({OURS: [0.2], "ease": [0.3]})))
    assert "±" not in "".join(lines)
    assert "nan" not in "".join(lines)


# --- the page


class Outline(HTMLParser):
    """Tags, and whether they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(everything: Evaluation, **given: object) -> str:
    told = Comparison(everything, None, "No <cold> items.", {"ease": {"l2": 100.0}}, {"ease": False})
    return render_evaluation(replace(told, **given), FACTS)  # type: ignore[arg-type]


def test_the_page_is_whole_and_closed_to_the_outside(found: Comparison) -> None:
    page = render_evaluation(found, FACTS)
    outline = Outline()
    outline.feed(page)
    assert not outline.open
    assert "script" not in outline.tags
    assert outline.tags.count("svg") == 1
    ids = [value for name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    addresses = [v for name, v in outline.attributes if name in ("href", "src", "xlink:href") and v]
    assert all(address.startswith("#") for address in addresses)
    assert 'role="img" aria-label="NDCG@10 with standard errors. All items: ' in page
    assert "Made-up data" in page


def test_the_page_says_what_is_missing_and_escapes_it() -> None:
    left = replace(crafted({OURS: [0.2, 0.4], "ease": [0.3, 0.2]}), left_out={"knn": "too <large>"})
    page = page_of(left)
    assert 'Not judged. <bdi lang="en">No &lt;cold&gt; items.</bdi>' in page
    assert 'Item k-NN was left out: <bdi lang="en">too &lt;large&gt;</bdi>' in page
    assert "Only 2 users could be judged" in page
    assert "as they come" in page
    assert "New items, among themselves" not in page


def texts_of(page: str) -> str:
    """What a reader sees or hears of a page; reasons of the program, which are marked as English, are left out."""
    page = re.sub(r'<style.*?</style>|<bdi lang="en">.*?</bdi>|<text.*?</text>', " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", " ".join(re.findall(r'aria-label="([^"]*)"', page)) + page).split())


def test_the_page_is_in_the_language_that_was_asked_for(found: Comparison) -> None:
    left = replace(crafted({OURS: [0.2, 0.4], "ease": [0.3, 0.2]}), left_out={"knn": "too large"})
    missing = Comparison(left, None, "No cold items.", {"ease": {"l2": 100.0}}, {"ease": False})
    for one in (found, missing):
        page = render_evaluation(one, FACTS, "zh-CN")
        assert '<html lang="zh-CN" dir="ltr">' in page
        english = [
            text
            for key, text in message_keys("en").items()
            if key.startswith("evaluation.") and len(text) > 12 and "{" not in text
        ]
        assert [text for text in english if text in texts_of(page)] == []
        assert "虚构数据" in page
    assert "“EASE”未参与" not in page
    assert '“商品 k-NN”未参与：<bdi lang="en">too large</bdi>' in page
    assert f">{left[OURS].ndcg.mean:.3f}<span" in page  # the figures are the same


@pytest.mark.parametrize(
    ("ours", "ease", "told"),
    [
        (
            [0.5, 0.6, 0.7, 0.6],
            [0.1, 0.2, 0.3, 0.21],
            "reportgen 的 NDCG@10 最高，明显领先于“EASE”（0.600，对方为 0.203）。",
        ),
        ([0.1, 0.2, 0.3, 0.21], [0.5, 0.6, 0.7, 0.6], "“EASE”的排序优于 reportgen"),
        ([0.4], [0.1], "没有明显的领先者：reportgen 与“EASE”"),
    ],
)
def test_the_verdict_in_chinese_follows_the_same_rule(ours: list[float], ease: list[float], told: str) -> None:
    assert verdict(crafted({OURS: ours, "ease": ease}), words("zh-CN")).startswith(told)


def test_a_plot_without_letters_for_its_language_is_drawn_in_english(
    found: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reportgen.report.evaluation_page.missing", lambda text: "全" if "全" in text else "")
    page = render_evaluation(found, FACTS, "zh-CN")
    plot = page[page.index("<svg") : page.index("</svg>")]
    assert "All items: NDCG@10" in plot
    assert "全部商品" in page.replace(plot, "")


def test_the_plot_takes_the_colours_of_the_page() -> None:
    drawn = draw_points([Points("All", ("a", "<b>"), (0.2, 0.1), (0.01, 0.0), marked=0)], "NDCG@10")
    assert drawn.startswith("<svg ")
    assert "viewBox" in drawn
    assert not re.search(r"<svg[^>]*\b(width|height)=", drawn)
    assert {"var(--ink)", "var(--accent)", "var(--soft)", "var(--line)"} <= set(re.findall(r"var\(--\w+\)", drawn))
    assert not re.search(r"#(?!p|m|D|C|g|h|glyph)[0-9a-f]{6}\b", re.sub(r'(id|href|clip-path)="[^"]*"', "", drawn))
    assert "&lt;b&gt;" in drawn
    assert drawn == draw_points([Points("All", ("a", "<b>"), (0.2, 0.1), (0.01, 0.0), marked=0)], "NDCG@10")


def test_a_plot_of_nothing_found_is_a_plot() -> None:
    assert "<svg" in draw_points([Points("All", ("a",), (0.0,), (0.0,))], "NDCG@10")
