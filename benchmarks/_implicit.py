"""What the optional package `implicit` gives to the benchmarks: BPR as a peer, and ALS as its users run it."""

from __future__ import annotations

from typing import Any

import _one_thread
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy import sparse

from reportgen import Dataset
from reportgen.attention.history import looking_takes, strong_mask
from reportgen.attention.kernels import user_item
from reportgen.attention.peers import Peer


def taken(data: Dataset) -> sparse.csr_matrix:
    """What each user took, 1 per item: float32, shape (U, I)."""
    took = strong_mask(data, looking_takes(data)) & (data.values > 0)
    user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))[took]
    shape = (data.user_ids.size, data.item_ids.size)
    return user_item(user, data.items[took], np.ones(user.size, dtype=np.float32), shape)


def fit_als(matrix: sparse.csr_matrix, factors: int) -> Any:
    """Weighted matrix factorisation, the library's own object, for measuring its speed."""
    model = AlternatingLeastSquares(
        factors=factors, regularization=1.0, iterations=15, num_threads=_one_thread.THREADS, random_state=0
    )
    model.fit(matrix, show_progress=False)
    return model


class BPR(Peer):
    """Bayesian personalised ranking (Rendle et al., UAI 2009). It knows nobody whom it was not fitted on.

    Parameters
    ----------
    factors, l2, rate, iterations
        As in ``implicit``, where `l2` is ``regularization`` and `rate` is ``learning_rate``.
    random_state : int
    """

    def __init__(
        self, factors: int = 64, l2: float = 0.01, rate: float = 0.05, iterations: int = 100, random_state: int = 0
    ) -> None:
        self.factors, self.l2, self.rate = factors, l2, rate
        self.iterations, self.random_state = iterations, random_state

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:  # noqa: ARG002
        self.model_ = BayesianPersonalizedRanking(
            factors=self.factors, learning_rate=self.rate, regularization=self.l2, iterations=self.iterations,
            num_threads=_one_thread.THREADS, random_state=self.random_state,
        )  # fmt: skip
        self.model_.fit(taken, show_progress=False)

    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return np.asarray(self.model_.user_factors[users] @ self.model_.item_factors.T)
