"""How head weights are learnt: slopes against finite differences, known ranks, choices that are better than the start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.attention import ranking
from reportgen.attention.examples import Lists
from reportgen.attention.history import gather_events
from reportgen.attention.ranking import fit_approx_ndcg, fit_bpr, ndcg_of
from reportgen.attention.scorer import HALF_LIVES, AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop

Data = Callable[..., Dataset]
Model = Callable[..., AttentionScorer]


def random_lists(seed: int, n_users: int = 7, n_taken: int = 3, n_other: int = 9, width: int = 4) -> Lists:
    """Lists with empty places; the first feature is larger for taken items."""
    rng = np.random.default_rng(seed)
    taken = rng.random((n_users, n_taken, width)).astype(np.float32)
    taken[:, :, 0] += 0.7
    there = rng.random((n_users, n_taken)) < 0.7
    there[:, 0] = True
    weight = rng.integers(0, 4, (n_users, n_other)).astype(float)
    weight[:, 0] = 1.0
    return Lists(taken, there, rng.random((n_users, n_other, width)).astype(np.float32), weight)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31))
@pytest.mark.parametrize("loss", [ranking._bpr, ranking._approx_ndcg])
def test_the_slope_is_the_slope(loss: ranking.Loss, seed: int) -> None:
    lists = random_lists(seed)
    lists = Lists(
        *(np.asarray(part, dtype=part.dtype) for part in (lists.taken, lists.there, lists.other, lists.weight))
    )
    theta, step = np.random.default_rng(seed).random(4) + 0.2, 1e-2
    _, slope = ranking._over_chunks(lists, theta, loss)
    for p in range(4):
        up, down = theta.copy(), theta.copy()
        up[p] += step
        down[p] -= step
        rise = ranking._over_chunks(lists, up, loss)[0] - ranking._over_chunks(lists, down, loss)[0]
        assert slope[p] == pytest.approx(rise / (2 * step), abs=2e-3)


def test_ndcg_of_a_list_counted_by_hand() -> None:
    """One taken item (score 2) behind one item that stands for three: rank 4."""
    one = np.ones((1, 1, 1), dtype=np.float32)
    lists = Lists(2 * one, np.array([[True]]), np.array([[[3.0], [1.0]]], dtype=np.float32), np.array([[3.0, 5.0]]))
    assert ndcg_of(lists, np.array([1.0])).tolist() == pytest.approx([1 / np.log2(5)])
    assert ndcg_of(lists, np.array([1.0]), n=3).tolist() == [0.0]
    tied = Lists(3 * one, np.array([[True]]), lists.other, lists.weight)
    assert ndcg_of(tied, np.array([1.0])).tolist() == pytest.approx([1 / np.log2(3.5)])  # a tie counts half


@pytest.mark.parametrize("fit", [fit_bpr, fit_approx_ndcg])
def test_learning_finds_the_feature_that_tells(fit: Callable[..., ranking.HeadFit]) -> None:
    lists, start = random_lists(1, n_users=80), np.full(4, 0.25)
    found = fit(lists, start)
    assert found.improved
    assert found.loss < found.loss_start
    assert (found.theta >= 0).all()
    assert found.theta[0] == max(found.theta)
    assert ndcg_of(lists, found.theta).mean() > ndcg_of(lists, start).mean()
    assert np.array_equal(found.theta, fit(lists, start).theta)


def test_a_silent_feature_keeps_its_start() -> None:
    lists = random_lists(2)
    silent = Lists(lists.taken * [1, 1, 1, 0], lists.there, lists.other * [1, 1, 1, 0], lists.weight)
    assert fit_bpr(silent, np.full(4, 0.25)).theta[3] == 0.25
    dumb = Lists(lists.taken * 0, lists.there, lists.other * 0, lists.weight)
    found = fit_bpr(dumb, np.full(4, 0.25))
    assert not found.improved
    assert found.theta.tolist() == [0.25] * 4


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_all_heads_at_once_are_the_heads_one_by_one(random_data: Data, random_model: Model, seed: int) -> None:
    data = random_data(seed)
    scorer = random_model(data, seed, repeat=bool(seed % 2))
    events = gather_events(data, np.arange(data.user_ids.size), 200)
    weight = scorer._weights(events).astype(np.float32)
    heads, total = scorer.heads(), np.zeros((data.user_ids.size, data.item_ids.size))
    for head in range(len(scorer.heads_)):
        for e in range(events.row.size):
            pair = np.full(data.item_ids.size, events.item[e])
            strength, _ = heads.values(pair, np.arange(data.item_ids.size))
            total[events.row[e]] += weight[e, head] * strength[:, head]
    assert np.abs(heads.total(events, weight) - total).max() <= 1e-4 * (1 + np.abs(total).max())


def test_half_lives_are_chosen_from_the_sets() -> None:
    shop = make_shop(n_users=150, n_items=60, random_state=1)
    shop_model = AttentionScorer().fit(Dataset.from_frames(shop.events, shop.items, shop.users))
    assert shop_model.half_lives_ in HALF_LIVES
    assert shop_model.learning_["chosen"] in ("bpr", "approx_ndcg")
    assert 0 < shop_model.learning_["ndcg"] < 1
    assert AttentionScorer(half_lives=(4.0,)).fit(shop_model.data_).half_lives_ == (4.0,)


def test_too_few_users_teach_nothing(build_data: Data) -> None:
    scorer = AttentionScorer().fit(build_data({"a": [["A"], ["B"]], "b": [["A"], ["C"]]}))
    assert not scorer.learnt_
    assert scorer.learning_ == {"chosen": "start", "ndcg": None}
