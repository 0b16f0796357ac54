"""The examples that head weights are learnt from: what a user took next, and what he might have taken instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reportgen.attention.heads import Heads
from reportgen.attention.history import Events, decay, event_users, gather_events
from reportgen.data.dataset import Dataset

#: Users at a time: at most so many, and at most so many numbers.
_CHUNK, _CELLS = 100, 64_000_000
_POSITIVES = 10


@dataclass(frozen=True)
class ExampleSettings:
    """How examples are drawn; see the parameters of `AttentionScorer`."""

    half_lives: tuple[float, ...]
    max_users: int
    n_negatives: int
    history_cap: int


@dataclass(frozen=True)
class Lists:
    """One short list per user: items taken and items not taken, with their features.

    Attributes
    ----------
    taken : ndarray of float32, shape (U, T, P)
        Columns ``head * R + half_life``; the last two are the features that are the same for every user.
    there : ndarray of bool, shape (U, T)
        False where the place is empty.
    other : ndarray of float32, shape (U, M, P)
    weight : ndarray of float64, shape (U, M)
        How many items of the shop each other item stands for; 0 where the place is empty.
    """

    taken: np.ndarray
    there: np.ndarray
    other: np.ndarray
    weight: np.ndarray

    @property
    def n_users(self) -> int:
        return int(self.there.shape[0])

    def of(self, users: np.ndarray, columns: np.ndarray) -> Lists:
        """Some of the users and features."""
        return Lists(
            np.ascontiguousarray(self.taken[users][:, :, columns]),
            self.there[users],
            np.ascontiguousarray(self.other[users][:, :, columns]),
            self.weight[users],
        )


def held_out_items(data: Dataset, held: np.ndarray, seen: sparse.csr_matrix) -> list[np.ndarray]:
    """For each user the new items among the held-out events (mask of shape (E,)); empty where there are none."""
    user = event_users(data)
    want = held & (data.values > 0)
    shape = (data.user_ids.size, data.item_ids.size)
    taken = sparse.csr_matrix((np.ones(int(want.sum()), dtype=np.int8), (user[want], data.items[want])), shape=shape)
    taken.sum_duplicates()
    fresh = sparse.csr_matrix(taken - taken.multiply(seen))
    fresh.eliminate_zeros()
    return [fresh.indices[fresh.indptr[u] : fresh.indptr[u + 1]] for u in range(shape[0])]


def weighted_rows(events: Events, weight: np.ndarray, n_items: int) -> sparse.csr_matrix:
    """Histories of a batch as a sparse matrix: the weights of all events of a pair, summed. Shape (B, I), float32."""
    shape = (events.n_users, n_items)
    return sparse.csr_matrix((weight.astype(np.float32), (events.row, events.item)), shape=shape)


def choose_users(targets: list[np.ndarray], most: int, rng: np.random.Generator) -> np.ndarray:
    """Users with something to learn from, at most so many of them."""
    users = np.flatnonzero([t.size > 0 for t in targets])
    return users if users.size <= most else np.sort(rng.choice(users, most, replace=False))


def make_lists(
    train: Dataset,
    users: np.ndarray,
    targets: list[np.ndarray],
    seen: sparse.csr_matrix,
    heads: Heads,
    base: np.ndarray,
    settings: ExampleSettings,
    rng: np.random.Generator,
    theta: np.ndarray | None = None,
) -> Lists:
    """Build the lists.

    Parameters
    ----------
    train : Dataset
        Without the held-out orders.
    users : ndarray of int64, shape (U,)
    targets : list of ndarray of int
        Items taken next, by user code.
    seen : csr_matrix, shape (all users, I)
        Items that may not stand for "not taken".
    heads : Heads
        Fitted on `train`.
    base : ndarray of float64, shape (2, I)
        Popularity in `train`, over all time and lately, as `log(1 + n)`.
    settings : ExampleSettings
    rng : Generator
    theta : ndarray of float64, shape (P,), optional
        With it half of the others are the hardest ones, those that rank highest; without it half are popular ones.
    """
    width = len(heads.names) * len(settings.half_lives) + len(base)
    shape = (users.size, min(_POSITIVES, max((targets[u].size for u in users), default=0)))
    taken, there = np.zeros((*shape, width), dtype=np.float32), np.zeros(shape, dtype=bool)
    other = np.zeros((users.size, settings.n_negatives, width), dtype=np.float32)
    weight = np.zeros((users.size, settings.n_negatives))
    chunk = max(1, min(_CHUNK, _CELLS // (width * base.shape[1])))
    for at in range(0, users.size, chunk):
        batch = users[at : at + chunk]
        features = _features(train, batch, heads, base, settings)
        for row, user in enumerate(batch):
            mine = features[:, row]
            goal = targets[user] if targets[user].size <= shape[1] else rng.choice(targets[user], shape[1], False)
            free = np.ones(base.shape[1], dtype=bool)
            free[seen.indices[seen.indptr[user] : seen.indptr[user + 1]]] = False
            free[targets[user]] = False
            hardness = base[0] if theta is None else theta @ mine
            chosen, counts = _others(np.flatnonzero(free), hardness, settings.n_negatives, theta is None, rng)
            taken[at + row, : goal.size], there[at + row, : goal.size] = mine[:, goal].T, True
            other[at + row, : chosen.size], weight[at + row, : chosen.size] = mine[:, chosen].T, counts
    return Lists(taken, there, other, weight)


def _others(
    free: np.ndarray, hardness: np.ndarray, n: int, by_chance: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Items a user did not take, and how many each stands for: all, or half hard ones and half drawn evenly."""
    if free.size <= n:
        return free, np.ones(free.size)
    if by_chance:
        noise = rng.gumbel(size=free.size)  # drawing without replacement, with chances as the popularity
        hard = np.argpartition(-(hardness[free] + noise), n // 2)[: n // 2]
    else:
        hard = np.argpartition(-hardness[free], n // 2)[: n // 2]
    hard = np.sort(hard)
    rest = np.delete(free, hard)
    drawn = np.sort(rng.choice(rest, n - hard.size, replace=False))
    counts = np.concatenate([np.ones(hard.size), np.full(drawn.size, rest.size / drawn.size)])
    return np.concatenate([free[hard], drawn]), counts


def _features(
    train: Dataset, batch: np.ndarray, heads: Heads, base: np.ndarray, settings: ExampleSettings
) -> np.ndarray:
    """Features of all items for a batch of users: float32, shape (F * R + 2, B, I)."""
    events = gather_events(train, batch, settings.history_cap)
    fading = decay(events.age, settings.half_lives) * events.value[:, None]
    rows = [weighted_rows(events, fading[:, r], base.shape[1]) for r in range(len(settings.half_lives))]
    out = np.empty((len(heads.names) * len(rows) + len(base), batch.size, base.shape[1]), dtype=np.float32)
    for head in range(len(heads.names)):
        for r, row in enumerate(rows):
            out[head * len(rows) + r] = heads.scores(head, row)
    out[-len(base) :] = base[:, None, :]
    return out
