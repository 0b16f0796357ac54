"""Pages about another model: attention is never called a reason, sums stand only where they were checked, and what is not
measured is said to be so."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crafted import craft, random_explanation
from foreign_pages import ATTENTION, CONTRIBUTION, foreign
from jsonschema import Draft202012Validator

from reportgen.config import Config
from reportgen.errors import RenderError
from reportgen.explain.surrogate import Agreement, Surrogate
from reportgen.report.build import Reader, tell
from reportgen.report.displays import AttentionDisplay, HeatmapDisplay
from reportgen.report.document import Report, Weighing, json_schema
from reportgen.report.foreign import build_foreign_report
from reportgen.report.frame import frame_of
from reportgen.report.html import render_html
from reportgen.report.notebook import show_foreign
from reportgen.report.pdf import render_pdf
from reportgen.report.record import record_hash
from reportgen.report.surrogate import build_surrogate_report, given_words
from reportgen.report.words import words

SCHEMA = Draft202012Validator(json_schema("foreign"))
#: What a page of attention must not say. "not what decided" may stand there, and "no parts of the score".
_CLAIMS = re.compile(r"\b(because|adds?|contribut\w+|speaks? for|counts? for|reasons?|due to|caused?)\b", re.IGNORECASE)
_CLAIMS_ZH = re.compile("因为|增加|贡献|支持|理由|依据|导致")


def text(report: Report) -> str:
    page = re.sub(r"<style.*?</style>|<title>.*?</title>", " ", render_html(report), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


CONFIGS = (Config(), Config.from_dict({"privacy": {"fields": {"page": [], "record": []}}}))


@pytest.mark.parametrize("name", [*ATTENTION, *CONTRIBUTION])
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_every_page_keeps_to_its_schema_and_names_nothing_hidden(name: str, locale: str) -> None:
    why = (ATTENTION | CONTRIBUTION)[name]()
    for config in CONFIGS:
        report = build_foreign_report(why, locale, config=config, reader=Reader("key", "Ann"))
        told = json.loads(report.to_json())
        assert [error.message for error in SCHEMA.iter_errors(told)] == []
        del told["page"]
        assert record_hash(told)[:16] in " ".join(report.footer)
        page = render_html(report)
        assert why.user_id not in page + report.to_json()
        assert "<script" not in page
        for j in np.flatnonzero(why.past.hidden):
            assert why.past.title[j] not in page + report.to_json()


@pytest.mark.parametrize("name", ATTENTION)
def test_a_page_of_attention_claims_no_reason(name: str) -> None:
    why = ATTENTION[name]()
    said = text(build_foreign_report(why)).replace("Effects of single items do not add up to the score", "")
    assert _CLAIMS.findall(said) == []
    chinese = text(build_foreign_report(why, "zh-CN"))
    for meant_otherwise in (
        "依据您在",
        "依据 SASRec 7 的权重制作",
    ):  # from when to when, and what the page was made from
        chinese = chinese.replace(meant_otherwise, "")
    assert _CLAIMS_ZH.findall(chinese) == []


def objects(told: object) -> Iterator[dict[str, Any]]:
    if isinstance(told, dict):
        yield told
        for value in told.values():
            yield from objects(value)
    elif isinstance(told, list):
        for value in told:
            yield from objects(value)


@pytest.mark.parametrize("name", ["foreign", "surrogate"])
def test_the_schemas_are_closed_and_described(name: str) -> None:
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    closed = [part for part in objects(schema) if "object" in part.get("type", ()) and "properties" in part]
    assert len(closed) >= 12
    for part in closed:
        assert part["additionalProperties"] is False
        assert set(part["required"]) == set(part["properties"])  # no key comes and goes
        for field in part["properties"].values():
            assert "description" in field or "$ref" in field


def test_the_claims_would_be_found() -> None:
    """Negative control: the same words on a page of contributions, and on one of ours."""
    assert _CLAIMS.search(text(build_foreign_report(CONTRIBUTION["sums"]())))
    assert _CLAIMS_ZH.search(text(build_foreign_report(CONTRIBUTION["sums"](), "zh-CN")))


def test_what_is_not_measured_is_said_to_be_so() -> None:
    plain, measured = (text(build_foreign_report(ATTENTION[name]())) for name in ("plain", "measured"))
    assert "has not been measured" in plain
    assert "has not been measured" not in measured
    assert "Effect" not in plain


def test_sentences_by_hand() -> None:
    def sentence(name: str) -> str:
        item = build_foreign_report((ATTENTION | CONTRIBUTION)[name]()).items[0]
        return re.sub("[\u2068\u2069]", "", " ".join((item.sentence, *item.notes)))

    assert sentence("plain") == "The model looked at Past A with a share of 50%, and at Past B with 30%."
    assert sentence("even") == "The model looked at 4 items of your history alike, each with a share of 25%."
    assert sentence("elsewhere") == "The model did not look at any item of your history that we show here."
    assert sentence("not one").endswith("sum to 0.800 and not to 1; the shares are parts of that sum.")
    assert "sum to" not in sentence("max")
    assert sentence("folded").startswith(
        "The model looked at Past B with a share of 20%"
    ) or "we show here" in sentence("folded")
    assert sentence("measured") == (
        "The model's score would lose most without Past C: 0.90. Its attention lay most on Past A (50%). "
        "Here attention and effect put the items of your history in different orders: the effect is the one to go by."
    )
    assert sentence("measured in part").startswith("Of the items that were measured and may be shown")
    assert sentence("no effect").startswith("Taking away any single item that we show here does not lower")
    assert sentence("sums").endswith("Checked: base and contributions add up to the model's score.")
    assert sentence("differs").endswith("do not add up to the model's score; 0.25 is not accounted for.")
    assert sentence("no score").endswith("could not be checked, since the model's table has no score.")


def test_rows_go_by_effect_and_attention_comes_second() -> None:
    table = build_foreign_report(ATTENTION["measured"]()).items[0].ledger
    assert isinstance(table, Weighing)
    assert [(row.label, row.share, row.points) for row in table.rows] == [
        ("Past C", 20, 90), ("Past B", 30, 20), ("Past A", 50, 10),
    ]  # fmt: skip
    assert not any(row.kind == "total" for row in table.rows)


@pytest.mark.parametrize("name", CONTRIBUTION)
def test_printed_contributions_close_to_the_score_where_there_is_one(name: str) -> None:
    why = CONTRIBUTION[name]()
    table = build_foreign_report(why).items[0].ledger
    total = [row.points for row in table.rows if row.kind == "total"]
    assert bool(total) == (not np.isnan(why.scores[0]))
    if total:
        assert sum(row.points or 0 for row in table.rows if row.kind != "total") == total[0]
        assert any(row.kind == "gap" for row in table.rows) == (not why.sums[0])


@pytest.mark.parametrize("name", ATTENTION)
def test_shares_of_a_product_sum_to_100(name: str) -> None:
    why = ATTENTION[name]()
    for item in build_foreign_report(why).items:
        assert sum(row.share or 0 for row in item.ledger.rows) in ((0,) if name == "nothing" else (100,))


def test_the_feature_map_is_weights_times_features() -> None:
    why = foreign([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], markers=0.0)
    found = next(s for s in build_foreign_report(why).sections if s.id == "overview").heatmaps[1]
    assert found.columns == ("x", "y", "z", "Others")
    assert found.values == ((50, 30, 20, 0), (10, 80, 10, 0))
    table = build_foreign_report(why).items[0].ledger
    assert [row.cells for row in table.rows] == [(50,), (0,), (0,)]  # only the first is of the product's category


def test_a_table_split_by_feature_is_shown_by_feature() -> None:
    table = build_foreign_report(ATTENTION["split"]()).items[0].ledger
    assert table.columns == ("colour", "size")
    assert [row.cells for row in table.rows] == [(60, 0), (10, 30)]


@pytest.mark.parametrize("name", ["plain", "measured", "no history"])
def test_paper_and_notebook(name: str, pdf_log: list[str]) -> None:
    why = ATTENTION[name]()
    assert render_pdf(build_foreign_report(why)).startswith(b"%PDF")
    assert pdf_log == []
    assert "srcdoc" in show_foreign(why)
    assert why.user_id not in repr(why)


def test_what_would_say_more_is_refused() -> None:
    """Figures are worded for our own reasons; a mail is not, see `test_mail_foreign`."""
    report = build_foreign_report(ATTENTION["plain"]())
    for display in (AttentionDisplay, HeatmapDisplay):
        with pytest.raises(RenderError, match="another model's weights do not say that"):
            display.from_report(report, 0)


def test_the_same_bytes_again() -> None:
    pages = {render_html(build_foreign_report(ATTENTION["long"]())) for _ in range(2)}
    assert len(pages) == 1


# -- surrogates

AGREE = Agreement("Engine 3", 12, 0.8, 0.9, 0.75)


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("agreement", [AGREE, replace(AGREE, tau=0.1), Agreement("", 1, np.nan, np.nan, 0.0)])
def test_a_surrogate_says_so_in_words_and_record(agreement: Agreement, locale: str) -> None:
    whys = [random_explanation(1), craft(np.zeros((2, 0, 4))), craft([[[0, -0.2, 0, 0]]], popularity=2)]
    for why in whys:
        report = build_surrogate_report(Surrogate(why, agreement), locale)
        told = json.loads(report.to_json())
        assert [error.message for error in Draft202012Validator(json_schema("surrogate")).iter_errors(told)] == []
        assert told["surrogate"]["in_top"] == agreement.in_top
        del told["page"]
        assert record_hash(told)[:16] in " ".join(report.footer)
        said = text(report)
        assert not re.search(r"Because|因为您|It is listed|They are listed|列出它们", said)
        assert ("care" in said or "谨慎" in said) == (agreement.tau < 0.5)
    said = text(build_surrogate_report(Surrogate(whys[0], AGREE), "en"))
    assert "made by another system, Engine 3 , whose reasons we do not know" in said
    assert "has 75% of the list among its own first 50" in said


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("source", ["Engine 3", ""])
@pytest.mark.parametrize(
    "agreement", [AGREE, replace(AGREE, tau=0.1), replace(AGREE, tau=np.nan), replace(AGREE, in_top=np.nan)]
)
def test_the_lead_of_a_surrogate_is_one_sentence_and_the_rest_stands_below(
    agreement: Agreement, source: str, locale: str
) -> None:
    end, before = ("。", 60) if locale == "zh-CN" else (".", 160)
    for why in (random_explanation(1), craft(np.zeros((2, 0, 4)))):
        report = build_surrogate_report(Surrogate(why, replace(agreement, source=source)), locale)
        assert report.lead.count(end) == 1
        assert report.lead.endswith(end)
        assert len(report.lead) <= before
        assert (source in report.lead) if source else ("{" not in report.lead)
        part = report.sections[0]
        assert part.id == "given"
        ours = tell(why, frame_of(given_words(words(locale)), Config(), None), "", Reader(), False)
        overview = next((section for section in report.sections if section.id == "overview"), part)
        assert ours.lead in overview.paragraphs  # what our own page would say first is not lost
        numbers = "".join(part.paragraphs)
        assert ("75%" in numbers) == bool(agreement.in_top == 0.75)
        assert ("0.80" in numbers) == (agreement.tau == 0.8 and agreement.in_top == 0.75)
        assert [section.id for section in report.sections][1:] == [section.id for section in ours.sections]
