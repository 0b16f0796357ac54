"""How much an event counts: values of types, returns against what was bought, low ratings."""

from __future__ import annotations

import numpy as np

from reportgen.config import EventsConfig


def values_of(
    users: np.ndarray, items: np.ndarray, types: np.ndarray, quantities: np.ndarray, ratings: np.ndarray,
    names: tuple[str, ...], config: EventsConfig,
) -> np.ndarray:  # fmt: skip
    """Value of each event.

    A return counts against the same user's earlier purchases of the same item: their sum times the share given back
    (at most all of it), or one purchase where none is known.

    Parameters
    ----------
    users, items : ndarray of int, shape (E,)
        In the order of the data set: by user, oldest first.
    types : ndarray of int, shape (E,)
        Index into ``names``.
    quantities, ratings : ndarray of float, shape (E,)
        NaN where there is no rating.
    names : tuple of str
    config : EventsConfig

    Returns
    -------
    ndarray of float32, shape (E,)
    """
    table = config.value_of()
    values = np.array([table[name] for name in names], dtype=np.float64)[types]
    low = (types == names.index("rating")) & (ratings <= config.returns.low_rating)
    values[low] = -1.0
    returned = types == names.index("return")
    if returned.any():
        _settle_returns(values, returned, types == names.index("purchase"), _pairs(users, items), quantities)
    return np.asarray(values, dtype=np.float32)


def _pairs(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """One number per pair of user and item."""
    width = int(items.max(initial=0)) + 1
    return np.asarray(users.astype(np.int64) * width + items)


def _settle_returns(
    values: np.ndarray, returned: np.ndarray, bought: np.ndarray, pairs: np.ndarray, quantities: np.ndarray
) -> None:
    """Replace the values of returns, in place."""
    near = np.flatnonzero(np.isin(pairs, np.unique(pairs[returned])))
    near = near[np.argsort(pairs[near], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(pairs[near]) != 0])
    worth = _before(np.where(bought, values, 0.0)[near], starts)
    amount = _before(np.where(bought, quantities, 0.0)[near], starts)
    # Counted, not summed: a sum of fractions may miss zero by a rounding error.
    known = _before(bought[near].astype(np.int64), starts) > 0
    share = np.divide(quantities[near], amount, out=np.ones(near.size), where=known)
    settled = np.where(known, values[near] * np.minimum(1.0, share) * worth, values[near])
    values[near] = np.where(returned[near], settled, values[near])


def _before(amounts: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum of what came earlier within each group, where groups begin at ``starts``."""
    total = np.cumsum(amounts) - amounts
    sizes = np.diff(np.r_[starts, amounts.size])
    return np.asarray(total - np.repeat(total[starts], sizes))


def assert_order(users: np.ndarray, orders: np.ndarray, timestamps: np.ndarray) -> None:
    """Assert that events are sorted by user, order and time: everything downstream relies on it."""
    same_user = np.diff(users) == 0
    step = np.diff(orders)
    fine = ~same_user | (step > 0) | ((step == 0) & (np.diff(timestamps) >= 0))
    if not fine.all():
        raise AssertionError("the reader returned events out of order")
