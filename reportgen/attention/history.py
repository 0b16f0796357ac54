"""A user's events as the scorer sees them: which item, how long ago in orders, how much it counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from reportgen.data.dataset import Dataset


@dataclass(frozen=True)
class Events:
    """Events of a batch of users in one flat list.

    Attributes
    ----------
    row : ndarray of int64, shape (E,)
        Position of the user in the batch.
    item : ndarray of int32, shape (E,)
    age : ndarray of float64, shape (E,)
        Orders between the event and the newest order of its user; 0 for the newest. One order has one age.
    value : ndarray of float64, shape (E,)
    event : ndarray of int64, shape (E,)
        Position of the event in the data set.
    n_users : int
    """

    row: np.ndarray
    item: np.ndarray
    age: np.ndarray
    value: np.ndarray
    event: np.ndarray
    n_users: int

    def take(self, at: np.ndarray) -> Events:
        """Some of the events, by place or by mask; the batch of users stays."""
        columns = {name: getattr(self, name)[at] for name in ("row", "item", "age", "value", "event")}
        return replace(self, **columns)


def gather_events(data: Dataset, users: np.ndarray, cap: int, exclude: np.ndarray | None = None) -> Events:
    """Collect the last `cap` events of each user.

    Parameters
    ----------
    data : Dataset
    users : ndarray of int64, shape (B,)
        User codes.
    cap : int
        Events kept per user, the newest ones.
    exclude : ndarray of bool, shape (I,), optional
        Items whose events are left out of scoring altogether. The age of the others is not changed by it.
    """
    stop = data.indptr[users + 1]
    start = np.maximum(data.indptr[users], stop - cap)
    length = stop - start
    row = np.repeat(np.arange(users.size), length)
    event = np.arange(row.size) - np.repeat(np.cumsum(length) - length, length) + start[row]
    newest = np.zeros(users.size, dtype=np.int64)
    newest[length > 0] = data.orders[stop[length > 0] - 1]
    age = (newest[row] - data.orders[event]).astype(np.float64)
    events = Events(row, data.items[event], age, data.values[event].astype(np.float64), event, users.size)
    return events if exclude is None else events.take(~exclude[events.item])


def decay(age: np.ndarray, half_lives: tuple[float, ...]) -> np.ndarray:
    """``2 ** (-age / half_life)`` for every half-life; infinity means no forgetting.

    Returns
    -------
    ndarray of float64, shape (E, R)
    """
    return np.exp2(-age[:, None] / np.asarray(half_lives, dtype=np.float64)[None, :])


#: A cap that caps nothing.
WHOLE = 2**62

#: Looking at something is weaker than taking it: these do not hide an item from the list, nor count as "took it".
SOFT_TYPES = ("view", "cart")


def looking_takes(data: Dataset) -> bool:
    """True where people do nothing but look: then a look is all the taking there is."""
    present = np.array(data.event_types, dtype=object)[np.unique(data.types)]
    return present.size > 0 and set(present) <= set(SOFT_TYPES)


def strong_types(data: Dataset, looking: bool) -> np.ndarray:
    """For each event type: is it taking, not merely looking?

    Parameters
    ----------
    data : Dataset
    looking : bool
        What `looking_takes` said of the data that the model was fitted on. A part of them may hold nothing but views.

    Returns
    -------
    ndarray of bool, shape (number of event types,)
    """
    return np.array([looking or name not in SOFT_TYPES for name in data.event_types], dtype=bool)


def strong_mask(data: Dataset, looking: bool) -> np.ndarray:
    """Events by which a user took an item: bool, shape (E,)."""
    return np.asarray(strong_types(data, looking)[data.types], dtype=bool)


def took_mask(data: Dataset, looking: bool) -> np.ndarray:
    """Events by which a user took an item and that count for it: bool, shape (E,)."""
    return np.asarray(strong_mask(data, looking) & (data.values > 0))


def event_users(data: Dataset) -> np.ndarray:
    """User code of each event: int64, shape (E,)."""
    return np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))


def seen_items(data: Dataset, users: np.ndarray, looking: bool, against_only: bool = False) -> sparse.csr_matrix:
    """Items that each user took, returned or hid: int8, shape (B, I), 1 where so. It looks at the whole history.

    With `against_only` those alone that he returned, hid or rated low.
    """
    events, width = gather_events(data, users, WHOLE), data.item_ids.size
    strong = strong_types(data, looking)[data.types[events.event]]
    if against_only:
        strong &= events.value < 0
    place = np.sort(events.row[strong] * width + events.item[strong])
    row, item = np.divmod(place[np.diff(place, prepend=-1) > 0], max(width, 1))  # several events on one item are one
    start = np.searchsorted(row, np.arange(users.size + 1))
    return sparse.csr_matrix((np.ones(item.size, dtype=np.int8), item, start), shape=(users.size, width))


def holdout_mask(data: Dataset, looking: bool) -> np.ndarray:
    """Each user's last order in which something was taken, and all that came after it.

    Users with nothing before that order hold out nothing.

    Returns
    -------
    ndarray of bool, shape (E,)
    """
    user, took = event_users(data), took_mask(data, looking)
    last = np.full(data.user_ids.size, -1, dtype=np.int64)
    np.maximum.at(last, user[took], data.orders[took])
    return np.asarray((last[user] >= 1) & (data.orders >= last[user]))


def drop_events(data: Dataset, drop: np.ndarray) -> Dataset:
    """The same data without some events (mask of shape (E,)); users stay, even with nothing left."""
    user = event_users(data)
    keep = ~drop
    indptr = np.concatenate([[0], np.cumsum(np.bincount(user[keep], minlength=data.user_ids.size))]).astype(np.int64)
    parts = {name: getattr(data, name)[keep] for name in ("items", "timestamps", "types", "values", "orders")}
    return replace(data, indptr=indptr, **parts)
