"""Orders of reasons: made, compared, and averaged over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mean:
    """A mean over users, its standard error (0 for a single user) and the number of users."""

    mean: float
    se: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> Mean:
        """Of values of users; those without one (NaN) are not counted."""
        there = np.asarray(values, dtype=np.float64)
        there = there[~np.isnan(there)]
        if there.size == 0:
            return cls(0.0, 0.0, 0)
        se = float(there.std(ddof=1) / np.sqrt(there.size)) if there.size > 1 else 0.0
        return cls(float(there.mean()), se, int(there.size))


def order_of(strength: np.ndarray, last_event: np.ndarray) -> np.ndarray:
    """Positions from the strongest to the weakest; the newer of two equal ones first."""
    return np.lexsort((-last_event, -strength))


def rank_correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Spearman's: 0 where `left` ranks nothing (all equal), NaN where `right` does not, as there is nothing to find."""
    if np.ptp(right) == 0:
        return float("nan")
    if np.ptp(left) == 0:
        return 0.0
    a, b = (ranks - ranks.mean() for ranks in (_mean_ranks(left), _mean_ranks(right)))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2.0)[place])


def top_reasons(strength: np.ndarray, last_event: np.ndarray, size: int = 3) -> np.ndarray:
    """Positions of the strongest reasons that speak for the target, at most `size`."""
    first = order_of(strength, last_event)[:size]
    return np.asarray(first[strength[first] > 0])


def top_overlap(old: np.ndarray, new: np.ndarray, last_event: np.ndarray) -> float:
    """Share of the three strongest old reasons among the three strongest new ones; NaN where there was none."""
    wanted = top_reasons(old, last_event)
    return float(np.isin(wanted, top_reasons(new, last_event)).mean()) if wanted.size else float("nan")
