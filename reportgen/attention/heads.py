"""The heads of the scorer: one per kind of evidence, all read the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reportgen.attention.features import TOGETHER, FeatureBlock
from reportgen.attention.kernels import Kernel


@dataclass(frozen=True)
class Heads:
    """Head 0 reads the `together` kernel, head ``f`` the feature block ``f - 1``.

    A content kernel is kept as its features: ``S_f = F F^T`` without the diagonal. That is exact (two items of one
    category always have the same strength, which a list of nearest neighbours would cut arbitrarily) and small.
    """

    kernel: Kernel
    blocks: tuple[FeatureBlock, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (TOGETHER, *(block.name for block in self.blocks))

    def scores(self, head: int, rows: sparse.csr_matrix) -> np.ndarray:
        """One head for weighted histories (B, I): float32 (B, I). No item speaks for itself."""
        if head == 0:
            return np.asarray((rows @ self.kernel.weights).toarray())
        matrix = self.blocks[head - 1].matrix
        profile = np.asarray((rows @ matrix).toarray())
        scores = np.ascontiguousarray((matrix @ profile.T).T)
        own = rows.tocoo()
        norm = np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
        scores[own.row, own.col] -= own.data * norm[own.col]
        return scores

    def values(self, history: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All heads at pairs of items: float64 (N, F), and the support int64 (N,). Candidate -1 gives zeros."""
        strength = np.zeros((history.size, len(self.blocks) + 1))
        support = np.zeros(history.size, dtype=np.int64)
        pair = np.flatnonzero((candidate >= 0) & (candidate != history))
        if pair.size == 0:
            return strength, support
        j, i = history[pair], candidate[pair]
        strength[pair, 0] = np.asarray(self.kernel.weights[j, i]).ravel()
        support[pair] = np.asarray(self.kernel.support[j, i]).ravel()
        for head, block in enumerate(self.blocks, start=1):
            product = block.matrix[j].multiply(block.matrix[i]).sum(axis=1)
            strength[pair, head] = np.asarray(product, dtype=np.float64).ravel()
        return strength, support
