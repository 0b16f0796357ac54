"""The quick ways to read the heads give what the plain ways give: tables for pairs, one stacked product for all items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from reportgen.attention import pairs
from reportgen.attention.heads import Heads
from reportgen.attention.history import gather_events, looking_takes, seen_items, strong_mask
from reportgen.attention.products import by_scipy, dense_product
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset

Data = Callable[..., Dataset]
Model = Callable[..., AttentionScorer]
SEEDS = st.integers(0, 2**31)


def slowly(heads: Heads, item: int, candidate: int) -> tuple[np.ndarray, int]:
    """All heads at one pair and its support, out of dense kernels and dense features."""
    if candidate < 0:
        return np.zeros(len(heads.names)), 0
    kernels = heads.kernels.values()
    strength = [float(kernel.weights.toarray()[item, candidate]) for kernel in kernels]
    for block in heads.blocks:
        features = block.matrix.toarray().astype(np.float64)
        strength.append(float(features[item] @ features[candidate]) if item != candidate else 0.0)
    return np.array(strength), max(int(kernel.support.toarray()[item, candidate]) for kernel in kernels)


def ask_at_random(heads: Heads, seed: int, users: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, history items and candidates: users without history, items twice in a row, holes among the candidates."""
    rng = np.random.default_rng(seed)
    row = np.sort(rng.integers(0, users, rng.integers(0, 25)))
    item = rng.integers(0, heads.n_items, row.size)
    return row, item, rng.integers(-1, heads.n_items, (users, rng.integers(1, 8)))


@pytest.mark.parametrize("cells", [1, 12, 2**20])  # a table for each history item, some tables, one table
@settings(max_examples=10)
@given(seed=SEEDS)
def test_the_tables_hold_what_the_heads_hold(random_data: Data, random_model: Model, cells: int, seed: int) -> None:
    heads = random_model(random_data(seed), seed, repeat=bool(seed % 2)).heads()
    row, item, candidates = ask_at_random(heads, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_CELLS", cells)
        strength, support = heads.read(row, item, candidates)
    assert strength.shape == (len(heads.names), row.size, candidates.shape[1])
    for p in range(row.size):
        for k, candidate in enumerate(candidates[row[p]]):
            wanted, takers = slowly(heads, item[p], candidate)
            assert np.abs(strength[:, p, k] - wanted).max() <= 1e-12
            assert support[p, k] == takers


@settings(max_examples=10)
@given(seed=SEEDS)
def test_heads_that_nobody_wants_are_not_read(random_data: Data, random_model: Model, seed: int) -> None:
    heads = random_model(random_data(seed), seed).heads()
    wanted = np.random.default_rng(seed).random(len(heads.names)) < 0.5
    asked = ask_at_random(heads, seed)
    strength, support = heads.read(*asked)
    some, same = heads.read(*asked, wanted)
    assert np.array_equal(some, strength * wanted[:, None, None])
    assert np.array_equal(same, support)  # who took both does not depend on what a head is worth


def test_the_slow_way_sees_a_table_read_one_cell_off(
    random_data: Data, random_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control."""
    heads = random_model(random_data(2), 2).heads()
    row, item, candidates = np.zeros(3, dtype=np.int64), np.arange(3), np.array([[0, 1, 2]])
    right = heads.read(row, item, candidates)[0]
    true_cells = pairs._Table.cells_of
    monkeypatch.setattr(pairs._Table, "cells_of", lambda *asked: np.roll(true_cells(*asked), 1, axis=1))
    assert not np.allclose(heads.read(row, item, candidates)[0], right)


@pytest.mark.parametrize("real", [np.float32, np.float64])
@settings(max_examples=20)
@given(seed=SEEDS)
def test_both_products_give_the_same_bits(real: type, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m, k = rng.integers(1, 20, 3)
    left, right = (
        sparse.csr_matrix((rng.random(shape) * (rng.random(shape) < 0.4)).astype(real)) for shape in ((n, m), (m, k))
    )
    found = dense_product(left, right)
    assert found.dtype == real
    assert np.array_equal(found, by_scipy(left, right))


@settings(max_examples=10)
@given(seed=SEEDS)
def test_a_stack_holds_the_heads_with_weight_only(random_data: Data, random_model: Model, seed: int) -> None:
    data = random_data(seed)
    scorer = random_model(data, seed, repeat=bool(seed % 2))
    heads, events = scorer.heads(), gather_events(data, np.arange(data.user_ids.size), 200)
    live = np.random.default_rng(seed).random(len(heads.names)) < 0.5
    weight = (scorer._weights(events) * live).astype(np.float32)
    everything = np.tile(np.arange(heads.n_items), (events.n_users, 1))
    strength, _ = heads.read(events.row, events.item, everything)  # the tables, which are tested above
    total = np.zeros((events.n_users, heads.n_items))
    np.add.at(total, events.row, np.einsum("ef,fei->ei", weight, strength))
    for head in range(len(heads.names)):
        rows = sparse.csr_matrix((weight[:, head], (events.row, events.item)), shape=total.shape)
        one = np.zeros_like(total)
        np.add.at(one, events.row, weight[:, head, None] * strength[head])
        assert np.abs(heads.scores(head, rows) - one).max() <= 1e-5 * (1 + np.abs(one).max())
    assert np.abs(heads.total(events, weight) - total).max() <= 1e-5 * (1 + np.abs(total).max())


@settings(max_examples=10)
@given(seed=SEEDS)
def test_seen_items_are_each_marked_once(random_data: Data, seed: int) -> None:
    data = random_data(seed)
    looking, users = looking_takes(data), np.random.default_rng(seed).permutation(data.user_ids.size)
    for against_only in (False, True):
        wanted = np.zeros((users.size, data.item_ids.size), dtype=np.int8)
        for row, user in enumerate(users):
            mine = np.arange(data.indptr[user], data.indptr[user + 1])
            mine = mine[strong_mask(data, looking)[mine] & ((data.values[mine] < 0) | (not against_only))]
            wanted[row, data.items[mine]] = 1
        seen = seen_items(data, users, looking, against_only)
        assert seen.has_canonical_format
        assert np.array_equal(seen.toarray(), wanted)
