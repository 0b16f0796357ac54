"""What is recommended, what never is, and what a history is to the scorer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.attention.examples import held_out_items
from reportgen.attention.history import decay, drop_events, gather_events, holdout_mask, looking_takes, seen_items
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import model_id
from reportgen.attention.top import best_columns
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.errors import InputError, ModelError

Data = Callable[..., Dataset]
Model = Callable[..., AttentionScorer]


@pytest.fixture(scope="module")
def shop_data() -> Dataset:
    shop = make_shop(n_users=150, n_items=60, random_state=4)
    return Dataset.from_frames(shop.events, shop.items, shop.users)


@pytest.fixture(scope="module")
def shop_model(shop_data: Dataset) -> AttentionScorer:
    return AttentionScorer().fit(shop_data)


# --- known answers


def test_who_bought_a_gets_b_because_of_a(ab_world: Dataset) -> None:
    scorer = AttentionScorer().fit(ab_world)
    ids, scores = scorer.recommend(["only-a", "only-c"], n=2)
    assert ids[:, 0].tolist() == ["B", "D"]
    assert (scores[:, 0] > scores[:, 1]).all()
    codes = np.searchsorted(ab_world.item_ids.astype(str), ["B", "D"])
    users = scorer.user_codes(ab_world, ["only-a", "only-c"])
    parts = scorer.contributions(gather_events(ab_world, users, 200), np.array([codes, codes]))
    assert ab_world.item_ids[parts.item].tolist() == ["A", "C"]
    assert parts.support.tolist() == [[30, 0], [0, 30]]
    assert parts.value[0, 0].sum() > 0 == parts.value[0, 1].sum()


def test_a_return_counts_against(build_data: Data) -> None:
    """Two people bought A; one gave it back. What goes with A then speaks for B with one, against B with the other."""
    baskets: dict[str, Any] = {f"ab{k:02}": [["A", "B"]] for k in range(30)}
    baskets |= {"keeps": [["A"]], "returns": [["A"], [("A", "return")]]}
    data = build_data(baskets)
    scorer = AttentionScorer().fit(data)
    users = scorer.user_codes(data, ["keeps", "returns"])
    value = scorer.contributions(gather_events(data, users, 200), np.array([[1], [1]])).value.sum(axis=(1, 2))
    assert value[0] > 0
    assert value[1] <= 0


def test_without_history_popularity_decides(build_data: Data) -> None:
    baskets = {f"u{k}": [["A"], ["B"]] if k < 9 else [["B"]] for k in range(12)}
    data = build_data(baskets, ["A", "B", "C"], users=[*baskets, "new"])
    ids, scores = AttentionScorer().fit(data).recommend(["new"], n=3)
    assert ids.tolist() == [["B", "A", "C"]]
    assert scores[0, 2] == 0.0


# --- what is never recommended


def test_seen_items_and_strangers_stay_away(shop_data: Dataset, shop_model: AttentionScorer) -> None:
    ids, scores = shop_model.recommend(shop_data.user_ids, n=80)
    assert ids.shape == (150, 80)
    assert ((ids == "") == np.isneginf(scores)).all()
    for u in range(150):
        mine = shop_data.history(u)
        kinds = np.array(shop_data.event_types)[shop_data.types[mine]]
        taken = set(shop_data.item_ids[shop_data.items[mine]][np.isin(kinds, ["purchase", "return"])])
        shown = [item for item in ids[u] if item]
        assert len(shown) == len(set(shown)) == 60 - len(taken)
        assert not taken & set(shown)
    assert (scores[:, 1:] <= scores[:, :-1]).all()


def test_what_was_only_looked_at_may_be_recommended(build_data: Data) -> None:
    baskets: dict[str, Any] = {f"u{k}": [["A", "B"]] for k in range(8)}
    data = build_data(baskets | {"looker": [[("B", "view"), ("B", "cart"), "A"]], "hider": [["A", ("B", "hide")]]})
    ids, _ = AttentionScorer().fit(data).recommend(["looker", "hider"], n=1)
    assert ids.tolist() == [["B"], [""]]


def test_an_item_outside_the_catalogue_is_never_recommended(build_data: Data) -> None:
    data = build_data({f"u{k}": [["A"], ["gone"]] for k in range(30)} | {"me": [["A"]]}, ["A", "B"])
    ids, _ = AttentionScorer().fit(data).recommend(["me"], n=5)
    assert "gone" in data.item_ids.tolist()
    assert ids.tolist() == [["B", "", "", "", ""]]


def test_barred_items_are_left_out(shop_data: Dataset, shop_model: AttentionScorer) -> None:
    first = shop_model.recommend(["u00001"], n=3)[0][0]
    barred = shop_data.item_ids == first[0]
    assert shop_model.recommend(["u00001"], n=2, exclude=barred)[0][0].tolist() == first[1:].tolist()


def test_a_part_of_the_data_with_nothing_but_views_hides_nothing(build_data: Data) -> None:
    """What counts as taking is a fact of the model, not of the histories that happen to be scored."""
    data = build_data({f"u{k}": [[("B", "view")], ["A", "B"]] for k in range(8)})
    scorer = AttentionScorer().fit(data)
    early = data.until(int(data.timestamps.min()))
    assert looking_takes(early)
    assert set(scorer.recommend(["u0"], n=2, data=early)[0][0]) == {"A", "B"}


def test_where_people_only_look_a_look_is_taking(build_data: Data) -> None:
    data = build_data({f"u{k}": [[("A", "view"), ("B", "view")]] for k in range(8)} | {"me": [[("A", "view")]]})
    assert AttentionScorer().fit(data).recommend(["me"], n=2)[0].tolist() == [["B", ""]]


@settings(max_examples=60)
@given(
    scores=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 12)),
        elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]),
    ),
    n=st.integers(0, 14),
)
def test_the_best_columns_with_ties_by_column(scores: np.ndarray, n: int) -> None:
    codes, best = best_columns(scores, n)
    assert codes.shape == best.shape == (len(scores), n)
    for row, found in zip(scores, codes, strict=True):
        order = [int(c) for c in sorted(range(row.size), key=lambda c: (-row[c], c)) if np.isfinite(row[c])][:n]
        assert found.tolist() == order + [-1] * (n - len(order))
        assert np.array_equal(best[0], np.where(codes[0] >= 0, scores[0, codes[0]], -np.inf))


# --- histories


def test_one_order_has_one_age_and_the_newest_is_nought(shop_data: Dataset) -> None:
    events = gather_events(shop_data, np.arange(150), 10_000)
    assert events.age.min() == 0
    frame = pd.DataFrame({"row": events.row, "order": shop_data.orders[events.event], "age": events.age})
    assert (frame.groupby(["row", "order"])["age"].nunique() == 1).all()
    assert (frame.groupby("row")["age"].min() == 0).all()
    assert (frame.groupby(["row", "order"])["age"].first().groupby("row").nunique() > 1).any()


@settings(max_examples=6)
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    shop = make_shop(n_users=40, n_items=24, random_state=seed % 5)
    turned = shop.events.sample(frac=1, random_state=seed)
    one, two = (Dataset.from_frames(events, shop.items, shop.users) for events in (shop.events, turned))
    first, second = AttentionScorer(min_support=2).fit(one), AttentionScorer(min_support=2).fit(two)
    assert model_id(first) == model_id(second)
    assert np.array_equal(first.recommend(one.user_ids)[0], second.recommend(two.user_ids)[0])


def test_the_cap_keeps_the_newest_events(build_data: Data) -> None:
    data = build_data({"u": [["A"], ["B"], ["C"], ["D"]]})
    events = gather_events(data, np.array([0]), 2)
    assert data.item_ids[events.item].tolist() == ["C", "D"]
    assert events.age.tolist() == [1.0, 0.0]


def test_what_is_capped_is_still_seen(ab_world: Dataset) -> None:
    scorer = AttentionScorer(history_cap=1).fit(ab_world)
    assert "A" not in scorer.recommend(["ab00"], n=4)[0][0]


def test_leaving_items_out_does_not_change_the_age_of_others(build_data: Data) -> None:
    data = build_data({"u": [["A"], ["B"], ["C"]]})
    events = gather_events(data, np.array([0]), 200, exclude=data.item_ids == "C")
    assert events.age.tolist() == [2.0, 1.0]


def test_decay_halves() -> None:
    assert decay(np.array([0.0, 3.0, 6.0]), (3.0, np.inf)).tolist() == [[1.0, 1.0], [0.5, 1.0], [0.25, 1.0]]


def test_until_keeps_ages_relative_to_the_newest_order_left(build_data: Data) -> None:
    data = build_data({"u": [["A"], ["B"], ["C"]]})
    earlier = data.until(int(data.timestamps[1]))
    assert gather_events(earlier, np.array([0]), 200).age.tolist() == [1.0, 0.0]


# --- the hold-out


def test_the_hold_out_is_the_last_order_and_what_came_after(build_data: Data) -> None:
    data = build_data({"a": [["A"], ["B", ("C", "view")], [("D", "view")]], "one": [["A"]], "looks": [[("A", "view")]]})
    held = holdout_mask(data, looking=False)
    assert data.item_ids[data.items[held]].tolist() == ["B", "C", "D"]
    train = drop_events(data, held)
    assert np.diff(train.indptr).tolist() == [1, 1, 1]
    seen = seen_items(train, np.arange(3), looking=False)
    targets = held_out_items(data, held & (data.types == data.event_types.index("purchase")), seen)
    assert [[str(data.item_ids[i]) for i in t] for t in targets] == [["B"], [], []]


def test_held_out_events_never_reach_the_kernels_that_learning_uses(
    shop_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Change only the held-out items: everything the learning step is given about the past stays the same."""
    held = holdout_mask(shop_data, looking=False)
    items = shop_data.items.copy()
    items[held] = (items[held] + 7) % shop_data.item_ids.size
    other = replace(shop_data, items=items)
    assert 0.02 < held.mean() < 0.9

    def learning_sees(data: Dataset) -> list[np.ndarray]:
        caught: list[np.ndarray] = []

        def catch(train: Dataset, _: object, seen: Any, fitted: Any, *_more: object) -> None:
            caught.extend([train.items, seen.toarray(), fitted.popularity])
            for kernel in fitted.heads.kernels.values():
                caught.extend([kernel.weights.toarray(), kernel.support.toarray()])
            raise StopIteration

        monkeypatch.setattr("reportgen.attention.scorer.learn", catch)
        with pytest.raises(StopIteration):
            AttentionScorer().fit(data)
        monkeypatch.undo()
        return caught

    for one, two in zip(learning_sees(shop_data), learning_sees(other), strict=True):
        assert np.array_equal(one, two)
    weights = [AttentionScorer().fit(data).kernels_["together"].weights for data in (shop_data, other)]
    assert abs(weights[0] - weights[1]).max() > 0  # control: the final kernels do see them


