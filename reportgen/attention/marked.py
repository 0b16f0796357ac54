"""Pairs of user and item that carry a mark, as the matrix that a ranking reads."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def paired_items(pairs: np.ndarray, users: np.ndarray, n_items: int) -> sparse.csr_matrix:
    """Pairs of user and item as a matrix: int8, shape (B, I), 1 where a pair is given.

    Parameters
    ----------
    pairs : ndarray of int64, shape (P,)
        Sorted ``user * n_items + item``.
    users : ndarray of int64, shape (B,)
    n_items : int
    """
    start, stop = (np.searchsorted(pairs, edge * n_items) for edge in (users, users + 1))
    count = stop - start
    row = np.repeat(np.arange(users.size), count)
    place = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + start[row]
    one = np.ones(row.size, dtype=np.int8)
    return sparse.csr_matrix((one, (row, pairs[place] % n_items)), shape=(users.size, n_items))
