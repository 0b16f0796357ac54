"""The best items of each user, the same ones on every machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

#: Columns per group.
_GROUP = 32


def best_columns(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The `n` best columns of each row, best first, ties by column.

    Which of several equal scores a partial sort lets in depends on the processor, so ties are settled here.

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
    codes = np.full((rows, n), -1, dtype=np.int64)
    best = np.full((rows, n), -np.inf, dtype=scores.dtype)
    if width == 0 or rows == 0:
        return codes, best
    least = np.maximum(_bound(scores, width), np.finfo(scores.dtype).min)  # no -inf
    row, column = np.divmod(np.flatnonzero(scores >= least[:, None]), scores.shape[1])
    value = scores[row, column]
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    place = np.arange(row.size) - np.searchsorted(row, np.arange(rows))[row]
    keep = place < width
    codes[row[keep], place[keep]] = column[keep]
    best[row[keep], place[keep]] = value[keep]
    return codes, best


def best_lists(
    users: np.ndarray,
    n: int,
    chunk: int,
    scores_of: Callable[[np.ndarray], np.ndarray],
    seen_of: Callable[[np.ndarray], sparse.csr_matrix],
    closed: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The `n` best open items of many users, some users at a time.

    Parameters
    ----------
    users : ndarray of int64, shape (B,)
    n, chunk : int
        Length of a list; users scored in one go.
    scores_of : callable
        From user codes (b,) to float32 scores (b, I), which are written over.
    seen_of : callable
        From user codes (b,) to a matrix (b, I), nonzero where the user has the item.
    closed : ndarray of bool, shape (I,)
        Items that nobody is shown.

    Returns
    -------
    codes, best
        As of `best_columns`, shape (B, n).
    """
    codes = np.full((users.size, n), -1, dtype=np.int64)
    best = np.full((users.size, n), -np.inf, dtype=np.float32)
    shut = np.flatnonzero(closed)
    for at in range(0, users.size, chunk):
        batch = users[at : at + chunk]
        scores = scores_of(batch)
        scores[:, shut] = -np.inf
        own = seen_of(batch).tocoo()
        scores[own.row, own.col] = -np.inf
        codes[at : at + chunk], best[at : at + chunk] = best_columns(scores, n)
    return codes, best


def _bound(scores: np.ndarray, n: int) -> np.ndarray:
    """A number per row that the `n` best columns all reach, and few others.

    The n-th largest of the maxima of groups of columns is one, and far cheaper to find than the n-th best column. A
    group is every so many-th column: the maxima of all groups are then taken side by side.
    """
    groups = max(n, scores.shape[1] // _GROUP)
    each = scores.shape[1] // groups
    tops = scores[:, : each * groups].reshape(len(scores), each, groups).max(axis=1)
    rest = scores[:, each * groups :]
    np.maximum(tops[:, : rest.shape[1]], rest, out=tops[:, : rest.shape[1]])
    return np.asarray(np.partition(tops, groups - n, axis=1)[:, groups - n])
