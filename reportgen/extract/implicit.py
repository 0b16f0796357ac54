"""What each item adds to a score of `implicit`'s ALS, by Hu, Koren and Volinsky (ICDM 2008), section 5, and what removing it does.

With Y the item factors, C the confidences of the user's items and ``A = Y'Y + Y'(C - 1)Y + reg I``, the user's vector is
``A^-1 Y' C p``. So ``score_i = sum_j y_i' A^-1 y_j c_j``: one summand per item, and their sum is the score exactly. A holds the
item too, so a contribution is not the loss without the item. That follows from the same matrix:

    loss_j = contribution_j (1 - (1 - 1 / c_j) e_j)      e_j = y_j' x without j

where ``e_j`` is what the model would expect of the item if it did not know it. With confidences of 1 the two are one; the better the
other items foretell an item, the more its contribution overstates it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen.errors import InputError
from reportgen.explain.foreign_effects import kendall
from reportgen.explain.weights import weights_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ALSParts:
    """One user's list, taken apart.

    Attributes
    ----------
    items : ndarray of int64, shape (K,)
        Columns of the recommended items, best first.
    history : ndarray of int64, shape (J,)
        Columns of the user's items.
    contributions : ndarray of float64, shape (K, J)
        Rows sum to `scores`.
    effects : ndarray of float64, shape (K, J)
        What the score loses when the user's vector is solved for again without the item.
    scores : ndarray of float64, shape (K,)
        With the user's vector solved for exactly.
    stored : ndarray of float64, shape (K,)
        With the vector in the model, which is older than its item factors or was solved for in a few steps only.
    """

    items: np.ndarray
    history: np.ndarray
    contributions: np.ndarray
    effects: np.ndarray
    scores: np.ndarray
    stored: np.ndarray

    @property
    def error(self) -> float:
        """Mean distance of contribution and effect, divided by the mean size of the effects; 0 is exact."""
        size = float(np.abs(self.effects).sum())
        return float(np.abs(self.contributions - self.effects).sum()) / size if size else float("nan")

    @property
    def tau(self) -> float:
        """Kendall's tau-b of contributions and effects, mean over the products that have one."""
        found = [kendall(left, right) for left, right in zip(self.contributions, self.effects, strict=True)]
        known = [value for value in found if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")


class ReadALS:
    """Reasons of a fitted ``AlternatingLeastSquares``, on the CPU or GPU.

    Parameters
    ----------
    model : implicit.als.AlternatingLeastSquares
    user_items : sparse matrix, shape (U, I)
        What it was fitted on.
    user_ids : sequence of str, length U
    item_ids : sequence of str, length I

    Raises
    ------
    InputError
        Another kind of model; sizes that do not fit; not fitted.

    Notes
    -----
    BPR, logistic matrix factorisation, LightFM and the like learn a vector for each user by gradient steps. It is no function
    of the user's items, so no item has a part in the score and nothing can be taken out without training again: refused here.
    What such a model can answer is what it would have learnt; its lists can be told by our scorer as a surrogate.
    """

    def __init__(self, model: Any, user_items: Any, user_ids: Sequence[str], item_ids: Sequence[str]) -> None:
        kind = type(model).__name__
        if not hasattr(model, "explain") or not hasattr(model, "regularization") or not hasattr(model, "alpha"):
            raise InputError(
                f"{kind} learns a vector for each user by gradient steps, not from the user's items by a formula: no item has a part "
                "in a score, and none can be left out without training again; give its lists as --recommendations instead"
            )
        if getattr(model, "item_factors", None) is None:
            raise InputError(f"{kind} is not fitted; call model.fit(user_items)")
        self.matrix = user_items.tocsr()
        self.Y, self.X = (_numbers(part) for part in (model.item_factors, model.user_factors))
        if self.matrix.shape != (len(user_ids), len(item_ids)) or self.Y.shape[0] != len(item_ids):
            raise InputError(
                f"sizes differ: matrix {self.matrix.shape}, {len(user_ids)} user ids, {len(item_ids)} item ids, "
                f"{self.Y.shape[0]} item factors"
            )
        self.item_ids = np.array([str(name) for name in item_ids], dtype=object)
        self._user = {str(name): at for at, name in enumerate(user_ids)}
        self._item = {str(name): at for at, name in enumerate(self.item_ids)}
        self._alpha, self._start = (
            float(model.alpha),
            self.Y.T @ self.Y + float(model.regularization) * np.eye(self.Y.shape[1]),
        )

    def table(self, user_id: str, n: int = 10) -> pd.DataFrame:
        """Contributions to the `n` best products that the user has not taken, as the long table.

        Raises
        ------
        InputError
            Unknown user, or one without items.
        """
        parts = self.parts(user_id, n)
        return weights_frame(
            user_id, list(self.item_ids[parts.items]), list(self.item_ids[parts.history]), parts.contributions,
            scores=parts.scores, base=np.zeros(parts.items.size), kind="contribution",
            aggregation="contributions of ALS (Hu, Koren and Volinsky 2008)",
        )  # fmt: skip

    def parts(self, user_id: str, n: int = 10) -> ALSParts:
        """The same as arrays, with the true effects beside them."""
        history, confidence = self._history(user_id)
        liked = confidence > 0
        if not liked.any():
            raise InputError(f"user {user_id!r} has no item that speaks for anything; leave the user out")
        vector = self._solve(history, confidence)
        scores = self.Y @ vector
        order = np.lexsort((np.arange(scores.size), -scores))
        items = order[~np.isin(order, history)][:n]
        mine = self.Y[history]
        solved = np.linalg.solve(self._system(history, confidence), mine.T)
        together = self.Y[items] @ solved
        # A negative confidence says "not this": it is in the system, and adds nothing by itself.
        adds, weighs = np.maximum(confidence, 0.0), np.abs(confidence) - 1.0
        # By Sherman and Morrison; `without` is what the model would expect of the item if it did not know it.
        own = (mine.T * solved).sum(axis=0)
        without = (scores[history] - own * adds) / (1.0 - own * weighs)
        contributions, effects = together * adds, together * (adds - weighs * without)
        stored = self.Y[items] @ self.X[self._user[user_id]]
        return ALSParts(items, history, contributions, effects, scores[items], stored)

    def score(self, user_id: str, history_item_ids: Sequence[str], candidate_item_ids: Sequence[str]) -> np.ndarray:
        """Scoring callback: the user's vector is solved for again from these items alone.

        Several events on one item are one entry of the matrix; items that the matrix does not hold for the user do not count.

        Raises
        ------
        InputError
            Unknown user or candidate.
        """
        history, confidence = self._history(user_id)
        left = {self._item[name] for name in history_item_ids if name in self._item}
        keep = np.array([int(item) in left for item in history], dtype=bool)
        missing = next((name for name in candidate_item_ids if name not in self._item), None)
        if missing is not None:
            raise InputError(f"score(): item {missing!r} is not in the model")
        codes = np.array([self._item[name] for name in candidate_item_ids], dtype=np.int64)
        return np.asarray(self.Y[codes] @ self._solve(history[keep], confidence[keep]))

    def _history(self, user_id: str) -> tuple[np.ndarray, np.ndarray]:
        at = self._user.get(user_id)
        if at is None:
            raise InputError(f"user {user_id!r} is not in the model; ids are text")
        row = self.matrix[at]
        row.sum_duplicates()
        there = row.data != 0
        return row.indices[there].astype(np.int64), row.data[there].astype(np.float64) * self._alpha

    def _system(self, history: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """The matrix A; what the user has not taken has the confidence 1."""
        factors = self.Y[history]
        return np.asarray(self._start + (factors.T * (np.abs(confidence) - 1.0)) @ factors)

    def _solve(self, history: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        right = self.Y[history].T @ np.maximum(confidence, 0.0)
        return np.asarray(np.linalg.solve(self._system(history, confidence), right))


def _numbers(factors: Any) -> np.ndarray:
    """Double precision, and from the GPU to the CPU."""
    return np.asarray(factors.to_numpy() if hasattr(factors, "to_numpy") else factors, dtype=np.float64)
