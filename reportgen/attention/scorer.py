"""``AttentionScorer``: a recommender whose score is a plain sum over the history, so that every reason is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from reportgen.attention.contributions import Contributions, contribute
from reportgen.attention.examples import ExampleSettings, held_out_items
from reportgen.attention.features import encode_features
from reportgen.attention.fitting import Fitted, KernelSettings, fit_heads
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
from reportgen.attention.learning import learn
from reportgen.attention.lookup import find_codes
from reportgen.attention.parameters import check_parameters, one_thread
from reportgen.attention.top import best_lists
from reportgen.data.dataset import Dataset
from reportgen.errors import InputError, ModelError

#: Users scored in one go: at most so many, and at most so many numbers, which then stay in the cache.
_CHUNK, _CELLS = 192, 1_500_000
#: Share of the items that are treated as new while head weights are learnt.
_HIDDEN = 0.1
#: Sets of half-lives to choose from, in orders: long histories, short histories.
HALF_LIVES = ((float("inf"), 20.0, 3.0), (float("inf"), 5.0, 1.5))


class AttentionScorer(BaseEstimator):
    """Additive attention between a user's history and the items of a shop.

    The score of item ``i`` for user ``u`` with events ``e = (item j_e, age a_e, value v_e)`` is::

        C[e, f, i] = v_e * sum_r theta[f, r] * 2 ** (-a_e / h_r) * S_f[j_e, i]      theta >= 0, S_f >= 0
        score(u, i) = b_i + sum_e sum_f C[e, f, i]
        b_i = theta_pop * log(1 + n_i) + theta_lately * log(1 + m_i)

    where ``n_i`` users took the item and ``m_i`` is how often it was taken lately.

    It is a sum without any normaliser, so the contribution of an event equals its leave-one-out effect and its Shapley
    value (Lundberg and Lee, NeurIPS 2017, corollary 1: linear models with independent terms).

    Parameters
    ----------
    features : mapping of name -> (column, kind), optional
        Content heads; None takes what the catalogue has of category, brand, price, tags, title.
    half_lives : tuple of float, optional
        In orders; infinity never forgets. None chooses one of `HALF_LIVES` by what ranks best.
    neighbours, l2, min_support
        See `reportgen.attention.kernels.fit_together`.
    lately : float
        Days after which a purchase by anybody counts half for "popular lately".
    repeat : bool
        True for shops where people buy the same again: what a user took stays a candidate (not what he returned or
        hid), and the head `again` speaks for it.
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
        ``together, next, via``, ``again`` with `repeat`, then one per feature block.
    half_lives_ : tuple of float, length R
    theta_ : ndarray of float64, shape (F, R)
    theta_pop_, theta_lately_ : float
    base_ : ndarray of float64, shape (I,)
    popularity_ : ndarray of int64, shape (I,)
        Users who took the item.
    n_users_, n_users_learnt_ : int
        Users who took anything; those of them who taught the head weights.
    kernels_ : dict of str to Kernel
    blocks_ : tuple of FeatureBlock
    looking_takes_ : bool
        True where the data had nothing but views and carts, so that these count as taking.
    learnt_ : bool
        False where too few users had a held-out order, or the optimiser found nothing better than the start.
    learning_ : dict
        How the head weights were learnt: ``chosen`` (loss), ``ndcg`` (cross-fitted NDCG@10 on short lists).
    """

    def __init__(
        self,
        features: Mapping[str, tuple[str, str]] | None = None,
        half_lives: Sequence[float] | None = None,
        neighbours: int = 100,
        l2: float = 100.0,
        min_support: int = 5,
        lately: float = 30.0,
        repeat: bool = False,
        history_cap: int = 200,
        max_users: int = 2000,
        n_negatives: int = 400,
        random_state: int = 0,
    ) -> None:
        self.features = features
        self.half_lives = half_lives
        self.neighbours = neighbours
        self.l2 = l2
        self.min_support = min_support
        self.lately = lately
        self.repeat = repeat
        self.history_cap = history_cap
        self.max_users = max_users
        self.n_negatives = n_negatives
        self.random_state = random_state

    # -- learning ------------------------------------------------------------------------------------------------

    @one_thread
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
        self._learn_heads(data)
        fitted = fit_heads(data, self.looking_takes_, self.blocks_, self._kernel_settings())
        self._keep(fitted)
        self.base_ = np.array([self.theta_pop_, self.theta_lately_]) @ fitted.base
        return self

    def _kernel_settings(self) -> KernelSettings:
        return KernelSettings(self.neighbours, self.l2, self.min_support, self.repeat, self.lately)

    def _keep(self, fitted: Fitted) -> None:
        self.kernels_, self.heads_ = fitted.heads.kernels, fitted.heads.names
        self.popularity_, self.n_users_ = fitted.popularity, fitted.n_users
        self._heads = fitted.heads

    def _learn_heads(self, data: Dataset) -> None:
        rng = np.random.default_rng(self.random_state)
        held = holdout_mask(data, self.looking_takes_)
        train = drop_events(data, held)
        hide = rng.random(data.item_ids.size) < _HIDDEN
        fitted = fit_heads(train, self.looking_takes_, self.blocks_, self._kernel_settings(), hide)
        seen = self.seen(train, np.arange(train.user_ids.size))
        targets = held_out_items(data, held & strong_mask(data, self.looking_takes_), seen)
        choices = HALF_LIVES if self.half_lives is None else (tuple(float(h) for h in self.half_lives),)
        every = tuple(sorted({h for choice in choices for h in choice}, reverse=True))
        settings = ExampleSettings(every, self.max_users, self.n_negatives, self.history_cap)
        found = learn(train, targets, seen, fitted, settings, choices, rng)
        self.theta_, self.half_lives_ = found.theta, found.half_lives
        self.theta_pop_, self.theta_lately_ = (float(weight) for weight in found.theta_base)
        self.learnt_, self.n_users_learnt_ = found.learnt, found.n_users
        self.learning_ = {"chosen": found.chosen, "ndcg": found.ndcg if found.learnt else None}

    def heads(self) -> Heads:
        """Kernel and feature blocks as the one object that reads them."""
        if not hasattr(self, "_heads"):
            self._heads = Heads(self.kernels_, self.blocks_)
        return self._heads

    # -- scoring -------------------------------------------------------------------------------------------------

    def score_events(self, events: Events) -> np.ndarray:
        """Scores of all items for a batch of histories: float32, shape (B, I)."""
        check_is_fitted(self)
        total = self.heads().total(events, self._weights(events).astype(np.float32))
        total += self.base_.astype(np.float32)
        return total

    def seen(self, data: Dataset, users: np.ndarray) -> sparse.csr_matrix:
        """Items that are not recommended again because the user took, returned or hid them: int8, shape (B, I).

        It looks at the whole history, whatever the cap and whatever is left out of scoring.
        """
        return seen_items(data, users, self.looking_takes_, against_only=self.repeat)

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
        chunk = max(16, min(_CHUNK, _CELLS // self.base_.size))

        def scores_of(batch: np.ndarray) -> np.ndarray:
            return self.score_events(gather_events(data, batch, self.history_cap, left_out))

        return best_lists(users, n, chunk, scores_of, lambda batch: self.seen(data, batch), closed)

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
        return np.asarray((decay(events.age, self.half_lives_) * events.value[:, None]) @ self.theta_.T)

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
        return find_codes(data.user_ids, user_ids, "user")
