"""What each head says about pairs of a history item and a candidate, read off small tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from reportgen.attention.features import FeatureBlock
from reportgen.attention.kernels import Kernel
from reportgen.attention.products import dense_product

#: Cells of a table. It then stays in the cache, and memory does not grow with the number of items.
_CELLS = 2**20


@dataclass(frozen=True)
class PairReader:
    """Looks up heads at many pairs of items.

    To find one pair in a sparse kernel takes a search. But the users of a batch share items and candidates: so a kernel
    is spread over a table of these, once, and each pair is one look into the table.
    """

    kernels: tuple[Kernel, ...]
    blocks: tuple[FeatureBlock, ...]

    def read(
        self, row: np.ndarray, item: np.ndarray, candidates: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Strength of heads, and support, for the history items of users and the candidates of each user.

        Parameters
        ----------
        row : ndarray of int64, shape (P,)
            User of each history item; sorted.
        item : ndarray of int, shape (P,)
        candidates : ndarray of int64, shape (B, K)
            -1 for none, for which all is 0.
        wanted : ndarray of bool, shape (F,)
            Heads to read; the others are left at 0.

        Returns
        -------
        strength : ndarray of float64, shape (F, P, K)
        support : ndarray of int64, shape (P, K)
        """
        shape = (item.size, candidates.shape[1])
        strength, support = np.zeros((wanted.size, *shape)), np.zeros(shape, dtype=np.int64)
        for at, table in self._tables(row, item, candidates):
            cell = table.cells_of(item[at], candidates[row[at]])
            self._read_kernels(table, cell, wanted, (strength[:, at], support[at]))
            for head in np.flatnonzero(wanted[len(self.kernels) :]):
                strength[len(self.kernels) + head, at] = table.alike(self.blocks[head].matrix)[cell]
        return strength, support

    def _tables(self, row: np.ndarray, item: np.ndarray, candidates: np.ndarray) -> Iterator[tuple[slice, _Table]]:
        """Halve the history items until the table that they and their candidates span is small enough."""
        waiting = [(0, item.size)]
        n_items = self.kernels[0].weights.shape[0]
        while waiting:
            start, stop = waiting.pop()
            if start == stop:
                continue
            table = _Table.of(item[start:stop], candidates[row[start] : row[stop - 1] + 1], n_items)
            if table.size > _CELLS and stop - start > 1:
                middle = (start + stop) // 2
                waiting += [(middle, stop), (start, middle)]
            else:
                yield slice(start, stop), table

    def _read_kernels(
        self, table: _Table, cell: np.ndarray, wanted: np.ndarray, out: tuple[np.ndarray, np.ndarray]
    ) -> None:
        strength, support = out
        weights = np.zeros(table.size, dtype=np.float32)
        takers = np.zeros(table.size, dtype=np.int32)
        for head, columns in enumerate(self._columns):
            if not wanted[head] and columns.support is None:
                continue
            where, place = table.spread(columns)
            if columns.support is not None:
                takers[where] = np.maximum(takers[where], columns.support[place])
            if wanted[head]:
                weights[where] = columns.weight[place]
                strength[head] = weights[cell]
                weights[where] = 0.0
        support[:] = takers[cell]

    @cached_property
    def _columns(self) -> list[_Columns]:
        return [_Columns.of(kernel) for kernel in self.kernels]


@dataclass(frozen=True)
class _Columns:
    """A kernel by candidate: the history items that speak for it, how strongly, and the users who took both.

    A candidate has few entries, by the number of neighbours; a history item may have one for every item of the shop.
    """

    start: np.ndarray
    history: np.ndarray
    weight: np.ndarray
    support: np.ndarray | None

    @classmethod
    def of(cls, kernel: Kernel) -> _Columns:
        turned = kernel.weights.tocsc()
        support = kernel.support.tocsc().data if kernel.support.data.any() else None
        return cls(turned.indptr, turned.indices, turned.data, support)


@dataclass(frozen=True)
class _Table:
    """All pairs of some history items with some candidates. The last column is for "no candidate" and stays 0.

    Attributes
    ----------
    history, candidate : ndarray of int64
        Item codes of the rows, and of the columns but for the last; sorted.
    row, column : ndarray of int64, shape (I,) and (I + 1,)
        Row and column of an item, row -1 where it has none. The column of code -1 is the last.
    """

    history: np.ndarray
    candidate: np.ndarray
    row: np.ndarray
    column: np.ndarray

    @classmethod
    def of(cls, item: np.ndarray, candidates: np.ndarray, n_items: int) -> _Table:
        there = np.zeros(n_items + 1, dtype=bool)
        there[candidates] = True
        candidate = np.flatnonzero(there[:-1])
        column = np.full(n_items + 1, candidate.size)
        column[candidate] = np.arange(candidate.size)
        there[:] = False
        there[item] = True
        history = np.flatnonzero(there)
        row = np.full(n_items, -1)
        row[history] = np.arange(history.size)
        return cls(history, candidate, row, column)

    @property
    def width(self) -> int:
        return self.candidate.size + 1

    @property
    def size(self) -> int:
        return self.history.size * self.width

    def cells_of(self, item: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Where pairs lie in the table laid out flat: shape (P, K)."""
        return np.asarray((self.row[item] * self.width)[:, None] + self.column[candidates])

    def spread(self, columns: _Columns) -> tuple[np.ndarray, np.ndarray]:
        """Cells for which a kernel has an entry, and the place of that entry."""
        first = columns.start[self.candidate].astype(np.int64)
        length = columns.start[self.candidate + 1] - first
        column = np.repeat(np.arange(first.size), length)
        place = np.arange(column.size) + np.repeat(first - np.cumsum(length) + length, length)
        row = self.row[columns.history[place]]
        there = row >= 0
        return row[there] * self.width + column[there], place[there]

    def alike(self, features: sparse.csr_matrix) -> np.ndarray:
        """Inner products of features in float64, laid out flat; 0 for an item with itself."""
        left, right = (features[codes].astype(np.float64) for codes in (self.history, self.candidate))
        right.resize(self.width, right.shape[1])  # an empty row for the last column
        cells = dense_product(left, right.T.tocsr())
        own = np.flatnonzero(self.row[self.candidate] >= 0)
        cells[self.row[self.candidate[own]], own] = 0.0
        return cells.ravel()
