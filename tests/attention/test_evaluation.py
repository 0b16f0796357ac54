"""Judging recommenders: measures by hand, splits that hide what they say, and no way to be counted wrongly."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from reportgen import evaluate as public_evaluate
from reportgen.attention.comparison import GRIDS, OURS, choose_peers, compare, tune
from reportgen.attention.evaluation import (
    MEASURES,
    Mean,
    TooLargeError,
    evaluate,
    evaluate_cold,
    split_cold,
    split_last_order,
)
from reportgen.attention.measures import find_hits, measure
from reportgen.attention.peers import EASE, ItemKNN, Popularity, Random
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError, ModelError

Build = Callable[..., Dataset]


class Fixed:
    """Recommends given lists, by user id."""

    def __init__(self, lists: dict[str, list[str]], width: int | None = None) -> None:
        self.lists, self.width, self.fitted = lists, width, 0

    def fit(self, data: Dataset) -> Fixed:  # noqa: ARG002
        self.fitted += 1
        return self

    def recommend_codes(self, data: Dataset, users: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        codes = np.full((users.size, self.width or n), -1, dtype=np.int64)
        for row, user in enumerate(users):
            found = np.searchsorted(data.item_ids, self.lists.get(str(data.user_ids[user]), []))
            codes[row, : found.size] = found[: codes.shape[1]]
        return codes, np.zeros(codes.shape)


@pytest.fixture
def small(build_data: Build) -> Dataset:
    """Anna has to find B and C, Bert D; Carl bought once, Dora bought the same again."""
    return build_data(
        {"anna": [["A"], ["B", "C"]], "bert": [["A", "B"], ["D"]], "carl": [["A"]], "dora": [["A"], ["A"]]},
        ["A", "B", "C", "D", "E"],
    )


def names_of(data: Dataset, codes: np.ndarray) -> list[str]:
    return [str(data.item_ids[code]) for code in codes]


# --- measures


def test_measures_by_hand() -> None:
    codes = np.array([[7, 1, 3], [5, 9, -1], [4, 6, 8]])
    found = measure(codes, [np.array([1, 2, 3, 9]), np.array([5]), np.array([0])])
    first = (1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
    assert found["ndcg"] == pytest.approx([first, 1.0, 0.0])
    assert found["recall"] == pytest.approx([0.5, 1.0, 0.0])
    assert found["hit"].tolist() == [1.0, 1.0, 0.0]
    assert found["mrr"] == pytest.approx([0.5, 1.0, 0.0])


def test_nothing_recommended_is_no_hit_even_where_codes_are_small() -> None:
    codes = np.array([[-1, -1]])
    assert not find_hits(codes, [np.array([0, 1])]).any()
    found = measure(codes, [np.array([0])])
    assert [found[name].tolist() for name in MEASURES] == [[0.0]] * len(MEASURES)


@given(st.permutations(range(12)), st.sets(st.integers(0, 14), min_size=1), st.integers(1, 12))
def test_measures_lie_between_0_and_1_and_their_relations_hold(order: list[int], targets: set[int], n: int) -> None:
    codes, goal = np.array([order[:n]]), [np.array(sorted(targets))]
    found = {name: float(values[0]) for name, values in measure(codes, goal).items()}
    assert all(0.0 <= value <= 1.0 + 1e-12 for value in found.values())
    assert found["hit"] == (found["recall"] > 0) == (found["ndcg"] > 0) == (found["mrr"] > 0)
    longer = {name: float(values[0]) for name, values in measure(np.array([order]), goal).items()}
    assert longer["recall"] >= found["recall"]
    assert longer["mrr"] >= found["mrr"]


@given(st.permutations(range(8)), st.sets(st.integers(0, 7), min_size=1))
def test_moving_a_target_up_never_lowers_a_measure(order: list[int], targets: set[int]) -> None:
    goal = [np.array(sorted(targets))]
    before = measure(np.array([order]), goal)
    for at in range(1, len(order)):
        if order[at] in targets and order[at - 1] not in targets:
            better = order.copy()
            better[at - 1], better[at] = better[at], better[at - 1]
            after = measure(np.array([better]), goal)
            assert all(after[name][0] >= before[name][0] for name in MEASURES)
            assert after["ndcg"][0] > before["ndcg"][0]


def test_the_ideal_list_has_ndcg_1_also_with_more_targets_than_places() -> None:
    assert measure(np.array([[3, 1]]), [np.array([1, 2, 3])])["ndcg"][0] == pytest.approx(1.0)
    assert measure(np.array([[3, 1]]), [np.array([1, 2, 3])])["recall"][0] == pytest.approx(2 / 3)


def test_the_error_is_that_of_the_mean() -> None:
    assert Mean.of(np.array([0.0, 1.0, 1.0, 0.0])) == Mean(0.5, pytest.approx(math.sqrt(1 / 3) / 2))
    assert math.isnan(Mean.of(np.array([0.3])).se)


# --- splits


def test_the_last_order_is_hidden_and_only_new_items_are_to_be_found(small: Dataset) -> None:
    split = split_last_order(small)
    assert [str(small.user_ids[user]) for user in split.users] == ["anna", "bert"]
    assert [names_of(small, items) for items in split.targets] == [["B", "C"], ["D"]]
    assert [names_of(small, split.train.items[split.train.history(user)]) for user in range(4)] == [
        ["A"], ["A", "B"], ["A"], ["A"],
    ]  # fmt: skip
    assert names_of(small, np.flatnonzero(split.cold)) == ["C", "D", "E"]
    assert split.n_candidates == 5


def test_an_item_outside_the_catalogue_is_not_asked_for(build_data: Build) -> None:
    data = build_data({"a": [["A"], ["X", "B"]], "b": [["A"], ["X"]]}, ["A", "B"])
    split = split_last_order(data)
    assert [names_of(data, items) for items in split.targets] == [["B"]]
    assert split.n_candidates == 2


def test_what_was_returned_before_is_not_asked_for(build_data: Build) -> None:
    data = build_data({"a": [["A", "B"], [("B", "return")], ["B", "C"]]})
    assert [names_of(data, items) for items in split_last_order(data).targets] == [["C"]]


def test_fewer_users_do_not_change_the_training_data(random_data: Callable[..., Dataset]) -> None:
    data = random_data(3, n_users=40)
    full, few = split_last_order(data), split_last_order(data, 3, random_state=1)
    assert few.users.size == 3
    assert np.array_equal(few.train.items, full.train.items)
    assert set(few.users.tolist()) < set(full.users.tolist())
    assert np.array_equal(few.users, split_last_order(data, 3, random_state=1).users)


@pytest.mark.parametrize("seed", range(4))
def test_cold_items_have_no_event_left_and_compete_alone(seed: int, random_data: Callable[[int], Dataset]) -> None:
    data = random_data(seed)
    split = split_cold(data, share=0.3, random_state=seed)
    assert split.barred is not None
    hidden = ~split.barred
    took = (data.values > 0) & (data.types != data.event_types.index("view"))
    assert hidden.sum() == round(0.3 * np.unique(data.items[took]).size)
    assert split.n_candidates == hidden.sum()
    assert not hidden[split.train.items].any()
    assert (split.cold >= hidden).all()
    assert all(hidden[items].all() and items.size for items in split.targets)
    assert split.train.items.size == (~hidden[data.items]).sum()


def test_only_those_who_took_something_else_too_are_judged_on_cold_items(build_data: Build) -> None:
    data = build_data({"a": [["A"], ["B"]], "b": [["A"]], "c": [["B"]]})
    split = split_cold(data, share=0.5)
    assert [str(data.user_ids[user]) for user in split.users] == ["a"]


# --- evaluate


def test_known_lists_give_known_figures(small: Dataset) -> None:
    one, two = Fixed({"anna": ["B", "E"], "bert": ["E", "D"]}), Fixed({"anna": ["E"], "bert": ["C"]})
    ticks = itertools.count(0.0, 0.5)
    found = evaluate({"one": one, "two": two}, small, n=2, clock=lambda: next(ticks))
    assert one.fitted == two.fitted == 1
    ideal = 1 + 1 / math.log2(3)
    values = np.array([1 / ideal, 1 / math.log2(3)])
    assert found["one"].ndcg.mean == pytest.approx(values.mean())
    assert found["one"].ndcg.se == pytest.approx(values.std(ddof=1) / math.sqrt(2))
    assert found["one"].recall.mean == pytest.approx((0.5 + 1.0) / 2)
    assert found["one"].mrr.mean == pytest.approx((1.0 + 0.5) / 2)
    assert found["one"].hit.mean == 1.0
    assert found["one"].coverage == pytest.approx(3 / 5)
    assert (found["one"].n_users, found["one"].seconds_fit, found["one"].seconds_recommend) == (2, 0.5, 0.5)
    assert found["two"].ndcg == Mean(0.0, 0.0)
    assert found.difference("one", "two") == found["one"].ndcg
    assert found.difference("two", "one", "recall").mean == -found["one"].recall.mean


def test_all_forms_tell_the_same(small: Dataset) -> None:
    found = evaluate({"one": Fixed({"anna": ["B"]})}, small, n=3)
    plain, frame, flat = found.to_dict(), found.to_frame(), found.figures()
    assert plain["recommenders"]["one"]["ndcg"] == {"mean": found["one"].ndcg.mean, "se": found["one"].ndcg.se}
    assert frame.loc["one", "ndcg"] == flat["one/ndcg@3"] == found["one"].ndcg.mean
    assert frame.loc["one", "mrr_se"] == flat["one/mrr@3/se"] == found["one"].mrr.se
    assert not [key for key in flat if "seconds" in key]
    assert "seconds_fit" not in plain["recommenders"]["one"]
    assert plain["n_items"] == 5
    timed = evaluate(Fixed({}), small, clock=lambda: 0.0)
    assert timed.figures()["Fixed/fit_seconds"] == 0.0
    assert timed.to_dict()["recommenders"]["Fixed"]["seconds_fit"] == 0.0
    assert "seconds_fit" not in timed.to_dict(seconds=False)["recommenders"]["Fixed"]


def test_the_error_of_a_single_user_is_none_in_json(build_data: Build) -> None:
    data = build_data({"a": [["A"], ["B"]]})
    assert evaluate(Popularity(), data).to_dict()["recommenders"]["Popularity"]["ndcg"]["se"] is None


def test_it_serves_a_grid_search(build_data: Build) -> None:
    paths = {"a": ["A", "B", "E"], "c": ["C", "D", "F"]}  # ten of each kind still have to go on to B, or D
    baskets = {
        f"{k}{u:02}": [[item] for item in path[: 2 if u < 10 else 3]] for k, path in paths.items() for u in range(40)
    }
    data = build_data(baskets)
    scorer, found = AttentionScorer(min_support=3, half_lives=(4.0,)), {}
    before = scorer.get_params()
    for params in ParameterGrid({"l2": [1.0, 100.0], "neighbours": [5, 50]}):
        one = public_evaluate(clone(scorer).set_params(**params), data, n=1)
        found[tuple(params.items())] = one.quality.ndcg.mean
    assert len(found) == 4
    assert all(0.25 <= value <= 1.0 for value in found.values())  # every setting sees where these 20 of 80 go
    assert scorer.get_params() == before
    assert not hasattr(scorer, "theta_")


def test_the_scorer_beats_chance_on_items_that_nobody_knows(build_data: Build) -> None:
    facts = {f"{kind}{k}": {"category": kind, "title": f"{kind} {k}"} for kind in "xy" for k in range(10)}
    rng = np.random.default_rng(0)
    baskets = {
        f"u{user:02}": [[f"{'xy'[user % 2]}{item}"] for item in rng.choice(10, 5, replace=False)] for user in range(60)
    }
    data = build_data(baskets, facts)
    found = evaluate_cold({OURS: AttentionScorer(min_support=2), "random": Random()}, data, share=0.3, n=3)
    assert found.n_items == 6
    lead = found.difference(OURS, "random")
    assert lead.mean > 3 * lead.se > 0


def test_the_same_twice(random_data: Callable[[int], Dataset]) -> None:
    data = random_data(5)
    one, two = (evaluate({"r": Random(3), "e": EASE()}, data).to_dict() for _ in range(2))
    assert one == two


def test_what_is_too_large_is_left_out_and_said(small: Dataset) -> None:
    class Large(Fixed):
        def fit(self, data: Dataset) -> Fixed:  # noqa: ARG002
            raise TooLargeError("too many items")

    found = evaluate({"large": Large({}), "popularity": Popularity()}, small)
    assert found.left_out == {"large": "too many items"}
    assert list(found.qualities) == ["popularity"]
    assert found.to_dict()["left_out"] == found.left_out
    with pytest.raises(TooLargeError):
        evaluate(Large({}), small)


# --- errors


@pytest.mark.parametrize(
    ("recommender", "told"),
    [
        (Fixed({"anna": ["B", "B"]}), "twice"),
        (Fixed({"anna": ["Z"]}), "outside"),
        (Fixed({}, width=3), "shape"),
    ],
)
def test_lists_that_would_be_counted_wrongly_are_refused(recommender: Any, told: str, small: Dataset) -> None:
    with pytest.raises(ModelError, match=told):
        evaluate({"bad": recommender}, small)


def test_cold_items_need_a_recommender_that_can_be_restricted(small: Dataset) -> None:
    with pytest.raises(ModelError, match="barred="):
        evaluate_cold(Fixed({}), small, share=0.5)


def test_a_recommender_that_ignores_the_restriction_is_found_out(small: Dataset) -> None:
    class Deaf(Popularity):
        def recommend_codes(
            self,
            data: Dataset,
            users: np.ndarray,
            n: int = 10,
            barred: np.ndarray | None = None,  # noqa: ARG002
        ) -> tuple[np.ndarray, np.ndarray]:
            return super().recommend_codes(data, users, n)

    with pytest.raises(ModelError, match="barred"):
        evaluate_cold(Deaf(), small, share=0.5)


@pytest.mark.parametrize("baskets", [{"a": [["A"]], "b": [["B"]]}, {"a": [["A"], ["A"]]}, {"a": [[("A", "view")]]}])
def test_nobody_with_a_second_order_is_an_error_with_its_remedy(
    baskets: dict[str, list[list[Any]]], build_data: Build
) -> None:
    with pytest.raises(InputError, match=r"second order.*order_id"):
        evaluate(Popularity(), build_data(baskets))


def test_one_item_cannot_be_hidden(build_data: Build) -> None:
    with pytest.raises(InputError, match="cold items cannot be judged"):
        evaluate_cold(Popularity(), build_data({"a": [["A"], ["A"]]}))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_odd_shares_are_refused(share: float, small: Dataset) -> None:
    with pytest.raises(ConfigError, match="share"):
        split_cold(small, share)


def test_other_odd_settings(small: Dataset) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate(Popularity(), small, n=0)
    with pytest.raises(ConfigError, match="name one"):
        _ = evaluate({"a": Popularity(), "b": Random()}, small).quality


# --- the comparison


def test_tuning_finds_the_setting_that_ranks_best(ab_world: Dataset) -> None:
    split = split_last_order(ab_world)
    values = {k: evaluate(ItemKNN(neighbours=k), split, n=1).quality.ndcg.mean for k in (1, 5)}
    best = tune(ItemKNN(), {"neighbours": (1, 5)}, split, n=1)
    assert values[best["neighbours"]] == max(values.values())


def test_peers_are_chosen_without_a_look_at_what_judges(random_data: Callable[..., Dataset]) -> None:
    data = random_data(1, n_users=40)
    split = split_last_order(data)
    peers, tuned = choose_peers(split, 3, 0, lambda _: None)
    blind = type(split)(split.train, split.users, [items[:0] for items in split.targets], split.cold)
    again, _ = choose_peers(blind, 3, 0, lambda _: None)
    assert {name: peer.get_params() for name, peer in peers.items()} == {
        name: peer.get_params() for name, peer in again.items()
    }
    assert tuned["knn"]
    assert not tuned["popularity"]
    assert peers["ease_recency"].get_params()["l2"] == peers["ease"].get_params()["l2"]
    assert peers["knn"].get_params()["neighbours"] in GRIDS["knn"]["neighbours"]


def test_a_comparison_where_nothing_can_be_tuned_or_is_cold(build_data: Build) -> None:
    data = build_data({"a": [["A"], ["B"]], "b": [["A"], ["B"]]}, ["A", "B"])
    told: list[str] = []
    found = compare(AttentionScorer(), data, n=1, say=told.append)
    assert found.everything[OURS].ndcg.mean == 1.0
    assert not any(found.tuned.values())
    assert found.chosen["ease"] == {"l2": 100.0}
    assert any("judging" in line for line in told)
    assert found.cold is not None
    lonely = compare(AttentionScorer(), build_data({"a": [["X"], ["A"]]}, ["A"]), n=1)
    assert lonely.cold is None
    assert "cold items cannot be judged" in lonely.cold_reason
