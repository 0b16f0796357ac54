"""Figures that still add up after rounding."""

from __future__ import annotations

import numpy as np


def apportion(parts: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Round the rows of `parts` to whole numbers that sum exactly to `total` (largest remainder, Hamilton's method).

    Parameters
    ----------
    parts : ndarray of float64, shape (N, M)
        Rows that sum to about `total`; may be negative. A row of zeros stays zero, and takes no total.
    total : ndarray of int64, shape (N,)

    Returns
    -------
    ndarray of int64, shape (N, M)
        Each within 1 of its part. Zero parts stay zero. Ties go to the left.
    """
    low = np.floor(parts + 1e-9)
    rest = np.where(parts == 0, -1.0, parts - low)
    missing = np.where((parts != 0).any(axis=1), total - low.sum(axis=1), 0).astype(np.int64)
    place = np.argsort(np.argsort(-rest, axis=1, kind="stable"), axis=1, kind="stable")
    return (low + (place < missing[:, None])).astype(np.int64)


def whole_percents(attention: np.ndarray) -> np.ndarray:
    """Attention weights (K, J, F) as whole percentages: each item's sum to 100, and each row of cells to its own share.

    Returns
    -------
    ndarray of int64, shape (K, J, F)
        ``.sum(axis=2)`` are the shares that a page shows, so that rows, columns and the whole agree.
    """
    k, j, f = attention.shape
    share = attention.sum(axis=2)
    rows = apportion(100.0 * share, np.full(k, 100))
    scale = np.divide(rows, share, out=np.zeros_like(share), where=share > 0)
    cells = apportion((attention * scale[:, :, None]).reshape(k * j, f), rows.reshape(k * j))
    return cells.reshape(k, j, f)


def decimals_for(scores: np.ndarray) -> int:
    """Decimals that leave a score at least three significant digits: 2 to 8."""
    largest = float(np.abs(scores).max(initial=0.0))
    return 2 if largest <= 0 else int(np.clip(2 - np.floor(np.log10(largest)), 2, 8))


def closing_points(
    base: np.ndarray, parts: np.ndarray, score: np.ndarray, decimals: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Base (K,), parts (K, J) and score (K,) as whole numbers of the last decimal, so that base + parts = score."""
    unit = 10.0**decimals
    total = np.rint(score * unit).astype(np.int64)
    rounded = apportion(np.concatenate([base[:, None], parts], axis=1) * unit, total)
    return rounded[:, 0], rounded[:, 1:], total
