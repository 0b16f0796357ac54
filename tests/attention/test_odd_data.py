"""Data on the edge: never a NaN, always an answer or a plain error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from reportgen.attention.features import encode_features
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError

Data = Callable[..., Dataset]

FACTS = {
    "A": {"category": "x", "price": 3.0},
    "B": {"category": "y", "price": 5.0},
    "C": {"category": "x", "price": 9.0},
}
MANY = {f"u{k:02}": [["A"], ["B", "C"]] for k in range(25)}
WORLDS: dict[str, dict[str, Any]] = {
    "no features": {"baskets": MANY},
    "one user": {"baskets": {"u": [["A"], ["B"]]}, "items": FACTS},
    "one user, one event": {"baskets": {"u": [["A"]]}, "items": FACTS},
    "all at one time": {"baskets": {f"u{k}": [["A", "B"]] for k in range(9)}, "items": FACTS},
    "constant features": {"baskets": MANY, "items": {name: {"category": "x", "price": 4.0} for name in "ABC"}},
    "all returns": {"baskets": {f"u{k}": [[("A", "return")], [("B", "return")]] for k in range(25)}, "items": FACTS},
    "no prices": {"baskets": MANY, "items": {name: {"price": float("nan")} for name in "ABC"}},
    "one price": {"baskets": MANY, "items": {"A": {"price": 2.0}, "B": {"price": None}, "C": {"price": None}}},
    "huge prices": {"baskets": MANY, "items": {"A": {"price": 0.0}, "B": {"price": 1e300}, "C": {"price": 1.0}}},
    "one item": {
        "baskets": {f"u{k}": [["A"], ["A"]] for k in range(25)},
        "items": {"A": {"category": "x", "price": 1.0}},
    },
    "never bought": {"baskets": MANY, "items": FACTS | {"Z": {"category": "x", "price": 4.0}}},
    "everybody took everything": {"baskets": {f"u{k}": [["A"], ["B"], ["C"]] for k in range(25)}, "items": FACTS},
    "a user without events": {"baskets": MANY, "items": FACTS, "users": [*MANY, "silent"]},
    "only views": {"baskets": {f"u{k}": [[("A", "view")], [("B", "view")]] for k in range(25)}, "items": FACTS},
}


@pytest.mark.parametrize("world", WORLDS)
def test_an_odd_world_gives_finite_numbers(world: str, build_data: Data) -> None:
    data = build_data(**WORLDS[world])
    scorer = AttentionScorer().fit(data)
    ids, scores = scorer.recommend(data.user_ids, n=4)
    assert ids.shape == (data.user_ids.size, 4)
    assert not np.isnan(scores).any()
    assert np.isfinite(scores[ids != ""]).all()
    assert set(ids.ravel()) <= {*data.item_ids, ""}
    for learnt in (
        scorer.theta_,
        scorer.base_,
        scorer.kernels_["together"].weights.data,
        *(b.matrix.data for b in scorer.blocks_),
    ):
        assert np.isfinite(learnt).all()
        assert (learnt >= 0).all()


def test_a_constant_feature_is_no_head(build_data: Data) -> None:
    assert AttentionScorer().fit(build_data(**WORLDS["constant features"])).heads_ == ("together", "next", "via")
    heads = AttentionScorer().fit(build_data(**WORLDS["one user"])).heads_
    assert heads == ("together", "next", "via", "category", "price")


def test_an_item_that_nobody_bought_is_found_by_its_content(build_data: Data) -> None:
    data = build_data({"u": [["A"]]}, FACTS | {"Z": {"category": "x", "price": 3.0}})
    assert AttentionScorer().fit(data).recommend(["u"], n=1)[0].tolist() == [["Z"]]


def test_someone_who_took_everything_gets_an_empty_list(build_data: Data) -> None:
    data = build_data(**WORLDS["everybody took everything"])
    ids, scores = AttentionScorer().fit(data).recommend(data.user_ids, n=3)
    assert (ids == "").all()
    assert np.isneginf(scores).all()


def test_too_few_users_keep_the_even_start(build_data: Data) -> None:
    scorer = AttentionScorer().fit(build_data({f"u{k}": [["A"], ["B"]] for k in range(19)}, ["A", "B", "C"]))
    assert (scorer.learnt_, scorer.n_users_learnt_) == (False, 19)
    assert np.allclose(scorer.theta_, 1 / 3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"half_lives": ()}, "half_lives"),
        ({"half_lives": (3.0, 0.0)}, "half_lives"),
        ({"half_lives": (float("nan"),)}, "half_lives"),
        ({"history_cap": 0}, "history_cap: 0 is too small"),
        ({"l2": float("nan")}, "l2"),
        ({"features": {"brand": ("brand", "category")}}, "reads the column 'brand', which the catalogue lacks"),
        ({"features": {"c": ("title", "colour")}}, "unknown kind 'colour'"),
        ({"features": {"together": ("title", "text")}}, "choose another name"),
    ],
)
def test_settings_that_cannot_work_are_named(parameters: dict[str, Any], message: str, ab_world: Dataset) -> None:
    with pytest.raises(ConfigError, match=message):
        AttentionScorer(**parameters).fit(ab_world)


# --- features

CATALOGUE = pd.DataFrame(
    {
        "category": pd.Series(["x", "x", None, "", "y"], dtype=object),
        "price": [1.0, 1.05, np.nan, -3.0, 400.0],
        "tags": pd.Series([("a", "b"), ("a",), (), None, "b"], dtype=object),
        "title": pd.Series(["Blue cup", "blue Cup!", "", None, "红茶杯 cup"], dtype=object),
    }
)


def cosines(name: str, catalogue: pd.DataFrame = CATALOGUE) -> np.ndarray:
    block = next(block for block in encode_features(catalogue) if block.name == name)
    return np.asarray((block.matrix @ block.matrix.T).toarray())


@pytest.mark.parametrize("name", ["category", "price", "tags", "title"])
def test_rows_have_unit_length_or_none(name: str) -> None:
    same = cosines(name)
    assert np.isin(np.round(same.diagonal(), 5), [0.0, 1.0]).all()
    assert same.min() >= 0
    assert same.max() <= 1 + 1e-6


def test_known_likeness() -> None:
    assert np.array_equal(cosines("category").round(5)[0], [1, 1, 0, 0, 0])
    assert np.array_equal(cosines("price").diagonal().round(5), [1, 1, 0, 0, 1])
    assert cosines("title")[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert 0 < cosines("title")[0, 4] < 1
    assert cosines("tags")[0, 4] > 0 == cosines("tags")[1, 4]


def test_prices_close_together_are_alike() -> None:
    same = cosines("price", pd.DataFrame({"price": np.arange(1.0, 101.0)}))
    assert same[50, 51] > 0.9 > same[50, 60] > same[50, 99] == 0


def test_telling_apart_costs_no_more_than_the_features() -> None:
    """200,000 items with one long title each: comparing them must not build a dense table."""
    rows = 200_000
    same = pd.DataFrame({"category": np.full(rows, "x", dtype=object)})
    assert encode_features(same) == []
    same.loc[rows - 1, "category"] = "y"
    (block,) = encode_features(same)
    assert isinstance(block.matrix, sparse.csr_matrix)
    assert block.matrix.nnz == rows
