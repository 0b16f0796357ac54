"""Many small non-negative ridge regressions at once: one per item, over its strongest partners."""

from __future__ import annotations

import numpy as np
from scipy import sparse

_BATCH = 256
#: Sparse data stop earlier. Partners that share most of their buyers take more, and the weights of such near copies may
#: still be some 0.01 from the solution after so many.
_SWEEPS = 100
_TOLERANCE = 3e-5
#: Up to this many items the Gram matrix is held dense (float32), which makes gathering sub-blocks cheap.
DENSE_ITEMS = 8_000


def strongest_partners(pairs: sparse.spmatrix, k: int) -> np.ndarray:
    """For each item (row) its `k` strongest partners, ties by item code; -1 fills the rest. Shape (I, <= k)."""
    pairs = sparse.csr_matrix(pairs)
    pairs.sort_indices()
    pairs = sparse.coo_matrix(pairs)
    strength = pairs.data
    order = np.lexsort((-strength, pairs.row))  # stable, and columns come in order
    row, col = pairs.row[order], pairs.col[order]
    first = np.searchsorted(row, np.arange(pairs.shape[0]))
    place = np.arange(row.size) - first[row]
    keep = place < k
    near = np.full((pairs.shape[0], max(1, min(k, int(place.max(initial=0)) + 1))), -1, dtype=np.int64)
    near[row[keep], place[keep]] = col[keep]
    return near


def solve_all(gram: sparse.csr_matrix, right: sparse.csr_matrix, near: np.ndarray, l2: float) -> sparse.csr_matrix:
    """For each item ``i`` the ``w >= 0`` over its partners with the least ``w G w - 2 w r_i + l2 |w|^2``.

    Parameters
    ----------
    gram : csr_matrix of float32, shape (I, I)
        ``G``, symmetric.
    right : csr_matrix of float32, shape (I, I)
        Column ``i`` is ``r_i``.
    near : ndarray of int64, shape (I, k)
        Partners of each item, -1 for none.
    l2 : float

    Returns
    -------
    csr_matrix of float32, shape (I, I)
        Column ``i`` holds the weights of item ``i``.
    """
    n_items = gram.shape[0]
    dense = gram.toarray() if n_items <= DENSE_ITEMS else None
    side = right.toarray() if n_items <= DENSE_ITEMS else None
    columns = right.tocsc()
    count = (near >= 0).sum(axis=1)
    todo = np.argsort(count, kind="stable")
    todo = todo[count[todo] > 0]
    rows, cols, data = [], [], []
    for at in range(0, todo.size, _BATCH):
        target = todo[at : at + _BATCH]
        block = near[target, : count[target].max()]
        weight = _solve_batch(_sub_blocks(gram, dense, block), _right_side(columns, side, block, target), l2)
        place = (weight > 1e-6) & (block >= 0)
        rows.append(block[place])
        cols.append(np.broadcast_to(target[:, None], block.shape)[place])
        data.append(weight[place])
    if not data:
        return sparse.csr_matrix((n_items, n_items), dtype=np.float32)
    entries = (np.concatenate(data).astype(np.float32), (np.concatenate(rows), np.concatenate(cols)))
    return sparse.csr_matrix(entries, shape=(n_items, n_items))


def _sub_blocks(gram: sparse.csr_matrix, dense: np.ndarray | None, block: np.ndarray) -> np.ndarray:
    """Gram matrices of each item's partners, shape (k, B, k): one partner of all items lies together in memory."""
    if dense is not None:
        cube = dense[block.T[:, :, None], block[None, :, :]]
    else:
        cube = np.stack([gram[part][:, part].toarray() for part in block], axis=1)
    missing = block < 0
    cube *= ~missing.T[:, :, None] & ~missing[None, :, :]
    return np.asarray(cube)


def _right_side(
    columns: sparse.csc_matrix, dense: np.ndarray | None, block: np.ndarray, target: np.ndarray
) -> np.ndarray:
    if dense is not None:
        side = dense[block, target[:, None]].copy()
    else:
        side = np.asarray(columns[block.ravel(), np.repeat(target, block.shape[1])]).reshape(block.shape)
    side[block < 0] = 0.0
    return np.asarray(side, dtype=np.float32)


def _solve_batch(cube: np.ndarray, side: np.ndarray, l2: float) -> np.ndarray:
    """Cyclic coordinate descent with a floor at zero, for many small problems at once.

    The problem is strictly convex for ``l2 > 0``, so the cycle converges to its only minimum; it ends when no weight
    moves by more than `_TOLERANCE`, or after `_SWEEPS`.
    """
    k = cube.shape[0]
    weight = np.zeros_like(side)
    rest = side.copy()
    curve = np.stack([cube[p, :, p] for p in range(k)], axis=1) + np.float32(l2)
    curve[curve <= 0] = 1.0  # a place without a partner, when there is no ridge
    for _ in range(_SWEEPS):
        largest = 0.0
        for p in range(k):
            step = np.maximum((rest[:, p] - l2 * weight[:, p]) / curve[:, p], -weight[:, p])
            weight[:, p] += step
            rest -= cube[p] * step[:, None]
            largest = max(largest, float(np.abs(step).max()))
        if largest < _TOLERANCE:
            break
    return weight
