"""Figures that still add up after rounding."""

from __future__ import annotations

import math

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
    missing = np.where(there.any(axis=1), total - low.sum(axis=1), 0)
    whole, short = low.astype(np.int64), np.flatnonzero(missing > 0)
    # Minus the remainder, so that a stable sort puts the largest first and, among equals, the left one; zeros come last.
    remainder = np.where(there[short], low[short] - parts[short], 1.0)
    order = np.argsort(remainder, axis=1, kind="stable")
    more = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(more, order, np.arange(parts.shape[1]) < missing[short, None], axis=1)
    whole[short] += more
    return whole


def whole_percents(attention: np.ndarray) -> np.ndarray:
    """Attention weights (K, J, F) as whole percentages: each item's sum to 100, and each row of cells to its own share.

    Returns
    -------
    ndarray of int64, shape (K, J, F)
        ``.sum(axis=2)`` are the shares that a page shows, so that rows, columns and the whole agree.
    """
    k, j, f = attention.shape
    where = np.divmod(np.arange(k * j), max(j, 1))
    return percent_cells(attention.reshape(k * j, f), attention.sum(axis=2), where)[0].reshape(attention.shape)


def percent_cells(
    parts: np.ndarray, by_item: np.ndarray, where: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Cells and shares of many products at once.

    A history that is shorter than the longest one is filled up with nothing, and nothing stays nothing; so the figures of a
    product do not depend on the company.

    Parameters
    ----------
    parts : ndarray of float64, shape (R, F)
        Attention weights, a line per history item of a product.
    by_item : ndarray of float64, shape (N, M)
        Their sums by product and history item.
    where : tuple of two ndarrays of int64, shape (R,)
        Of each line its place in `by_item`.

    Returns
    -------
    cells : ndarray of int64, shape (R, F)
    shares : ndarray of int64, shape (N, M)
    """
    shares = apportion(100.0 * by_item, np.full(len(by_item), 100))
    share, rows = by_item[where], shares[where]
    # The share of an item without weight is 0, and so are its cells.
    scale = np.divide(rows, share, out=np.zeros_like(share), where=share > 0)
    return apportion(parts * scale[:, None], rows), shares


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
