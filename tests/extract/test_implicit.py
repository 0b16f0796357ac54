"""ALS taken apart: the summands are the score, the effects are what solving again gives, and BPR is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from reportgen.errors import InputError
from reportgen.extract.implicit import ReadALS

USERS, ITEMS = [f"u{at}" for at in range(30)], [f"i{at}" for at in range(20)]


class AlternatingLeastSquares(SimpleNamespace):
    """What of a fitted model is read: the algebra is ours alone, so it is tried where the library is not installed too."""

    def explain(self) -> None: ...


def fitted(seed: int = 0, alpha: float = 2.0, regularization: float = 0.7) -> tuple[Any, sparse.csr_matrix]:
    rng = np.random.default_rng(seed)
    matrix = sparse.csr_matrix((rng.random((30, 20)) < 0.3) * rng.integers(1, 4, (30, 20)).astype(float))
    factors = {"item_factors": rng.normal(size=(20, 5)), "user_factors": rng.normal(size=(30, 5))}
    return AlternatingLeastSquares(alpha=alpha, regularization=regularization, **factors), matrix


def by_hand(model: Any, confidence: np.ndarray) -> np.ndarray:
    """The weighted ridge regression written out over all items, without any shortcut."""
    Y, c = model.item_factors, np.where(confidence != 0, np.abs(confidence), 1.0)
    left = Y.T @ np.diag(c) @ Y + model.regularization * np.eye(Y.shape[1])
    return np.asarray(Y @ np.linalg.solve(left, Y.T @ (c * (confidence > 0))))


@given(seed=st.integers(0, 10_000), alpha=st.floats(0.5, 40), regularization=st.floats(0.01, 10))
@settings(max_examples=25)
def test_contributions_sum_to_the_score_and_effects_are_solved_for(
    seed: int, alpha: float, regularization: float
) -> None:
    model, matrix = fitted(seed, alpha, regularization)
    read = ReadALS(model, matrix, USERS, ITEMS)
    user = int(np.argmax(np.diff(matrix.indptr)))
    parts = read.parts(USERS[user], 4)
    confidence = matrix[user].toarray()[0] * alpha
    np.testing.assert_allclose(parts.scores, by_hand(model, confidence)[parts.items], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(parts.contributions.sum(axis=1), parts.scores, rtol=1e-8, atol=1e-10)
    for at, item in enumerate(parts.history):
        without = confidence.copy()
        without[item] = 0.0
        gone = by_hand(model, without)[parts.items]
        np.testing.assert_allclose(parts.effects[:, at], parts.scores - gone, rtol=1e-6, atol=1e-9)
    assert not np.isin(parts.items, parts.history).any()
    assert (np.diff(parts.scores) <= 1e-12).all()


def test_the_contribution_is_not_the_loss() -> None:
    model, matrix = fitted()
    parts = ReadALS(model, matrix, USERS, ITEMS).parts("u0")
    assert parts.error > 0.05
    assert -1.0 <= parts.tau <= 1.0
    # With a heavy ridge and confidences of 1 the item does not change the system: then they are one.
    even, ones = fitted(alpha=1.0, regularization=5.0)
    ones.data[:] = 1.0
    assert ReadALS(even, ones, USERS, ITEMS).parts("u0").error == pytest.approx(0.0, abs=1e-9)


def test_a_negative_confidence_speaks_against_and_has_no_part() -> None:
    model, matrix = fitted()
    matrix.data[0] = -3.0
    parts = ReadALS(model, matrix, USERS, ITEMS).parts("u0")
    confidence = matrix[0].toarray()[0] * model.alpha
    np.testing.assert_allclose(parts.scores, by_hand(model, confidence)[parts.items], rtol=1e-8)
    assert not parts.contributions[:, list(parts.history).index(matrix.indices[0])].any()
    assert np.abs(parts.effects[:, list(parts.history).index(matrix.indices[0])]).max() > 0


def test_the_table_and_the_callback_agree() -> None:
    model, matrix = fitted()
    read = ReadALS(model, matrix, USERS, ITEMS)
    frame, parts = read.table("u3", n=3), read.parts("u3", 3)
    assert set(frame["kind"]) == {"contribution"}
    total = frame.groupby("rank")["weight"].sum().to_numpy()
    np.testing.assert_allclose(total, parts.scores, rtol=1e-9)
    history = [ITEMS[at] for at in parts.history]
    picks = [ITEMS[at] for at in parts.items]
    np.testing.assert_allclose(read.score("u3", history, picks), parts.scores, rtol=1e-9)
    for at in range(len(history)):
        less = read.score("u3", history[:at] + history[at + 1 :], picks)
        np.testing.assert_allclose(parts.scores - less, parts.effects[:, at], atol=1e-9)
    assert not read.score("u3", [], picks).any()


def test_bad_inputs_are_named() -> None:
    model, matrix = fitted()
    read = ReadALS(model, matrix, USERS, ITEMS)
    with pytest.raises(InputError, match="'nobody' is not in the model"):
        read.table("nobody")
    with pytest.raises(InputError, match="'what' is not in the model"):
        read.score("u0", ["i1"], ["what"])
    with pytest.raises(InputError, match="sizes differ"):
        ReadALS(model, matrix, USERS[1:], ITEMS)
    with pytest.raises(InputError, match="not fitted"):
        ReadALS(AlternatingLeastSquares(alpha=1, regularization=1, item_factors=None), matrix, USERS, ITEMS)
    matrix.data[matrix.indptr[4] : matrix.indptr[5]] = 0.0
    with pytest.raises(InputError, match="no item that speaks"):
        ReadALS(model, matrix, USERS, ITEMS).table("u4")


# -- the library itself


def test_the_real_als(library: Callable[[str], ModuleType]) -> None:
    library("implicit")
    from implicit.cpu.als import AlternatingLeastSquares as Real

    _, matrix = fitted()
    model = Real(factors=6, regularization=0.4, alpha=3.0, iterations=8, num_threads=1, random_state=0)
    model.fit(matrix, show_progress=False)
    read = ReadALS(model, matrix, USERS, ITEMS)
    for user in (0, 7):
        parts = read.parts(USERS[user], 3)
        for k, item in enumerate(parts.items):
            total, top, _ = model.explain(user, matrix, int(item), N=50)
            assert parts.scores[k] == pytest.approx(total, abs=1e-4)
            theirs = dict(top)
            mine = dict(zip(parts.history.tolist(), parts.contributions[k], strict=True))
            assert mine == pytest.approx({int(at): float(value) for at, value in theirs.items()}, abs=1e-4)
        less = matrix[user].tolil()
        less[0, int(parts.history[0])] = 0.0
        vector = model.recalculate_user(0, less.tocsr())
        gone = parts.scores - np.asarray(vector, dtype=float) @ model.item_factors[parts.items].T.astype(float)
        np.testing.assert_allclose(parts.effects[:, 0], gone, atol=1e-4)


def test_bpr_is_refused_with_the_reason(library: Callable[[str], ModuleType]) -> None:
    library("implicit")
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    _, matrix = fitted()
    model = BayesianPersonalizedRanking(factors=4, iterations=2, num_threads=1, random_state=0)
    model.fit(matrix, show_progress=False)
    with pytest.raises(InputError, match="BayesianPersonalizedRanking learns a vector for each user"):
        ReadALS(model, matrix, USERS, ITEMS)
