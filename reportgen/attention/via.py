"""The kernel for items that few have taken: borrow from items that are like them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from reportgen.attention.features import FeatureBlock
from reportgen.attention.kernels import Kernel
from reportgen.attention.nnls import strongest_partners
from reportgen.attention.top import best_columns

_LIKE = 20
#: An item taken by so many users borrows half; with none it borrows all.
_HALF = 10.0
_LEAST = 0.1
_BLOCK, _SLICE = 256, 512


def fit_via(
    together: sparse.csr_matrix, blocks: tuple[FeatureBlock, ...], popularity: np.ndarray, neighbours: int = 100
) -> Kernel:
    """Learn "people who took A take things like this one".

    ``S_via = S_together K``: column ``i`` of ``K`` holds the cosine of ``i`` with its 20 most alike items that have
    partners in `together`, scaled to sum to ``10 / (10 + n_i)``. So an item nobody took borrows everything and a popular
    one nothing. Only the `neighbours` strongest weights of an item are kept.

    Parameters
    ----------
    together : csr_matrix, shape (I, I)
    blocks : tuple of FeatureBlock
        All count alike.
    popularity : ndarray of int64, shape (I,)
        Users per item.
    """
    size = together.shape[0]
    share = _HALF / (_HALF + popularity)
    target = np.flatnonzero(share >= _LEAST)
    known = np.flatnonzero(np.asarray(together.astype(bool).sum(axis=0)).ravel())
    if not blocks or not target.size or not known.size:
        return Kernel(
            sparse.csr_matrix((size, size), dtype=np.float32), sparse.csr_matrix((size, size), dtype=np.int32)
        )
    features = sparse.csr_matrix(sparse.hstack([block.matrix for block in blocks]))
    columns = sparse.csc_matrix(together)[:, known]
    parts = [
        _borrow(features, columns, known, target[at : at + _BLOCK], neighbours) for at in range(0, target.size, _BLOCK)
    ]
    rows = sparse.csr_matrix(sparse.diags(share[target]) @ sparse.vstack(parts))
    spread = sparse.csr_matrix((np.ones(target.size), (target, np.arange(target.size))), shape=(size, target.size))
    weights = sparse.csr_matrix((spread @ rows).T, dtype=np.float32)
    weights.sort_indices()
    nobody = sparse.csr_matrix((np.zeros(weights.nnz, dtype=np.int32), weights.indices, weights.indptr), weights.shape)
    return Kernel(weights, nobody)


def _borrow(
    features: sparse.csr_matrix, columns: sparse.csc_matrix, known: np.ndarray, target: np.ndarray, neighbours: int
) -> sparse.csr_matrix:
    """What each of some items borrows: one row per item, over the whole history side."""
    alike = _likeness(features[known], features[target])
    place = np.searchsorted(known, target)
    own = np.flatnonzero(known[np.minimum(place, known.size - 1)] == target)
    alike[own, place[own]] = 0.0
    near, weight = best_columns(alike, _LIKE)
    row, rank = np.nonzero(weight > 0)
    chosen, weight = near[row, rank], weight[row, rank].astype(np.float64)
    total = np.bincount(row, weight, minlength=target.size)
    mix = sparse.csr_matrix((weight / total[row], (row, chosen)), shape=(target.size, known.size))
    borrowed = sparse.csr_matrix(mix @ columns.T)
    own = target[np.repeat(np.arange(target.size), np.diff(borrowed.indptr))] == borrowed.indices
    borrowed.data[own] = 0.0  # no item speaks for itself
    borrowed.eliminate_zeros()
    best = strongest_partners(borrowed, neighbours)
    row, place = np.nonzero(best >= 0)
    data = _at(borrowed, row, best[row, place])
    return sparse.csr_matrix((data, (row, best[row, place])), shape=borrowed.shape)


def _likeness(known: sparse.csr_matrix, target: sparse.csr_matrix) -> np.ndarray:
    """Inner products of all pairs of rows: float32, shape (target, known). Prices alone would make it dense."""
    profile = np.ascontiguousarray(target.toarray().T, dtype=np.float32)
    alike = np.empty((target.shape[0], known.shape[0]), dtype=np.float32)
    for at in range(0, known.shape[0], _SLICE):
        alike[:, at : at + _SLICE] = (known[at : at + _SLICE] @ profile).T
    return alike


def _at(matrix: sparse.csr_matrix, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Entries of a matrix. (scipy answers an empty question with a matrix.)"""
    return np.asarray(matrix[row, column]).ravel() if row.size else np.empty(0)
