"""Explanations of many users as one table: NumPy is quick with many numbers and slow with few, and a user has few."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np

from reportgen.explain.explanation import Explanation, attention_weights


class Stack:
    """Explanations over the same kinds of evidence, one above another.

    A line is one history item of one product of one user; N products of all users have R lines. Every number of a user is
    computed as it would be alone, in the same order of additions, so the company changes no bit of it.

    Parameters
    ----------
    whys : sequence of Explanation
        At least one; all with the same ``model.heads``.

    Attributes
    ----------
    counts, widths : list of int
        Products and history items of each user.
    products, lines : list of int
        Where the products and the lines of each user begin, and one end more.
    where : tuple of ndarray
        Of each line its product (0 to N - 1) and its history item.
    start : ndarray of int64, shape (N,)
        The first line of each product.
    contributions : ndarray of float64, shape (R, F)
    """

    def __init__(self, whys: Sequence[Explanation]) -> None:
        self.whys, self.heads = whys, whys[0].model.heads
        shapes = [why.contributions.shape for why in whys]
        self.counts, self.widths = [shape[0] for shape in shapes], [shape[1] for shape in shapes]
        self.products = [0, *accumulate(self.counts)]
        self.lines = [0, *accumulate([count * width for count, width in zip(self.counts, self.widths, strict=True)])]
        width = np.repeat(self.widths, self.counts)
        self.start = np.cumsum(width) - width
        product = np.repeat(np.arange(self.products[-1]), width)
        self.where = (product, np.arange(self.lines[-1]) - self.start[product])
        rows = [why.contributions.reshape(-1, len(self.heads)) for why in whys]
        self.contributions = np.ascontiguousarray(np.concatenate(rows))

    def table(self, lines: np.ndarray, empty: float = 0.0) -> np.ndarray:
        """Numbers of lines as a table with a row per product, shape (N, longest history), filled up with `empty`."""
        out = np.full((self.products[-1], max(self.widths)), empty, dtype=lines.dtype)
        out[self.where] = lines
        return out

    def per_user(self, table: np.ndarray) -> list[np.ndarray]:
        """The part (K, J) of each user of a `table`."""
        users = zip(self.products, self.counts, self.widths, strict=False)
        return [table[at : at + count, :width] for at, count, width in users]

    def column(self, name: str) -> np.ndarray:
        """A field (K,) of the explanations, shape (N,)."""
        return np.concatenate([getattr(why, name) for why in self.whys])

    @cached_property
    def net(self) -> np.ndarray:
        """What each line adds: float64, shape (R,)."""
        return np.asarray(self.contributions.sum(axis=1))

    @cached_property
    def hidden(self) -> np.ndarray:
        """Lines of items that must not be named: bool, shape (R,)."""
        out = np.zeros((self.products[-1], max(self.widths)), dtype=bool)
        for part, why in zip(self.per_user(out), self.whys, strict=True):
            part[:] = why.past.hidden
        return np.asarray(out[self.where])

    @cached_property
    def attention(self) -> np.ndarray:
        """Attention weights: float64, shape (R, F)."""
        for_it = np.maximum(self.net, 0.0)
        total = np.zeros(self.products[-1])
        # One sum per user: NumPy adds a row that was filled up in another order.
        for part, at in zip(self.per_user(self.table(for_it)), self.products, strict=False):
            total[at : at + len(part)] = part.sum(axis=1)
        return attention_weights(self.contributions, for_it, total[self.where[0]])

    @cached_property
    def weight(self) -> np.ndarray:
        """Attention weights of history items, all kinds of evidence together: float64, shape (R,)."""
        return np.asarray(self.attention.sum(axis=1))

    def by_product(self, values: np.ndarray) -> np.ndarray:
        """Columns (R, M) added up per product, one line after another: float64, shape (N, M)."""
        return self._added(self.where[0], values, self.products[-1])

    def by_user(self, values: np.ndarray) -> np.ndarray:
        """Columns (R, M) added up per user, one line after another: float64, shape (users, M)."""
        lines = np.diff(self.lines)
        return self._added(np.repeat(np.arange(len(lines)), lines), values, len(lines))

    @staticmethod
    def _added(group: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
        sums = [np.bincount(group, weights=column, minlength=size) for column in values.T]
        return np.stack(sums, axis=1) if sums else np.zeros((size, 0))
