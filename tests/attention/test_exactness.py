"""Every reason is exact: contributions sum to the score, and each equals what leaving the item out does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.attention.contributions import Contributions
from reportgen.attention.history import Events, gather_events
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset

Data = Callable[..., Dataset]
Model = Callable[..., AttentionScorer]
SEEDS = st.integers(0, 2**31)
EXACT = 1e-9


def everybody(scorer: AttentionScorer, data: Dataset) -> tuple[Events, np.ndarray, Contributions]:
    """Events of all users, every item as a candidate, and its contributions."""
    events = gather_events(data, np.arange(data.user_ids.size), scorer.history_cap)
    candidates = np.tile(np.arange(data.item_ids.size), (data.user_ids.size, 1))
    return events, candidates, scorer.contributions(events, candidates)


def only(events: Events, keep: np.ndarray) -> Events:
    """Some of the events; ages stay as they were."""
    parts = {name: getattr(events, name)[keep] for name in ("row", "item", "age", "value", "event")}
    return replace(events, **parts)


def naive_score(scorer: AttentionScorer, events: Events, row: int, item: int) -> float:
    """The formula of the docstring, event by event, in plain Python over dense kernels."""
    kernels = [kernel.weights.toarray().astype(float) for kernel in scorer.kernels_.values()]
    for block in scorer.blocks_:
        features = block.matrix.toarray().astype(float)
        kernels.append(features @ features.T)
    total = float(scorer.theta_pop_) * math.log1p(int(scorer.popularity_[item]))
    for e in np.flatnonzero(events.row == row):
        if events.item[e] == item:
            continue
        for head, kernel in enumerate(kernels):
            for r, half_life in enumerate(scorer.half_lives_):
                fading = 2.0 ** (-float(events.age[e]) / half_life)
                total += float(events.value[e]) * scorer.theta_[head, r] * fading * kernel[events.item[e], item]
    return total


@settings(max_examples=15)
@given(seed=SEEDS)
def test_the_parts_sum_to_the_score_of_the_formula(random_data: Data, random_model: Model, seed: int) -> None:
    data = random_data(seed)
    scorer = random_model(data, seed)
    events, _, parts = everybody(scorer, data)
    total = parts.base.copy()
    np.add.at(total, parts.row, parts.value.sum(axis=2))
    assert np.abs(total - parts.score).max() <= EXACT
    rng = np.random.default_rng(seed)
    for row, item in zip(rng.integers(0, data.user_ids.size, 12), rng.integers(0, data.item_ids.size, 12), strict=True):
        assert parts.score[row, item] == pytest.approx(naive_score(scorer, events, row, item), abs=1e-6)
    bulk = scorer.score_events(events)
    assert bulk.dtype == np.float32
    assert np.abs(bulk - parts.score).max() <= 1e-5 * (1 + np.abs(parts.score).max())


@settings(max_examples=15)
@given(seed=SEEDS)
def test_a_contribution_is_the_leave_one_out_effect(random_data: Data, random_model: Model, seed: int) -> None:
    data = random_data(seed)
    scorer = random_model(data, seed)
    events, candidates, parts = everybody(scorer, data)
    for pair in range(0, parts.row.size, 3):
        row, item = parts.row[pair], parts.item[pair]
        gone = only(events, ~((events.row == row) & (events.item == item)))
        without = scorer.contributions(gone, candidates)
        effect = parts.score[row] - without.score[row]
        assert np.abs(effect - parts.value[pair].sum(axis=1)).max() <= EXACT
        others = np.arange(data.user_ids.size) != row
        assert np.array_equal(without.score[others], parts.score[others])


def test_leave_one_out_sees_a_wrong_contribution(random_data: Data, random_model: Model) -> None:
    """Negative control: with ages counted anew after the removal, the effect is another number."""
    data = random_data(3)
    scorer = random_model(data, 3)
    events, candidates, parts = everybody(scorer, data)
    pair = next(
        p for p in range(parts.row.size) if events.age[events.row == parts.row[p]].min() == 0 < parts.value[p].max()
    )
    row, item = parts.row[pair], parts.item[pair]
    gone = only(events, ~((events.row == row) & (events.item == item)))
    moved = replace(gone, age=np.where(gone.row == row, gone.age + 1.0, gone.age))
    effect = parts.score[row] - scorer.contributions(moved, candidates).score[row]
    assert np.abs(effect - parts.value[pair].sum(axis=1)).max() > 1e-3


@settings(max_examples=6)
@given(seed=SEEDS)
def test_a_contribution_is_the_shapley_value(random_data: Data, random_model: Model, seed: int) -> None:
    data = random_data(seed)
    scorer = random_model(data, seed)
    events, candidates, parts = everybody(scorer, data)
    counts = np.bincount(parts.row, minlength=data.user_ids.size)
    row = int(np.flatnonzero((counts >= 2) & (counts <= 5))[0])
    mine = np.flatnonzero(parts.row == row)
    items = parts.item[mine].tolist()

    def worth(kept: tuple[int, ...]) -> np.ndarray:
        some = only(events, (events.row != row) | np.isin(events.item, kept))
        return np.asarray(scorer.contributions(some, candidates).score[row])

    worths = {kept: worth(kept) for size in range(len(items) + 1) for kept in combinations(items, size)}
    for place, item in enumerate(items):
        rest = [other for other in items if other != item]
        value = np.zeros(data.item_ids.size)
        for size in range(len(items)):
            share = math.factorial(size) * math.factorial(len(rest) - size) / math.factorial(len(items))
            for kept in combinations(rest, size):
                joined = tuple(other for other in items if other in kept or other == item)
                value += share * (worths[joined] - worths[kept])
        assert np.abs(value - parts.value[mine[place]].sum(axis=1)).max() <= EXACT


def test_nothing_speaks_for_itself(random_data: Data, random_model: Model) -> None:
    data = random_data(5)
    scorer = random_model(data, 5)
    _, _, parts = everybody(scorer, data)
    assert (parts.value[np.arange(parts.item.size), parts.item] == 0).all()
    assert (parts.value != 0).any(axis=(0, 1)).all()  # and yet every head has something to say


def test_several_events_on_one_item_are_one_entry(build_data: Data, random_model: Model) -> None:
    data = build_data({f"u{k}": [["A", ("B", "view")], ["A", "B"], ["C"]] for k in range(4)})
    parts = everybody(random_model(data, 1), data)[2]
    mine = parts.row == 0
    assert parts.item[mine].tolist() == [0, 1, 2]
    assert parts.n_events[mine].tolist() == [2, 2, 1]
    assert data.items[parts.last_event[mine]].tolist() == [0, 1, 2]
    assert data.orders[parts.last_event[mine]].tolist() == [1, 1, 2]


def test_no_candidate_scores_nothing(random_data: Data, random_model: Model) -> None:
    data = random_data(6)
    scorer = random_model(data, 6)
    events = gather_events(data, np.arange(2), 200)
    parts = scorer.contributions(events, np.full((2, 3), -1))
    assert not parts.score.any()
    assert not parts.value.any()
    assert not parts.support.any()
