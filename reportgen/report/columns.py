"""The figures of a page, rounded once, and as plain lists: what is read number by number is taken out of NumPy once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.explain.explanation import Explanation
from reportgen.explain.privacy import FOLDED
from reportgen.report.record import Records
from reportgen.report.rounding import closing_points, decimals_for, percent_cells
from reportgen.report.stack import Stack

#: The kind of evidence by which a product speaks for itself, and all that rest on what other shoppers took.
AGAIN = "again"
BY_OTHERS = ("together", "next", "via", AGAIN)
#: What items that are not shown rest on is not told, so it is not said either that nothing rests on other shoppers.
_MAYBE_BY_OTHERS = (*BY_OTHERS, FOLDED)


@dataclass(eq=False, slots=True)  # frozen, it would take three times as long to make
class Figures:
    """All numbers of a page, rounded once, so that a figure is the same wherever it is printed, and what its words follow from.

    Attributes
    ----------
    heads : list of int, length F'
        Heads that speak for anything on this page: the columns.
    cells : ndarray of int64, shape (K, J, F')
        Whole percent.
    plain_cells : list of K * J tuples of F' int
        The same.
    shares : ndarray of int64, shape (K, J)
        Sums of the cells.
    plain_shares : list of K lists of J int
        The same.
    head_shares : list of K tuples of F' int
        Sums of the cells of each product.
    base, total : list of int, length K
        In units of the last decimal, as are `points`.
    points : list of K lists of J int
    decimals : int
    net : list of K lists of J float
        Exact contributions.
    reasons : list of K lists of int
        History items that speak for each product and may be named, strongest first.
    strongest : list of K * J int
        The head that counts most for an item: by exact weights, since of two cells that print alike one may be larger.
    by_others : list of K * J bool
        Whether an item counts through what other shoppers took.
    weight : list of float, length J
        Attention weights of the history items, added up over the products.
    head_weight : list of float, length F'
        The same of the heads.
    records : Records
        Those of all users that were rounded together; this one is number `place`.
    place : int
    """

    heads: list[int]
    cells: np.ndarray
    plain_cells: list[tuple[int, ...]]
    shares: np.ndarray
    plain_shares: list[list[int]]
    head_shares: list[tuple[int, ...]]
    base: list[int]
    points: list[list[int]]
    total: list[int]
    decimals: int
    net: list[list[float]]
    reasons: list[list[int]]
    strongest: list[int]
    by_others: list[bool]
    weight: list[float]
    head_weight: list[float]
    records: Records
    place: int

    def speaking(self) -> list[int]:
        """Products that anything in the history speaks for."""
        return [k for k, reasons in enumerate(self.plain_shares) if any(reasons)]


def make_figures(why: Explanation) -> Figures:
    """Round an explanation for print."""
    return _Rounded(Stack([why])).figures(0)


def many_figures(whys: Sequence[Explanation]) -> Sequence[Figures]:
    """Round the explanations of many users together: the same figures as one by one, in a fraction of the time.

    Whole tables are computed now. The lists of a user are taken out of them when they are asked for, since a hundred
    thousand small objects that wait for their turn cost more than they are worth.
    """
    # Those with items that are not shown have one kind of evidence more.
    kinds = [why.model.heads for why in whys]
    groups = {
        kind: _Rounded(Stack([why for why, own in zip(whys, kinds, strict=True) if own == kind]))
        for kind in dict.fromkeys(kinds)
    }
    return _Many(kinds, groups)


class _Many(Sequence[Figures]):
    """Figures of many users, each made when it is asked for."""

    def __init__(self, kinds: list[tuple[str, ...]], groups: dict[tuple[str, ...], _Rounded]) -> None:
        seen = dict.fromkeys(kinds, 0)
        self.places = []
        for kind in kinds:
            self.places.append((groups[kind], seen[kind]))
            seen[kind] += 1

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [group.figures(u) for group, u in self.places[at]]
        group, u = self.places[at]
        return group.figures(u)


class _Rounded:
    """The rounded tables of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.records = stack, Records(stack)
        self.cells, shares = percent_cells(stack.attention, stack.table(stack.weight), stack.where)
        self.decimals = [decimals_for(why.scores) for why in stack.whys]
        net, places = stack.table(stack.net), np.repeat(self.decimals, stack.counts)
        base, points, total = closing_points(stack.column("base"), net, stack.column("scores"), places)
        self.base, self.total = base.tolist(), total.tolist()
        self.head_shares = stack.by_product(self.cells).astype(np.int64)
        self.head_weight = stack.by_user(stack.attention)
        self.net, self.points, self.shares = map(stack.per_user, (net, points, shares))
        self.weight, self.reasons, (self.strongest, self.by_others) = _weights(stack), _reasons(stack), _kinds(stack)

    def figures(self, u: int) -> Figures:
        """Those of one user."""
        stack, weight, shares = self.stack, self.head_weight[u].tolist(), self.shares[u]
        own, lines = slice(*stack.products[u : u + 2]), slice(*stack.lines[u : u + 2])
        heads = [head for head in stack.whys[u].model.live if weight[head] > 0]
        cells, head_shares = self.cells[lines], self.head_shares[own]
        if len(heads) < len(stack.heads):
            cells, head_shares = cells[:, heads], head_shares[:, heads]
        return Figures(
            heads,
            cells.reshape(*shares.shape, len(heads)),
            list(map(tuple, cells.tolist())),
            shares,
            shares.tolist(),
            list(map(tuple, head_shares.tolist())),
            self.base[own],
            self.points[u].tolist(),
            self.total[own],
            self.decimals[u],
            self.net[u].tolist(),
            self.reasons[own],
            self.strongest[lines].tolist(),
            self.by_others[lines].tolist(),
            self.weight[u].tolist(),
            [weight[head] for head in heads],
            self.records,
            u,
        )


def _reasons(stack: Stack) -> list[list[int]]:
    """Of each product the items with a name that speak for it, strongest first, the newer one of equals."""
    named = (stack.net > 0) & ~stack.hidden
    key = stack.table(np.where(named, -stack.net, np.inf), np.inf)
    count = stack.table(named).sum(axis=1).tolist()
    order = np.argsort(key, axis=1, kind="stable").tolist()
    return [line[:n] for line, n in zip(order, count, strict=True)]


def _kinds(stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """Of each line the head that counts most, and whether it counts through what other shoppers took."""
    by_others = [h for h, head in enumerate(stack.heads) if head in _MAYBE_BY_OTHERS]
    counted = (stack.attention[:, by_others] > 0).any(axis=1)
    return stack.attention.argmax(axis=1), np.asarray(counted)


def _weights(stack: Stack) -> list[np.ndarray]:
    """The attention weights of each user's history items, one product after another."""
    table = stack.table(stack.weight)
    users, most = np.array(stack.products[:-1]), max(stack.counts)
    out = np.zeros((len(users), table.shape[1]))
    for k in range(most):
        there = np.array(stack.counts) > k
        out[there] += table[users[there] + k]
    return [row[:width] for row, width in zip(out, stack.widths, strict=True)]
