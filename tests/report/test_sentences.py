"""Sentences: each branch with a known answer, and nothing that the numbers do not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crafted import AS_OF, craft, random_explanation

from reportgen.config import Config
from reportgen.explain.explanation import Explanation
from reportgen.report.build import Reader, build_report
from reportgen.report.columns import make_figures
from reportgen.report.document import Report
from reportgen.report.html import render_html
from reportgen.report.words import END_ISOLATE, ISOLATE, message_keys

# columns: together, category, brand, price
T, C, B, P = ([1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0])


def times(row: list[float], factor: float) -> list[float]:
    return [value * factor for value in row]


def plain(text: str) -> str:
    return text.replace(ISOLATE, "").replace(END_ISOLATE, "")


def tell(why: Explanation, **more: Any) -> Report:
    return build_report(why, **more)


TWO_KINDS = "Because you {} Past A (60%) and Past B (40%){}: shoppers who took one of them also took this one."
SILENT = "Nothing in your history speaks for it. "
SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "one reason": ({"parts": [[T]]}, "Because you bought Past A (100%): shoppers who took it also took this one."),
    "one reason, category": (
        {"parts": [[C]]},
        "Because you bought Past A (100%): it is in the same category as this one.",
    ),
    "one reason, brand": ({"parts": [[B]]}, "Because you bought Past A (100%): it is of the same brand as this one."),
    "one reason, price": ({"parts": [[P]]}, "Because you bought Past A (100%): its price is in a similar range."),
    "one reason, next": (
        {"parts": [[[1.0]]], "heads": ("next",)},
        "Because you bought Past A (100%): shoppers who took it went on to take this one.",
    ),
    "one reason, via": (
        {"parts": [[[1.0]]], "heads": ("via",)},
        "Because you bought Past A (100%): shoppers who took it also took products like this one.",
    ),
    "two, same head": ({"parts": [[times(T, 0.6), times(T, 0.4)]]}, TWO_KINDS.format("bought", "")),
    "two, same content": (
        {"parts": [[times(B, 0.6), times(B, 0.4)]]},
        "Because you bought Past A (60%) and Past B (40%): they are of the same brand as this one.",
    ),
    "two, different heads": (
        {"parts": [[times(T, 0.6), times(C, 0.4)]]},
        "Because you bought Past A (60%): shoppers who took it also took this one. "
        "Because you bought Past B (40%): it is in the same category as this one.",
    ),
    "second below a tenth": (
        {"parts": [[times(T, 0.91), times(T, 0.09)]]},
        "Because you bought Past A (91%): shoppers who took it also took this one.",
    ),
    "the order is by strength": (
        {"parts": [[times(C, 0.2), times(T, 0.8)]]},
        "Because you bought Past B (80%): shoppers who took it also took this one. "
        "Because you bought Past A (20%): it is in the same category as this one.",
    ),
    "a tie": (  # the newest two, and no claim that they are the strongest
        {"parts": [[times(C, 0.25)] * 4]},
        "Because you bought Past A (25%) and Past B (25%): they are in the same category as this one.",
    ),
    "view": ({"parts": [[times(T, 0.6), times(T, 0.4)]], "kinds": "view"}, TWO_KINDS.format("looked at", "")),
    "cart": ({"parts": [[times(T, 0.6), times(T, 0.4)]], "kinds": "cart"}, TWO_KINDS.format("put", " in your basket")),
    "rating": ({"parts": [[times(T, 0.6), times(T, 0.4)]], "kinds": "rating"}, TWO_KINDS.format("rated", "")),
    "mixed": (
        {"parts": [[times(T, 0.6), times(T, 0.4)]], "kinds": ["purchase", "view"]},
        "Because of Past A (60%) and Past B (40%) in your history: shoppers who took one of them also took this one.",
    ),
    "own event type": (
        {"parts": [[C]], "kinds": "wishlist"},
        "Because of Past A (100%) in your history: it is in the same category as this one.",
    ),
    "an event type with the name of a table": (
        {"parts": [[C]], "kinds": "again"},
        "Because of Past A (100%) in your history: it is in the same category as this one.",
    ),
    "return counts for it": (  # a return whose value is still positive for this product: no "bought"
        {"parts": [[C]], "kinds": "return"},
        "Because of Past A (100%) in your history: it is in the same category as this one.",
    ),
    "own feature": (  # of any kind: equal, near or with words in common
        {"parts": [[[0, 1.0]]], "heads": ("together", "shape_of_leg")},
        "Because you bought Past A (100%): it is like this one in shape_of_leg.",
    ),
    "folded only": (
        {"parts": [[B]], "hidden": [0]},
        "Because of items in your history that we do not show here.",
    ),
    "folded only, by others": (
        {"parts": [[times(T, 0.6), times(T, 0.4)]], "hidden": [0, 1]},
        "Because of items in your history that we do not show here.",
    ),
    "folded is not named": (
        {"parts": [[times(B, 0.7), times(C, 0.3)]], "hidden": [0]},
        "Because you bought Past B (30%): it is in the same category as this one.",
    ),
    "popular": (
        {"parts": np.zeros((1, 0, 4)), "popularity": 1234},
        SILENT + "It is listed for its popularity: 1,234 shoppers took it.",
    ),
    "popular, at the floor": (
        {"parts": np.zeros((1, 0, 4)), "popularity": 5},
        SILENT + "It is listed for its popularity: 5 shoppers took it.",
    ),
    "popular, below the floor": (
        {"parts": np.zeros((1, 0, 4)), "popularity": 4},
        SILENT + "It is listed for its popularity, though only few shoppers took it.",
    ),
    "new item": (
        {"parts": np.zeros((1, 0, 4)), "popularity": 0, "base": [0.0]},
        "Nothing in your history speaks for it, and popularity adds nothing to its score. We have no reason to give.",
    ),
    "popularity has no weight": (  # many took it, and that is no part of its score
        {"parts": np.zeros((1, 0, 4)), "popularity": 900, "base": [0.0]},
        "Nothing in your history speaks for it, and popularity adds nothing to its score. We have no reason to give.",
    ),
    "a return cancels the purchase": (
        {"parts": [[[0.5, -0.5, 0, 0]]]},
        SILENT + "It is listed for its popularity: 40 shoppers took it.",
    ),
    "all counts against": (
        {"parts": [[times(B, -0.4)]], "kinds": "return"},
        SILENT + "It is listed for its popularity: 40 shoppers took it.",
    ),
    "one for, one against": (
        {"parts": [[times(T, 0.5), times(B, -0.4)]], "kinds": ["purchase", "return"]},
        "Because you bought Past A (100%): shoppers who took it also took this one.",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_the_sentence_of_a_product(case: str) -> None:
    given, wanted = SENTENCES[case]
    why = craft(**given)
    assert plain(tell(why).items[0].sentence) == wanted
    chinese = plain(tell(why, locale="zh-CN").items[0].sentence)
    assert chinese.endswith("。")
    assert any("\u4e00" <= sign <= "\u9fff" for sign in chinese)
    assert chinese.count("%") == wanted.count("%")


LEADS: dict[str, tuple[dict[str, Any], str]] = {
    "one item": (
        {"parts": [[times(T, 0.8), times(C, 0.2)]]},
        "80% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: what shoppers took together (80%).",
    ),
    "two items": (
        {"parts": [[times(C, 0.4), times(C, 0.35), times(C, 0.25)]]},
        "75% of what speaks for this list in your history comes from 2 items: Past A and Past B. "
        "What counts most: the same category (100%).",
    ),
    "the mean of a list": (
        {"parts": [[times(T, 1.0), times(B, 0)], [times(T, 0), times(B, 3.0)], [times(T, 2.0), times(B, 0)]]},
        "67% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: what shoppers took together (67%).",
    ),
    "kinds of evidence tie": (
        {"parts": [[times(T, 1.0), times(C, 0)], [times(T, 0), times(C, 3.0)]]},
        "50% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: what shoppers took together and the same category (50% each).",
    ),
    "items tie": (
        {"parts": [[times(B, 0.1)] * 10]},
        "What speaks for this list in your history is spread over 10 items. Among the strongest are Past A, Past B, "
        "and Past C, together 30%. What counts most: the same brand (100%).",
    ),
    "half of the list is silent": (
        {"parts": [[T], [times(T, 0)]]},
        "100% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: what shoppers took together (100%). "
        "Nothing in your history speaks for 1 of these products.",
    ),
    "popularity counts more": (
        {"parts": [[times(T, 0.1)]], "base": [5.0]},
        "100% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: what shoppers took together (100%). "
        "Popularity adds more to these scores than your history does.",
    ),
    "what counts against weighs more": (  # 1.2 for, 0.9 against: 0.3 is less than 0.5
        {"parts": [[times(T, 1.2), times(B, -0.9)]]},
        "100% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: what shoppers took together (100%). "
        "Popularity adds more to these scores than your history does.",
    ),
    "folded only": (
        {"parts": [[B]], "hidden": [0]},
        "All that speaks for this list in your history comes from items that we do not show here. "
        "What counts most: the same brand (100%).",
    ),
    "folded and named": (
        {"parts": [[times(B, 0.7), times(C, 0.3)]], "hidden": [0]},
        "30% of what speaks for this list in your history comes from 1 item: Past B. 70% comes from items that we do not show here. "
        "What counts most: the same brand (70%).",
    ),
    "own feature": (
        {"parts": [[[0, 1.0]]], "heads": ("together", "shape_of_leg")},
        "100% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: likeness in shape_of_leg (100%).",
    ),
    "cold user": (
        {"parts": np.zeros((2, 0, 4))},
        "We have no history of yours that we could use. This list rests on popularity alone; it is not about you.",
    ),
    "history without effect": (
        {"parts": [[[0.5, -0.5, 0, 0]]]},
        "Nothing in your history speaks for these products. They are listed for their popularity.",
    ),
    "history of only returns": (
        {"parts": [[times(B, -0.4)]], "kinds": "return"},
        "Nothing in your history speaks for these products, and some of it counts against them. "
        "They are listed for their popularity all the same.",
    ),
    "history of only ratings": (
        {"parts": [[times(C, 0.4)]], "kinds": "rating"},
        "100% of what speaks for this list in your history comes from 1 item: Past A. "
        "What counts most: the same category (100%). "
        "Popularity adds more to these scores than your history does.",
    ),
    "neither history nor popularity": (
        {"parts": np.zeros((2, 0, 4)), "base": [0.0, 0.0]},
        "Neither your history nor popularity speaks for these products. We have no reason to give.",
    ),
    "nothing to suggest": ({"parts": np.zeros((0, 2, 4))}, "There is nothing left that we could suggest to you."),
}


@pytest.mark.parametrize("case", LEADS)
def test_the_lead(case: str) -> None:
    given, wanted = LEADS[case]
    why = craft(**given)
    assert plain(tell(why).lead) == wanted
    assert plain(tell(why, locale="zh-CN").lead).endswith("。")
    assert "\u2068" not in render_html(tell(why))


def test_the_lead_and_a_single_ledger_say_the_same_figure() -> None:
    # exactly 55.6 and 3 x 14.8: whole numbers that add up to 100 are 55 and 3 x 15
    report = tell(craft([[times(T, 0.556), *[times(C, 0.148)] * 3]]))
    assert [row.share for row in report.items[0].ledger.rows[:4]] == [55, 15, 15, 15]
    assert plain(report.lead).startswith("55% of what speaks for this list in your history comes from 1 item: Past A.")
    assert "(55%)" in report.lead


def test_notes_say_what_would_be_without_the_strongest_reason() -> None:
    strong = tell(craft([[times(T, 0.6), times(C, 0.4)]], support=12)).items[0]
    assert [plain(note) for note in strong.notes] == [
        "Had Past A not counted, the score would be 0.90 instead of 1.50.",
        "12 shoppers took both this and Past A.",
    ]
    # A small share alone does not show that no single item decides: that takes a counterfactual.
    weak = tell(craft([[times(C, 0.24), *[times(C, 0.19)] * 4]])).items[0]
    assert [plain(note) for note in weak.notes] == [
        "Had Past A not counted, the score would be 1.26 instead of 1.50.",
        "The reasons from your history rest on what the products are, not on what other shoppers took.",
    ]


def test_other_shoppers_are_never_denied_where_they_counted() -> None:
    item = tell(craft([[[0.4, 0.6, 0, 0]]], support=9)).items[0]
    assert plain(item.sentence) == "Because you bought Past A (100%): it is in the same category as this one."
    assert "not on what other shoppers" not in " ".join(item.notes)
    assert any("9 shoppers took both" in note for note in item.notes)
    # they spoke only through an item that the sentence does not name
    item = tell(craft([[times(C, 0.7), times(C, 0.22), times(T, 0.08)]])).items[0]
    assert "not on what other shoppers" not in " ".join(item.notes)


def test_an_item_that_is_not_shown_may_decide_alone() -> None:
    notes = tell(craft([[times(B, 0.8), times(C, 0.2)]], hidden=[0])).items[0].notes
    assert [plain(note) for note in notes] == [
        "Had Past B not counted, the score would be 1.30 instead of 1.50.",
        "The reasons from your history rest on what the products are, not on what other shoppers took.",
        "80% of what speaks for it comes from items that we do not show here.",
    ]


def test_a_small_part_that_is_not_shown_is_left_to_the_table() -> None:
    report = tell(craft([[times(C, 0.91), times(B, 0.09)]], hidden=[1]))
    assert "do not show" not in report.lead + " ".join(report.items[0].notes)
    assert [row.share for row in report.items[0].ledger.rows if row.kind == "folded"] == [9]
    report = tell(craft([[times(C, 0.9), times(B, 0.1)]], hidden=[1]))  # control
    assert "10% comes from items that we do not show here." in report.lead
    assert "10% of what speaks for it comes from items that we do not show here." in report.items[0].notes


def test_what_counts_against_is_shown_with_its_points_and_never_as_a_reason() -> None:
    why = craft([[times(T, 0.5), times(B, -0.4)]], kinds=["purchase", "return"])
    item = tell(why).items[0]
    row = next(row for row in item.ledger.rows if row.kind == "against")
    assert (row.label, row.points, row.share) == ("Past B", -400, None)
    assert row.detail == "returned Jun 27, 2026 – counts against"
    assert "Past B" not in item.sentence
    assert item.notes[-1] == "1 item of your history counts against it and takes 0.400 off its score."
    chinese = tell(why, locale="zh-CN").items[0].notes[-1]
    assert chinese == "您的历史记录中有 1 件商品对它起反作用，使它的得分减少 0.400。"
    assert "against" not in " ".join(tell(craft([[T]])).items[0].notes)  # control


def test_a_score_below_zero_is_called_so() -> None:
    items = tell(craft([[times(B, -0.4), times(C, -0.3)], [T, times(T, 0)]], kinds="return")).items
    assert items[0].notes == (
        "2 items of your history count against it and take 0.70 off its score.",
        "Its score is below zero: more counts against it than for it.",
    )
    assert items[0].ledger.rows[-1].points == -20
    assert "below zero" not in " ".join(items[1].notes)


def owned(parts: Any, at: int = 0, **more: Any) -> Explanation:
    """The first product stands in the history, at a place."""
    why = craft(parts, **more)
    ids = why.picks.item_id.copy()
    ids[0] = why.past.item_id[at]
    return replace(why, picks=replace(why.picks, item_id=ids))


AGAIN = ("again", "category")
OWN: dict[str, tuple[str, str]] = {
    "purchase": ("you bought this product before", "您以前买过这件商品"),
    "view": ("you looked at this product before", "您以前浏览过这件商品"),
    "cart": ("you put this product in your basket before", "您以前把这件商品放入过购物车"),
    "rating": ("you rated this product before", "您以前评价过这件商品"),
    "wishlist": ("this product is in your history", "这件商品在您的历史记录中"),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_product_that_speaks_for_itself_is_called_the_same(kind: str) -> None:
    why = owned([[[0.6, 0], [0, 0.4]]], kinds=[kind, "purchase"], heads=AGAIN, support=7)
    item, chinese = tell(why).items[0], tell(why, locale="zh-CN").items[0]
    assert plain(item.sentence) == (
        f"Because {OWN[kind][0]} (60%): shoppers took it more than once. "
        "Because you bought Past B (40%): it is in the same category as this one."
    )
    assert chinese.sentence.startswith(f"因为{OWN[kind][1]}（60%）：有顾客不止一次选过它。因为您买过")
    assert "7 shoppers took this in more than one order." in item.notes
    assert "took both" not in " ".join(item.notes)


def test_a_product_in_the_history_is_said_to_be_there() -> None:
    parts = [[[0.6, 0], [0, 0.4]], [[0.6, 0], [0, 0.4]]]
    first, second = tell(owned(parts, 1, heads=AGAIN, kinds="view", times=[1, 3])).items
    assert first.notices == ("This product is in your history already: looked at Jun 27, 2026, 3 events in all.",)
    assert second.notices == ()
    assert tell(owned(parts, 1, heads=AGAIN, hidden=[1])).items[0].notices == ()  # not to be shown


def test_a_price_without_a_currency_is_called_a_price() -> None:
    for given, wanted in (({"price": 12.5}, "Price: 12.50"), ({"price": 12.5, "currency": "JPY"}, "¥12")):
        assert tell(craft([[T]], details=[given])).items[0].facts == (wanted,)


def test_an_operators_texts_are_set_apart() -> None:
    given = {"name": "متجر", "contact": "x@shop.test", "purpose": "הצעות", "address": "1 Road", "retention": "1 year"}
    report = tell(craft([[T]]), config=Config.from_dict({"operator": given}), reader=Reader("abcdef"))
    said = " ".join(line for section in report.sections for line in section.paragraphs)
    assert all(f"{ISOLATE}{text}{END_ISOLATE}" in said for text in given.values())
    assert report.meta[0] == f"For customer {ISOLATE}abcdef{END_ISOLATE}"


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("hidden", [(), (0, 3)])
def test_the_head_of_a_reason_is_its_largest(seed: int, hidden: tuple[int, ...]) -> None:
    why = random_explanation(seed, j=40 if seed % 2 else 6, hidden=hidden)
    figures = make_figures(why)
    ending = {
        "together": "also took this one", "category": "same category", "brand": "same brand", "price": "similar range",
    }  # fmt: skip
    report = tell(why)
    for k, item in enumerate(report.items):
        net = np.where(why.past.hidden, 0.0, why.net[k])
        j = int(np.argmax(net))
        if figures.shares[k, j] < 1:
            continue
        best = why.model.heads[int(np.argmax(why.attention[k, j]))]
        first = plain(item.sentence).split(": ")[1]
        assert ending[best] in first, (item.sentence, why.attention[k, j])
        assert f"{why.past.title[j]} ({figures.shares[k, j]}%)" in plain(item.sentence)
        for n in hidden:
            assert f"Past {chr(65 + n)} " not in plain(item.sentence)


def test_the_head_is_the_largest_also_where_rounding_makes_a_tie() -> None:
    # 2 % of 97:103 are two cells of 1; the larger is the second
    why = craft([[[0, 0, 0.0097, 0.0103], *[times(C, 0.014)] * 70]])
    assert make_figures(why).cells[0, 0].tolist() == [0, 1, 1]  # category, brand, price
    assert "its price is in a similar range" in tell(why).items[0].sentence


def test_nothing_is_invented_for_a_user_without_history() -> None:
    page = plain(render_html(tell(craft(np.zeros((3, 0, 4))))))
    for claim in ("Because", "counts most", "shoppers took both this", "Because you", "counts against", "Had "):
        assert claim not in page
    assert "No event of yours was used." in page
    assert "Without any history of yours" in page


def test_the_data_section_counts_what_was_left_out() -> None:
    why = craft([[T]], capped=3, excluded=1, after=2)
    lines = next(section for section in tell(why).sections if section.id == "data").paragraphs
    for wanted in (
        "1 event of yours was used.",
        "3 older events were left out: only the newest 200 count.",
        "2 events came after the time of this report (Jun 29, 2026) and were not used.",
        "1 event on a sensitive product was left out of the calculation.",
    ):
        assert wanted in lines
    assert AS_OF // 86_400_000_000 == 20_633


def test_the_shop_is_told_what_it_has_not_entered() -> None:
    choices = next(section for section in tell(craft([[T]])).sections if section.id == "choices")
    assert choices.paragraphs == (
        "The shop has not entered here: links for these choices, who is responsible, and a contact.",
    )
    full = {"name": "Shop Ltd", "contact": "x@shop.test", "links": {"object": "https://shop.test/no"}}
    config = Config.from_dict({"operator": full})
    choices = next(s for s in tell(craft([[T]]), config=config).sections if s.id == "choices")
    assert [plain(line) for line in choices.paragraphs] == ["Responsible: Shop Ltd", "Contact: x@shop.test"]
    assert [(link.label, link.url) for link in choices.links] == [("Object to this use", "https://shop.test/no")]


def test_paid_and_personal_prices_are_said() -> None:
    details = [{"sponsored": True, "price_personalised": True, "price": 12.5, "currency": "EUR", "brand": "Aro"}]
    item = tell(craft([[T]], details=details)).items[0]
    assert item.notices == (message_keys("en")["item.sponsored"], message_keys("en")["item.priced"])
    assert item.facts == ("Aro", "€12.50")
    assert tell(craft([[T]], details=[{"sponsored": False}])).items[0].notices == ()


def test_a_picture_of_the_most_important_is_true_where_the_most_important_is_hidden() -> None:
    """Neither the lead nor a caption may call a named item the strongest where a hidden one is stronger."""
    report = tell(craft([[times(B, 0.7), times(C, 0.3)]], hidden=[0]))
    assert "strongest" not in report.lead
    overview = next(section for section in report.sections if section.id == "overview")
    assert "70%, 1 item we do not show for" in overview.heatmaps[0].caption


@pytest.mark.parametrize("head", ["together", "next", "via", "again"])
def test_what_others_took_is_never_called_content_alone(head: str) -> None:
    """The page must not say that other shoppers played no part where any kind of their evidence speaks."""
    why = craft([[T]], heads=(head, "category", "brand", "price"))
    assert "not on what other shoppers" not in " ".join(tell(why).items[0].notes)
    content = craft([[C]], heads=(head, "category", "brand", "price"))
    assert "not on what other shoppers" in " ".join(tell(content).items[0].notes)  # control
