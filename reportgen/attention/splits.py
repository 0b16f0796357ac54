"""What is hidden from a recommender so that it can be judged: each user's last order, or some items altogether."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reportgen.attention.examples import held_out_items
from reportgen.attention.history import (
    drop_events,
    event_users,
    holdout_mask,
    looking_takes,
    seen_items,
    strong_mask,
    took_mask,
)
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError


@dataclass(frozen=True, eq=False)
class Split:
    """What a recommender may learn from, and what it has to find.

    Attributes
    ----------
    train : Dataset
        All users and items, without the hidden events.
    users : ndarray of int64, shape (T,)
        Codes of the users who have something to find, ascending.
    targets : list of ndarray of int32, length T
        Items to find: sorted, in the catalogue, and not yet taken, returned or hidden by the user in `train`.
    cold : ndarray of bool, shape (I,)
        Items that nobody took in `train`.
    barred : ndarray of bool, shape (I,), optional
        Items that do not compete; None where the whole catalogue does.
    """

    train: Dataset
    users: np.ndarray
    targets: list[np.ndarray]
    cold: np.ndarray
    barred: np.ndarray | None = None

    @property
    def n_candidates(self) -> int:
        """Items that compete."""
        allowed = self.train.catalogue["in_catalogue"].to_numpy(dtype=bool)
        return int(allowed.sum() if self.barred is None else (allowed & ~self.barred).sum())


def split_last_order(data: Dataset, max_users: int | None = None, random_state: int = 0) -> Split:
    """Hide each user's last order in which something was taken, and all that came after it.

    The training data of one user may be newer than the hidden order of another: the question is what each person takes
    next, not what a shop sells next month.

    Parameters
    ----------
    data : Dataset
    max_users : int, optional
        Judge at most so many users, drawn at random. The last orders of the others are hidden all the same, so that
        the model does not depend on who was drawn.
    random_state : int
        Seed of that drawing.

    Raises
    ------
    InputError
        Nobody has anything to find.
    """
    looking = looking_takes(data)
    held = holdout_mask(data, looking)
    split = _make_split(data, held, held & strong_mask(data, looking), max_users, np.random.default_rng(random_state))
    if split.users.size == 0:
        raise InputError(
            "events: nobody took something new in a second order, so there is nothing to hide and to find again; "
            "give a longer period, or order_id and timestamp columns that tell the orders of a user apart"
        )
    return split


def split_cold(data: Dataset, share: float = 0.15, max_users: int | None = None, random_state: int = 0) -> Split:
    """Hide every event of some items, as if they had come into the shop today. They alone compete.

    What is to be found is every hidden item that a user took, at any time: the rest of the history may be newer.
    Hidden are items that somebody took, because the others give nobody anything to find. Users who took nothing else
    are not judged.

    Parameters
    ----------
    data : Dataset
    share : float
        Of the items of the catalogue that somebody took; in (0, 1). At least one is hidden and one stays.
    max_users, random_state
        As in `split_last_order`; the seed draws the items too.

    Raises
    ------
    ConfigError
        The share cannot be used.
    InputError
        Nobody has anything to find.
    """
    if not 0.0 < share < 1.0:
        raise ConfigError(f"share: {share!r} must lie between 0 and 1")
    rng = np.random.default_rng(random_state)
    took = took_mask(data, looking_takes(data))
    known = np.flatnonzero(_takers(data, took) & data.catalogue["in_catalogue"].to_numpy(dtype=bool))
    hidden = np.zeros(data.item_ids.size, dtype=bool)
    if known.size > 1:
        hidden[rng.choice(known, min(max(1, round(share * known.size)), known.size - 1), replace=False)] = True
    held = hidden[data.items]
    split = _make_split(data, held, held & took, max_users, rng, barred=~hidden)
    if split.users.size == 0:
        raise InputError(
            "events: nobody took both a hidden item and another one, so cold items cannot be judged; "
            "give more events, or hide a larger share"
        )
    return split


def _make_split(
    data: Dataset, held: np.ndarray, wanted: np.ndarray, max_users: int | None, rng: np.random.Generator,
    barred: np.ndarray | None = None,
) -> Split:  # fmt: skip
    looking = looking_takes(data)
    train = drop_events(data, held)
    took = took_mask(train, looking)
    allowed = data.catalogue["in_catalogue"].to_numpy(dtype=bool)
    seen = seen_items(train, np.arange(data.user_ids.size), looking)
    targets = [np.sort(items[allowed[items]]) for items in held_out_items(data, wanted, seen)]
    owner = event_users(train)
    known = np.bincount(owner[took], minlength=data.user_ids.size) > 0
    users = np.flatnonzero(known & np.array([items.size > 0 for items in targets], dtype=bool))
    if max_users is not None and users.size > max_users:
        users = np.sort(rng.choice(users, max_users, replace=False))
    return Split(train, users, [targets[user] for user in users], ~_takers(train, took), barred)


def _takers(data: Dataset, took: np.ndarray) -> np.ndarray:
    """Items that somebody took, by the events of a mask: bool, shape (I,)."""
    return np.bincount(data.items[took], minlength=data.item_ids.size) > 0
