"""``AttentionScorer``: a recommender whose score is a plain sum over the history, so that every reason is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from reportgen.attention.contributions import Contributions, contribute
from reportgen.attention.features import TOGETHER, encode_features
from reportgen.attention.heads import Heads
from reportgen.attention.history import (
    Events,
    decay,
    drop_events,
    gather_events,
    holdout_mask,
    looking_takes,
    seen_items,
    strong_mask,
)
from reportgen.attention.kernels import fit_together, user_item
from reportgen.attention.learning import ExampleSettings, held_out_items, learn_theta, make_examples, weighted_rows
from reportgen.attention.parameters import check_parameters
from reportgen.attention.top import best_columns
from reportgen.data.dataset import Dataset
from reportgen.errors import InputError, ModelError

_CHUNK = 512


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
    n_users_, n_users_learnt_ : int
        Users who took anything; those of them who taught the head weights.
    kernel_ : Kernel
    blocks_ : tuple of FeatureBlock
    looking_takes_ : bool
        True where the data had nothing but views and carts, so that these count as taking.
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

    def fit(self, data: Dataset, y: None = None) -> AttentionScorer:  # noqa: ARG002
        """Learn kernels and head weights.

        Head weights are learnt on each user's last order with kernels that have not seen it; then the kernels are
        fitted again on everything.

        Raises
        ------
        ConfigError
            A parameter cannot be used.
        InputError
            When the catalogue has no item.
        """
        check_parameters(self.get_params(deep=False))
        if data.item_ids.size == 0:
            raise InputError("items: there is no item to recommend; give a catalogue with at least one row")
        self.__dict__.pop("_model_id", None)  # the name of what was learnt before
        self.data_ = data
        self.looking_takes_ = looking_takes(data)
        self.item_ids_ = data.item_ids
        self.candidate_ = data.catalogue["in_catalogue"].to_numpy(dtype=bool).copy()
        self.blocks_ = tuple(encode_features(data.catalogue, self.features))
        self.heads_ = (TOGETHER, *(block.name for block in self.blocks_))
        self._learn_heads(data)
        self._fit_kernels(data)
        self.base_ = self.theta_pop_ * np.log1p(self.popularity_.astype(np.float64))
        return self

    def _fit_kernels(self, data: Dataset) -> None:
        strong = strong_mask(data, self.looking_takes_)
        user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))
        shape = (data.user_ids.size, data.item_ids.size)
        taken = user_item(user[strong], data.items[strong], data.values[strong], shape)
        self.popularity_ = np.asarray(taken.getnnz(axis=0)).astype(np.int64)
        self.n_users_ = int((np.diff(taken.indptr) > 0).sum())
        self.kernel_ = fit_together(taken, self.neighbours, self.l2, self.min_support)

    def _learn_heads(self, data: Dataset) -> None:
        held = holdout_mask(data, self.looking_takes_)
        train = drop_events(data, held)
        self._fit_kernels(train)
        settings = ExampleSettings(tuple(self.half_lives), self.max_users, self.n_negatives, self.history_cap)
        seen = seen_items(train, np.arange(train.user_ids.size), self.looking_takes_)
        targets = held_out_items(data, held & strong_mask(data, self.looking_takes_), seen)
        rng = np.random.default_rng(self.random_state)
        examples = make_examples(train, targets, seen, self.heads(), self.popularity_, settings, rng)
        found = learn_theta(examples, len(self.half_lives))
        self.theta_ = found.theta[:-1].reshape(len(self.heads_), len(self.half_lives))
        self.theta_pop_, self.learnt_, self.n_users_learnt_ = float(found.theta[-1]), found.learnt, found.n_users

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
        return seen_items(data, users, self.looking_takes_)

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
            codes[at : at + _CHUNK], best[at : at + _CHUNK] = best_columns(scores, n)
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
        return np.asarray((decay(events.age, tuple(self.half_lives)) * events.value[:, None]) @ self.theta_.T)

    # -- small helpers -------------------------------------------------------------------------------------------

    def check_data(self, data: Dataset | None) -> Dataset:
        """The given data, or the ones of `fit`; refused where their items are not the model's."""
        check_is_fitted(self)
        data = data if data is not None else getattr(self, "data_", None)
        if data is None:
            raise ModelError("a loaded model holds no histories; pass data=")
        if not np.array_equal(data.item_ids, self.item_ids_):
            raise ModelError("the items are not those this model was fitted on; fit again, or pass the data it knows")
        return data

    @staticmethod
    def user_codes(data: Dataset, user_ids: Iterable[str]) -> np.ndarray:
        """Positions of users in `data`; an unknown one is an error that names it."""
        wanted = np.array([user_ids] if isinstance(user_ids, str) else list(user_ids), dtype=object)
        if odd := [user for user in wanted if not isinstance(user, str)]:
            raise InputError(f"user {odd[0]!r} is not text; ids are text and compared exactly")
        place = np.searchsorted(data.user_ids, wanted)
        bounded = np.minimum(place, max(data.user_ids.size - 1, 0))
        known = data.user_ids[bounded] == wanted if data.user_ids.size else np.zeros(wanted.size, dtype=bool)
        if not known.all():
            raise InputError(f"unknown user {str(wanted[~known][0])!r}; ids are text and compared exactly")
        return place.astype(np.int64)
