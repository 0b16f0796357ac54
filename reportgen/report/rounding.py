"""Figures that still add up after rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    there = parts != 0
    # Minus the remainder, so that a stable sort puts the largest first and, among equals, the left one; zeros come last.
    order = np.argsort(np.where(there, low - parts, 1.0), axis=1, kind="stable")
    missing = np.where(there.any(axis=1), total - low.sum(axis=1), 0)
    more = np.zeros(parts.shape, dtype=bool)
    np.put_along_axis(more, order, np.arange(parts.shape[1]) < missing[:, None], axis=1)
    return low.astype(np.int64) + more


def whole_percents(attention: np.ndarray) -> np.ndarray:
    """Attention weights (K, J, F) as whole percentages: each item's sum to 100, and each row of cells to its own share.

    Returns
    -------
    ndarray of int64, shape (K, J, F)
        ``.sum(axis=2)`` are the shares that a page shows, so that rows, columns and the whole agree.
    """
    return whole_percents_of([attention])[0]


def whole_percents_of(attentions: Sequence[np.ndarray]) -> list[np.ndarray]:
    """`whole_percents` of many users (K_u, J_u, F) at once: NumPy is called once, not once per user.

    A history that is shorter than the longest one is filled up with nothing, and nothing stays nothing; so the figures of a
    user do not depend on the company.
    """
    by_item = pad([attention.sum(axis=2) for attention in attentions])
    rows = apportion(100.0 * by_item, np.full(len(by_item), 100))
    share, rows = flat(by_item, attentions), flat(rows, attentions)
    parts = np.concatenate([attention.reshape(-1, attention.shape[2]) for attention in attentions])
    spoke = share > 0
    parts, rows, share = parts[spoke], rows[spoke], share[spoke]
    cells = np.zeros((spoke.size, parts.shape[1]), dtype=np.int64)
    cells[spoke] = apportion(parts * (rows / share)[:, None], rows)
    ends = np.cumsum([attention.shape[0] * attention.shape[1] for attention in attentions])
    return [part.reshape(like.shape) for part, like in zip(np.split(cells, ends[:-1]), attentions, strict=True)]


def pad(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Tables (K_u, J_u) above one another, float64, shape (sum K_u, max J_u), filled up with 0 on the right."""
    if len(tables) == 1:
        return tables[0]
    out = np.zeros((sum(len(table) for table in tables), max(table.shape[1] for table in tables)))
    at = 0
    for table in tables:
        out[at : at + len(table), : table.shape[1]] = table
        at += len(table)
    return out


def flat(padded: np.ndarray, likes: Sequence[np.ndarray]) -> np.ndarray:
    """The cells of `padded` that were there before, row by row: shape (sum K_u * J_u,)."""
    if len(likes) == 1:
        return padded.ravel()
    width = np.repeat([like.shape[1] for like in likes], [like.shape[0] for like in likes])
    return np.asarray(padded[np.arange(padded.shape[1]) < width[:, None]])


def decimals_for(scores: np.ndarray) -> int:
    """Decimals that leave a score at least three significant digits: 2 to 8."""
    largest = float(np.abs(scores).max(initial=0.0))
    return 2 if largest <= 0 else min(max(2 - math.floor(math.log10(largest)), 2), 8)


def closing_points(
    base: np.ndarray, parts: np.ndarray, score: np.ndarray, decimals: int | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Base (K,), parts (K, J) and score (K,) as whole numbers of the last decimal, so that base + parts = score.

    `decimals` is one number, or one for each of the K.
    """
    unit = 10.0 ** np.asarray(decimals)
    total = np.rint(score * unit).astype(np.int64)
    rounded = apportion(np.concatenate([base[:, None], parts], axis=1) * unit[..., None], total)
    return rounded[:, 0], rounded[:, 1:], total
