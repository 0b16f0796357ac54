"""Planted causes are found where the model knows them, and are not where it cannot."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from reportgen.attention.history import drop_events, holdout_mask
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.data.shop import Shop, make_shop
from reportgen.explain.fidelity import METHODS, OURS
from reportgen.explain.truth import ALL, PlantedTruth, planted_truth

#: One set of half-lives and few examples: what is tested here does not depend on them.
PARAMETERS: dict[str, Any] = {"max_users": 60, "min_support": 2, "half_lives": (float("inf"), 3.0)}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop(120, 60)


@pytest.fixture(scope="module")
def found(shop: Shop) -> PlantedTruth:
    return planted_truth(shop, AttentionScorer(**PARAMETERS))


def test_every_hidden_purchase_is_counted_once(shop: Shop, found: PlantedTruth) -> None:
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    purchase = data.types == data.event_types.index("purchase")
    hidden = int((holdout_mask(data, False) & purchase).sum())
    assert found.n_purchases + found.n_popular + found.n_unknown == hidden
    assert found.n_unknown == 0
    assert found.n_popular > 0
    assert "popular" not in found.by_cause
    kinds = [hits.head.n for cause, hits in found.by_cause.items() if cause != ALL]
    assert sum(kinds) == found.by_cause[ALL].head.n == found.n_purchases


def test_the_first_reason_is_no_more_often_right_than_the_first_three(found: PlantedTruth) -> None:
    for hits in found.by_cause.values():
        assert list(hits.first) == list(hits.top3) == list(METHODS)
        assert all(0 <= hits.first[m].mean <= hits.top3[m].mean <= 1 for m in METHODS)


def test_our_reasons_name_the_cause_more_often_than_a_blind_guess(found: PlantedTruth) -> None:
    ours, blind = found.by_cause[ALL].first[OURS], found.by_cause[ALL].first["random"]
    assert ours.mean > blind.mean + 2 * (ours.se + blind.se)


def test_a_cause_can_be_checked_by_hand(shop: Shop, found: PlantedTruth) -> None:
    """The hits of the newest-first rule, counted again from the tables of the shop."""
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    train = drop_events(data, holdout_mask(data, False))
    truth = shop.truth
    last = truth.groupby("user_id")["timestamp"].transform("max")
    first = truth.groupby("user_id")["timestamp"].transform("min")
    hidden = truth[(truth["timestamp"] == last) & (last > first) & (truth["cause"] != "popular")]
    hits = []
    for user, cause in zip(hidden["user_id"], hidden["cause_item_id"], strict=True):
        mine = train.history(int(np.flatnonzero(train.user_ids == user)[0]))
        hits.append(train.item_ids[train.items[mine][-1]] == cause)
    counted = found.by_cause[ALL].first["recency"]
    assert counted.mean == pytest.approx(np.mean(hits))
    assert counted.n == len(hits)


def test_a_model_without_the_features_does_not_find_their_causes() -> None:
    """Only brands cause purchases. A scorer that sees no brand, and no pair of items either, is lost."""
    settings = PARAMETERS | {"min_support": 1000}
    shop = make_shop(120, 200, cause_shares={"brand": 1.0})
    seeing = AttentionScorer(features={"brand": ("brand", "category")}, **settings)
    blind = AttentionScorer(features={"price": ("price", "price")}, **settings)
    with_brand, without = (planted_truth(shop, scorer).by_cause["brand"] for scorer in (seeing, blind))
    assert with_brand.top3[OURS].mean > without.top3[OURS].mean + 0.2
    assert with_brand.head.mean > 0.5
    assert without.head.mean == 0.0
    assert with_brand.first["random"] == without.first["random"]


def test_the_same_figures_again_and_as_json(shop: Shop, found: PlantedTruth) -> None:
    assert planted_truth(shop, AttentionScorer(**PARAMETERS)) == found
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["by_cause"]["all"]["first"]["ours"]["n"] == found.n_purchases
