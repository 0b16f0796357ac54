"""The record as text: what a plain writer would write, and what a stranger can check with the standard library."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crafted import craft, random_explanation, usual
from hypothesis import example, given
from hypothesis import strategies as st

from reportgen.config import Config
from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.report.build import Reader, build_report, build_reports
from reportgen.report.html import render_html
from reportgen.report.record import MAX_REASONS, canonical, iso, make_record, record_hash, texts_of, write_record

FINITE = st.floats(allow_nan=False, allow_infinity=False)
FOUND = (Counterfactual((0, 1), "proven", 1, 7, 5), Counterfactual((), "best found", 2, 2, 3), None)


def plain(why: Explanation, key: str) -> str:
    """The record written in the plainest way: number by number into dictionaries, and those by the standard library."""
    told = {
        "schema": "reportgen.record/1", "user": key, "as_of": iso(why.as_of), "model": why.model.model_id,
        "heads": list(why.model.heads),
        "usage": {name: getattr(why.usage, name) for name in ("events", "used", "capped", "excluded", "after")},
        "recommendations": [plain_item(why, k) for k in range(len(why.scores))],
    }  # fmt: skip
    return json.dumps(told, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def plain_item(why: Explanation, k: int) -> dict[str, Any]:
    heads, parts, past = why.model.heads, why.contributions[k], why.past
    amount = [float(why.net[k, j]) for j in range(past.hidden.size)]
    named = [j for j in range(len(amount)) if parts[j].any() and not past.hidden[j]]
    named.sort(key=lambda j: -abs(amount[j]))
    hidden = [j for j in range(len(amount)) if parts[j].any() and past.hidden[j]]

    def by_head(row: np.ndarray) -> dict[str, float]:
        return {name: float(value) for name, value in zip(heads, row, strict=True) if value != 0}

    reasons: list[dict[str, Any]] = [
        {
            "history_item_id": past.item_id[j], "title": past.title[j], "date": iso(past.date[j]),
            "event_type": past.event_type[j], "events": int(past.n_events[j]), "support": int(why.support[k, j]),
            "contribution": amount[j], "attention_weight": float(why.attention[k, j].sum()), "by_head": by_head(parts[j]),
        }
        for j in named[:MAX_REASONS]
    ]  # fmt: skip
    for label, group in (("others", named[MAX_REASONS:]), ("folded", hidden)):
        if group:
            reasons.append({
                "history_item_id": None, "title": None, "date": None, label: len(group),
                "contribution": float(why.net[k, group].sum()), "attention_weight": float(why.attention[k, group].sum()),
                "by_head": by_head(parts[group].sum(axis=0)),
            })  # fmt: skip
    found = why.counterfactuals[k] if why.counterfactuals else None
    changed = None
    if found:
        events = [
            {"history_item_id": past.item_id[j], "title": past.title[j], "date": iso(past.date[j])} for j in found.items
        ]
        changed = {
            "events": events,
            "minimal": found.minimal,
            "rank_before": found.rank_before,
            "rank_after": found.rank_after,
        }
        changed |= {} if events else {"none_up_to": found.none_up_to}
    takers = int(why.picks.popularity[k])
    return {
        "rank": k + 1, "item_id": why.picks.item_id[k], "title": why.picks.title[k], "score": float(why.scores[k]),
        "base": float(why.base[k]), "reasons": reasons, "counterfactual": changed,
        "heads": {name: float(value) for name, value in zip(heads, parts.sum(axis=0), strict=True)},
        "support": None if 0 < takers < why.model.min_support else takers,
    }  # fmt: skip


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 40), st.integers(0, 3), st.integers(-9, 15))
def test_the_text_is_what_a_plain_writer_writes(seed: int, k: int, j: int, folded: int, power: int) -> None:
    why = random_explanation(seed, k, j, hidden=range(min(folded, j)))
    scale = 2.0 ** (3 * power)  # exact, so that sums still close
    if scale < 1e3:
        why = craft(why.contributions * scale, base=(why.base * scale).tolist(), hidden=range(min(folded, j)))
    assert write_record(why, "key") == plain(why, "key")


@pytest.mark.parametrize(
    "text", ["", "%s", "%%(x)d", '"\\/', "\x00\n\u2028", "\u2068x\u2069", "收纳盒", '","recommendations":[{']
)
def test_foreign_text_is_only_text(text: str) -> None:
    why = craft([[[1.0, 0, 0.5, 0], [0, 0.2, 0, 0]]] * 3, titles=[text, text], picks=[text] * 3, kinds=text)
    why = replace(why, counterfactuals=FOUND)
    assert write_record(why, text) == plain(why, text)
    report = build_report(why, reader=Reader(text))
    assert json.loads(report.to_json()).keys() == {*report.record, "page"}


def test_fitted_users_too(fitted: list[Explanation]) -> None:
    for why in fitted:
        assert write_record(why, "key") == plain(why, "key")


@given(st.lists(FINITE, max_size=60))
@example(
    [0.0, -0.0, 1e-4, 9.999999999999999e-05, 1e-5, -1e-5, 1e15, 1e16, -1e16, 5e-324, 1.7976931348623157e308, 10.00001]
)
def test_numbers_are_written_as_the_standard_library_writes_them(numbers: list[float]) -> None:
    assert texts_of(numbers) == [repr(number) for number in numbers]


@given(st.lists(st.floats(1e-7, 1e-2) | st.floats(1e14, 1e18), min_size=1, max_size=60))
def test_also_where_their_form_changes(numbers: list[float]) -> None:
    assert texts_of(numbers) == [repr(number) for number in numbers]


def test_a_number_that_is_none_is_refused() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical({"x": value})


def test_a_stranger_can_check_the_hash_on_the_page() -> None:
    report = usual()
    saved, page = report.to_json().encode("utf-8"), render_html(report)
    # from here on the standard library alone
    told = json.loads(saved.decode("utf-8"))
    told.pop("page")
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert f"Record {digest[:16]}" in page
    for item in told["recommendations"]:
        assert abs(item["base"] + sum(reason["contribution"] for reason in item["reasons"]) - item["score"]) <= 1e-9
    assert digest == record_hash(report.record_json) == record_hash(make_record_of(report.record))
    told["recommendations"][0]["score"] += 1e-9
    assert hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest() != digest


def make_record_of(record: dict[str, Any]) -> dict[str, Any]:
    """The same data with its keys in another order."""
    return dict(reversed(record.items()))


@example("\ud800")  # half a character
@given(st.text())
def test_the_page_is_written_as_the_standard_library_writes_it(text: str) -> None:
    report = replace(usual(), lead=text)
    page = json.loads(report.to_json())["page"]
    told = json.dumps(page, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert f',"page":{told},"recommendations":' in report.to_json()
    assert page["lead"] == text
    assert [row["kind"] for row in page["items"][0]["ledger"]["rows"]] == [
        row.kind for row in report.items[0].ledger.rows
    ]


@example('a","recommendations":[')
@given(st.text())
def test_a_file_holds_the_text_in_utf8_with_a_line_end(text: str) -> None:
    report = replace(usual(), lead=text)
    assert report.to_bytes() == f"{report.to_json()}\n".encode()


def test_half_a_character_is_refused_in_a_file() -> None:
    with pytest.raises(UnicodeEncodeError):
        replace(usual(), lead="\ud800").to_bytes()


def test_a_record_as_data_is_its_text_read_back() -> None:
    why = random_explanation(3, k=4, j=60, hidden=[5])
    assert canonical(make_record(why, "key")) == write_record(why, "key")


def test_a_withheld_field_is_null_in_the_text_that_is_hashed() -> None:
    config = Config.from_dict({"privacy": {"fields": {"record": ["item_id"]}}})
    report = build_report(random_explanation(1), config=config)
    assert report.record["recommendations"][0]["reasons"][0]["title"] is None
    assert any(record_hash(report.record_json)[:16] in line for line in report.footer)
    assert canonical(report.record) == report.record_json


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 5), st.integers(0, 30), st.booleans()), max_size=6))
def test_a_report_does_not_depend_on_the_company(users: list[tuple[int, int, int, bool]]) -> None:
    whys = [
        random_explanation(seed, k, j, hidden=[0] if folded and j else []) if j else craft(np.zeros((k, 0, 4)))
        for seed, k, j, folded in users
    ]
    assert list(build_reports(whys)) == [build_report(why) for why in whys]
