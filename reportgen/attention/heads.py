"""The heads of the scorer: one per kind of evidence, all read the same way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from reportgen.attention.features import FeatureBlock
from reportgen.attention.history import Events
from reportgen.attention.kernels import Kernel
from reportgen.attention.pairs import PairReader
from reportgen.attention.products import dense_product
from reportgen.attention.stack import Stack, stack_heads


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
            return dense_product(rows, list(self.kernels.values())[head].weights)
        return self._stack((head,)).scores(rows)

    def total(self, events: Events, weight: np.ndarray) -> np.ndarray:
        """All heads at once for a batch of histories: float32 (B, I).

        Parameters
        ----------
        events : Events
        weight : ndarray of float32, shape (E, F)
            How much each event counts for each head.
        """
        live = np.flatnonzero(weight.any(axis=0))
        stack = self._stack(tuple(live.tolist()))
        return stack.scores(stack.side(events, weight[:, live]))

    def _stack(self, heads: tuple[int, ...]) -> Stack:
        if heads not in self._stacks:
            self._stacks[heads] = stack_heads(tuple(self.kernels.values()), self.blocks, heads)
        return self._stacks[heads]

    @cached_property
    def _stacks(self) -> dict[tuple[int, ...], Stack]:
        """By heads. A fitted scorer asks for those with any weight, always the same ones."""
        return {}

    @cached_property
    def _pairs(self) -> PairReader:
        return PairReader(tuple(self.kernels.values()), self.blocks)

    def read(
        self, row: np.ndarray, item: np.ndarray, candidates: np.ndarray, wanted: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heads at pairs of the history items of users and their candidates; see `PairReader.read`. All heads if None."""
        wanted = np.ones(len(self.names), dtype=bool) if wanted is None else wanted
        return self._pairs.read(row, item, candidates, wanted)

    def values(self, history: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All heads at pairs of items: float64 (N, F), and the support int64 (N,). Candidate -1 gives zeros."""
        strength, support = self.read(np.arange(history.size), history, candidate[:, None])
        return strength[:, :, 0].T, support[:, 0]
