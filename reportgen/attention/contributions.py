"""What each item of a history adds to the score of each candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reportgen.attention.heads import Heads
from reportgen.attention.history import Events


@dataclass(frozen=True)
class Contributions:
    """Exact contributions for a batch of B users, K candidates each.

    Attributes
    ----------
    row : ndarray of int64, shape (P,)
        User in the batch; sorted.
    item : ndarray of int64, shape (P,)
        History item. Several events on one item are one entry.
    last_event : ndarray of int64, shape (P,)
        Position in the data set of its newest event.
    n_events : ndarray of int64, shape (P,)
    value : ndarray of float64, shape (P, K, F)
        Summed over P and F and with the base they give the score.
    support : ndarray of int64, shape (P, K)
        Users who took both items; 0 where the pair is no part of the `together` kernel.
    base, score : ndarray of float64, shape (B, K)
    """

    row: np.ndarray
    item: np.ndarray
    last_event: np.ndarray
    n_events: np.ndarray
    value: np.ndarray
    support: np.ndarray
    base: np.ndarray
    score: np.ndarray


def contribute(
    heads: Heads, events: Events, weight: np.ndarray, base: np.ndarray, candidates: np.ndarray
) -> Contributions:
    """Take the scores of given candidates apart.

    Parameters
    ----------
    heads : Heads
    events : Events
        Histories of B users.
    weight : ndarray of float64, shape (E, F)
        ``v_e * sum_r theta[f, r] * 2 ** (-a_e / h_r)``.
    base : ndarray of float64, shape (I,)
    candidates : ndarray of int64, shape (B, K)
        Item codes; -1 for none, which scores 0.
    """
    key, inverse, count = np.unique(events.row * base.size + events.item, return_inverse=True, return_counts=True)
    row, item = np.divmod(key, base.size)
    summed = np.zeros((key.size, weight.shape[1]))
    np.add.at(summed, inverse, weight)
    last = np.zeros(key.size, dtype=np.int64)
    np.maximum.at(last, inverse, events.event)
    other = candidates[row]
    strength, support = heads.values(np.repeat(item, candidates.shape[1]), other.ravel())
    value = summed[:, None, :] * strength.reshape(key.size, candidates.shape[1], weight.shape[1])
    start = np.where(candidates >= 0, base[candidates], 0.0)
    score = start.copy()
    np.add.at(score, row, value.sum(axis=2))
    return Contributions(row, item, last, count, value, support.reshape(other.shape), start, score)
