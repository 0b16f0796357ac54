"""What must not be told is told nowhere, and the sums still close."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crafted import USER, craft, random_explanation, read_page

from reportgen.config import Config
from reportgen.explain.explanation import Explanation
from reportgen.explain.privacy import pseudonym
from reportgen.report.build import Reader, build_report
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf

SECRETS = ("ZQXJ pregnancy test", "WVKY prayer book")
KEY = b"k" * 32


def folded(seed: int = 5) -> Explanation:
    titles = [f"Past {chr(65 + n)}" for n in range(9)]
    titles[0], titles[4] = SECRETS
    return random_explanation(seed, hidden=[0, 4], titles=titles)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("figures", ["cells", "svg"])
def test_a_folded_title_is_in_no_output(locale: str, figures: str) -> None:
    why = folded()
    report = build_report(why, locale)
    assert why.attention[:, [0, 4]].any()  # they do count
    for output in (render_html(report, figures=figures), report.to_json(), repr(report)):
        for secret in SECRETS:
            for word in (secret, *secret.split()[:1], "hist-0", "hist-4"):
                assert word not in output


def test_a_folded_title_is_not_in_the_pdf(need_tool: Callable[[str, str], str], tmp_path: Path) -> None:
    pdftotext = need_tool("pdftotext", "apt-get install poppler-utils")
    (tmp_path / "a.pdf").write_bytes(render_pdf(build_report(folded())))
    text = subprocess.run([pdftotext, str(tmp_path / "a.pdf"), "-"], capture_output=True, check=True).stdout.decode()
    assert "2 items we do not show" in text
    for secret in SECRETS:
        assert secret.split()[0] not in text


def test_the_control_shows_the_same_titles() -> None:
    why = random_explanation(5, titles=[*SECRETS, *[f"Past {n}" for n in range(7)]])
    report = build_report(why)
    assert all(secret in render_html(report) and secret in report.to_json() for secret in SECRETS)


def test_folded_items_are_one_line_that_holds_their_sum() -> None:
    why = folded()
    for k, item in enumerate(build_report(why).items):
        rows = [row for row in item.ledger.rows if row.kind == "folded"]
        assert len(rows) == 1
        places = item.ledger.decimals
        assert abs(rows[0].points - why.net[k, [0, 4]].sum() * 10**places) < 2 + 1e-3
        entry = next(r for r in build_report(why).record["recommendations"][k]["reasons"] if "folded" in r)
        assert entry["contribution"] == pytest.approx(why.net[k, [0, 4]].sum(), abs=1e-12)
        assert (entry["history_item_id"], entry["title"], entry["date"]) == (None, None, None)


def test_the_page_says_that_something_is_folded() -> None:
    data = next(section for section in build_report(folded()).sections if section.id == "data")
    assert "2 items of a sensitive kind are counted but not named on this page." in data.paragraphs
    data = next(section for section in build_report(random_explanation(5)).sections if section.id == "data")
    assert not any("sensitive" in line for line in data.paragraphs)


def test_a_real_explanation_folds_too(fitted: list[Explanation]) -> None:
    seen = 0
    for why in fitted:
        hidden = [str(t) for t in why.past.title[why.past.hidden]]
        open_titles = {str(t) for t in (*why.past.title[~why.past.hidden], *why.picks.title)}
        report = build_report(why)
        html, text = render_html(report), report.to_json()
        for title in hidden:
            if any(title in other for other in open_titles):
                continue
            assert title not in html
            assert title not in text
            seen += 1
    assert seen >= 3


@pytest.mark.parametrize(
    ("reader", "config", "line"),
    [
        (Reader(), {}, None),
        (Reader(key="abcd"), {}, "For customer abcd"),
        (Reader(key="abcd", name="Ann"), {}, "For Ann"),
        (Reader(name="Ann"), {}, "For Ann"),
        (Reader(key="abcd", name="Ann"), {"privacy": {"show_name": False}}, "For customer abcd"),
        (Reader(name="Ann"), {"privacy": {"show_name": False}}, None),
    ],
)
def test_for_whom(reader: Reader, config: dict, line: str | None) -> None:
    report = build_report(craft([[[1.0, 0, 0, 0]]]), reader=reader, config=Config.from_dict(config))
    meta = [n.text for n in read_page(render_html(report)).root.classes("meta")[0].all("li")]
    assert (meta[0] if meta[0].startswith("For ") else None) == line
    assert meta[-2:] == ["As of Jun 29, 2026", "From what you did on Jun 28, 2026"]
    if line != "For Ann":
        assert "Ann" not in render_html(report).replace("An event", "")
    assert report.record["user"] == reader.key


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_the_raw_user_id_is_nowhere(locale: str) -> None:
    why = folded()
    assert why.user_id == USER
    report = build_report(why, locale, reader=Reader(pseudonym(KEY, why.user_id)))
    html = render_html(report, figures="svg")
    assert pseudonym(KEY, why.user_id) in html
    for output in (html, report.to_json(), repr(report)):
        assert "SENTINEL" not in output
    assert b"SENTINEL" not in render_pdf(report)


def test_a_pseudonym_has_24_letters_and_depends_on_the_key() -> None:
    one = pseudonym(KEY, "u1")
    assert len(one) == 24
    assert set(one) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len({one, pseudonym(KEY, "u2"), pseudonym(b"x" * 32, "u1"), pseudonym(KEY, "u1\udcff")}) == 4


def test_synthetic_data_are_named_so() -> None:
    why = craft([[[1.0, 0, 0, 0]]])
    banner = "Made-up data. No real person or shop is shown."
    assert banner in render_html(build_report(why, synthetic=True))
    assert banner in render_html(build_report(why, config=Config.from_dict({"report": {"synthetic": True}})))
    assert banner not in render_html(build_report(why))


def test_an_opted_in_page_without_history_says_so_without_folding() -> None:
    report = build_report(craft(np.zeros((2, 0, 4))))
    assert "we do not show" not in render_html(report)
