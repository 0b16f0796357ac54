"""Toy worlds for the scorer: small data sets whose answers are known or can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset

Line = str | tuple[str, str]  # an item that was bought, or (item, event type)
START = np.datetime64("2026-01-01T12:00:00", "us")


def build_data(
    baskets: Mapping[str, Sequence[Sequence[Line]]],
    items: Mapping[str, Mapping[str, Any]] | Sequence[str] | None = None,
    users: Sequence[str] | None = None,
) -> Dataset:
    """One order a day. A catalogue of all bought items when None; a list of names makes items without features."""
    rows = [
        (
            user,
            *((line, "purchase") if isinstance(line, str) else line),
            START + np.timedelta64(day, "D"),
            f"{user}-{day}",
        )
        for user, orders in baskets.items()
        for day, order in enumerate(orders)
        for line in order
    ]
    columns = ["user_id", "item_id", "event_type", "timestamp", "order_id"]
    events = pd.DataFrame({name: [row[k] for row in rows] for k, name in enumerate(columns)}).astype(
        {name: object for name in columns if name != "timestamp"} | {"timestamp": "datetime64[us]"}
    )
    names = sorted({row[1] for row in rows}) if items is None else list(items)
    facts = items if isinstance(items, Mapping) else {}
    catalogue = pd.DataFrame([{"item_id": name, "title": f"Item {name}", **facts.get(name, {})} for name in names])
    people = None if users is None else pd.DataFrame({"user_id": list(users)})
    return Dataset.from_frames(events, catalogue, people)


def random_data(seed: int, n_users: int = 14, n_items: int = 9) -> Dataset:
    """Random orders of purchases, views and returns; items with a category, a price and tags, some of them missing."""
    rng = np.random.default_rng(seed)
    names = [f"i{k}" for k in range(n_items)]
    kinds = ["purchase", "purchase", "purchase", "view", "return"]
    baskets: dict[str, list[list[Line]]] = {
        f"u{u:02}": [
            [(str(item), str(rng.choice(kinds))) for item in rng.choice(names, rng.integers(1, 4), replace=False)]
            for _ in range(rng.integers(1, 5))
        ]
        for u in range(n_users)
    }
    facts = {
        name: {
            "category": str(rng.choice(["x", "y", "z"])) if rng.random() < 0.8 else None,
            "price": float(rng.integers(1, 50)) if rng.random() < 0.8 else None,
            "tags": [str(tag) for tag in rng.choice(["p", "q", "r"], rng.integers(0, 3), replace=False)],
        }
        for name in names
    }
    return build_data(baskets, facts)


def random_model(data: Dataset, seed: int, **parameters: Any) -> AttentionScorer:
    """A fitted scorer in which every head and every half-life counts, by random weights."""
    scorer = AttentionScorer(**({"min_support": 1, "l2": 1.0} | parameters)).fit(data)
    rng = np.random.default_rng(seed)
    scorer.theta_ = rng.random(scorer.theta_.shape)
    scorer.theta_pop_ = float(rng.random())
    scorer.base_ = scorer.theta_pop_ * np.log1p(scorer.popularity_)
    return scorer


def ab_world() -> Dataset:
    """Thirty people bought A and then B, thirty C and then D; two more have only A or only C so far."""
    baskets: dict[str, list[list[Line]]] = {f"ab{k:02}": [["A"], ["B"]] for k in range(30)}
    baskets |= {f"cd{k:02}": [["C"], ["D"]] for k in range(30)}
    return build_data(baskets | {"only-a": [["A"]], "only-c": [["C"]]})


@pytest.fixture(scope="session", name="build_data")
def build_data_fixture() -> Callable[..., Dataset]:
    return build_data


@pytest.fixture(scope="session", name="random_data")
def random_data_fixture() -> Callable[..., Dataset]:
    return random_data


@pytest.fixture(scope="session", name="random_model")
def random_model_fixture() -> Callable[..., AttentionScorer]:
    return random_model


@pytest.fixture(scope="session", name="ab_world")
def ab_world_fixture() -> Dataset:
    return ab_world()
