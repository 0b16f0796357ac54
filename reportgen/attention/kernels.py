"""Item-item kernels: how strongly one item in a history speaks for another item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

_BATCH = 256
#: Sparse data stop earlier. Partners that share most of their buyers take more, and the weights of such near copies may
#: still be some 0.01 from the solution after so many.
_SWEEPS = 100
_TOLERANCE = 3e-5
#: Up to this many items the co-occurrence matrix is held dense (float32), which makes gathering sub-blocks cheap.
_DENSE_ITEMS = 8_000


@dataclass(frozen=True)
class Kernel:
    """A sparse non-negative kernel with a zero diagonal.

    Attributes
    ----------
    weights : csr_matrix of float32, shape (I, I)
        Row ``j``, column ``i``: what item ``j`` in a history adds for candidate ``i``.
    support : csr_matrix of int32, shape (I, I)
        Same pattern: the number of users who took both items.
    """

    weights: sparse.csr_matrix
    support: sparse.csr_matrix


def user_item(row: np.ndarray, item: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> sparse.csr_matrix:
    """What each user took, as a number in [0, 1]: the values of the events of a pair, summed and clipped.

    Returns
    -------
    csr_matrix of float32, shape (U, I)
    """
    taken = sparse.csr_matrix((value.astype(np.float32), (row, item)), shape=shape)
    taken.sum_duplicates()
    taken.data = np.clip(taken.data, 0.0, 1.0)
    taken.eliminate_zeros()
    return taken


def fit_together(taken: sparse.csr_matrix, neighbours: int = 100, l2: float = 30.0, min_support: int = 5) -> Kernel:
    """Learn "people who took A also took this" by non-negative ridge regression, one candidate item at a time.

    For each item ``i``: ``min_{w >= 0} ||D (x_i - X w)||^2 + l2 ||w||^2`` over its strongest co-taken items, where the
    diagonal ``D`` gives users with long histories less say (weight ``1 / sqrt(n_u)``, mean 1). It is SLIM (Ning and
    Karypis, ICDM 2011) with a ridge instead of a lasso and a restricted support.

    Parameters
    ----------
    taken : csr_matrix, shape (U, I)
    neighbours : int
        Co-taken items that may speak for a candidate.
    l2 : float
        Ridge, in users.
    min_support : int
        Pairs taken by fewer users never enter: they are noise, and telling them would tell about single people.
    """
    binary = sparse.csr_matrix((np.ones_like(taken.data), taken.indices, taken.indptr), shape=taken.shape)
    support = _off_diagonal(sparse.csr_matrix(binary.T @ binary), min_support)
    gram = sparse.csr_matrix(_weighted(taken).T @ _weighted(taken))
    near, count = _strongest(support.multiply(gram.multiply(support > 0) > 0), gram, neighbours)
    weights = _solve_all(gram, near, count, l2)
    kept = sparse.csr_matrix(support.multiply(weights > 0), dtype=np.int32)
    return Kernel(weights, _aligned(kept, weights))


def _weighted(taken: sparse.csr_matrix) -> sparse.csr_matrix:
    length = np.asarray(taken.sum(axis=1)).ravel()
    weight = np.divide(1.0, np.sqrt(length), out=np.zeros_like(length), where=length > 0)
    total = float((weight * length).sum())
    weight *= length.sum() / total if total > 0 else 1.0
    return sparse.csr_matrix(sparse.diags(np.sqrt(weight)) @ taken, dtype=np.float32)


def _off_diagonal(counts: sparse.csr_matrix, at_least: int) -> sparse.csr_matrix:
    counts = counts.tocoo()
    keep = (counts.row != counts.col) & (counts.data >= at_least)
    shape = counts.shape
    return sparse.csr_matrix((counts.data[keep].astype(np.int32), (counts.row[keep], counts.col[keep])), shape=shape)


def _strongest(pairs: sparse.spmatrix, gram: sparse.csr_matrix, k: int) -> tuple[np.ndarray, np.ndarray]:
    """For each item its `k` strongest partners by cosine, ties by item code; -1 fills the rest."""
    diagonal = np.sqrt(np.maximum(gram.diagonal(), 1e-12))
    pairs = sparse.csr_matrix(pairs)
    pairs.sort_indices()
    pairs = sparse.coo_matrix(pairs)
    strength = np.asarray(gram[pairs.row, pairs.col]).ravel() / (diagonal[pairs.row] * diagonal[pairs.col])
    order = np.lexsort((-strength, pairs.row))  # stable, and columns come in order
    row, col = pairs.row[order], pairs.col[order]
    first = np.searchsorted(row, np.arange(gram.shape[0]))
    place = np.arange(row.size) - first[row]
    keep = place < k
    near = np.full((gram.shape[0], max(1, min(k, int(place.max(initial=0)) + 1))), -1, dtype=np.int64)
    near[row[keep], place[keep]] = col[keep]
    return near, (near >= 0).sum(axis=1)


def _solve_all(gram: sparse.csr_matrix, near: np.ndarray, count: np.ndarray, l2: float) -> sparse.csr_matrix:
    """Solve for every item that has partners, in batches of like width."""
    n_items = gram.shape[0]
    dense = gram.toarray() if n_items <= _DENSE_ITEMS else None
    todo = np.argsort(count, kind="stable")
    todo = todo[count[todo] > 0]
    rows, cols, data = [], [], []
    for at in range(0, todo.size, _BATCH):
        target = todo[at : at + _BATCH]
        block = near[target, : count[target].max()]
        weight = _solve_batch(_sub_blocks(gram, dense, block), _right_side(gram, dense, block, target), l2)
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


def _right_side(gram: sparse.csr_matrix, dense: np.ndarray | None, block: np.ndarray, target: np.ndarray) -> np.ndarray:
    if dense is not None:
        side = dense[block, target[:, None]].copy()
    else:
        side = np.stack([gram[part][:, [t]].toarray().ravel() for part, t in zip(block, target, strict=True)])
    side[block < 0] = 0.0
    return np.asarray(side)


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


def _aligned(support: sparse.csr_matrix, weights: sparse.csr_matrix) -> sparse.csr_matrix:
    """Support in the very order of the weights, so that one look-up serves both."""
    weights.sort_indices()
    support.sort_indices()
    if not np.array_equal(support.indices, weights.indices):
        raise AssertionError("support and weights of a kernel must have one pattern")
    return support
