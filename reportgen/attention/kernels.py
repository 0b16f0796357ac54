"""Item-item kernels from joint purchases: how strongly one item in a history speaks for another item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reportgen.attention.nnls import DENSE_ITEMS, solve_all, strongest_partners

#: Items whose co-occurrence is counted in one go; bounds the memory of the unpruned product.
BLOCK = 2_048


@dataclass(frozen=True)
class Kernel:
    """A sparse non-negative kernel.

    Attributes
    ----------
    weights : csr_matrix of float32, shape (I, I)
        Row ``j``, column ``i``: what item ``j`` in a history adds for candidate ``i``.
    support : csr_matrix of int32, shape (I, I)
        Same pattern: the number of users who took both items; 0 where the pair itself was not counted.
    """

    weights: sparse.csr_matrix
    support: sparse.csr_matrix


@dataclass(frozen=True)
class Pairs:
    """What is counted of pairs of items.

    Attributes
    ----------
    support : csr_matrix of int32, shape (I, I)
        Users who took both, without the diagonal, where they are enough.
    gram : csr_matrix of float32, shape (I, I)
        ``X^T D X``, ``D`` giving users with long histories less say. For a catalogue too large to be held dense only
        at these pairs and on the diagonal.
    """

    support: sparse.csr_matrix
    gram: sparse.csr_matrix


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


def fit_together(
    taken: sparse.csr_matrix, neighbours: int = 100, l2: float = 100.0, min_support: int = 5, pairs: Pairs | None = None
) -> Kernel:
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
    pairs : Pairs, optional
        `count_pairs` of the same data, where the caller has it.
    """
    pairs = pairs if pairs is not None else count_pairs(taken, min_support)
    near = strongest_partners(_cosine(pairs), neighbours)
    return with_support(solve_all(pairs.gram, pairs.gram, near, l2), pairs.support)


def count_pairs(taken: sparse.csr_matrix, min_support: int) -> Pairs:
    """Count, block by block of items, who took two items."""
    one = sparse.csr_matrix((np.ones_like(taken.data), taken.indices, taken.indptr), shape=taken.shape)
    weighted = _weighted(taken)
    turned = (sparse.csr_matrix(one.T), sparse.csr_matrix(weighted.T))
    counts = [
        _count_block(one, weighted, (turned[0][at : at + BLOCK], turned[1][at : at + BLOCK]), at, min_support)
        for at in range(0, max(taken.shape[1], 1), BLOCK)
    ]
    support, gram = (sparse.csr_matrix(sparse.vstack(part)) for part in zip(*counts, strict=True))
    diagonal = np.asarray(weighted.multiply(weighted).sum(axis=0)).ravel()
    return Pairs(support, sparse.csr_matrix(gram + sparse.diags(diagonal), dtype=np.float32))


def _count_block(
    one: sparse.csr_matrix,
    weighted: sparse.csr_matrix,
    block: tuple[sparse.csr_matrix, sparse.csr_matrix],
    at: int,
    min_support: int,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Rows ``at .. at + BLOCK`` of both counts. The two products have one pattern, so one mask prunes both."""
    counts = sparse.csr_matrix(block[0] @ one)
    gram = sparse.csr_matrix(block[1] @ weighted)
    counts.sort_indices()
    gram.sort_indices()
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    other = row + at != counts.indices
    enough = other & (counts.data >= max(min_support, 1))
    known = other if one.shape[1] <= DENSE_ITEMS else enough
    return (
        sparse.csr_matrix((counts.data[enough].astype(np.int32), (row[enough], counts.indices[enough])), counts.shape),
        sparse.csr_matrix((gram.data[known], (row[known], gram.indices[known])), shape=counts.shape),
    )


def _weighted(taken: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix(sparse.diags(np.sqrt(row_weights(taken))) @ taken, dtype=np.float32)


def row_weights(rows: sparse.csr_matrix) -> np.ndarray:
    """``1 / sqrt(length)`` of each row, scaled so that the mean over what the rows hold is 1; wholesalers say less."""
    length = np.asarray(rows.sum(axis=1), dtype=np.float64).ravel()
    weight = np.divide(1.0, np.sqrt(length), out=np.zeros_like(length), where=length > 0)
    total = float((weight * length).sum())
    return np.asarray(weight * (length.sum() / total if total > 0 else 1.0))


def _cosine(pairs: Pairs) -> sparse.csr_matrix:
    norm = 1.0 / np.sqrt(np.maximum(pairs.gram.diagonal(), 1e-12))
    near = sparse.csr_matrix(pairs.gram.multiply(pairs.support > 0), dtype=np.float64)
    return sparse.csr_matrix(sparse.diags(norm) @ near @ sparse.diags(norm))


def with_support(weights: sparse.csr_matrix, support: sparse.csr_matrix) -> Kernel:
    """A kernel whose support lies in the very order of its weights, so that one look-up serves both."""
    weights.sort_indices()
    kept = sparse.csr_matrix(support.multiply(weights > 0), dtype=np.int32)
    kept.sort_indices()
    if not np.array_equal(kept.indices, weights.indices):
        raise AssertionError("support and weights of a kernel must have one pattern")
    return Kernel(weights, kept)
