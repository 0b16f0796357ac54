"""Kernels that know time and likeness: what comes next, what is taken again, what is borrowed from things alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse

from reportgen.attention.features import encode_features
from reportgen.attention.kernels import count_pairs, user_item
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.sequence import fit_again, fit_next, order_item
from reportgen.attention.via import fit_via
from reportgen.data.dataset import Dataset

Data = Callable[..., Dataset]


def histories(seed: int, n_users: int = 40, n_items: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, order and item of events, sorted."""
    rng = np.random.default_rng(seed)
    lines = {
        (user, order, int(item))
        for user in range(n_users)
        for order in range(rng.integers(1, 6))
        for item in rng.choice(n_items, rng.integers(1, 3), replace=False)
    }
    user, order, item = np.array(sorted(lines)).T
    return user, order, item


def pairs_of(user: np.ndarray, item: np.ndarray, n_items: int, min_support: int) -> sparse.csr_matrix:
    taken = user_item(user, item, np.ones(user.size), (int(user.max()) + 1, n_items))
    return count_pairs(taken, min_support)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_next_is_the_solution_of_its_problem(seed: int) -> None:
    """Prefixes written out order by order, and every column against scipy."""
    user, order, item = histories(seed)
    n_items, l2 = 8, 3.0
    rows, owner = order_item(user, order, item, n_items)
    kernel = fit_next(rows, owner, pairs_of(user, item, n_items, 2), neighbours=50, l2=l2)
    now = rows.toarray().astype(float)
    past = np.zeros_like(now)
    for t in range(len(now)):
        for lag in range(1, t + 1):
            if owner[t - lag] == owner[t]:
                past[t] += 2.0 ** (-(lag - 1) / 4.0) * now[t - lag]
    past = np.minimum(past, 1.0)
    length = past.sum(axis=1)
    weight = np.divide(1.0, np.sqrt(length), out=np.zeros_like(length), where=length > 0)
    weight *= length.sum() / (weight * length).sum()
    root = np.sqrt(weight)[:, None]
    users = np.zeros((int(user.max()) + 1, n_items))
    users[user, item] = 1
    both = users.T @ users
    for i in range(n_items):
        flow = (root * past).T @ (root * now)[:, i]
        near = [j for j in range(n_items) if j != i and both[j, i] >= 2 and flow[j] > 0]
        if near:
            augmented = np.vstack([(root * past)[:, near], np.sqrt(l2) * np.eye(len(near))])
            wanted = optimize.nnls(augmented, np.concatenate([(root * now)[:, i], np.zeros(len(near))]))[0]
            assert np.abs(kernel.weights[near, i].toarray().ravel() - wanted).max() <= 1e-3


def test_next_has_a_direction_and_together_has_none(ab_world: Dataset) -> None:
    scorer = AttentionScorer().fit(ab_world)
    a, b = (int(np.searchsorted(scorer.item_ids_, name)) for name in "AB")
    after, both = scorer.kernels_["next"], scorer.kernels_["together"]
    assert after.weights[a, b] > 0
    assert after.weights[b, a] == 0
    assert both.weights[a, b] > 0
    assert both.weights[b, a] > 0
    assert after.support[a, b] == 30


def test_next_needs_enough_people() -> None:
    user, order, item = np.repeat(np.arange(4), 2), np.tile([0, 1], 4), np.tile([0, 1], 4)
    rows, owner = order_item(user, order, item, 2)
    assert fit_next(rows, owner, pairs_of(user, item, 2, 4)).weights.nnz == 1
    assert fit_next(rows, owner, pairs_of(user, item, 2, 5)).weights.nnz == 0


def test_again_counts_those_who_came_back() -> None:
    """Item 0: three of four took it twice. Item 1: nobody came back. Twice in one order is no coming back."""
    user = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    order = np.array([0, 1, 0, 1, 0, 1, 0, 0])
    item = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    kernel = fit_again(*order_item(user, order, item, 2), min_support=3)
    assert kernel.weights.toarray().tolist() == [[0.75, 0.0], [0.0, 0.0]]
    assert kernel.support[0, 0] == 3
    assert fit_again(*order_item(user, order, item, 2), min_support=4).weights.nnz == 0


def test_where_people_buy_again_what_they_have_is_a_candidate(build_data: Data) -> None:
    world = {f"u{k:02}": [["milk"], ["milk", "tea"], ["milk"]] for k in range(40)}
    world |= {"gone": [["milk"], [("milk", "return")]], "me": [["milk"]]}
    data = build_data(world, ["milk", "tea", "rope"])
    scorer = AttentionScorer(repeat=True).fit(data)
    assert "again" in scorer.heads_
    items, _ = scorer.recommend(["me", "gone"], n=3)
    assert "milk" in items[0]
    assert "milk" not in items[1]  # who gave it back does not see it again
    assert "milk" not in AttentionScorer().fit(data).recommend(["me"], n=3)[0]


def test_a_new_item_borrows_from_its_like() -> None:
    """Item 3 is new and of the category of item 1, which is taken with item 0."""
    catalogue = pd.DataFrame({"category": ["x", "y", "z", "y"]})
    together = sparse.csr_matrix(([0.8, 0.6], ([0, 2], [1, 0])), shape=(4, 4), dtype=np.float32)
    popularity = np.array([1000, 1000, 1000, 0])
    kernel = fit_via(together, tuple(encode_features(catalogue)), popularity)
    assert kernel.weights.toarray()[:, 3] == pytest.approx([0.8, 0.0, 0.0, 0.0])
    assert kernel.weights[:, :3].nnz == 0  # what many took needs no loan
    assert kernel.support.nnz == kernel.weights.nnz
    assert not kernel.support.toarray().any()
    half = fit_via(together, tuple(encode_features(catalogue)), np.array([1000, 1000, 1000, 10]))
    assert half.weights[0, 3] == pytest.approx(0.4)


def test_nothing_to_borrow_from() -> None:
    empty = sparse.csr_matrix((3, 3), dtype=np.float32)
    assert fit_via(empty, (), np.zeros(3, dtype=np.int64)).weights.nnz == 0
    blocks = tuple(encode_features(pd.DataFrame({"category": ["x", "y", "x"]})))
    assert fit_via(empty, blocks, np.zeros(3, dtype=np.int64)).weights.nnz == 0
