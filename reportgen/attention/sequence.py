"""Kernels that know the order of orders: what people go on to take, and what they take again."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from reportgen.attention.kernels import BLOCK, Kernel, Pairs, row_weights, with_support
from reportgen.attention.nnls import DENSE_ITEMS, solve_all, strongest_partners

#: Earlier orders that may speak for an order, and after how many of them a voice is half as loud.
_LAGS, _HALF_LIFE = 20, 4.0
#: Orders that are learnt from; of more, every second (third, ...) user.
_MOST_ORDERS = 3_000_000


def order_item(
    user: np.ndarray, order: np.ndarray, item: np.ndarray, n_items: int
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One row per order, oldest first within a user.

    Parameters
    ----------
    user, order, item : ndarray of int, shape (E,)
        Sorted by user, then order.

    Returns
    -------
    rows : csr_matrix of float32, shape (T, I)
        1 where the order holds the item.
    owner : ndarray of int64, shape (T,)
        User of each order.
    """
    fresh = np.ones(user.size, dtype=bool)
    fresh[1:] = (user[1:] != user[:-1]) | (order[1:] != order[:-1])
    row = np.cumsum(fresh) - 1
    rows = sparse.csr_matrix((np.ones(row.size, dtype=np.float32), (row, item)), shape=(int(fresh.sum()), n_items))
    rows.data[:] = 1.0
    return rows, user[fresh]


def fit_next(
    orders: sparse.csr_matrix, owner: np.ndarray, pairs: Pairs, neighbours: int = 100, l2: float = 100.0
) -> Kernel:
    """Learn "people go on from A to this": each order is explained by the orders before it.

    For each item ``i``: ``min_{w >= 0} ||D (y_i - Z w)||^2 + l2 ||w||^2``, where a row of ``Y`` is an order and a row of
    ``Z`` what its user took before, ``2 ** (-(lag - 1) / 4)`` for an order ``lag`` orders back. ``D`` gives orders
    after a rich past less say. Only pairs that enough users took both of may enter.

    Parameters
    ----------
    orders : csr_matrix, shape (T, I)
    owner : ndarray, shape (T,)
        See `order_item`.
    pairs : Pairs
    """
    if owner.size > _MOST_ORDERS:
        some = owner % -(-owner.size // _MOST_ORDERS) == 0
        orders, owner = orders[some], owner[some]
    before = _earlier(orders, owner)
    weight = sparse.diags(np.sqrt(row_weights(before)).astype(np.float32))
    past, now = sparse.csr_matrix(weight @ before), sparse.csr_matrix(weight @ orders)
    flow = _joint(past, now, pairs.support)
    gram = _joint(past, past, pairs.support if past.shape[1] > DENSE_ITEMS else None)
    length = np.asarray(past.multiply(past).sum(axis=0)).ravel()
    gram = sparse.csr_matrix(gram + sparse.diags(length - gram.diagonal()), dtype=np.float32)
    near = strongest_partners(_directed_cosine(flow, gram, now), neighbours)
    return with_support(solve_all(gram, flow, near, l2), pairs.support)


def _joint(left: sparse.csr_matrix, right: sparse.csr_matrix, where: sparse.csr_matrix | None) -> sparse.csr_matrix:
    """``left^T right``, block by block of items; only at some pairs where these are given."""
    turned, parts = sparse.csr_matrix(left.T), []
    for at in range(0, max(turned.shape[0], 1), BLOCK):
        part = sparse.csr_matrix(turned[at : at + BLOCK] @ right)
        parts.append(part if where is None else part.multiply(where[at : at + BLOCK] > 0))
    return sparse.csr_matrix(sparse.vstack(parts), dtype=np.float32)


def _earlier(orders: sparse.csr_matrix, owner: np.ndarray) -> sparse.csr_matrix:
    """What was taken before each order, fading; an item taken often counts at most once. Shape (T, I), float32."""
    size = owner.size
    places, values = [], []
    for lag in range(1, min(_LAGS, size - 1) + 1):
        row = np.flatnonzero(owner[lag:] == owner[:-lag]) + lag
        places.append(np.stack([row, row - lag]))
        values.append(np.full(row.size, 2.0 ** (-(lag - 1) / _HALF_LIFE), dtype=np.float32))
    if not places:
        return sparse.csr_matrix(orders.shape, dtype=np.float32)
    band = sparse.csr_matrix((np.concatenate(values), np.concatenate(places, axis=1)), shape=(size, size))
    before = sparse.csr_matrix(band @ orders)
    before.data = np.minimum(before.data, 1.0)
    return before


def _directed_cosine(flow: sparse.csr_matrix, gram: sparse.csr_matrix, now: sparse.csr_matrix) -> sparse.csr_matrix:
    """How alike the past of an item and another item are: rows are candidates."""
    source = 1.0 / np.sqrt(np.maximum(gram.diagonal(), 1e-12))
    target = 1.0 / np.sqrt(np.maximum(np.asarray(now.multiply(now).sum(axis=0)).ravel(), 1e-12))
    return sparse.csr_matrix((sparse.diags(source) @ flow @ sparse.diags(target)).T)


def fit_again(orders: sparse.csr_matrix, owner: np.ndarray, min_support: int = 5) -> Kernel:
    """Learn "you buy this regularly": the share of an item's buyers who came back for it.

    ``S[i, i] = (users who took i in two or more orders) / (users who took i)``, 0 where fewer than `min_support` users
    came back. A diagonal kernel: the one head in which an item speaks for itself.
    """
    times = sparse.csr_matrix(
        (np.ones(orders.nnz, dtype=np.float32), (np.repeat(owner, np.diff(orders.indptr)), orders.indices)),
        shape=(int(owner.max(initial=-1)) + 1, orders.shape[1]),
    )
    times.sum_duplicates()
    takers = np.bincount(times.indices, minlength=orders.shape[1])
    back = np.bincount(times.indices[times.data > 1], minlength=orders.shape[1])
    rate = np.where(back >= max(min_support, 1), back / np.maximum(takers, 1), 0.0).astype(np.float32)
    item = np.flatnonzero(rate)
    weights = sparse.csr_matrix((rate[item], (item, item)), shape=(rate.size, rate.size))
    support = sparse.csr_matrix((back[item].astype(np.int32), (item, item)), shape=weights.shape)
    return Kernel(weights, support)
