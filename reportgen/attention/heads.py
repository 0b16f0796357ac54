"""The heads of the scorer: one per kind of evidence, all read the same way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from reportgen.attention.features import FeatureBlock
from reportgen.attention.history import Events
from reportgen.attention.kernels import Kernel

#: Items scored in one go by a content head.
_SLICE = 512


@dataclass(frozen=True)
class Heads:
    """First the heads that read a kernel, then those that read a feature block.

    A content kernel is kept as its features: ``S_f = F F^T`` without the diagonal. That is exact (two items of one
    category always have the same strength, which a list of nearest neighbours would cut arbitrarily) and small.
    """

    kernels: dict[str, Kernel]
    blocks: tuple[FeatureBlock, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.kernels, *(block.name for block in self.blocks))

    @property
    def n_items(self) -> int:
        return int(next(iter(self.kernels.values())).weights.shape[0])

    def scores(self, head: int, rows: sparse.csr_matrix) -> np.ndarray:
        """One head for weighted histories (B, I): float32 (B, I). No item speaks for itself, but for `again`."""
        if head < len(self.kernels):
            return np.asarray((rows @ list(self.kernels.values())[head].weights).toarray())
        return self._content(head - len(self.kernels), rows)

    def total(self, events: Events, weight: np.ndarray) -> np.ndarray:
        """All heads at once for a batch of histories: float32 (B, I).

        Parameters
        ----------
        events : Events
        weight : ndarray of float32, shape (E, F)
            How much each event counts for each head.
        """
        width, kernels = self.n_items, len(self.kernels)
        # The histories side by side, times the kernels one above the other: one product instead of one per kernel.
        column = events.item[:, None] + (np.arange(kernels) * width)[None, :]
        place, shape = (np.repeat(events.row, kernels), column.ravel()), (events.n_users, kernels * width)
        side = sparse.csr_matrix((weight[:, :kernels].ravel(), place), shape=shape)
        side.eliminate_zeros()
        scores = np.asarray((side @ self._stacked).toarray())
        for head in range(kernels, weight.shape[1]):
            if weight[:, head].any():
                rows = sparse.csr_matrix((weight[:, head], (events.row, events.item)), shape=(events.n_users, width))
                scores += self._content(head - kernels, rows)
        return scores

    def _content(self, block: int, rows: sparse.csr_matrix) -> np.ndarray:
        profile = np.ascontiguousarray((rows @ self.blocks[block].matrix).toarray().T)
        scores = np.empty(rows.shape, dtype=np.float32)
        for at, part in enumerate(self._slices[block]):
            # Turned block by block, while it lies in the cache: turning all at once took most of the time.
            scores[:, at * _SLICE : at * _SLICE + part.shape[0]] = (part @ profile).T
        own = rows.tocoo()
        scores[own.row, own.col] -= own.data * self._norms[block][own.col]
        return scores

    @cached_property
    def _stacked(self) -> sparse.csr_matrix:
        return sparse.csr_matrix(sparse.vstack([kernel.weights for kernel in self.kernels.values()]))

    @cached_property
    def _places(self) -> list[sparse.csr_matrix]:
        """For each kernel where an entry lies in its arrays, counted from 1: one look-up finds weight and support."""
        return [
            sparse.csr_matrix((np.arange(1, k.weights.nnz + 1), k.weights.indices, k.weights.indptr), k.weights.shape)
            for k in self.kernels.values()
        ]

    @cached_property
    def _slices(self) -> list[list[sparse.csr_matrix]]:
        return [
            [block.matrix[at : at + _SLICE] for at in range(0, block.matrix.shape[0], _SLICE)] for block in self.blocks
        ]

    @cached_property
    def _norms(self) -> list[np.ndarray]:
        """Length of each item's features, squared: 1, or 0 where there are none."""
        return [np.asarray(b.matrix.multiply(b.matrix).sum(axis=1), dtype=np.float32).ravel() for b in self.blocks]

    def values(self, history: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All heads at pairs of items: float64 (N, F), and the support int64 (N,). Candidate -1 gives zeros."""
        strength = np.zeros((history.size, len(self.names)))
        support = np.zeros(history.size, dtype=np.int64)
        pair = np.flatnonzero(candidate >= 0)
        if pair.size == 0:
            return strength, support
        j, i = history[pair], candidate[pair]
        for head, kernel in enumerate(self.kernels.values()):
            place = np.asarray(self._places[head][j, i]).ravel()
            there = np.flatnonzero(place)
            at, place = pair[there], place[there] - 1
            strength[at, head] = kernel.weights.data[place]
            support[at] = np.maximum(support[at], kernel.support.data[place])
        other = (j != i).astype(np.float64)
        for head, block in enumerate(self.blocks, start=len(self.kernels)):
            strength[pair, head] = row_products(block.matrix, j, i) * other
        return strength, support


def row_products(matrix: sparse.csr_matrix, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products of pairs of rows, float64 (N,).

    A block with few columns is looked up dense, which is several times faster than slicing sparse rows.
    """
    rows = np.flatnonzero(np.bincount(left, minlength=matrix.shape[0]))
    if matrix.shape[1] * rows.size <= 8_000_000:
        place = np.zeros(matrix.shape[0], dtype=np.int64)
        place[rows] = np.arange(rows.size)
        dense = np.asarray(matrix[rows].toarray(), dtype=np.float64)
        mine = matrix[right]
        at = np.repeat(np.arange(right.size), np.diff(mine.indptr))
        return np.bincount(at, mine.data * dense[place[left[at]], mine.indices], minlength=right.size)
    product = matrix[left].astype(np.float64).multiply(matrix[right].astype(np.float64)).sum(axis=1)
    return np.asarray(product, dtype=np.float64).ravel()
