"""From a held-out order to head weights: the examples that `ranking` learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reportgen.attention.heads import Heads
from reportgen.attention.history import Events, decay, gather_events
from reportgen.attention.ranking import fit_bpr
from reportgen.data.dataset import Dataset

#: Users at a time: at most so many, and at most so many numbers.
_CHUNK, _CELLS = 100, 64_000_000
_POSITIVES = 20
#: Fewer users than this with a held-out order cannot teach head weights.
_MIN_USERS = 20


@dataclass(frozen=True)
class ExampleSettings:
    """How examples are drawn; see the parameters of `AttentionScorer`."""

    half_lives: tuple[float, ...]
    max_users: int
    n_negatives: int
    history_cap: int


@dataclass(frozen=True)
class Learnt:
    """Head weights, shape (P,); not ``learnt`` where they are the even start."""

    theta: np.ndarray
    learnt: bool
    n_users: int


@dataclass(frozen=True)
class Examples:
    """Pairs of one taken and one other item, as differences of their features.

    Attributes
    ----------
    difference : ndarray of float32, shape (N, F * R + 1)
        Columns ``head * R + half_life``; the last one is the popularity feature ``log(1 + n_i)``.
    weight : ndarray of float64, shape (N,)
        Sums to 1; every user has the same share.
    n_users : int
    """

    difference: np.ndarray
    weight: np.ndarray
    n_users: int


def learn_theta(examples: Examples, n_half_lives: int) -> Learnt:
    """Head weights from the examples; the even start where too few users taught, or nothing better was found.

    The start takes every head alike, every half-life alike, and popularity a little.
    """
    start = np.full(examples.difference.shape[1], 1.0 / n_half_lives)
    start[-1] = 0.1
    if examples.n_users < _MIN_USERS:
        return Learnt(start, False, examples.n_users)
    found = fit_bpr(examples.difference, examples.weight, start)
    return Learnt(found.theta, found.improved, examples.n_users)


def held_out_items(data: Dataset, held: np.ndarray, seen: sparse.csr_matrix) -> list[np.ndarray]:
    """For each user the new items among the held-out events (mask of shape (E,)); empty where there are none."""
    user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))
    want = held & (data.values > 0)
    shape = (data.user_ids.size, data.item_ids.size)
    taken = sparse.csr_matrix((np.ones(int(want.sum()), dtype=np.int8), (user[want], data.items[want])), shape=shape)
    taken.sum_duplicates()
    fresh = taken - taken.multiply(seen)
    fresh = sparse.csr_matrix(fresh)
    fresh.eliminate_zeros()
    return [fresh.indices[fresh.indptr[u] : fresh.indptr[u + 1]] for u in range(shape[0])]


def weighted_rows(events: Events, weight: np.ndarray, n_items: int) -> sparse.csr_matrix:
    """Histories of a batch as a sparse matrix: the weights of all events of a pair, summed. Shape (B, I), float32."""
    shape = (events.n_users, n_items)
    return sparse.csr_matrix((weight.astype(np.float32), (events.row, events.item)), shape=shape)


def make_examples(
    train: Dataset,
    targets: list[np.ndarray],
    seen: sparse.csr_matrix,
    heads: Heads,
    popularity: np.ndarray,
    settings: ExampleSettings,
    rng: np.random.Generator,
) -> Examples:
    """Build the examples.

    Parameters
    ----------
    train : Dataset
        Without the held-out orders.
    targets : list of ndarray of int, length U
    seen : csr_matrix, shape (U, I)
        Items that may not be drawn as "other".
    heads : Heads
        Fitted on `train`.
    popularity : ndarray of int64, shape (I,)
        Users per item in `train`.
    settings : ExampleSettings
    rng : Generator
    """
    popularity = popularity.astype(np.float64)
    width = len(heads.names) * len(settings.half_lives) + 1
    users = np.flatnonzero([t.size > 0 for t in targets])
    if users.size > settings.max_users:
        users = np.sort(rng.choice(users, settings.max_users, replace=False))
    parts = []
    chunk = max(1, min(_CHUNK, _CELLS // (width * popularity.size)))
    for at in range(0, users.size, chunk):
        batch = users[at : at + chunk]
        features = _features(train, batch, heads, popularity, settings)
        for row, user in enumerate(batch):
            others = _others(seen, user, targets[user], popularity, settings.n_negatives, rng)
            if others.size:  # someone who took all there is teaches nothing
                parts.append(_pairs(features[:, row], targets[user], others))
    if not parts:
        return Examples(np.empty((0, width), dtype=np.float32), np.empty(0), 0)
    size = np.array([len(p) for p in parts])
    return Examples(np.concatenate(parts), np.repeat(1.0 / (size * size.size), size), len(parts))


def _features(
    train: Dataset, batch: np.ndarray, heads: Heads, popularity: np.ndarray, settings: ExampleSettings
) -> np.ndarray:
    """Features of all items for a batch of users: float32, shape (F * R + 1, B, I)."""
    events = gather_events(train, batch, settings.history_cap)
    fading = decay(events.age, settings.half_lives) * events.value[:, None]
    rows = [weighted_rows(events, fading[:, r], popularity.size) for r in range(len(settings.half_lives))]
    out = np.empty((len(heads.names) * len(rows) + 1, batch.size, popularity.size), dtype=np.float32)
    for head in range(len(heads.names)):
        for r, row in enumerate(rows):
            out[head * len(rows) + r] = heads.scores(head, row)
    out[-1] = np.log1p(popularity)[None, :]
    return out


def _others(
    seen: sparse.csr_matrix,
    user: int,
    targets: np.ndarray,
    popularity: np.ndarray,
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Items the user did not take: half drawn evenly, half by popularity (those are the hard ones)."""
    even = rng.integers(0, popularity.size, n - n // 2)
    chance = np.cumsum(popularity + 1e-9)
    popular = np.searchsorted(chance, rng.random(n // 2) * chance[-1])
    drawn = np.concatenate([even, np.minimum(popular, popularity.size - 1)])
    known = seen.indices[seen.indptr[user] : seen.indptr[user + 1]]
    return drawn[~np.isin(drawn, known) & ~np.isin(drawn, targets)]


def _pairs(features: np.ndarray, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Differences of every target with every other item, shape (T * O, P)."""
    targets = targets[:_POSITIVES]
    gap = features[:, targets][:, :, None] - features[:, others][:, None, :]
    return np.asarray(gap.reshape(features.shape[0], -1).T)
