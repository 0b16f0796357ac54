"""Does another model's attention name what moves its score? Leave-one-out effects, and the measures of `fidelity`.

Three sources: a scoring callback, a table of scores without single items, and for a softmax-pooled score the closed form

    s = sum_j alpha_j c_j      s - s_without_S = (sum_S alpha c - s sum_S alpha) / (1 - sum_S alpha)

which is ``alpha_j (c_j - s) / (1 - alpha_j)`` for a single position (the other weights are divided by what is left).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.errors import InputError
from reportgen.explain.fidelity import POINTS, TOPS, removal_plan
from reportgen.explain.ranks import order_of

#: From a user's id, the history shown (oldest first) and candidates to one score per candidate.
Score = Callable[[str, Sequence[str], Sequence[str]], np.ndarray]
#: Two runs on the same history may differ by this, relative to 1 + |score|.
_SAME = 1e-6
#: A product owes its history at least this, relative to 1 + |score|; else shares of it mean nothing.
_LEAST = 1e-6
#: Below this Kendall correlation with the effects, attention is said to disagree: a quarter of all pairs stand the other way round.
AGREES = 0.5


@dataclass(frozen=True)
class Faithfulness:
    """How attention and effects go together for one user's list.

    Attributes
    ----------
    tau : tuple of float
        Kendall's tau-b of weights and effects over the history items, one per product; NaN where there is nothing to rank.
    top3 : tuple of float
        Share of the three items with the largest effects that are among the three with the largest weights.
    measures : dict of str to dict of str to float
        For the first product, by order of removal (``weights, effects, random, recency, similarity``): ``del`` (lower is
        better), ``ins`` (higher), ``comprehensiveness@k`` (higher), ``sufficiency@k`` (lower). Empty where no callback was
        given, or the product owes its history nothing.
    """

    tau: tuple[float, ...]
    top3: tuple[float, ...]
    measures: dict[str, dict[str, float]]


def softmax_effects(alpha: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Leave-one-out effects of a softmax-pooled score, exactly.

    Parameters
    ----------
    alpha, value : ndarray of float64, shape (..., J)
        Weights, rows sum to 1; what each position brings. An item at several positions may be given as one: the sum of its
        weights, and their weighted mean value.

    Returns
    -------
    ndarray of float64, shape (..., J)
        ``score - score without the item``; NaN where nothing else has a weight, since the score is not defined then.
    """
    score = (alpha * value).sum(axis=-1, keepdims=True)
    left = 1.0 - alpha
    out = np.full(np.broadcast_shapes(alpha.shape, value.shape), np.nan)
    return np.asarray(np.divide(alpha * (value - score), left, out=out, where=left > 1e-12))


def kendall(left: np.ndarray, right: np.ndarray) -> float:
    """Kendall's tau-b; NaN where either ranks nothing, and entries that are NaN in one are left out."""
    there = ~(np.isnan(left) | np.isnan(right))
    a, b = left[there], right[there]
    if a.size < 2:
        return float("nan")
    at = np.triu_indices(a.size, 1)
    x, y = np.sign(a[:, None] - a[None, :])[at], np.sign(b[:, None] - b[None, :])[at]
    scale = np.sqrt(float((x != 0).sum()) * float((y != 0).sum()))
    return float((x * y).sum() / scale) if scale else float("nan")


def top_shared(weights: np.ndarray, effects: np.ndarray, newer: np.ndarray, size: int = 3) -> float:
    """Share of the `size` largest effects among the `size` largest weights; NaN where no effect is above 0."""
    known = np.where(np.isnan(effects), -np.inf, effects)
    wanted = order_of(known, newer)[:size]
    wanted = wanted[known[wanted] > 0]
    return float(np.isin(wanted, order_of(weights, newer)[:size]).mean()) if wanted.size else float("nan")


@dataclass(frozen=True, eq=False)
class Shown:
    """What a model was shown of one user.

    Attributes
    ----------
    user_id : str
    history : tuple of str
        Ids oldest first, as often as they were shown.
    slot : ndarray of int64
        Of each position its history item (0 to J - 1).
    picks : tuple of str
    """

    user_id: str
    history: tuple[str, ...]
    slot: np.ndarray
    picks: tuple[str, ...]


class Asked:
    """A scoring callback, asked about one user; every answer is checked, and none is asked for twice.

    Raises
    ------
    InputError
        It answers in another shape, with NaN, or differently on the same history: dropout, or another source of chance.
    """

    def __init__(self, score: Score, shown: Shown) -> None:
        self._score, self._shown, self._known = score, shown, dict[bytes, np.ndarray]()
        full = np.ones(int(shown.slot.max(initial=-1)) + 1, dtype=bool)
        again = self._ask(full)
        if not np.allclose(self.score(full), again, rtol=0, atol=_SAME * (1 + float(np.abs(again).max(initial=0.0)))):
            raise InputError(
                "score(): two calls on one history differ; switch dropout off (eval mode) and fix all seeds"
            )

    def score(self, keep: np.ndarray) -> np.ndarray:
        """Scores of the products when only these history items count: float64, shape (K,)."""
        key = keep.tobytes()
        if key not in self._known:
            self._known[key] = self._ask(keep)
        return self._known[key]

    def _ask(self, keep: np.ndarray) -> np.ndarray:
        shown = self._shown
        history = [item for item, slot in zip(shown.history, shown.slot.tolist(), strict=True) if keep[slot]]
        found = np.asarray(self._score(shown.user_id, history, list(shown.picks)), dtype=np.float64)
        if found.shape != (len(shown.picks),):
            raise InputError(f"score(): returned shape {found.shape} for {len(shown.picks)} candidates")
        if not np.isfinite(found).all():
            told = "an empty history" if not history else f"{len(history)} history items"
            raise InputError(f"score(): returned NaN or infinity for {told}; return a finite score for each candidate")
        return found


def ask_effects(asked: Asked, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Leave-one-out effects (K, J), and the scores with the whole history (K,)."""
    full = asked.score(np.ones(n_items, dtype=bool))
    without = [asked.score(keep) for keep in ~np.eye(n_items, dtype=bool)]
    return full[:, None] - np.array(without).reshape(n_items, full.size).T, full


def removal_measures(asked: Asked, orders: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Deletion, insertion, comprehensiveness and sufficiency for the first product, by order of removal.

    Parameters
    ----------
    asked : Asked
    orders : dict of str to ndarray of int64, shape (J,)
        History items, the strongest first.
    """
    size = next(iter(orders.values())).size
    full, empty = (float(asked.score(np.full(size, flag))[0]) for flag in (True, False))
    if full - empty <= _LEAST * (1 + abs(full)):
        return {}
    found = {}
    for method, order in orders.items():
        share = np.array([(asked.score(keep)[0] - empty) / (full - empty) for keep in removal_plan(order)])
        without, alone = share[2 * POINTS : 2 * POINTS + len(TOPS)], share[2 * POINTS + len(TOPS) :]
        found[method] = {
            "del": float(share[:POINTS].mean()),
            "ins": float(share[POINTS : 2 * POINTS].mean()),
            **{f"comprehensiveness@{k}": float(1.0 - left) for k, left in zip(TOPS, without, strict=True)},
            **{f"sufficiency@{k}": float(1.0 - left) for k, left in zip(TOPS, alone, strict=True)},
        }
    return found
