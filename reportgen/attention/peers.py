"""Known recommenders to compare with: short, deterministic, and tuned like any estimator of scikit-learn.

They read the same histories as `AttentionScorer` and hide the same items; none of them is used in a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from reportgen.attention.evaluation import TooLargeError
from reportgen.attention.features import encode_features
from reportgen.attention.history import WHOLE, decay, event_users, gather_events, looking_takes, seen_items, took_mask
from reportgen.attention.kernels import user_item
from reportgen.attention.parameters import one_thread
from reportgen.attention.top import best_lists
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, ModelError

#: Numbers in one dense block of scores, users x items.
_CELLS = 16_000_000
#: Items in one block of co-occurrence counts.
_BLOCK = 2_048
#: More items than this would need a dense matrix of more than 3.2 GB.
MOST_DENSE = 20_000


class Peer(BaseEstimator):
    """What all of them share: reading the data, masking, and cutting the list."""

    half_life: float = float("inf")

    def fit(self, data: Dataset, y: None = None) -> Peer:  # noqa: ARG002
        """Learn from what users took."""
        if not self.half_life > 0:
            raise ConfigError(f"half_life: {self.half_life!r} must be above 0, in orders; infinity never forgets")
        self.looking_takes_ = looking_takes(data)
        self.candidate_ = data.catalogue["in_catalogue"].to_numpy(dtype=bool).copy()
        self._learn(self._taken(data), data)
        return self

    def recommend_codes(
        self, data: Dataset, users: np.ndarray, n: int = 10, barred: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `n` best items of the catalogue that each user has not taken, returned or hidden; ties by item code.

        Parameters
        ----------
        data : Dataset
            Histories; the same items as in `fit`.
        users : ndarray of int64, shape (B,)
        n : int
        barred : ndarray of bool, shape (I,), optional
            Items never recommended.

        Returns
        -------
        codes : ndarray of int64, shape (B, n)
            -1 where nothing is left.
        scores : ndarray of float32, shape (B, n)
            ``-inf`` there.
        """
        check_is_fitted(self, "candidate_")
        if data.item_ids.size != self.candidate_.size:
            raise ModelError("the items are not those this model was fitted on; fit again")
        closed = ~self.candidate_ if barred is None else ~self.candidate_ | barred
        chunk = max(1, _CELLS // max(closed.size, 1))

        def scores_of(batch: np.ndarray) -> np.ndarray:
            return self._scores(self._history(data, batch), batch).astype(np.float32)

        return best_lists(
            users, n, chunk, scores_of, lambda batch: seen_items(data, batch, self.looking_takes_), closed
        )

    def _taken(self, data: Dataset) -> sparse.csr_matrix:
        """What each user took, in [0, 1]: float32, shape (U, I)."""
        strong = took_mask(data, self.looking_takes_)
        return user_item(
            event_users(data)[strong], data.items[strong], data.values[strong], (data.user_ids.size, data.item_ids.size)
        )

    def _history(self, data: Dataset, users: np.ndarray) -> sparse.csr_matrix:
        """As `_taken` for some users, with what lies long ago faded: float32, shape (B, I)."""
        events = gather_events(data, users, WHOLE)
        strong = took_mask(data, self.looking_takes_)[events.event]
        faded = (events.value * decay(events.age, (self.half_life,))[:, 0])[strong]
        return user_item(events.row[strong], events.item[strong], faded, (users.size, data.item_ids.size))

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:
        raise NotImplementedError

    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Popularity(Peer):
    """The number of users who took an item; the same list for everybody but for what each has already."""

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:  # noqa: ARG002
        self.popularity_ = taken.getnnz(axis=0).astype(np.float32)

    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return np.repeat(self.popularity_[None, :], history.shape[0], axis=0)


class Random(Peer):
    """Chance, by a seed: the same user gets the same list, whoever is asked for beside him."""

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:
        pass

    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:
        draw = [np.random.default_rng([self.random_state, user]).random(history.shape[1]) for user in users]
        return np.array(draw).reshape(history.shape)


class ItemKNN(Peer):
    """Cosine of items over users, with shrinkage, each candidate keeping its nearest neighbours.

    ``s_ji = sum_u x_uj x_ui / (|x_j| |x_i| + shrinkage)``; Sarwar et al., WWW 2001, with the shrinkage of Bell and
    Koren, ICDM 2007.

    Parameters
    ----------
    neighbours : int
        Kept per candidate, the most similar ones; ties by item code.
    shrinkage : float
        In users: takes away from pairs that few took.
    half_life : float
        In orders: at scoring, an event counts half for every so many orders since. Infinity never forgets.
    """

    def __init__(self, neighbours: int = 100, shrinkage: float = 10.0, half_life: float = float("inf")) -> None:
        self.neighbours = neighbours
        self.shrinkage = shrinkage
        self.half_life = half_life

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:  # noqa: ARG002
        taken = sparse.csr_matrix(taken, dtype=np.float64)
        norm = np.sqrt(np.asarray(taken.multiply(taken).sum(axis=0)).ravel())
        starts = range(0, max(taken.shape[1], 1), _BLOCK)
        near = sparse.vstack([self._nearest(taken, norm, at) for at in starts])
        self.weights_ = sparse.csr_matrix(near.T, dtype=np.float32)  # row: item of the history, column: candidate

    def _nearest(self, taken: sparse.csr_matrix, norm: np.ndarray, at: int) -> sparse.csr_matrix:
        """Neighbours of the candidates ``at .. at + _BLOCK``."""
        both = sparse.coo_matrix(taken[:, at : at + _BLOCK].T.tocsr() @ taken)
        other = both.row + at != both.col
        row, column, count = both.row[other], both.col[other], both.data[other]
        value = count / (norm[row + at] * norm[column] + self.shrinkage)
        order = np.lexsort((column, -value, row))
        first = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=both.shape[0]))])
        kept = order[np.arange(order.size) - first[row[order]] < self.neighbours]
        return sparse.csr_matrix((value[kept], (row[kept], column[kept])), shape=both.shape)

    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return np.asarray((history @ self.weights_).toarray())


