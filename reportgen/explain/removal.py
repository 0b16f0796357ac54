"""Histories with items taken away, scored again; and the orders in which to take them away."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reportgen.attention.contributions import Contributions
from reportgen.attention.history import Events, gather_events
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.similarity import cosine_pairs, embed_items, embedding_pairs, taken_matrix
from reportgen.data.dataset import Dataset

BASELINES = ("random", "recency", "item_cosine", "embedding_cosine")
#: A target must owe its history at least this much, relative to 1 + |score|: a thousand times the rounding of a score.
LEAST_GAIN = 1000 * float(np.finfo(np.float32).eps)
#: Scores held in memory at a time (64 MB of float32).
_CELLS = 2**24


def net(parts: Contributions) -> np.ndarray:
    """What each history item adds to the first candidate, all kinds of evidence together: float64, shape (P,)."""
    return np.asarray(parts.value[:, 0, :].sum(axis=1))


@dataclass(frozen=True, eq=False)
class Cases:
    """Users (or purchases) with one target item each; the history items of all lie in one flat list, as in `Contributions`.

    Attributes
    ----------
    users, target : ndarray of int64, shape (B,)
        User codes; item codes, -1 for none.
    events : Events
    parts : Contributions
        Of the targets (K = 1).
    """

    users: np.ndarray
    target: np.ndarray
    events: Events
    parts: Contributions

    @classmethod
    def make(
        cls,
        scorer: AttentionScorer,
        data: Dataset,
        users: np.ndarray,
        target: np.ndarray,
        left_out: np.ndarray | None = None,
    ) -> Cases:
        """Gather the histories and explain the targets."""
        events = gather_events(data, users, scorer.history_cap, left_out)
        return cls(users, target, events, scorer.contributions(events, target[:, None]))

    def slices(self) -> list[slice]:
        """Where the history items of each case lie in `parts`."""
        bounds = np.searchsorted(self.parts.row, np.arange(self.users.size + 1))
        return [slice(int(a), int(b)) for a, b in pairwise(bounds)]


def choose_sample(
    scorer: AttentionScorer,
    data: Dataset,
    order: np.ndarray,
    size: int,
    barred: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
) -> np.ndarray:
    """The first users of an order whose first product owes something to their history.

    Looks at no more than ten times as many users as wanted.

    Parameters
    ----------
    order : ndarray of int64, shape (B,)
        User codes.
    size : int
        Users wanted.

    Returns
    -------
    ndarray of int64
        At most `size` user codes.
    """
    found = np.empty(0, dtype=np.int64)
    for at in range(0, min(order.size, 10 * size), size):
        some = order[at : at + size]
        target = scorer.recommend_codes(data, some, 1, barred, left_out)[0]
        parts = Cases.make(scorer, data, some, target[:, 0], left_out).parts
        gain = parts.score[:, 0] - parts.base[:, 0]
        found = np.append(found, some[(target[:, 0] >= 0) & (gain > 2 * LEAST_GAIN * (1 + np.abs(parts.score[:, 0])))])
        if found.size >= size:
            break
    return found[:size]


def baseline_strengths(scorer: AttentionScorer, data: Dataset, cases: Cases, seed: int) -> dict[str, np.ndarray]:
    """How strongly each history item would be a reason, by rules that know nothing of the model.

    Parameters
    ----------
    scorer : AttentionScorer
        Only for what counts as taking.
    data : Dataset
        What the similarities are counted in.
    cases : Cases
    seed : int
        Of the random order; a user's own order does not depend on who else is measured.

    Returns
    -------
    dict of str to ndarray of float64, shape (P,)
        ``random``, ``recency`` (newest first), ``item_cosine`` (users who took both), ``embedding_cosine`` (of singular
        vectors, which stands for the logits of an attention layer).
    """
    parts, taken = cases.parts, taken_matrix(data, scorer.looking_takes_)
    target = np.maximum(cases.target[parts.row], 0)
    mine = zip(cases.users, cases.slices(), strict=True)
    blind = [np.random.default_rng([seed, int(user)]).random(s.stop - s.start) for user, s in mine]
    return {
        "random": np.concatenate([*blind, np.empty(0)]),
        "recency": parts.last_event.astype(np.float64),
        "item_cosine": cosine_pairs(taken, parts.item, target),
        "embedding_cosine": embedding_pairs(embed_items(taken), parts.item, target),
    }


class Rescorer:
    """Scores one case again with parts of its history.

    The items that may be recommended are those of the whole history, so a removed item does not come back as a competitor.

    Parameters
    ----------
    scorer : AttentionScorer
    cases : Cases
    case : int
    closed : ndarray of bool, shape (I,)
        Items that cannot be recommended.
    """

    def __init__(self, scorer: AttentionScorer, cases: Cases, case: int, closed: np.ndarray) -> None:
        events, mine = cases.events, cases.slices()[case]
        at = np.flatnonzero(events.row == case)
        self._scorer, self._closed, self._target = scorer, closed, int(cases.target[case])
        self._item, self._age, self._value = events.item[at], events.age[at], events.value[at]
        self._event = events.event[at]
        self._slot = np.searchsorted(cases.parts.item[mine], self._item)  # items of one case are sorted

    def score(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score and rank of the target for each of M parts of the history.

        Parameters
        ----------
        keep : ndarray of bool, shape (M, m)
            History items that count.

        Returns
        -------
        score : ndarray of float64, shape (M,)
            The float32 score of the ranking.
        rank : ndarray of int64, shape (M,)
            From 1; ties by item code, as in a list.
        """
        distinct, place = np.unique(keep, axis=0, return_inverse=True)
        step = max(1, _CELLS // self._closed.size)
        found = [self._chunk(distinct[at : at + step]) for at in range(0, distinct.shape[0], step)]
        score, rank = (np.concatenate(part)[place.ravel()] for part in zip(*found, strict=True))
        return score, rank

    def _chunk(self, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row, at = np.nonzero(keep[:, self._slot])
        events = Events(
            row, self._item[at], self._age[at], self._value[at], self._event[at], keep.shape[0]
        )  # fmt: skip
        scores = self._scorer.score_events(events)
        mine = scores[:, self._target].copy()
        scores[:, self._closed] = -np.inf
        ahead = (scores > mine[:, None]).sum(axis=1) + (scores[:, : self._target] == mine[:, None]).sum(axis=1)
        return mine.astype(np.float64), ahead + 1
