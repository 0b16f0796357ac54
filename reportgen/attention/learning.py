"""From a held-out order to head weights: the examples that `ranking` learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reportgen.attention.history import Events, decay, gather_events, strong_mask
from reportgen.data.dataset import Dataset

#: Scores one head for a batch: (head, weighted histories as csr (B, I)) -> float32 (B, I).
HeadScores = Callable[[int, sparse.csr_matrix], np.ndarray]

_CHUNK = 100
_POSITIVES = 20


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


def held_out_items(data: Dataset, held: np.ndarray, seen: sparse.csr_matrix) -> list[np.ndarray]:
    """For each user the new items of the held-out order (mask of shape (E,)); empty where there are none."""
    user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))
    want = held & strong_mask(data) & (data.values > 0)
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
    head_scores: HeadScores,
    n_heads: int,
    half_lives: tuple[float, ...],
    popularity: np.ndarray,
    settings: tuple[int, int, int],
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
    popularity : ndarray of float64, shape (I,)
        Users per item in `train`.
    settings : (max_users, n_negatives, history_cap)
    """
    max_users, n_negatives, cap = settings
    users = np.flatnonzero([t.size > 0 for t in targets])
    if users.size > max_users:
        users = np.sort(rng.choice(users, max_users, replace=False))
    parts = []
    for at in range(0, users.size, _CHUNK):
        batch = users[at : at + _CHUNK]
        features = _features(train, batch, head_scores, n_heads, half_lives, popularity, cap)
        for row, user in enumerate(batch):
            parts.append(_pairs(features[:, row], targets[user], _others(seen, user, targets[user], popularity, n_negatives, rng)))
    if not parts:
        return Examples(np.empty((0, n_heads * len(half_lives) + 1), dtype=np.float32), np.empty(0), 0)
    size = np.array([len(p) for p in parts])
    return Examples(np.concatenate(parts), np.repeat(1.0 / (size * size.size), size), users.size)


def _features(
    train: Dataset,
    batch: np.ndarray,
    head_scores: HeadScores,
    n_heads: int,
    half_lives: tuple[float, ...],
    popularity: np.ndarray,
    cap: int,
) -> np.ndarray:
    """Features of all items for a batch of users: float32, shape (F * R + 1, B, I)."""
    events = gather_events(train, batch, cap)
    fading = decay(events.age, half_lives) * events.value[:, None]
    rows = [weighted_rows(events, fading[:, r], popularity.size) for r in range(len(half_lives))]
    out = np.empty((n_heads * len(rows) + 1, batch.size, popularity.size), dtype=np.float32)
    for head in range(n_heads):
        for r, row in enumerate(rows):
            out[head * len(rows) + r] = head_scores(head, row)
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
    return gap.reshape(features.shape[0], -1).T