class EASE(Peer):
    """A full linear model between items with a zero diagonal, in closed form (Steck, WWW 2019, equation 8).

    ``P = (X^T X + l2 I)^-1``, ``B = I - P / diag(P)`` column by column; the score is the history times ``B``.

    Parameters
    ----------
    l2 : float
        Ridge, in users.
    half_life : float
        As in `ItemKNN`.
    """

    def __init__(self, l2: float = 100.0, half_life: float = float("inf")) -> None:
        self.l2 = l2
        self.half_life = half_life

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:  # noqa: ARG002
        if not self.l2 > 0:
            raise ConfigError(f"l2: {self.l2!r} must be above 0")
        # An item that nobody took has a column of zeros, and so has its row of B: it need not be inverted.
        self.known_ = np.flatnonzero(taken.getnnz(axis=0))
        if self.known_.size > MOST_DENSE:
            raise TooLargeError(
                f"EASE needs a dense matrix of all pairs of items, so at most {MOST_DENSE:,} items; "
                f"{self.known_.size:,} were taken"
            )
        known = sparse.csr_matrix(taken[:, self.known_], dtype=np.float64)
        self.weights_ = closed_form((known.T @ known).toarray(), self.l2).astype(np.float32)

    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:  # noqa: ARG002
        scores = np.zeros(history.shape, dtype=np.float32)
        scores[:, self.known_] = history[:, self.known_] @ self.weights_
        return scores


def closed_form(gram: np.ndarray, l2: float) -> np.ndarray:
    """``I - P / diag(P)`` with ``P = (gram + l2 I)^-1``, by Cholesky; `gram` (float64, I x I) is used up."""
    gram[np.diag_indices_from(gram)] += l2
    factor, failed = lapack.dpotrf(gram, lower=1, overwrite_a=1)
    half, singular = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or singular:
        raise ModelError(f"EASE: the matrix cannot be inverted with l2={l2!r}; raise l2")
    inverse: np.ndarray = np.tril(half) + np.tril(half, -1).T
    inverse /= -np.diag(inverse)[None, :].copy()
    np.fill_diagonal(inverse, 0.0)
    return inverse


class Content(Peer):
    """Cosines of a candidate to the user's items, summed over items and the feature blocks of `AttentionScorer`.

    Nothing is learnt, so it knows an item without any event as well as every other.

    Parameters
    ----------
    features : mapping, optional
        As in `AttentionScorer`.
    half_life : float
        As in `ItemKNN`.
    """

    def __init__(
        self, features: Mapping[str, tuple[str, str]] | None = None, half_life: float = float("inf")
    ) -> None:  # fmt: skip
        self.features = features
        self.half_life = half_life

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:  # noqa: ARG002
        blocks = [block.matrix for block in encode_features(data.catalogue, self.features)]
        self.matrix_ = sparse.csr_matrix(sparse.hstack(blocks) if blocks else (data.item_ids.size, 0), dtype=np.float32)

    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return np.asarray(((history @ self.matrix_) @ self.matrix_.T).toarray())


class ALS(Peer):
    """Weighted matrix factorisation (Hu, Koren and Volinsky, ICDM 2008) by the optional package `implicit`.

    The user's factors are made anew from the history at hand.

    Parameters
    ----------
    factors, l2, alpha, iterations
        As in ``implicit``, where `l2` is ``regularization``.
    half_life : float
        As in `ItemKNN`.
    random_state : int
    """

    def __init__(
        self, factors: int = 64, l2: float = 1.0, alpha: float = 1.0, iterations: int = 20,
        half_life: float = float("inf"), random_state: int = 0,
    ) -> None:  # fmt: skip
        self.factors = factors
        self.l2 = l2
        self.alpha = alpha
        self.iterations = iterations
        self.half_life = half_life
        self.random_state = random_state

    @staticmethod
    def is_there() -> bool:
        """Whether `implicit` is installed."""
        return find_spec("implicit") is not None

    @one_thread  # its own threads and those of BLAS get into each other's way, as it warns
    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:  # noqa: ARG002
        if not self.is_there():
            raise ConfigError('ALS needs the package implicit; install it with pip install "implicit==0.7.3"')
        self.model_: Any = import_module("implicit.cpu.als").AlternatingLeastSquares(
            factors=self.factors, regularization=self.l2, alpha=self.alpha, iterations=self.iterations,
            num_threads=1, random_state=self.random_state,
        )  # fmt: skip
        self.model_.fit(taken, show_progress=False)

    @one_thread
    def _scores(self, history: sparse.csr_matrix, users: np.ndarray) -> np.ndarray:
        mine = self.model_.recalculate_user(users, history)
        return np.asarray(mine @ self.model_.item_factors.T)
