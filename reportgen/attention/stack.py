"""All heads laid into one sparse matrix, so that the scores of all items are one product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reportgen.attention.features import FeatureBlock
from reportgen.attention.history import Events
from reportgen.attention.kernels import Kernel
from reportgen.attention.products import dense_product

#: Items whose content is scored in one go: their scores lie in the cache while they are turned.
_SLICE = 512


@dataclass(frozen=True)
class Stack:
    """Some heads of a scorer, one above the other.

    Attributes
    ----------
    matrix : csr_matrix of float32, shape (I * H, I + D)
        Row ``j * H + h``: what item ``j`` says by head ``h``. For a kernel that is its row, in the first I columns. For a
        content head it is the features of ``j`` in their own columns, and minus their squared length at ``j`` itself,
        as no item speaks for itself.
    features : tuple of csr_matrix of float32, shapes (up to 512, D)
        The features of all items, side by side: they turn a profile into scores.
    n_heads, n_items : int
        H and I.
    """

    matrix: sparse.csr_matrix
    features: tuple[sparse.csr_matrix, ...]
    n_heads: int
    n_items: int

    def scores(self, side: sparse.csr_matrix) -> np.ndarray:
        """Scores without base: float32 (B, I), of histories as `side` makes them."""
        found = dense_product(side, self.matrix)
        if not self.features:
            return found
        scores = np.ascontiguousarray(found[:, : self.n_items])
        profile = np.ascontiguousarray(found[:, self.n_items :].T)
        for at, part in enumerate(self.features):
            # Turned slice by slice, while it lies in the cache: turning all at once took most of the time.
            scores[:, at * _SLICE : (at + 1) * _SLICE] += (part @ profile).T
        return scores

    def side(self, events: Events, weight: np.ndarray) -> sparse.csr_matrix:
        """The heads of a history side by side: float32 (B, I * H). Events on one item are summed.

        Parameters
        ----------
        events : Events
        weight : ndarray of float32, shape (E, H)
        """
        key = events.row * self.n_items + events.item
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        row, item = np.divmod(key[first], self.n_items)
        summed = np.add.reduceat(weight[order], first, axis=0) if first.size else weight
        column = (item * self.n_heads)[:, None] + np.arange(self.n_heads)
        start = np.searchsorted(row, np.arange(events.n_users + 1)) * self.n_heads
        kind = np.int32 if max(self.matrix.shape[0], column.size) < 2**31 else np.int64
        content = (summed.ravel(), column.ravel().astype(kind), start.astype(kind))
        return sparse.csr_matrix(content, shape=(events.n_users, self.matrix.shape[0]))


def stack_heads(kernels: tuple[Kernel, ...], blocks: tuple[FeatureBlock, ...], heads: tuple[int, ...]) -> Stack:
    """Lay some heads into a `Stack`; heads are counted as in `Heads`: kernels, then blocks."""
    size = kernels[0].weights.shape[0]
    features = [blocks[head - len(kernels)].matrix for head in heads if head >= len(kernels)]
    width = size + sum(part.shape[1] for part in features)
    rows = [_widen(kernels[head].weights, 0, width) for head in heads if head < len(kernels)]
    at = size
    for own in features:
        length = np.asarray(own.multiply(own).sum(axis=1), dtype=np.float32).ravel()
        rows.append(_widen(sparse.diags(-length), 0, width) + _widen(own, at, width))
        at += own.shape[1]
    if not rows:
        return Stack(sparse.csr_matrix((0, size), dtype=np.float32), (), 0, size)
    by_item = np.arange(size * len(rows)).reshape(len(rows), size).T.ravel()
    matrix = sparse.csr_matrix(sparse.csr_matrix(sparse.vstack(rows))[by_item])
    if not features:
        return Stack(matrix, (), len(rows), size)
    beside = sparse.csr_matrix(sparse.hstack(features), dtype=np.float32)
    return Stack(matrix, tuple(beside[at : at + _SLICE] for at in range(0, size, _SLICE)), len(rows), size)


def _widen(matrix: sparse.spmatrix, at: int, width: int) -> sparse.csr_matrix:
    """The same matrix with its columns from `at` on, in a matrix of so many columns."""
    rows = sparse.csr_matrix(matrix, dtype=np.float32)
    return sparse.csr_matrix((rows.data, rows.indices + at, rows.indptr), shape=(rows.shape[0], width))
