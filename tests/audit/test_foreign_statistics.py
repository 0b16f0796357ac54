"""What is counted of pages about another model: known answers, whole numbers, and never a word of reasons for attention."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from foreign_pages import ATTENTION, CONTRIBUTION, foreign

from reportgen.audit.exceptions import FOREIGN, exceptions
from reportgen.audit.fold import Fold
from reportgen.audit.fold_foreign import how_read, kind_of
from reportgen.audit.fold_frame import Frame
from reportgen.audit.fold_measures import Case
from reportgen.audit.probes import find
from reportgen.audit.probes_facts import Facts
from reportgen.audit.statistics import changes, summarise
from reportgen.explain.foreign import ForeignExplanation

FRAME = Frame("0123", "00" * 32, 3, 50, 5, "")


def folded(*whys: ForeignExplanation) -> Fold:
    fold = Fold(FRAME)
    fold.add([Case(why, chr(ord("a") + place) * 24, "en") for place, why in enumerate(whys)])
    return fold


def mean(fold: Fold, measure: str) -> float:
    n, total, _ = fold.sums["", "", measure]
    return total / n / 1e6


MANIFEST = {"users": {"reported": 1}, "problems": []}


def facts(fold: Fold) -> Facts:
    return Facts(MANIFEST, {}, summarise(fold) | fold.to_dict())


def test_attention_is_counted_as_shares_of_attention() -> None:
    fold = folded(foreign([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]))
    assert mean(fold, "strongest") == pytest.approx((0.5 + 0.8) / 2, abs=1e-6)
    spread = [math.exp(-sum(p * math.log(p) for p in row)) for row in ((0.5, 0.3, 0.2), (0.1, 0.8, 0.1))]
    assert mean(fold, "effective") == pytest.approx(sum(spread) / 2, abs=1e-6)
    assert (mean(fold, "weighted"), mean(fold, "whole"), mean(fold, "measured")) == (1, 1, 0)
    assert mean(fold, "same_category") == pytest.approx(
        (0.5 + 0.1) / 2, abs=1e-6
    )  # the first item is of the product's category
    assert kind_of(fold.counts) == "attention"
    found = summarise(fold)["foreign"]
    assert found["measured"]["products"] == 0
    assert found["measured"]["tau"] is None
    assert found["outside"] == {"items": 2, "people": summarise(fold)["foreign"]["outside"]["people"]}
    assert found["how"] == [{"heads": "", "layers": "", "n_heads": 1, "n_layers": 1, "aggregation": "", "people": 1}]


def test_what_lies_on_no_item_is_part_of_the_whole() -> None:
    fold = folded(foreign([[0.5, 0.2]], markers=0.3))
    assert mean(fold, "elsewhere") == pytest.approx(0.3, abs=1e-6)
    assert mean(fold, "strongest") == pytest.approx(0.5, abs=1e-6)
    assert sum(mean(fold, name) for _, _, name in fold.sums if name.startswith("age/")) == pytest.approx(0.7, abs=1e-5)
    alone = folded(foreign([[0.0, 0.0]], markers=1.0))
    assert mean(alone, "elsewhere") == 1
    assert {"elsewhere", "without_weight"} <= alone.marks.keys()
    assert ("", "", "strongest") not in alone.sums


def test_items_without_an_event_have_no_age() -> None:
    fold = folded(foreign([[0.6, 0.4]], known=[1, 0]))
    assert mean(fold, "no_event") == pytest.approx(0.4, abs=1e-6)
    assert sum(mean(fold, name) for _, _, name in fold.sums if name.startswith("age/")) == pytest.approx(0.6, abs=1e-5)


def test_measured_effects_are_counted_beside_the_weights() -> None:
    fold = folded(foreign([[0.5, 0.3, 0.2]], effects=[[0.1, 0.2, 0.9]], scores=[3.0]))
    found = summarise(fold)["foreign"]["measured"]
    assert found["by"] == {"callback": 1}
    assert (found["products"], found["of"], found["people"]) == (1, 1, 1)
    assert found["tau"]["mean"] == -1  # the reversed order
    assert found["first_agrees"]["mean"] == 0
    assert found["effect_strongest"]["mean"] == pytest.approx(0.9 / 1.2, abs=1e-6)
    assert found["disagrees"]["count"] == 1
    same = summarise(folded(foreign([[0.5, 0.3, 0.2]], effects=[[0.9, 0.2, 0.1]], scores=[3.0])))["foreign"]["measured"]
    assert (same["tau"]["mean"], same["first_agrees"]["mean"], same["disagrees"]["count"]) == (1, 1, 0)


def test_tau_has_an_interval_below_zero() -> None:
    orders = [[0.1, 0.2, 0.9], [0.9, 0.2, 0.1], [0.1, 0.2, 0.9]]
    whys = [foreign([[0.5, 0.3, 0.2]], effects=[order], scores=[3.0]) for order in orders]
    tau = summarise(folded(*whys))["foreign"]["measured"]["tau"]
    assert tau["mean"] == pytest.approx(-1 / 3, abs=1e-6)
    assert -1 <= tau["low"] < tau["mean"] < tau["high"] <= 1


def test_contributions_add_up_or_are_an_exception() -> None:
    good = foreign([[2.0, -0.5]], kind="contribution", scores=[2.0], base=[0.5])
    bad = foreign([[2.0, -0.5]], kind="contribution", scores=[9.0], base=[0.5])
    fold = folded(good, bad)
    assert mean(fold, "adds_up") == 0.5
    assert fold.marks["not_adding"].users == 1
    assert mean(fold, "against") == pytest.approx(0.2, abs=1e-6)
    met = {one.rule: one.count for one in exceptions(fold, MANIFEST, None, ())}
    assert met["not_adding"] == 1
    assert met["unmeasured"] == 2
    assert not {"fidelity", "popular", "unconfirmed"} & met.keys()


def test_features_of_the_table_are_shares_of_the_weight() -> None:
    split = {"colour": [[0.5, 0.1]], "size": [[0.1, 0.3]]}
    fold = folded(foreign([[0.6, 0.4]], split=split))
    assert mean(fold, "kind/colour") == pytest.approx(0.6, abs=1e-6)
    assert {one["kind"]: one["share"]["mean"] for one in summarise(fold)["evidence"]} == pytest.approx(
        {"colour": 0.6, "size": 0.4}, abs=1e-5
    )


@pytest.mark.parametrize("pages", [ATTENTION, CONTRIBUTION], ids=["attention", "contribution"])
def test_neither_shards_nor_order_change_a_byte(pages: dict) -> None:
    whys = [make() for make in pages.values()]
    whole, parts = folded(*whys), Fold(FRAME)
    cases = [Case(why, chr(ord("a") + place) * 24, "en") for place, why in enumerate(whys)]
    for case in reversed(cases):
        part = Fold(FRAME)
        part.add([case])
        parts.merge(Fold.from_json(part.to_json()))
    assert parts.to_json() == whole.to_json()
    assert whole.counts["uncounted"] == 0
    assert summarise(whole)["foreign"]["kind"] == kind_of(whole.counts)
    assert all(n * total >= 0 and n <= len(whys) for n, total, _ in whole.sums.values())


def test_attention_is_never_held_against_reasons() -> None:
    attention = folded(foreign([[0.5, 0.5]]), foreign([[0.9, 0.1]]))
    told = folded(foreign([[0.5, 0.5]], kind="contribution"), foreign([[0.9, 0.1]], kind="contribution"))
    assert {one["measure"] for one in changes(attention, told)} <= {"tail", "sponsored", "priced"}
    assert {"strongest", "weighted"} <= {one["measure"] for one in changes(attention, attention)}


def test_own_runs_have_no_rule_of_other_models() -> None:
    assert not {one.rule for one in exceptions(Fold(FRAME), MANIFEST, None, ())} & FOREIGN


# --- what a law pack may call provided


def test_attention_alone_provides_no_reason_and_no_sum() -> None:
    found = facts(folded(foreign([[0.5, 0.3, 0.2]])))
    for field in (
        "report.reasons",
        "report.sums",
        "fidelity.measured",
        "fidelity.randomised",
        "report.counterfactuals",
    ):
        assert find(field, found) is None, field
    assert str(find("statistics.concentration", found)).startswith("attention: 50.0 %")
    assert find("report.data_used", found) == "3"


def test_measured_effects_provide_reasons_and_faithfulness() -> None:
    found = facts(folded(foreign([[0.5, 0.3, 0.2]], effects=[[0.9, 0.2, 0.1]], scores=[3.0])))
    assert find("report.reasons", found) == "1 / 1"
    assert find("fidelity.measured", found) == "Kendall's tau 1.000 (n = 1)"
    assert find("report.sums", found) is None


def test_contributions_provide_sums_when_all_add_up() -> None:
    good = foreign([[2.0, -0.5]], kind="contribution", scores=[2.0], base=[0.5])
    bad = foreign([[2.0, -0.5]], kind="contribution", scores=[9.0], base=[0.5])
    unknown = foreign([[2.0, -0.5]], kind="contribution")
    assert find("report.sums", facts(folded(good))) == "1 / 1"
    assert find("report.sums", facts(folded(bad))) is None
    assert find("report.sums", facts(folded(unknown))) is None
    assert find("report.reasons", facts(folded(good))) == "100.0 % (n = 1)"
    assert find("report.reasons", facts(folded(bad))) is None


def test_the_record_of_one_person_is_judged_alike() -> None:
    product = {"adds_up": None, "base": None, "score": None, "reasons": [{"effect": None}]}
    record = {"schema": "reportgen.foreign/1", "kind": "attention", "recommendations": [product], "usage": {"used": 3}}
    one = Facts(MANIFEST, {}, record=record)
    assert find("report.reasons", one) is None
    assert find("report.sums", one) is None
    adding = record | {"kind": "contribution", "recommendations": [product | {"adds_up": True}]}
    assert find("report.sums", Facts(MANIFEST, {}, record=adding)) == "1 / 1"
    measured = record | {"recommendations": [product | {"reasons": [{"effect": 0.1}]}]}
    assert find("report.reasons", Facts(MANIFEST, {}, record=measured)) == "1 / 1"


def test_how_a_table_was_read_is_told_by_people() -> None:
    fold = folded(foreign([[0.5, 0.5]], heads="max"), foreign([[0.5, 0.5]], heads="max"), foreign([[0.5, 0.5]]))
    assert [(one["heads"], one["people"]) for one in how_read(fold.counts)] == [("max", 2), ("", 1)]
