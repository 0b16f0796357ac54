"""Faithfulness: answers known by hand, the best order among all, and explanations that must be caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.attention.contributions import Contributions
from reportgen.attention.history import Events, gather_events, seen_items
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.top import best_columns
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.explain import removal
from reportgen.explain.fidelity import (
    METHODS,
    OURS,
    POINTS,
    Fidelity,
    check_randomised,
    measure_fidelity,
    removal_plan,
)
from reportgen.explain.ranks import Mean, order_of, rank_correlation, top_overlap
from reportgen.explain.removal import Cases, Rescorer, baseline_strengths, choose_sample, net

Build = Callable[..., Dataset]
ITEMS = ["A", "B", "C", "D", "E", "T", "V"]


class Additive:
    """A scorer made by hand, with what measuring asks of a scorer.

    ``score(u, i) = base[i] + sum over events of value * strength[item, i]``, whatever the age.
    """

    history_cap, looking_takes_, heads_ = 200, False, ("together",)

    def __init__(self, data: Dataset, strength: dict[tuple[str, str], float], base: dict[str, float]) -> None:
        self.data, place = data, {str(item): code for code, item in enumerate(data.item_ids)}
        self.candidate_ = np.ones(data.item_ids.size, dtype=bool)
        self.base_ = np.zeros(data.item_ids.size)
        self.strength = np.zeros((data.item_ids.size, data.item_ids.size))
        for item, value in base.items():
            self.base_[place[item]] = value
        for (history, item), value in strength.items():
            self.strength[place[history], place[item]] = value

    def check_data(self, data: Dataset) -> Dataset:
        return data

    def seen(self, data: Dataset, users: np.ndarray) -> Any:
        return seen_items(data, users, False)

    def score_events(self, events: Events) -> np.ndarray:
        scores = np.repeat(self.base_[None], events.n_users, axis=0)
        np.add.at(scores, events.row, events.value[:, None] * self.strength[events.item])
        return scores.astype(np.float32)

    def recommend_codes(
        self, data: Dataset, users: np.ndarray, n: int, barred: Any = None, left_out: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        scores = self.score_events(gather_events(data, users, self.history_cap, left_out))
        scores[self.seen(data, users).nonzero()] = -np.inf
        scores[:, ~self.candidate_ if barred is None else barred] = -np.inf
        return best_columns(scores, n)

    def contributions(self, events: Events, candidates: np.ndarray) -> Contributions:
        size = self.base_.size
        key, place, count = np.unique(events.row * size + events.item, return_inverse=True, return_counts=True)
        row, item = np.divmod(key, size)
        weight = np.bincount(place, events.value, minlength=key.size)
        value = (weight[:, None] * self.strength[item[:, None], candidates[row]])[:, :, None]
        last = np.zeros(key.size, dtype=np.int64)
        np.maximum.at(last, place, events.event)
        start = np.where(candidates >= 0, self.base_[candidates], 0.0)
        score = start.copy()
        np.add.at(score, row, value.sum(axis=2))
        return Contributions(row, item, last, count, value, np.zeros((key.size, candidates.shape[1])), start, score)


@pytest.fixture(name="abc")
def abc_fixture(build_data: Build) -> tuple[Additive, Dataset]:
    """One user took A, B and C, which speak for T with 3, 2 and 1; D and E are popular, C more than all."""
    data = build_data({"u": [["C"], ["B"], ["A"]], "mute": [["V"]], "none": []}, ITEMS, users=["u", "mute", "none"])
    scorer = Additive(data, {("A", "T"): 3.0, ("B", "T"): 2.0, ("C", "T"): 1.0}, {"D": 2.5, "C": 9.0, "E": -1.0})
    return scorer, data


def code(data: Dataset, user: str) -> np.ndarray:
    return np.flatnonzero(data.user_ids == user)


def measured(scorer: Any, data: Dataset, users: np.ndarray, **given: Any) -> Fidelity:
    return measure_fidelity(scorer, data, users, **given)


def test_the_figures_of_three_reasons_are_as_counted_by_hand(abc: tuple[Additive, Dataset]) -> None:
    """Removed at the 11 points: 0 0 1 1 1 2 2 2 2 3 3 items. C is popular, but taken, so it never competes."""
    scorer, data = abc
    found = measured(scorer, data, code(data, "u"), n=1).methods[OURS]
    rank_two = 1 / np.log2(3)
    wanted = {
        "pos@1": 5 / 11,
        "neg@1": 9 / 11,
        "del": (2 * 6 + 3 * 3 + 4 * 1) / 6 / 11,
        "ins": (2 * 6 + 3 * 5 + 4 * 3) / 6 / 11,
        "cdcg": (5 + 6 * rank_two) / 11,
        "comprehensiveness@1": 1 / 2,
        "comprehensiveness@3": 1.0,
        "comprehensiveness@5": 1.0,
        "sufficiency@1": 1 / 2,
        "sufficiency@3": 0.0,
        "sufficiency@5": 0.0,
        "loo_rank": 1.0,
    }
    assert {name: mean.mean for name, mean in found.items()} == pytest.approx(wanted)
    assert all((mean.n, mean.se) == (1, 0.0) for mean in found.values())


def test_recency_goes_from_the_newest(abc: tuple[Additive, Dataset]) -> None:
    """Here the newest item is the strongest reason, so both orders are one."""
    scorer, data = abc
    methods = measured(scorer, data, code(data, "u"), n=1).methods
    assert methods["recency"] == methods[OURS]


def test_users_who_owe_nothing_to_their_history_are_left_out_and_counted(abc: tuple[Additive, Dataset]) -> None:
    scorer, data = abc
    found = measured(scorer, data, np.arange(3))
    assert (found.n_users, found.n_left_out) == (1, 2)
    nobody = measured(scorer, data, code(data, "mute"))
    assert (nobody.n_users, nobody.n_left_out) == (0, 1)
    assert nobody.methods[OURS].keys() == found.methods[OURS].keys()
    assert nobody.methods[OURS]["del"] == Mean(0.0, 0.0, 0)


def test_the_sample_holds_users_with_a_reason_in_the_given_order(abc: tuple[Additive, Dataset]) -> None:
    scorer, data = abc
    assert choose_sample(scorer, data, np.arange(3), 2).tolist() == code(data, "u").tolist()  # type: ignore[arg-type]


def test_later_events_and_barred_items_are_not_used(abc: tuple[Additive, Dataset]) -> None:
    scorer, data = abc
    user = code(data, "u")
    early = int(np.sort(data.timestamps[data.history(int(user[0]))])[1])
    found = measured(scorer, data, user, n=10, as_of=early).methods[OURS]
    assert found["comprehensiveness@1"].mean == pytest.approx(2 / 3)
    barred = np.isin(data.item_ids, ["T"])
    assert measured(scorer, data, user, barred=barred).n_users == 0
    left_out = np.isin(data.item_ids, ["A"])
    found = measured(scorer, data, user, left_out=left_out).methods[OURS]
    assert found["comprehensiveness@1"].mean == pytest.approx(2 / 3)


def test_several_events_on_one_item_are_one_removal(build_data: Build) -> None:
    data = build_data({"u": [["A"], ["B"], ["A"]]}, ITEMS)
    scorer = Additive(data, {("A", "T"): 1.0, ("B", "T"): 1.5}, {})
    found = measured(scorer, data, np.array([0])).methods[OURS]
    assert found["comprehensiveness@1"].mean == pytest.approx(2 / 3.5)


def test_small_pieces_give_the_same(abc: tuple[Additive, Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, data = abc
    whole = measured(scorer, data, np.arange(3))
    monkeypatch.setattr(removal, "_CELLS", 1)
    assert measured(scorer, data, np.arange(3)) == whole


# --- the best order of all


def del_of(again: Rescorer, order: np.ndarray) -> float:
    return float(again.score(removal_plan(order)[:POINTS])[0].mean())


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.integers(-8, 40), min_size=1, max_size=5), seed=st.integers(0, 3))
def test_no_order_loses_the_score_sooner_than_the_contributions(build_data: Build, parts: list[int], seed: int) -> None:
    names = [f"i{k}" for k in np.random.default_rng(seed).permutation(len(parts))]
    data = build_data({"u": [[name] for name in names]}, [*names, "t"])
    scorer = Additive(data, {(name, "t"): part / 8 for name, part in zip(names, parts, strict=True)}, {})
    target = np.flatnonzero(data.item_ids == "t")
    cases = Cases.make(scorer, data, np.array([0]), target)  # type: ignore[arg-type]
    again = Rescorer(scorer, cases, 0, np.zeros(data.item_ids.size, dtype=bool))  # type: ignore[arg-type]
    ours = order_of(net(cases.parts), cases.parts.last_event)
    every = [del_of(again, np.array(order)) for order in permutations(range(len(parts)))]
    assert del_of(again, ours) == min(every)
    assert del_of(again, ours[::-1]) == max(every)


# --- explanations that must be caught


class Shuffled(Additive):
    """Tells the parts of other history items."""

    def contributions(self, events: Any, candidates: np.ndarray) -> Any:
        parts = super().contributions(events, candidates)
        order = np.arange(parts.row.size)
        for row in np.unique(parts.row):
            mine = np.flatnonzero(parts.row == row)
            order[mine] = np.random.default_rng(int(row)).permutation(mine)
        return replace(parts, value=parts.value[order])


class Backwards(Additive):
    """Tells the weakest reason first."""

    def contributions(self, events: Any, candidates: np.ndarray) -> Any:
        parts = super().contributions(events, candidates)
        return replace(parts, value=-parts.value)


@pytest.fixture(name="many")
def many_fixture(build_data: Build) -> Callable[[type[Additive]], Fidelity]:
    """Twenty users with eight items each, of random strength for twenty others."""
    rng = np.random.default_rng(0)
    past, others = [f"h{k}" for k in range(30)], [f"t{k:02}" for k in range(20)]
    data = build_data(
        {f"u{k:02}": [[str(i)] for i in rng.choice(past, 8, replace=False)] for k in range(20)}, past + others
    )
    strength = {(h, t): float(rng.gamma(0.4)) for h in past for t in others}
    return lambda kind: measured(kind(data, strength, {}), data, np.arange(20), n=3)


def test_a_wrong_explanation_is_caught(many: Callable[[type[Additive]], Fidelity]) -> None:
    right, shuffled, backwards = (many(kind).methods[OURS] for kind in (Additive, Shuffled, Backwards))
    assert right["loo_rank"].mean == pytest.approx(1.0)
    assert abs(shuffled["loo_rank"].mean) < 0.4
    assert backwards["loo_rank"].mean == pytest.approx(-1.0)
    for wrong in (shuffled, backwards):
        for name, better in (("pos@3", -1), ("neg@3", 1), ("del", -1), ("ins", 1), ("cdcg", -1)):
            gap = better * (right[name].mean - wrong[name].mean)
            assert gap > 2 * right[name].se, name
        assert right["comprehensiveness@1"].mean > wrong["comprehensiveness@1"].mean + 0.1
        assert right["sufficiency@3"].mean < wrong["sufficiency@3"].mean - 0.1


def test_an_explanation_that_ignores_the_model_does_not_change_with_it(build_data: Build) -> None:
    rng = np.random.default_rng(1)
    names = [f"i{k:02}" for k in range(40)]
    data = build_data({f"u{k}": [[str(i)] for i in rng.choice(names[:39], 8, replace=False)] for k in range(12)}, names)
    strength = {(h, t): float(rng.random()) for h in names for t in names}
    scorer: Any = Additive(data, strength, {})
    cases = Cases.make(scorer, data, np.arange(12), np.full(12, 39))

    def by_model(events: Any, target: np.ndarray) -> np.ndarray:
        return net(scorer.contributions(events, target[:, None]))

    def by_age(events: Any, target: np.ndarray) -> np.ndarray:
        parts = scorer.contributions(events, target[:, None])
        return parts.last_event.astype(np.float64) + 1.0

    true = check_randomised(by_model, cases, range(12), 40, 0)
    assert true.overlap.mean < 0.7
    assert abs(true.rank.mean) < 0.5
    assert true.chance.mean == pytest.approx(3 / 8)
    false = check_randomised(by_age, cases, range(12), 40, 0)
    assert (false.overlap.mean, false.rank.mean) == (1.0, pytest.approx(1.0))


# --- on a fitted scorer


@pytest.fixture(name="shop_data", scope="module")
def shop_data_fixture() -> Dataset:
    shop = make_shop(80, 60)
    return Dataset.from_frames(shop.events, shop.items, shop.users)


@pytest.fixture(name="shop_scorer", scope="module")
def shop_scorer_fixture(shop_data: Dataset) -> AttentionScorer:
    return AttentionScorer(max_users=60, min_support=2, half_lives=(float("inf"), 3.0)).fit(shop_data)


def test_the_reasons_of_a_fitted_scorer_are_its_leave_one_out_effects(
    shop_scorer: AttentionScorer, shop_data: Dataset
) -> None:
    found = measure_fidelity(shop_scorer, shop_data, np.arange(80))
    assert found.n_users + found.n_left_out == 80
    assert found.n_users > 40
    assert list(found.methods) == list(METHODS)
    ours = found.methods[OURS]
    assert ours["loo_rank"].mean > 0.999
    for name in METHODS[1:]:
        assert ours["del"].mean < found.methods[name]["del"].mean
        assert ours["comprehensiveness@3"].mean > found.methods[name]["comprehensiveness@3"].mean


def test_the_same_figures_again_and_as_json(shop_scorer: AttentionScorer, shop_data: Dataset) -> None:
    users = choose_sample(shop_scorer, shop_data, np.arange(80), 20)
    first, again = (measure_fidelity(shop_scorer, shop_data, users, seed=3) for _ in range(2))
    assert first == again
    assert first != measure_fidelity(shop_scorer, shop_data, users, seed=4)
    plain = json.loads(json.dumps(first.to_dict(), allow_nan=False))
    assert plain["methods"]["ours"]["del"]["mean"] == first.methods[OURS]["del"].mean
    assert plain["randomised"]["overlap"]["n"] == first.randomised.overlap.n
    trust = first.trust()
    assert trust.lost == first.methods[OURS]["comprehensiveness@3"].mean
    assert trust.weak == first.methods[OURS]["neg@10"].mean


def test_a_random_order_does_not_depend_on_the_company(shop_scorer: AttentionScorer, shop_data: Dataset) -> None:
    def blind(users: np.ndarray) -> np.ndarray:
        cases = Cases.make(shop_scorer, shop_data, users, np.zeros(users.size, dtype=np.int64))
        return baseline_strengths(shop_scorer, shop_data, cases, 0)["random"]

    alone, together = blind(np.array([5])), blind(np.array([4, 5]))
    assert np.array_equal(alone, together[-alone.size :])


# --- small parts


def test_ranks() -> None:
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([10.0, 20, 90])) == pytest.approx(1.0)
    assert rank_correlation(np.array([1.0, 2, 2]), np.array([1.0, 2, 3])) == pytest.approx(np.sqrt(3) / 2)
    assert rank_correlation(np.ones(3), np.arange(3.0)) == 0.0
    assert np.isnan(rank_correlation(np.arange(3.0), np.ones(3)))
    age = np.arange(4)
    assert order_of(np.array([1.0, 5, 1, 0]), age).tolist() == [1, 2, 0, 3]
    assert top_overlap(np.array([3.0, 2, 1, 0]), np.array([0.0, 2, 1, 3]), age) == pytest.approx(2 / 3)
    assert top_overlap(np.array([3.0, 0, 0, 0]), np.array([0.0, 0, 0, 0]), age) == 0.0
    assert np.isnan(top_overlap(np.zeros(4), np.ones(4), age))


def test_a_mean_and_its_error() -> None:
    assert Mean.of([1.0, 3.0, float("nan")]) == Mean(2.0, 1.0, 2)
    assert Mean.of([]) == Mean(0.0, 0.0, 0)
