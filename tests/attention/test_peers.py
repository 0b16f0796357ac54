"""Peers: what they say they compute, and nothing that must not be recommended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from reportgen.attention import peers as module
from reportgen.attention.evaluation import TooLargeError
from reportgen.attention.peers import ALS, EASE, Content, ItemKNN, Peer, Popularity, Random, closed_form
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, ModelError

Build = Callable[..., Dataset]
PEERS: list[Peer] = [Popularity(), Random(), ItemKNN(), EASE(), Content()]
if ALS.is_there():
    PEERS.append(ALS(factors=4, iterations=3))
each_peer = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: type(peer).__name__)


def taken(data: Dataset) -> np.ndarray:
    """What each user took, 0 or 1, dense."""
    matrix = np.zeros((data.user_ids.size, data.item_ids.size))
    for user in range(data.user_ids.size):
        where = data.history(user)
        matrix[user, data.items[where][data.values[where] > 0]] = 1.0
    return matrix


@pytest.fixture
def data(build_data: Build) -> Dataset:
    """Five people, four items; nobody took E."""
    return build_data(
        {"a": [["A"], ["B"]], "b": [["A", "B"], ["C"]], "c": [["B"], ["C"]], "d": [["A"], ["D"]], "e": [["A"]]},
        {name: {"category": "x" if name in "ABE" else "y"} for name in "ABCDE"},
    )


def scores_of(peer: Peer, data: Dataset, user: int) -> dict[str, float]:
    codes, scores = peer.recommend_codes(data, np.array([user]), data.item_ids.size)
    return {str(data.item_ids[c]): float(s) for c, s in zip(codes[0], scores[0], strict=True) if c >= 0}


@each_peer
@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_must_not_be_recommended(peer: Peer, seed: int, random_data: Callable[[int], Dataset]) -> None:
    data = random_data(seed)
    one = clone(peer).fit(data)
    users = np.arange(data.user_ids.size)
    barred = np.arange(data.item_ids.size) % 4 == 0
    codes, scores = one.recommend_codes(data, users, 6, barred)
    assert codes.shape == scores.shape == (users.size, 6)
    assert codes.dtype == np.int64
    assert np.isfinite(scores[codes >= 0]).all()
    assert np.isneginf(scores[codes < 0]).all()
    owned = np.zeros((users.size, data.item_ids.size), dtype=bool)
    for user in users:
        where = data.history(user)
        owned[user, data.items[where][data.types[where] != data.event_types.index("view")]] = True
    for user, row in enumerate(codes):
        found = row[row >= 0]
        assert np.unique(found).size == found.size
        assert not owned[user, found].any()
        assert not barred[found].any()
    again, _ = clone(peer).fit(data).recommend_codes(data, users[::-1], 6, barred)
    assert np.array_equal(again[::-1], codes)


@each_peer
def test_nothing_outside_the_catalogue(peer: Peer, build_data: Build) -> None:
    data = build_data({"a": [["A"], ["X"]], "b": [["A"], ["X"]], "c": [["A"]]}, ["A", "B"])
    codes, _ = clone(peer).fit(data).recommend_codes(data, np.array([2]), 3)
    assert [str(data.item_ids[code]) for code in codes[0] if code >= 0] == ["B"]


@each_peer
def test_manners(peer: Peer, data: Dataset) -> None:
    one = clone(peer)
    assert one.get_params() == peer.get_params()
    with pytest.raises(NotFittedError):
        one.recommend_codes(data, np.array([0]), 2)
    assert one.fit(data) is one
    assert one.get_params() == peer.get_params()


@each_peer
def test_other_items_are_refused(peer: Peer, data: Dataset, build_data: Build) -> None:
    with pytest.raises(ModelError, match="fit again"):
        clone(peer).fit(data).recommend_codes(build_data({"a": [["A"]]}), np.array([0]), 1)


@each_peer
def test_a_user_without_a_history_gets_some_list(peer: Peer, build_data: Build) -> None:
    data = build_data({"a": [["A"], ["B"]]}, ["A", "B", "C"], users=["a", "new"])
    codes, _ = clone(peer).fit(data).recommend_codes(data, np.array([1]), 3)
    assert sorted(codes[0].tolist()) == [0, 1, 2]


def test_popularity_counts_users(data: Dataset) -> None:
    assert scores_of(Popularity().fit(data), data, 4) == {"B": 3.0, "C": 2.0, "D": 1.0, "E": 0.0}


def test_ties_go_by_item_code(build_data: Build) -> None:
    data = build_data({"a": [["D"]], "b": [["C"]], "c": [["B"]]}, ["A", "B", "C", "D", "E"])
    assert list(scores_of(Popularity().fit(data), data, 0)) == ["B", "C", "A", "E"]


def test_chance_is_even_and_the_same_whoever_is_beside(build_data: Build) -> None:
    data = build_data({f"u{k:03}": [["A"]] for k in range(300)}, ["A", "B", "C", "D", "E"])
    one = Random().fit(data)
    codes, _ = one.recommend_codes(data, np.arange(300), 1)
    assert np.bincount(codes[:, 0], minlength=5)[1:].min() > 45  # 75 on average, 7.5 standard deviation
    assert one.recommend_codes(data, np.array([200]), 1)[0][0] == codes[200]
    other, _ = Random(1).fit(data).recommend_codes(data, np.arange(300), 1)
    assert (other != codes).any()


def test_item_knn_is_the_shrunk_cosine(data: Dataset) -> None:
    found = scores_of(ItemKNN(shrinkage=2.0).fit(data), data, 4)  # has A alone
    assert found["B"] == pytest.approx(2 / (np.sqrt(4 * 3) + 2))
    assert found["C"] == pytest.approx(1 / (np.sqrt(4 * 2) + 2))
    assert found["D"] == pytest.approx(1 / (np.sqrt(4 * 1) + 2))
    assert found["E"] == 0.0


def test_item_knn_keeps_the_nearest_of_each_candidate(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    full = ItemKNN(shrinkage=0.0).fit(data).weights_.toarray()
    cut = ItemKNN(neighbours=1, shrinkage=0.0).fit(data).weights_.toarray()
    assert ((cut > 0).sum(axis=0) <= 1).all()
    assert np.array_equal(cut.max(axis=0), full.max(axis=0))
    assert not full.diagonal().any()
    monkeypatch.setattr(module, "_BLOCK", 2)
    assert np.array_equal(ItemKNN(shrinkage=0.0).fit(data).weights_.toarray(), full)


@pytest.mark.parametrize("seed", range(5))
def test_ease_is_its_closed_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.random((30, 7)) < 0.3).astype(np.float64)
    inverse = np.linalg.inv(x.T @ x + 2.5 * np.eye(7))
    expected = np.eye(7) - inverse / np.diag(inverse)[None, :]
    found = closed_form(x.T @ x, 2.5)
    assert found == pytest.approx(expected, abs=1e-12)
    assert not found.diagonal().any()


def test_ease_solves_its_own_problem(random_data: Callable[[int], Dataset]) -> None:
    """No other matrix with a zero diagonal has a smaller loss (Steck 2019, equation 3)."""
    data = random_data(2)
    one = EASE(l2=3.0).fit(data)
    x = one._taken(data).toarray().astype(np.float64)
    best = np.zeros((data.item_ids.size, data.item_ids.size))
    best[np.ix_(one.known_, one.known_)] = one.weights_

    def loss(b: np.ndarray) -> float:
        return float(((x - x @ b) ** 2).sum() + 3.0 * (b**2).sum())

    rng = np.random.default_rng(0)
    for _ in range(20):
        step = rng.normal(size=best.shape) * 0.05
        np.fill_diagonal(step, 0.0)
        assert loss(best + step) > loss(best)


def test_ease_scores_are_history_times_weights(data: Dataset) -> None:
    one = EASE(l2=1.0).fit(data)
    x = taken(data)
    expected = x[1][one.known_] @ one.weights_
    assert scores_of(one, data, 1)["D"] == pytest.approx(expected[list(data.item_ids[one.known_]).index("D")], rel=1e-6)
    assert scores_of(one, data, 1)["E"] == 0.0


def test_ease_refuses_what_it_cannot_hold(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DENSE", 3)
    with pytest.raises(TooLargeError, match="at most 3 items; 4 were taken"):
        EASE().fit(data)


@pytest.mark.parametrize("kind", [ItemKNN, EASE])
def test_recency_fades_old_orders_at_scoring_alone(kind: type[Peer], build_data: Build) -> None:
    baskets = {f"x{k}": [["A"], ["B"]] for k in range(5)} | {f"y{k}": [["C"], ["D"]] for k in range(5)}
    data = build_data(baskets | {"u": [["A"], ["C"]]}, ["A", "B", "C", "D"])
    user = int(np.flatnonzero(data.user_ids == "u")[0])
    even, fading = scores_of(kind().fit(data), data, user), scores_of(kind(half_life=1.0).fit(data), data, user)
    assert even["B"] == pytest.approx(even["D"], rel=1e-5)
    if kind is ItemKNN:
        assert fading["D"] == pytest.approx(even["D"], rel=1e-5)  # the newest order counts in full
        assert fading["B"] == pytest.approx(even["B"] / 2, rel=1e-5)
    assert fading["B"] < fading["D"]


def test_content_counts_what_is_alike(data: Dataset) -> None:
    found = scores_of(Content(features={"category": ("category", "category")}).fit(data), data, 4)  # has A, of kind x
    assert found == {"B": 1.0, "E": 1.0, "C": 0.0, "D": 0.0}


def test_content_without_any_feature_says_nothing(build_data: Build) -> None:
    data = build_data({"a": [["A"]]}, {"A": {"title": ""}, "B": {"title": ""}})
    assert scores_of(Content().fit(data), data, 0) == {"B": 0.0}


@pytest.mark.parametrize("half_life", [0.0, -1.0, float("nan")])
def test_odd_half_lives_are_refused(half_life: float, data: Dataset) -> None:
    with pytest.raises(ConfigError, match="half_life"):
        EASE(half_life=half_life).fit(data)


def test_odd_ridges_are_refused(data: Dataset) -> None:
    with pytest.raises(ConfigError, match="l2"):
        EASE(l2=0.0).fit(data)


def test_als_without_its_package_names_it(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install"):
        ALS().fit(data)
