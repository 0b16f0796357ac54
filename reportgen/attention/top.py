"""The best items of each user, the same ones on every machine."""

from __future__ import annotations

import numpy as np


def best_columns(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The `n` best columns of each row, best first, ties by column.

    Which of several equal scores a partial sort lets in depends on the processor, so ties at the edge are settled here.

    Parameters
    ----------
    scores : ndarray of float32, shape (B, I)
        No NaN; ``-inf`` is never chosen.
    n : int

    Returns
    -------
    codes : ndarray of int64, shape (B, n)
        -1 where nothing is left.
    best : ndarray of float32, shape (B, n)
        ``-inf`` there.
    """
    rows, width = scores.shape[0], min(n, scores.shape[1])
    if width == 0:
        return np.full((rows, n), -1, dtype=np.int64), np.full((rows, n), -np.inf, dtype=scores.dtype)
    edge = np.partition(scores, -width, axis=1)[:, -width, None]
    chosen = scores >= edge
    crowded = np.flatnonzero(chosen.sum(axis=1) > width)
    if crowded.size:
        sure, tied = scores[crowded] > edge[crowded], scores[crowded] == edge[crowded]
        room = width - sure.sum(axis=1, keepdims=True)
        chosen[crowded] = sure | (tied & (np.cumsum(tied, axis=1, dtype=np.int32) <= room))
    part = np.nonzero(chosen)[1].reshape(rows, width)
    order = np.argsort(-np.take_along_axis(scores, part, 1), axis=1, kind="stable")
    codes = np.take_along_axis(part, order, 1).astype(np.int64)
    best = np.take_along_axis(scores, codes, 1)
    codes[~np.isfinite(best)] = -1
    pad = ((0, 0), (0, n - width))
    return np.pad(codes, pad, constant_values=-1), np.pad(best, pad, constant_values=-np.inf)
