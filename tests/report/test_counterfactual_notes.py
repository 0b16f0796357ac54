"""Counterfactuals on the page and in the record: known sentences, said once, and never more than was found."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from crafted import craft

from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.report.build import build_report
from reportgen.report.html import render_html
from reportgen.report.record import iso, make_record, record_hash
from reportgen.report.words import END_ISOLATE, ISOLATE

PARTS = [[[0.5, 0.1, 0, 0], [0, 0.3, 0, 0], [0, 0.1, 0, 0]], [[0, 0.2, 0, 0], [0, 0.1, 0, 0], [0, 0, 0, 0]]]
A, AB = (0,), (0, 1)
PROVEN, BEST = "proven", "best found"
#: What was found, and the notes of the first of two products before the one about other shoppers.
CASES: dict[str, tuple[Counterfactual | None, list[str], str]] = {
    "the strongest alone": (
        Counterfactual(A, PROVEN, 1, 9, 5),
        ["Had Past A not counted, this would not be among these 2: its score would be 0.90 instead of 1.50."],
        "如果不计入“Past A”，它就不会出现在这 2 件商品中：它的得分将是 0.90，而不是 1.50。",
    ),
    "another alone": (
        Counterfactual((1,), PROVEN, 1, 3, 5),
        [
            "Had Past A not counted, the score would be 0.90 instead of 1.50.",
            "Had Past B not counted, this would not be among these 2.",
        ],
        "如果不计入“Past B”，它就不会出现在这 2 件商品中。",
    ),
    "two, proven": (
        Counterfactual(AB, PROVEN, 1, 3, 5),
        [
            "Had Past A not counted, the score would be 0.90 instead of 1.50.",
            "Had Past A and Past B not counted, this would not be among these 2. No smaller set does this.",
        ],
        "如果不计入“Past A”和“Past B”，它就不会出现在这 2 件商品中。更少的商品做不到这一点。",
    ),
    "two, best found": (
        Counterfactual(AB, BEST, 1, 3, 5),
        [
            "Had Past A not counted, the score would be 0.90 instead of 1.50.",
            "Had Past A and Past B not counted, this would not be among these 2.",
        ],
        "如果不计入“Past A”和“Past B”，它就不会出现在这 2 件商品中。",
    ),
    "none, proven": (
        Counterfactual((), PROVEN, 1, 1, 5),
        [
            "Had Past A not counted, the score would be 0.90 instead of 1.50.",
            "Leaving out up to 3 items of your history, whichever they are, would not take this off the list.",
        ],
        "无论从您的历史记录中去掉哪些商品，只要不超过 3 件，它都仍会留在列表中。",
    ),
    "none was found": (
        Counterfactual((), BEST, 1, 1, 5),
        [
            "Had Past A not counted, the score would be 0.90 instead of 1.50.",
            "We found no set of up to 3 items of your history without which this would leave the list.",
        ],
        "我们没有找到这样的组合：从您的历史记录中去掉不超过 3 件商品，它就会离开列表。",
    ),
    "not confirmed": (None, ["Had Past A not counted, the score would be 0.90 instead of 1.50."], "而不是 1.50。"),
}


def plain(text: str) -> str:
    return text.replace(ISOLATE, "").replace(END_ISOLATE, "")


def with_found(found: Counterfactual | None, **more: object) -> Explanation:
    why = craft(PARTS, base=[0.5, 0.5], **more)  # type: ignore[arg-type]
    return replace(why, counterfactuals=(found, None))


@pytest.mark.parametrize("case", CASES)
def test_the_notes_say_what_was_found(case: str) -> None:
    found, wanted, chinese = CASES[case]
    item = build_report(with_found(found)).items[0]
    assert [plain(note) for note in item.notes[:-1]] == wanted
    assert "shoppers took both" in item.notes[-1]
    notes = [plain(note) for note in build_report(with_found(found), locale="zh-CN").items[0].notes]
    assert len(notes) == len(wanted) + 1
    assert chinese in notes[-2]


@pytest.mark.parametrize("minimal", [PROVEN, BEST])
def test_no_more_items_are_spoken_of_than_there_are(minimal: str) -> None:
    for j, wanted in ((1, "item of your history"), (3, "up to 3 items"), (6, "up to 5 items")):
        why = replace(craft([[[0, 0.2, 0, 0]] * j]), counterfactuals=(Counterfactual((), minimal, 1, 1, 5),))
        assert wanted in build_report(why).items[0].notes[1]


def test_without_counterfactuals_the_notes_are_as_before() -> None:
    bare = replace(with_found(None), counterfactuals=())
    assert build_report(bare).items[0].notes == build_report(with_found(None)).items[0].notes


def test_a_list_of_one_is_not_called_these() -> None:
    why = replace(craft(PARTS[:1]), counterfactuals=(Counterfactual(AB, PROVEN, 1, 2, 5),))
    assert plain(build_report(why).items[0].notes[1]) == (
        "Had Past A and Past B not counted, this would not be on the list. No smaller set does this."
    )


@pytest.mark.parametrize("found", [None, *(case[0] for case in CASES.values())])
def test_no_item_is_said_to_decide_nothing(found: Counterfactual | None) -> None:
    """Five like items: that the strongest has less than a quarter does not show that none of them decides."""
    parts = [[[0, 0.24, 0, 0], *[[0, 0.19, 0, 0]] * 4]]
    notes = " ".join(build_report(replace(craft(parts), counterfactuals=(found,))).items[0].notes)
    assert "No single item decides" not in notes
    assert ("No smaller set" in notes) == (found is not None and found.minimal == PROVEN and len(found.items) > 1)


def test_an_item_without_a_named_reason_has_no_note() -> None:
    why = replace(craft([[[0, 0.4, 0, 0]]], hidden=[0]), counterfactuals=(Counterfactual((), BEST, 1, 1, 5),))
    assert build_report(why).items[0].notes == ()


@pytest.mark.parametrize("case", CASES)
def test_the_record_holds_what_was_found(case: str) -> None:
    found = CASES[case][0]
    why = with_found(found)
    record = json.loads(json.dumps(make_record(why, "abcd"), allow_nan=False))
    told = record["recommendations"][0]["counterfactual"]
    assert record["recommendations"][1]["counterfactual"] is None
    assert record_hash(record) == record_hash(make_record(why, "abcd"))
    if found is None:
        assert told is None
        return
    assert told["events"] == [
        {"history_item_id": f"hist-{j}", "title": f"Past {'ABC'[j]}", "date": iso(int(why.past.date[j]))}
        for j in found.items
    ]
    assert (told["minimal"], told["rank_before"], told["rank_after"]) == (
        found.minimal,
        found.rank_before,
        found.rank_after,
    )
    assert told.get("none_up_to") == (None if found.items else 5)


def test_a_record_of_another_answer_has_another_hash() -> None:
    hashes = {record_hash(make_record(with_found(found), "abcd")) for found, _, _ in CASES.values()}
    assert len(hashes) == len(CASES)


def test_titles_in_a_counterfactual_are_text(fitted: list[Explanation]) -> None:
    why = with_found(Counterfactual(AB, PROVEN, 1, 3, 5), titles=["<b>x</b>", "</p><script>", "c"])
    html = render_html(build_report(why))
    assert "<script>" not in html
    assert "<bdi>&lt;b&gt;x&lt;/b&gt;</bdi> and <bdi>&lt;/p&gt;&lt;script&gt;</bdi> not counted" in html
    assert any(found is not None for one in fitted for found in one.counterfactuals)
