"""The bootstrap over users: what it draws, and what it says of models that stay and models that do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.explain.ranks import Mean
from reportgen.explain.stability import resample_users, stability_report

#: One set of half-lives and few examples: what is tested here does not depend on them.
QUICK: dict[str, Any] = {"min_support": 1, "half_lives": (float("inf"), 3.0), "max_users": 40}


@pytest.fixture(name="small")
def small_fixture(random_data: Callable[..., Dataset]) -> Dataset:
    return random_data(3, n_users=30, n_items=8)


def test_users_are_drawn_whole(small: Dataset) -> None:
    drawn = resample_users(small, np.random.default_rng(1))
    assert drawn.user_ids.size == small.user_ids.size
    assert np.array_equal(drawn.user_ids, np.sort(drawn.user_ids))
    assert len(drawn.users) == small.user_ids.size
    assert drawn.indptr[-1] == drawn.items.size == drawn.values.size

    def histories(data: Dataset) -> list[bytes]:
        parts = ("items", "timestamps", "types", "values", "orders")
        return [b"".join(getattr(data, p)[data.history(u)].tobytes() for p in parts) for u in range(data.user_ids.size)]

    old, new = histories(small), histories(drawn)
    assert set(new) < set(old)
    assert len(set(new)) < len(new)


def test_what_everybody_does_stays(ab_world: Dataset) -> None:
    """Sixty people went from A to B or from C to D. Whoever is drawn, A speaks for B."""
    users = np.flatnonzero(np.isin(ab_world.user_ids, ["only-a", "only-c"]))
    found = stability_report(ab_world, AttentionScorer(half_lives=QUICK["half_lives"]), n_boot=4, users=users)
    assert found.top3 == found.first_reason == found.first_item == found.same_sign == Mean(1.0, 0.0, 2)
    assert found.flipped == Mean(0.0, 0.0, 2)
    assert set(found.spread.values()) == {0.0}


class Moody(AttentionScorer):
    """Fits what it is given and then lets one half of the items speak against: which half changes from fit to fit."""

    fits = 0

    def fit(self, data: Dataset, y: None = None) -> Moody:  # noqa: ARG002
        super().fit(data)
        type(self).fits += 1
        return self

    def contributions(self, events: Any, candidates: np.ndarray) -> Any:
        parts = super().contributions(events, candidates)
        sign = np.where(np.random.default_rng(type(self).fits).random(self.base_.size) < 0.5, -1.0, 1.0)
        parts.value[:] = sign[parts.item][:, None, None] * (0.1 + parts.value)
        return parts


def test_a_moody_model_is_caught(small: Dataset) -> None:
    users = np.arange(30)
    calm = stability_report(small, AttentionScorer(**QUICK), 4, users)
    moody = stability_report(small, Moody(**QUICK), 4, users)
    assert moody.flipped.mean > 0.2
    assert calm.flipped.mean < 0.05
    assert moody.same_sign.mean < 0.8
    assert moody.first_reason.mean < 1.0


def test_a_fitted_scorer_is_used_as_it_is_and_left_alone(small: Dataset) -> None:
    scorer = AttentionScorer(**QUICK).fit(small)
    theta = scorer.theta_.copy()
    found = stability_report(small, scorer, 2, random_state=5)
    assert found == stability_report(small, AttentionScorer(**QUICK), 2, random_state=5)
    assert np.array_equal(scorer.theta_, theta)
    assert scorer.data_ is small
    assert found != stability_report(small, scorer, 2, random_state=6)


def test_no_refit_and_nobody_to_explain(small: Dataset) -> None:
    none = stability_report(small, AttentionScorer(**QUICK), 0)
    assert none.top3 == Mean(0.0, 0.0, 0)
    nobody = stability_report(small, AttentionScorer(**QUICK), 1, users=np.empty(0, dtype=np.int64))
    assert nobody.first_item == Mean(0.0, 0.0, 0)
    assert json.loads(json.dumps(nobody.to_dict(), allow_nan=False))["n_boot"] == 1
