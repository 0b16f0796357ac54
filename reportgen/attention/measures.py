"""How good a list of recommendations is, for each user: known definitions, over the full ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Measures with one value per user, in the order in which they are told.
MEASURES = ("ndcg", "recall", "hit", "mrr")


@dataclass(frozen=True)
class Mean:
    """A mean over users with its standard error, ``sd / sqrt(users)``; NaN with a single user."""

    mean: float
    se: float

    @classmethod
    def of(cls, values: np.ndarray) -> Mean:
        """Of one value per user."""
        spread = float(values.std(ddof=1)) if values.size > 1 else float("nan")
        return cls(float(values.mean()), spread / values.size**0.5)


def measure(codes: np.ndarray, targets: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Judge each user's list.

    With ``h_k`` = 1 where the item at rank ``k`` is a target, and ``T`` targets::

        recall@n = sum_k h_k / T
        ndcg@n   = sum_k h_k / log2(1 + k) / sum_{k <= min(n, T)} 1 / log2(1 + k)
        hit@n    = 1 if any h_k else 0
        mrr@n    = 1 / (rank of the first target), 0 where none is in the list

    NDCG is that of Jarvelin and Kekalainen (ACM TOIS 20, 2002) with gains of 0 and 1.

    Parameters
    ----------
    codes : ndarray of int64, shape (T, n)
        Best first; -1 for none. No item twice in a row.
    targets : list of ndarray of int, length T
        None of them empty.

    Returns
    -------
    dict of str to ndarray of float64, shape (T,)
        One entry per name in `MEASURES`.
    """
    n = codes.shape[1]
    hits = find_hits(codes, targets)
    count = np.array([items.size for items in targets], dtype=np.int64)
    rank = np.arange(1, n + 1)
    discount = 1.0 / np.log2(1.0 + rank)
    ideal = np.cumsum(discount)[np.minimum(count, n) - 1]
    return {
        "ndcg": hits @ discount / ideal,
        "recall": hits.sum(axis=1) / count,
        "hit": hits.any(axis=1).astype(np.float64),
        "mrr": (hits / rank).max(axis=1, initial=0.0),
    }


def find_hits(codes: np.ndarray, targets: list[np.ndarray]) -> np.ndarray:
    """Which recommended items are targets: bool, shape (T, n)."""
    rows = [np.isin(row, items) for row, items in zip(codes, targets, strict=True)]
    return np.array(rows, dtype=bool).reshape(codes.shape)
