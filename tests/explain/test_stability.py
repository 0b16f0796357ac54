"""The bootstrap over users: what it draws, and what it says of models that stay and models that do not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.errors import ModelError
from reportgen.explain.ranks import Mean
from reportgen.explain.stability import EDGES, MEASURES, Bootstrap, _binned, resample_users, stability_report

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


# --- single refits


def boot_of(data: Dataset, scorer: AttentionScorer | None = None, **told: Any) -> Bootstrap:
    return Bootstrap(scorer or AttentionScorer(**QUICK).fit(data), data, np.arange(data.user_ids.size), **told)


def test_a_refit_depends_on_its_number_alone(small: Dataset) -> None:
    one, other = boot_of(small, random_state=7), boot_of(small, random_state=7)
    forth, back = [one.refit(k) for k in range(4)], [other.refit(k) for k in reversed(range(4))][::-1]
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(forth, back, strict=True))
    assert not np.array_equal(forth[1], forth[2], equal_nan=True)
    shorter = stability_report(small, one.scorer, 2, np.arange(small.user_ids.size), 7)
    assert one.summary(forth[:3]) == shorter


def test_with_nobody_drawn_everything_is_as_it_was(small: Dataset) -> None:
    found = stability_report(small, AttentionScorer(**QUICK).fit(small), 2)
    assert found.unchanged == {"top3": 1.0, "first_reason": 1.0, "first_item": 1.0, "same_sign": 1.0, "flipped": 0.0}
    assert found.first_item.mean < 1.0


def test_a_model_of_other_data_is_told_by_the_fit_with_nobody_drawn(
    small: Dataset, random_data: Callable[..., Dataset]
) -> None:
    other = random_data(11, n_users=30, n_items=8)
    assert np.array_equal(other.item_ids, small.item_ids)
    found = stability_report(small, AttentionScorer(**QUICK).fit(other), 2)
    assert found.unchanged["first_item"] < 1.0
    assert found.unchanged["top3"] < 1.0


def test_the_bins_hold_everybody_and_agree_with_the_mean(small: Dataset) -> None:
    found = stability_report(small, AttentionScorer(**QUICK), 3, np.arange(30))
    low, high = np.array(EDGES[:-1]), np.array(EDGES[1:])
    for name in MEASURES:
        counts, mean = np.array(found.by_user[name]), getattr(found, name)
        assert counts.sum() == mean.n
        assert low @ counts / mean.n - 1e-9 <= mean.mean <= high @ counts / mean.n + 1e-9


@settings(max_examples=60)
@given(st.lists(st.one_of(st.integers(0, 20).map(lambda k: k / 20), st.just(float("nan"))), max_size=30))
def test_a_whole_share_falls_into_the_bin_that_begins_with_it(shares: list[float]) -> None:
    there = [round(20 * share) for share in shares if not math.isnan(share)]
    wanted = [sum(min(twentieths // 4, 4) == k for twentieths in there) for k in range(5)]
    assert list(_binned(np.array(shares, dtype=np.float64))) == wanted


def test_what_is_barred_is_never_the_product_and_what_is_left_out_never_a_reason(small: Dataset) -> None:
    barred, left_out = (np.arange(8) < 4), (np.arange(8) == 5)
    boot = boot_of(small, barred=barred, left_out=left_out)
    there = boot.before.target[boot.before.target >= 0]
    assert there.size
    assert not barred[there].any()
    assert not left_out[boot.before.events.item].any()
    assert np.array_equal(boot.refit(0)[MEASURES.index("first_item")][boot.before.target >= 0], np.ones(there.size))


def test_a_scorer_of_another_catalogue_is_refused(small: Dataset, ab_world: Dataset) -> None:
    with pytest.raises(ModelError, match="items are not those"):
        boot_of(small, AttentionScorer(**QUICK).fit(ab_world))
