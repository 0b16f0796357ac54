"""How alike two items are by who took them: yardsticks beside which an explanation is measured, no part of a score."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from reportgen.attention.history import event_users, took_mask
from reportgen.data.dataset import Dataset

#: Users whose rows make the embedding, spread evenly: a yardstick does not need a million of them.
_MOST_USERS = 20_000
#: Decimals kept of a cosine. Below that, what is left depends on the processor, and ties must be ties everywhere.
_DECIMALS = 6


def taken_matrix(data: Dataset, looking: bool) -> sparse.csr_matrix:
    """Who took what, without amounts.

    Parameters
    ----------
    data : Dataset
    looking : bool
        `AttentionScorer.looking_takes_`.

    Returns
    -------
    csr_matrix of float64, shape (U, I)
        1 where a user took an item (and did not merely return it).
    """
    user, took = event_users(data), took_mask(data, looking)
    shape = (data.user_ids.size, data.item_ids.size)
    taken = sparse.csr_matrix((np.ones(int(took.sum())), (user[took], data.items[took])), shape=shape)
    taken.sum_duplicates()
    taken.data[:] = 1.0
    return taken


def cosine_pairs(taken: sparse.csr_matrix, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of the columns of two items: users who took both over the root of the product of their users.

    Parameters
    ----------
    taken : csr_matrix, shape (U, I)
    left, right : ndarray of int64, shape (N,)

    Returns
    -------
    ndarray of float64, shape (N,)
        0 for an item that nobody took.
    """
    columns = taken.tocsc()
    (one, at), (other, to) = (np.unique(side, return_inverse=True) for side in (left, right))
    both = np.asarray(sparse.csr_matrix(columns[:, one].T @ columns[:, other])[at, to]).ravel()
    n = np.asarray(taken.getnnz(axis=0), dtype=np.float64)
    return np.asarray(np.round(both / np.sqrt(np.maximum(n[left] * n[right], 1.0)), _DECIMALS))


def embed_items(taken: sparse.csr_matrix, size: int = 32) -> np.ndarray:
    """Truncated singular value decomposition of the user-item matrix: items as unit vectors.

    Their inner products are what an attention layer over item embeddings starts from before it is trained further.

    Parameters
    ----------
    taken : csr_matrix, shape (U, I)
    size : int

    Returns
    -------
    ndarray of float64, shape (I, D)
        ``D <= size``; zeros for items that nobody took.
    """
    step = -(-taken.shape[0] // _MOST_USERS) if taken.shape[0] else 1
    rows = sparse.csr_matrix(taken[::step], dtype=np.float64)
    least = min(rows.shape)
    if least == 0 or rows.nnz == 0:
        return np.zeros((taken.shape[1], 1))
    if least <= 2 * size:  # the sparse solver needs room; so small a matrix is solved whole
        _, strength, right = np.linalg.svd(rows.toarray(), full_matrices=False)
    else:
        _, strength, right = linalg.svds(rows, k=size, v0=np.ones(least))
    real = np.argsort(-strength, kind="stable")[:size]
    real = real[strength[real] > 1e-8 * strength.max()]
    vectors = (strength[real, None] * right[real]).T
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-9))


def embedding_pairs(vectors: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products of unit vectors, float64 (N,)."""
    return np.asarray(np.round(np.einsum("nd,nd->n", vectors[left], vectors[right]), _DECIMALS))
