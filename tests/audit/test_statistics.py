"""What is counted, how counts are merged, and what may be told of groups."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from counted import HOSTILE, counted, shop
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.audit.fold import ALL, Fold, Mark, sample_rank
from reportgen.audit.fold_frame import HISTORY, LANGUAGE, MISSING, REST, SMALL_CELL, Frame, segment_value, tail_below
from reportgen.audit.fold_measures import Case
from reportgen.audit.sampling import STRATA, chosen
from reportgen.audit.statistics import changes, concentration, summarise
from reportgen.audit.statistics_groups import by_group, dimensions, estimate, hidden_groups, kinds_of
from reportgen.audit.statistics_intervals import change_of, mean_of, ratio_of, share_of, zero_defect_size
from reportgen.errors import OutputError


def whole() -> Fold:
    empty, cases = counted()
    fold = Fold(empty.frame)
    fold.add(cases)
    return fold


# --- the fold


@settings(max_examples=20)
@given(st.lists(st.integers(0, 95), max_size=6), st.randoms(use_true_random=False))
def test_neither_shards_nor_order_change_a_byte(cuts: list[int], random: object) -> None:
    empty, cases = counted()
    bounds = [0, *sorted(cuts), len(cases)]
    parts = []
    for start, stop in pairwise(bounds):
        part = Fold(empty.frame)
        part.add(cases[start:stop])
        parts.append(Fold.from_json(part.to_json()))
    random.shuffle(parts)  # type: ignore[attr-defined]
    total = Fold(empty.frame)
    for part in parts:
        total.merge(part)
    assert total.to_json() == whole().to_json()


def test_a_fold_is_canonical_json_of_whole_numbers() -> None:
    data = whole().to_json()
    plain = json.loads(data)
    assert data == json.dumps(plain, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert b"." not in data.replace(b'"reportgen.statistics/1"', b"").partition(b'"frame"')[0]
    numbers = [n for groups in plain["sums"].values() for g in groups.values() for triple in g.values() for n in triple]
    assert all(type(number) is int and abs(number) < 2**63 for number in numbers)
    assert Fold.from_json(data).to_json() == data


def test_a_person_is_counted_in_every_dimension_once() -> None:
    fold = whole()
    for dimension, groups in dimensions(fold).items():
        assert sum(fold.sums[dimension, group, "length"][0] for group in groups) == fold.users, dimension
        for measure in ("length", "strongest", "sponsored", "price", f"kind/{kinds_of(fold)[0]}"):
            parts = [fold.sums.get((dimension, group, measure), (0, 0, 0)) for group in groups]
            assert tuple(map(sum, zip(*parts, strict=True))) == fold.sums["", "", measure], (dimension, measure)
    assert fold.marks[ALL].users == fold.users


def test_measures_of_one_user_are_what_the_explanation_says() -> None:
    empty, cases = counted()
    case = next(c for c in cases if c.why.past.hidden.any() and len(c.why.scores) == 5)
    fold, why = Fold(empty.frame), case.why
    fold.add([case])

    def value(measure: str) -> float:
        return fold.sums["", "", measure][1] / 1e6

    attention = why.attention
    told = attention.sum(axis=(1, 2)) > 0.5
    for head, name in enumerate(why.model.heads):
        share = attention[told][:, :, head].sum(axis=1).mean()
        found = fold.sums.get(("", "", f"kind/{name}"), (0, 0, 0))[1] / 1e6
        assert found == pytest.approx(share, abs=1e-6), name
    by_item = attention.sum(axis=2)[told]
    assert value("strongest") == pytest.approx(by_item.max(axis=1).mean(), abs=1e-6)
    chaos = [-sum(w * math.log(w) for w in row if w > 0) for row in by_item]
    assert value("effective") == pytest.approx(np.exp(chaos).mean(), abs=1e-6)
    plus, minus = np.maximum(why.net, 0).sum(), np.maximum(-why.net, 0).sum()
    base = np.maximum(why.base, 0).sum()
    assert value("popularity") == pytest.approx(base / (base + plus), abs=1e-6)
    assert value("against") == pytest.approx(minus / (plus + minus), abs=1e-6)
    assert value("length") == 5
    assert value("tail") == pytest.approx((why.picks.popularity < empty.frame.tail_below).mean(), abs=1e-6)
    prices = [detail["price"] for detail in why.picks.details if "price" in detail]
    assert fold.sums["", "", "price"][1] == pytest.approx(100 * np.mean(prices), abs=1)
    assert sum(fold.items.values()) == 5
    assert "folded" in fold.marks
    ages = (why.as_of - why.past.date) // 86_400_000_000
    recent = by_item[:, ages <= 30].sum(axis=1).mean()
    assert sum(fold.sums.get(("", "", f"age/{k}"), (0, 0, 0))[1] for k in range(3)) / 1e6 == pytest.approx(
        recent, abs=3e-6
    )


def test_parts_of_a_whole_sum_to_one() -> None:
    fold = whole()
    for part in ("kind/", "age/", "event/"):
        total = sum(sums[1] for (d, _, measure), sums in fold.sums.items() if not d and measure.startswith(part))
        assert total / 1e6 == pytest.approx(fold.sums["", "", "strongest"][0], abs=1e-4)
        assert all(sums[0] <= fold.users for (_, _, measure), sums in fold.sums.items() if measure.startswith(part))


def test_a_user_without_history_has_nothing_to_measure_and_is_counted() -> None:
    empty, cases = counted()
    case = cases[0]
    size = len(case.why.scores)
    past = replace(case.why.past, **{f: getattr(case.why.past, f)[:0] for f in vars(case.why.past)})
    usage = replace(case.why.usage, used=0)
    nobody = replace(
        case.why, past=past, contributions=np.zeros((size, 0, len(case.why.model.heads))), scores=case.why.base.copy(),
        support=np.zeros((size, 0), dtype=np.int64), counterfactuals=(None,) * size, usage=usage,
    )  # fmt: skip
    fold = Fold(empty.frame)
    fold.add([replace(case, why=nobody)])
    assert fold.users == 1
    assert ("", "", "strongest") not in fold.sums
    assert fold.sums["", "", "reasoned"] == (1, 0, 0)
    assert fold.marks["without_history"].users == 1
    assert "without_reason" not in fold.marks
    found = summarise(fold)
    assert found["evidence"] == []
    assert found["counterfactuals"]["outcomes"]["not asked"] == size
    json.dumps(found, allow_nan=False)


def test_an_empty_fold_can_be_told() -> None:
    empty, _ = counted()
    found = summarise(Fold(empty.frame))
    assert found["people"] == 0
    assert found["fairness"] == []
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b"null", b"{" * 5000, b'{"schema": "reportgen.statistics/2"}', None]
)
def test_a_damaged_fold_is_one_clear_error(damage: bytes | None) -> None:
    data = whole().to_json()
    with pytest.raises(OutputError, match=r"statistics cannot be read .*make the run again with --resume"):
        Fold.from_json(data[: len(data) // 2] if damage is None else damage)


def test_folds_of_two_runs_are_not_added() -> None:
    fold, other = whole(), whole()
    other.frame = replace(other.frame, run_id="4567")
    with pytest.raises(ValueError, match="two runs"):
        fold.merge(other)


# --- groups


def test_small_values_are_put_together_before_anything_is_counted() -> None:
    empty, _ = counted()
    told = empty.frame.segments["region"]
    assert set(told) == {"华东", HOSTILE, "wrong way"}
    assert b"alone" not in whole().to_json()
    assert empty.frame.groups({"region": "alone"}, "en", 0)["region"] == REST
    assert empty.frame.groups({"region": "not seen before"}, "en", 0)["region"] == REST
    assert empty.frame.groups({"region": None}, "en", 0)["region"] == MISSING
    assert [empty.frame.groups({}, "en", n)[HISTORY] for n in (0, 1, 4, 5, 19, 20, 99, 100)] == list("01122334")


@pytest.mark.parametrize("value", [MISSING, REST, LANGUAGE, " \x01missing ", "\u202e\x01rest"])
def test_no_value_can_pass_for_a_group_of_ours(value: str) -> None:
    assert segment_value(value) not in (REST, LANGUAGE, HISTORY)
    assert segment_value(value) != MISSING
    assert segment_value("") == segment_value(None) == segment_value("\u200b") == MISSING


def test_a_column_of_many_values_stays_small() -> None:
    data, _, _ = shop()
    assert Frame("", "00", 5, 1, 0, "", {"city": ()}).groups({"city": "x"}, "en", 3)["city"] == REST
    assert data.user_ids.size == 96


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 40), max_size=8))
def test_what_is_left_out_cannot_be_found_by_subtraction(people: dict[str, int]) -> None:
    hidden = hidden_groups(people)
    assert all(people[group] >= SMALL_CELL for group in people.keys() - hidden)
    if hidden and hidden != people.keys():
        assert len(hidden) > 1
        assert sum(people[group] for group in hidden) >= SMALL_CELL
    if all(count >= SMALL_CELL for count in people.values()):
        assert hidden == set()


@pytest.mark.parametrize(
    ("people", "hidden"),
    [
        ({}, set()), ({"a": 1}, {"a"}), ({"a": 10}, set()), ({"a": 9, "b": 50}, {"a", "b"}), ({"a": 3, "b": 4, "c": 50}, {"a", "b", "c"}),
        ({"a": 3, "b": 30, "c": 50}, {"a", "b"}), ({"a": 6, "b": 7, "c": 50, "d": 60}, {"a", "b"}), ({"a": 0, "b": 12, "c": 13}, {"a", "b"}),  # noqa: E501
    ],
)  # fmt: skip
def test_groups_that_are_left_out(people: dict[str, int], hidden: set[str]) -> None:
    assert hidden_groups(people) == hidden


def test_a_figure_that_few_have_is_left_out_of_a_large_group() -> None:
    frame = Frame("", "00", 5, 1, 0, "", {"s": ("a", "b", "c")})
    fold = Fold(frame, 90)
    for group, n, priced in (("a", 30, 30), ("b", 30, 4), ("c", 30, 20)):
        fold.sums["s", group, "length"] = (n, 5_000_000 * n, 25_000_000_000_000 * n)
        fold.sums["s", group, "price"] = (priced, 1000 * priced, 1_000_000 * priced)
    table = by_group(fold, "s", ["a", "b", "c"])
    figures = {row["group"]: row["figures"] for row in table["rows"]}
    assert [row["people"] for row in table["rows"]] == [30, 30, 30]
    assert figures["b"]["price"] is None
    assert figures["c"]["price"] is None, "with a and all known, b would follow from c"
    assert figures["a"]["price"]["mean"] == 10.0
    assert figures["b"]["length"]["mean"] == 5.0


def test_a_group_is_compared_with_the_largest() -> None:
    fold = whole()
    table = by_group(fold, LANGUAGE, dimensions(fold)[LANGUAGE])
    assert table["reference"] == "en"
    rows = {row["group"]: row["figures"] for row in table["rows"]}
    assert rows["en"]["popularity"]["ratio"] is None
    ratio = rows["zh-CN"]["popularity"]["ratio"]
    assert ratio["mean"] == pytest.approx(
        rows["zh-CN"]["popularity"]["mean"] / rows["en"]["popularity"]["mean"], abs=1e-5
    )
    assert ratio["low"] < ratio["mean"] < ratio["high"]


# --- figures


def test_wilson_and_student_by_known_answers() -> None:
    share = share_of(5, 10)  # 0.2366, 0.7634: Newcombe, Statistics in Medicine 1998, method 3
    assert (share.low, share.high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
    assert share_of(0, 10).low == 0.0
    assert share_of(0, 10).high == pytest.approx(0.2775, abs=1e-4)
    assert share_of(10, 10).high == 1.0
    mean = mean_of(1 + 2 + 3 + 4 + 5, 1 + 4 + 9 + 16 + 25, 5, 1.0, None)  # 3 +- 2.776 * 0.7071
    assert (mean.mean, mean.low, mean.high) == (3.0, pytest.approx(1.0368, abs=1e-3), pytest.approx(4.9632, abs=1e-3))


def test_intervals_of_few_and_of_all_alike() -> None:
    assert mean_of(0, 0, 0, 1.0) is None
    assert share_of(0, 0) is None
    assert (mean_of(7, 49, 1, 10.0).mean, mean_of(7, 49, 1, 10.0).low) == (0.7, None)
    nothing = mean_of(0, 0, 50, 1e6)
    assert (nothing.mean, nothing.low) == (0.0, 0.0)
    assert nothing.high == pytest.approx(share_of(0, 50).high), "nobody of 50 does not mean nobody at all"
    assert mean_of(50_000_000, 50 * 10**12, 50, 1e6).low == pytest.approx(share_of(50, 50).low)


@given(st.lists(st.integers(0, 1_000_000), min_size=2, max_size=40))
def test_an_interval_holds_its_mean_and_stays_a_share(values: list[int]) -> None:
    found = mean_of(sum(values), sum(v * v for v in values), len(values), 1e6)
    assert 0.0 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1.0
    assert found.se == pytest.approx(np.std(values, ddof=1) / 1e6 / len(values) ** 0.5, abs=1e-12) or found.mean in (
        0,
        1,
    )


def test_ratios_and_changes() -> None:
    one, two = mean_of(40, 20, 100, 1.0), mean_of(20, 10, 100, 1.0)
    ratio = ratio_of(one, two)
    assert ratio.mean == 2.0
    assert ratio.low * ratio.high == pytest.approx(4.0), "alike on the scale of the logarithm"
    assert ratio_of(one, mean_of(0, 0, 9, 1.0)) is None
    assert ratio_of(mean_of(0, 0, 9, 1.0), one).mean == 0.0
    change = change_of(one, two)
    assert change.mean == pytest.approx(0.2)
    assert change.se == pytest.approx(math.hypot(one.se, two.se))


def test_sizes_without_a_defect() -> None:
    assert (zero_defect_size(0.05), zero_defect_size(0.01)) == (59, 299)
    assert 0.95**59 <= 0.05 < 0.95**58


@pytest.mark.parametrize(
    ("lists", "candidates", "wanted"),
    [
        ([3, 3, 3, 3], 4, {"gini": 0.0, "entropy": 1.0, "coverage": 1.0, "top": 0.25}),
        ([12], 4, {"gini": 0.75, "entropy": 0.0, "coverage": 0.25, "top": 1.0}),
        ([1, 3], 2, {"gini": 0.25, "entropy": 0.811278, "coverage": 1.0, "top": 0.75}),
        ([], 4, {"gini": None, "entropy": None, "coverage": None, "top": None}),
        ([5], 1, {"gini": 0.0, "entropy": None, "coverage": 1.0, "top": 1.0}),
    ],
)
def test_concentration_by_known_answers(lists: list[int], candidates: int, wanted: dict[str, float | None]) -> None:
    found = concentration(lists, candidates)
    assert {name: found[name] for name in wanted} == wanted


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(0, 9))
def test_gini_is_the_mean_difference(lists: list[int], unseen: int) -> None:
    every = np.array([*lists, *[0] * unseen])
    by_pairs = np.abs(every[:, None] - every[None, :]).mean() / (2 * every.mean())
    assert concentration(lists, len(every))["gini"] == pytest.approx(by_pairs, abs=1e-6)


def test_the_long_tail_begins_where_four_fifths_are_held() -> None:
    assert tail_below([50, 30, 10, 5, 5]) == 30
    assert tail_below([1, 1, 1, 1, 1]) == 1
    assert tail_below([]) == tail_below([0, 0]) == 0


def test_the_summary_tells_no_person_and_no_nan() -> None:
    fold = whole()
    text = json.dumps(summarise(fold), allow_nan=False)
    _, cases = counted()
    assert not any(case.key in text or f'"{case.why.user_id}"' in text for case in cases)


def test_changes_are_of_what_both_runs_measured() -> None:
    now, before = whole(), whole()
    first, second = (f"kind/{kind}" for kind in kinds_of(now)[:2])
    now.sums["", "", first] = (96, 60_000_000, 50_000_000_000_000)
    found = {one["measure"]: one["change"] for one in changes(now, before)}
    assert found[second]["mean"] == 0.0
    shift = estimate(now, "", "", first).mean - estimate(before, "", "", first).mean
    assert found[first]["mean"] == pytest.approx(shift, abs=1e-6)


# --- the sample


def test_the_sample_is_the_smallest_hashes_of_each_stratum() -> None:
    fold, (_, cases) = whole(), counted()
    order = sorted((case.key for case in cases), key=lambda key: sample_rank(fold.frame.seed, key))
    assert fold.marks[ALL].keys == order
    sponsored = [c.key for c in cases if any(detail.get("sponsored") for detail in c.why.picks.details)]
    assert fold.marks["sponsored"].users == len(sponsored)
    assert fold.marks["sponsored"].keys == [key for key in order if key in sponsored][:12]


def test_a_case_is_drawn_once() -> None:
    keys = [key for key, _ in chosen(whole())]
    assert len(keys) == len(set(keys)) >= 5
    strata = Counter(stratum for _, stratum in chosen(whole()))
    assert list(strata) == [stratum for stratum in STRATA if stratum in strata]


def test_another_seed_draws_others() -> None:
    fold, (_, cases) = whole(), counted()
    other = Fold(replace(fold.frame, seed="ff" * 32))
    other.add(cases)
    assert other.marks[ALL].keys != fold.marks[ALL].keys
    assert sorted(other.marks[ALL].keys) == sorted(fold.marks[ALL].keys)


def test_marks_of_one_name_are_united() -> None:
    fold = Fold(counted()[0].frame, marks={"x": Mark(3, ["b" * 24, "c" * 24])})
    fold.merge(Fold(fold.frame, marks={"x": Mark(2, ["a" * 24, "b" * 24])}))
    assert fold.marks["x"].users == 5
    assert sorted(fold.marks["x"].keys) == ["a" * 24, "b" * 24, "c" * 24]


def test_a_case_knows_its_groups() -> None:
    empty, cases = counted()
    assert isinstance(cases[0], Case)
    assert set(cases[0].groups(empty.frame)) == {"segment", "region", LANGUAGE, HISTORY}
