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
    # Heads first: sums over heads and over a user's items then run along whole arrays.
    summed = np.stack([np.bincount(inverse, column, minlength=key.size) for column in weight.T])
    last = np.zeros(key.size, dtype=np.int64)
    np.maximum.at(last, inverse, events.event)
    # A head without weight adds nothing, whatever it would say.
    value, support = heads.read(row, item, candidates, wanted=(weight != 0).any(axis=0))
    value *= summed[:, :, None]
    start = np.where(candidates >= 0, base[candidates], 0.0)
    score = start.copy()
    np.add.at(score, row, value.sum(axis=0))
    return Contributions(row, item, last, count, value.transpose(1, 2, 0), support, start, score)