def test_head_weights_are_learnt(shop_model: AttentionScorer) -> None:
    assert shop_model.learnt_
    assert shop_model.n_users_learnt_ >= 20
    assert (shop_model.theta_ >= 0).all()
    assert shop_model.theta_[0].any()


def test_a_silent_head_keeps_its_start(ab_world: Dataset) -> None:
    """Nobody bought B before the hold-out, so no example can tell what `together` is worth."""
    scorer = AttentionScorer().fit(ab_world)
    assert scorer.n_users_learnt_ == 60
    assert np.allclose(scorer.theta_, 1 / 3)


def test_the_same_seed_gives_the_same_model_twice(shop_data: Dataset, shop_model: AttentionScorer) -> None:
    again = AttentionScorer().fit(shop_data)
    sampled = [AttentionScorer(max_users=40, random_state=seed).fit(shop_data) for seed in (1, 1, 2)]
    assert model_id(again) == model_id(shop_model)
    assert model_id(sampled[0]) == model_id(sampled[1])
    assert np.array_equal(sampled[0].theta_, sampled[1].theta_)
    assert not np.array_equal(sampled[0].theta_, sampled[2].theta_)


# --- wrong questions


def test_unknown_users_are_named(shop_model: AttentionScorer) -> None:
    with pytest.raises(InputError, match="unknown user 'nobody'"):
        shop_model.recommend(["u00001", "nobody"])
    with pytest.raises(InputError, match="user 17 is not text"):
        shop_model.recommend([17])  # type: ignore[list-item]


def test_one_id_alone_is_one_user(shop_model: AttentionScorer) -> None:
    assert np.array_equal(shop_model.recommend("u00001")[0], shop_model.recommend(["u00001"])[0])


def test_nobody_gets_nothing(shop_model: AttentionScorer) -> None:
    assert shop_model.recommend([])[0].shape == (0, 10)


def test_another_catalogue_is_refused(shop_model: AttentionScorer, ab_world: Dataset) -> None:
    with pytest.raises(ModelError, match="items are not those"):
        shop_model.recommend(["only-a"], data=ab_world)
