"""``AttentionScorer``: a recommender whose score is a plain sum over the history, so that every reason is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from reportgen.attention.contributions import Contributions, contribute
from reportgen.attention.features import encode_features
from reportgen.attention.heads import Heads
from reportgen.attention.history import Events, decay, drop_events, gather_events, holdout_mask, strong_mask, strong_types
from reportgen.attention.kernels import fit_together, user_item
from reportgen.attention.learning import Examples, held_out_items, make_examples, weighted_rows
from reportgen.attention.ranking import fit_bpr
from reportgen.data.dataset import Dataset
from reportgen.errors import InputError, ModelError

_CHUNK = 512
_WHOLE = 2**62
#: Fewer users than this with a held-out order cannot teach head weights; the start is kept and `learnt_` says so.
_MIN_USERS = 20


class AttentionScorer(BaseEstimator):
    """Additive attention between a user's history and the items of a shop.

    The score of item ``i`` for user ``u`` with events ``e = (item j_e, age a_e, value v_e)`` is::

        C[e, f, i] = v_e * sum_r theta[f, r] * 2 ** (-a_e / h_r) * S_f[j_e, i]      theta >= 0, S_f >= 0
        score(u, i) = b_i + sum_e sum_f C[e, f, i]                                  b_i = theta_pop * log(1 + n_i)

    It is a sum without any normaliser, so the contribution of an event equals its leave-one-out effect and its Shapley
    value (Lundberg and Lee, NeurIPS 2017, corollary 1: linear models with independent terms).

    Parameters
    ----------
    features : mapping of name -> (column, kind), optional
        Content heads; None takes what the catalogue has of category, brand, price, tags, title.
    half_lives : tuple of float
        In orders; infinity never forgets.
    neighbours, l2, min_support
        See `reportgen.attention.kernels.fit_together`.
    history_cap : int
        Newest events used per user.
    max_users : int
        Users sampled to learn the head weights.
    n_negatives : int
        Items drawn per user as "not taken".
    random_state : int
        Seed of that sampling. The same data, settings and seed give the same model.

    Attributes
    ----------
    heads_ : tuple of str
        ``together`` first, then one per feature block.
    theta_ : ndarray of float64, shape (F, R)
    theta_pop_ : float
    base_ : ndarray of float64, shape (I,)
    popularity_ : ndarray of int64, shape (I,)
        Users who took the item.
    n_users_ : int
        Users who took anything.
    kernel_ : Kernel
    blocks_ : tuple of FeatureBlock
    learnt_ : bool
        False where too few users had a held-out order, or the optimiser found nothing better than the start.
    """

    def __init__(
        self,
        features: Mapping[str, tuple[str, str]] | None = None,
        half_lives: Sequence[float] = (float("inf"), 20.0, 3.0),
        neighbours: int = 100,
        l2: float = 30.0,
        min_support: int = 5,
        history_cap: int = 200,
        max_users: int = 1000,
        n_negatives: int = 100,
        random_state: int = 0,
    ) -> None:
        self.features = features
        self.half_lives = half_lives
        self.neighbours = neighbours
        self.l2 = l2
        self.min_support = min_support
        self.history_cap = history_cap
        self.max_users = max_users
        self.n_negatives = n_negatives
        self.random_state = random_state

    # -- learning ------------------------------------------------------------------------------------------------

    def fit(self, data: Dataset, y: None = None) -> AttentionScorer:
        """Learn kernels and head weights.

        Head weights are learnt on each user's last order with kernels that have not seen it; then the kernels are fitted
        again on everything.

        Raises
        ------
        InputError
            When the catalogue has no item.
        """
        if data.item_ids.size == 0:
            raise InputError("items: there is no item to recommend; give a catalogue with at least one row")
        self.data_ = data
        self.item_ids_ = data.item_ids
        self.candidate_ = data.catalogue["in_catalogue"].to_numpy(dtype=bool).copy()
        self.blocks_ = tuple(encode_features(data.catalogue, self.features))
        self.heads_ = ("together", *(block.name for block in self.blocks_))
        self._learn_heads(data)
        self._fit_kernels(data)
        self.base_ = self.theta_pop_ * np.log1p(self.popularity_.astype(np.float64))
        return self

    def _fit_kernels(self, data: Dataset) -> None:
        strong = strong_mask(data)
        user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))
        shape = (data.user_ids.size, data.item_ids.size)
        taken = user_item(user[strong], data.items[strong], data.values[strong], shape)
        self.popularity_ = np.asarray(taken.getnnz(axis=0)).astype(np.int64)
        self.n_users_ = int((np.diff(taken.indptr) > 0).sum())
        self.kernel_ = fit_together(taken, self.neighbours, self.l2, self.min_support)

    def _learn_heads(self, data: Dataset) -> None:
        held = holdout_mask(data)
        train = drop_events(data, held)
        self._fit_kernels(train)
        examples = self._examples(data, train, held)
        start = self._start()
        self.n_users_learnt_ = examples.n_users
        if examples.n_users < _MIN_USERS:
            theta, self.learnt_ = start, False
        else:
            found = fit_bpr(examples.difference, examples.weight, start)
            theta, self.learnt_ = found.theta, found.improved
        self.theta_ = theta[:-1].reshape(len(self.heads_), len(self.half_lives))
        self.theta_pop_ = float(theta[-1])

    def _start(self) -> np.ndarray:
        """Even weights: every head alike, every half-life alike, popularity a little."""
        share = 1.0 / len(self.half_lives)
        return np.concatenate([np.full(len(self.heads_) * len(self.half_lives), share), [0.1]])

    def _examples(self, data: Dataset, train: Dataset, held: np.ndarray) -> Examples:
        seen = self.seen(train, np.arange(train.user_ids.size))
        return make_examples(
            train,
            held_out_items(data, held, seen),
            seen,
            self.heads().scores,
            len(self.heads_),
            tuple(self.half_lives),
            self.popularity_.astype(np.float64),
            (self.max_users, self.n_negatives, self.history_cap),
            np.random.default_rng(self.random_state),
        )

    def heads(self) -> Heads:
        """Kernel and feature blocks as the one object that reads them."""
        return Heads(self.kernel_, self.blocks_)

    # -- scoring -------------------------------------------------------------------------------------------------

    def score_events(self, events: Events) -> np.ndarray:
        """Scores of all items for a batch of histories: float32, shape (B, I)."""
        check_is_fitted(self)
        weights, heads = self._weights(events).astype(np.float32), self.heads()
        scores = np.repeat(self.base_[None, :].astype(np.float32), events.n_users, axis=0)
        for head in range(len(self.heads_)):
            if self.theta_[head].any():
                scores += heads.scores(head, weighted_rows(events, weights[:, head], self.base_.size))
        return scores

    def seen(self, data: Dataset, users: np.ndarray) -> sparse.csr_matrix:
        """Items that are not recommended again because the user took, returned or hid them: int8, shape (B, I).

        It looks at the whole history, whatever the cap and whatever is left out of scoring.
        """
        events = gather_events(data, users, _WHOLE)
        strong = strong_types(data)[data.types[events.event]]
        one = np.ones(int(strong.sum()), dtype=np.int8)
        seen = sparse.csr_matrix((one, (events.row[strong], events.item[strong])), shape=(users.size, data.item_ids.size))
        seen.sum_duplicates()
        seen.data[:] = 1
        return seen

    def recommend(
        self, user_ids: Iterable[str], n: int = 10, data: Dataset | None = None, exclude: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `n` best items of the catalogue for each user that they have not taken yet.

        Parameters
        ----------
        user_ids : iterable of str, length B
        n : int
        data : Dataset, optional
            Histories; the ones it was fitted on when None.
        exclude : ndarray of bool, shape (I,), optional
            Items never recommended.

        Returns
        -------
        item_ids : ndarray of object, shape (B, n)
            "" where fewer than `n` items are left.
        scores : ndarray of float32, shape (B, n)
            ``-inf`` there.
        """
        data = self.check_data(data)
        users = self.user_codes(data, user_ids)
        codes, scores = self.recommend_codes(data, users, n, exclude)
        names = np.append(self.item_ids_, "")
        return names[codes], scores

    def recommend_codes(
        self,
        data: Dataset,
        users: np.ndarray,
        n: int,
        barred: np.ndarray | None = None,
        left_out: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `recommend`, in codes.

        Parameters
        ----------
        users : ndarray of int64, shape (B,)
        barred : ndarray of bool, shape (I,), optional
            Items never recommended.
        left_out : ndarray of bool, shape (I,), optional
            Items whose events do not count.

        Returns
        -------
        codes : ndarray of int64, shape (B, n)
            -1 where nothing is left.
        scores : ndarray of float32, shape (B, n)
        """
        closed = ~self.candidate_ if barred is None else ~self.candidate_ | barred
        codes = np.full((users.size, n), -1, dtype=np.int64)
        best = np.full((users.size, n), -np.inf, dtype=np.float32)
        for at in range(0, users.size, _CHUNK):
            batch = users[at : at + _CHUNK]
            scores = self.score_events(gather_events(data, batch, self.history_cap, left_out))
            scores[:, closed] = -np.inf
            own = self.seen(data, batch).tocoo()
            scores[own.row, own.col] = -np.inf
            codes[at : at + _CHUNK], best[at : at + _CHUNK] = _top(scores, n)
        return codes, best

    def contributions(self, events: Events, candidates: np.ndarray) -> Contributions:
        """What every history item adds to the score of the given candidates, by head, in float64.

        Parameters
        ----------
        events : Events
            A batch of B users.
        candidates : ndarray of int64, shape (B, K)
            Item codes; -1 for none, which scores 0.
        """
        check_is_fitted(self)
        return contribute(self.heads(), events, self._weights(events), self.base_, candidates)

    def _weights(self, events: Events) -> np.ndarray:
        """How much each event counts for each head: float64, shape (E, F)."""
        return (decay(events.age, tuple(self.half_lives)) * events.value[:, None]) @ self.theta_.T

    # -- small helpers -------------------------------------------------------------------------------------------

    def check_data(self, data: Dataset | None) -> Dataset:
        """The given data, or the ones of `fit`; refused where their items are not the model's."""
        check_is_fitted(self)
        data = data if data is not None else getattr(self, "data_", None)
        if data is None:
            raise ModelError("a loaded model holds no histories; pass data=")
        if not np.array_equal(data.item_ids, self.item_ids_):
            raise ModelError("the catalogue is not the one this model was fitted on; fit again, or pass the data it was fitted on")
        return data

    @staticmethod
    def user_codes(data: Dataset, user_ids: Iterable[str]) -> np.ndarray:
        """Positions of users in `data`; an unknown one is an error that names it."""
        wanted = np.array(list(user_ids), dtype=object)
        place = np.searchsorted(data.user_ids, wanted)
        bounded = np.minimum(place, max(data.user_ids.size - 1, 0))
        known = data.user_ids[bounded] == wanted if data.user_ids.size else np.zeros(wanted.size, dtype=bool)
        if not known.all():
            raise InputError(f"unknown user {str(wanted[~known][0])!r}; ids are text and compared exactly")
        return place.astype(np.int64)


def _top(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The `n` best columns of each row, best first, ties by column; -1 and -inf beyond what is left."""
    width = min(n, scores.shape[1])
    part = np.argpartition(-scores, width - 1, axis=1)[:, :width]
    part.sort(axis=1)
    order = np.argsort(-np.take_along_axis(scores, part, 1), axis=1, kind="stable")
    codes = np.take_along_axis(part, order, 1).astype(np.int64)
    best = np.take_along_axis(scores, codes, 1)
    codes[~np.isfinite(best)] = -1
    pad = ((0, 0), (0, n - width))
    return np.pad(codes, pad, constant_values=-1), np.pad(best, pad, constant_values=-np.inf)

