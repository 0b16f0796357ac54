"""What must not be told is told nowhere, and the sums still close."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crafted import USER, craft, random_explanation, read_page
from hypothesis import given
from hypothesis import strategies as st

from reportgen.config import Config
from reportgen.errors import ConfigError
from reportgen.explain.explanation import Explanation
from reportgen.explain.privacy import pseudonym
from reportgen.report.allowed import tellable
from reportgen.report.build import Reader, build_report
from reportgen.report.columns import make_figures
from reportgen.report.document import Report
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf
from reportgen.report.words import END_ISOLATE, ISOLATE

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
    assert "2 items of a sensitive kind are counted but not named here." in data.paragraphs
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


# -- fields that may be written ---------------------------------------------------------------------------------------

FACTS = {"brand": "Zqbrand", "category": "Zqcategory", "price": 77.25, "currency": "EUR"}
#: Field -> what of it stands on a page.
MARKS = {
    "brand": "Zqbrand",
    "category": "Zqcategory",
    "price": "77.25",
    "date": "Jun 2\\d, 2026",
    "event": "Because you bought|bought Jun|events in all|returned Jun",
}


def plain() -> Explanation:
    """Reasons, one that counts against, one product that is in the history already."""
    parts = [[[2.0, 0, 0, 0], [0, 1.0, 0, 0], [-0.5, 0, 0, 0]]] * 2
    return craft(
        parts,
        kinds=["purchase", "purchase", "return"],
        times=[3, 1, 1],
        details=[FACTS] * 2,
        picks=["Past A", "Pick 2"],
    )


def allowed(page: list[str] | None = None, record: list[str] | None = None) -> Config:
    fields = {name: value for name, value in (("page", page), ("record", record)) if value is not None}
    return Config.from_dict({"privacy": {"fields": fields}})


def words_of(report: Report) -> str:
    page = read_page(render_html(report)).root
    return " ".join(part.text for name in ("header", "main") for part in page.all(name)) + report.to_json()


@pytest.mark.parametrize("field", list(MARKS))
def test_a_field_off_the_list_is_not_on_the_page(field: str) -> None:
    everything = words_of(build_report(plain()))
    assert re.search(MARKS[field], everything)  # the control: it is there by default
    kept = [name for name in MARKS if name != field]
    report = build_report(plain(), config=allowed(kept))
    text = words_of(report).replace("From what you did", "")
    assert not re.search(MARKS[field], re.sub(r"(As of |later than )Jun 29, 2026", "", text))
    assert all(re.search(MARKS[other], text) for other in kept)
    assert report.record == build_report(plain()).record


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_a_page_without_any_field_still_closes_and_reads_well(locale: str) -> None:
    report = build_report(plain(), locale, config=allowed([], []))
    text = words_of(report)
    assert not re.search(
        "Zq|77.25|Because you bought|bought Jun|events in all|Jun 2[0-8]|日购买|因为您买过|次行为|日退货|6月2[0-8]日",
        text,
    )
    for item in report.items:
        assert item.facts == ()
        rows = [row for row in item.ledger.rows if row.kind != "total"]
        assert sum(row.points for row in rows) == item.ledger.rows[-1].points
        assert sum(row.share or 0 for row in rows) == 100
        assert [row.detail for row in rows if row.kind == "reason"] == ["", ""]
        assert all(row.detail in ("counts against", "起反作用") for row in rows if row.kind == "against")
    assert not any(
        re.search(r"\s[:.,]|^[ –]|: \.|：。", line)
        for item in report.items
        for line in (item.sentence, *item.notices, *item.notes)
    )


def test_a_field_off_the_record_is_none_there_and_still_on_the_page() -> None:
    full, bare = build_report(plain()), build_report(plain(), config=allowed(record=[]))
    pages = [report.to_dict()["page"] | {"footer": None} for report in (bare, full)]
    assert pages[0] == pages[1]
    for one, two in zip(full.record["recommendations"], bare.record["recommendations"], strict=True):
        assert two.keys() == one.keys()  # the form stays
        assert (two["item_id"], two["title"], two["support"]) == (None, None, None)
        assert abs(two["base"] + sum(r["contribution"] for r in two["reasons"]) - two["score"]) <= 1e-9
        for reason, other in zip(one["reasons"], two["reasons"], strict=True):
            gone = {key for key in reason if reason[key] != other[key]}
            assert gone == {"history_item_id", "title", "date", "event_type", "events", "support"} - {
                k for k in reason if reason[k] is None
            }
    for field, keys in {"title": {"title"}, "date": {"date"}}.items():
        rest = [name for name in ("item_id", "title", "date", "event", "support") if name != field]
        found = build_report(plain(), config=allowed(record=rest)).record["recommendations"][0]["reasons"][0]
        assert {key for key, value in found.items() if value is None} == keys


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'\[privacy.fields\] page: .*unknown key "brnd"; did you mean "brand"'):
        allowed(["brnd"])


def test_a_long_title_is_cut_at_a_word_and_whole_in_the_record() -> None:
    english, chinese = (
        "A very long title of a kettle that whistles in the morning",
        "日式铸铁平底锅带两个倒口适合电磁炉和明火使用",
    )
    why = craft([[[1.0, 0, 0, 0]]] * 2, picks=[english, chinese])
    report = build_report(why, config=Config.from_dict({"report": {"title_length": 20}}))
    assert [item.title for item in report.items] == ["A very long title…", chinese[:20] + "…"]
    assert [item["title"] for item in report.record["recommendations"]] == [english, chinese]


# -- what is folded is stronger -----------------------------------------------------------------------------------------


@given(seed=st.integers(0, 100_000), hidden=st.sets(st.integers(0, 5), max_size=6))
def test_nothing_named_is_called_the_strongest_where_what_is_folded_is(seed: int, hidden: set[int]) -> None:
    why = random_explanation(seed, k=3, j=6, hidden=sorted(hidden))
    report = build_report(why)
    assert "strongest are" not in report.lead or not why.past.hidden[np.argmax(why.attention.sum(axis=2).sum(axis=0))]
    overview = next((section for section in report.sections if section.id == "overview"), None)
    if overview is not None and hidden:
        shares = make_figures(why).shares
        _, j = np.unravel_index(np.argmax(shares), shares.shape)
        assert ("we do not show" in overview.heatmaps[0].caption) == bool(why.past.hidden[j])
    for item in report.items:
        rows = [row for row in item.ledger.rows if row.kind != "total"]
        assert sum(row.points for row in rows) == item.ledger.rows[-1].points
        assert sum(row.share or 0 for row in rows) in (0, 100)
        for j in hidden:
            assert f"Past {chr(65 + j)}" not in item.sentence + " ".join(item.notes) + report.lead


def test_few_shoppers_are_no_number() -> None:
    """Under the floor (5) how many took a product says something of single people."""
    for takers, told in ((0, 0), (1, None), (4, None), (5, 5)):
        report = build_report(craft(np.zeros((1, 0, 4)), popularity=takers))
        assert report.record["recommendations"][0]["support"] == told
        assert not re.search(r"\b[1-4] shoppers? took", report.items[0].sentence)


def test_hidden_names_never_reach_what_makes_the_sentences() -> None:
    why = folded()
    told = tellable(why)
    assert told.past.title[why.past.hidden].tolist() == ["", ""]
    assert told.past.item_id[why.past.hidden].tolist() == ["", ""]
    assert not told.past.date[why.past.hidden].any()
    assert why.past.title[0] == SECRETS[0]  # the explanation itself is not written to
    assert np.array_equal(told.attention, why.attention)
    open_one = random_explanation(5)
    assert tellable(open_one) is open_one


def test_the_policy_in_the_documents_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    found = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert found
    raw = tomllib.loads(found[1])
    policy = Config.from_dict(raw).privacy
    assert (policy.support_floor, policy.show_name, policy.rules.source) == (10, False, ("gift",))
    explained = page.partition("## Line by line")[2].partition("## Before")[0]
    keys = [
        key
        for table in (raw["privacy"], raw["privacy"]["rules"], raw["privacy"]["fields"], raw["report"])
        for key in table
    ]
    assert [key for key in keys if key not in ("rules", "fields") and f"{key}`" not in explained] == []
    everything = Config().privacy
    assert all(f"`{field}`" in explained for field in (*everything.fields.page, *everything.fields.record))


def test_the_example_of_the_documents_is_what_a_page_says() -> None:
    titles, why = ["Kettle", "Prayer Book", "Coffee"], [[[0.3, 0, 0, 0], [0, 0, 0.5, 0], [0.2, 0, 0, 0]]]
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    shown, hidden = (build_report(craft(why, titles=titles, hidden=mask)).items[0] for mask in ([], [1]))
    assert "Because you bought Prayer Book (50%)" in page
    assert _plain(shown.sentence).startswith("Because you bought Prayer Book (50%)")
    assert _plain(hidden.sentence).startswith("Because you bought Kettle (30%)")
    told = "50% of what speaks for it comes from items that we do not show here."
    assert told in page
    assert told in hidden.notes
    assert [row.share for row in hidden.ledger.rows if row.cells] == [30, 20, 50, 100]


def _plain(text: str) -> str:
    return text.replace(ISOLATE, "").replace(END_ISOLATE, "")
