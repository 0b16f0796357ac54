"""Counterfactuals for a batch of users: "had A and B not counted, this would not be on your list", each one scored again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reportgen.attention.history import Events
from reportgen.attention.scorer import AttentionScorer
from reportgen.explain.race import TIE, Found, Race, search

#: Competitors behind the list whose contributions are taken apart; all others enter by a bound on their score.
BEHIND = 25
#: So many of the most popular products compete too: without their history, people are shown those. They are looked for
#: among the first `_POPULAR` of the shop.
_MORE, _POPULAR = 5, 500
#: A float32 score over all items may be off by this much, relative to 1 + |score|.
_BULK = 2e-5
#: What lies this near after a removal is summed again in float64.
_BLUR = _BULK
#: At most so many users, listed products and scores of all items per block.
_USERS, _LISTED, _SCORES = 64, 4_096, 32_000_000


@dataclass(frozen=True, eq=False)
class Lists:
    """What was listed for a batch of B users, and what the ranking chose from.

    Attributes
    ----------
    events : Events
        As they were scored.
    codes : ndarray of int64, shape (B, n + `BEHIND`)
        The list and the best products behind it, in order; -1 where nothing is left.
    n : int
        Length of a list.
    closed : ndarray of bool, shape (I,)
        Never listed.
    seen : csr_matrix, shape (B, I)
        Nonzero where a user's whole history keeps an item from the list. It is not changed by a removal.
    hidden : ndarray of bool, shape (I,)
        History items that may not be named.
    private : csr_matrix, shape (B, I), optional
        Nonzero where an item may not be named to this user alone.
    """

    events: Events
    codes: np.ndarray
    n: int
    closed: np.ndarray
    seen: Any
    hidden: np.ndarray
    private: Any = None

    def named(self, row: int, history: np.ndarray) -> np.ndarray:
        """Which items of a user's history may be named: bool, shape of `history`."""
        named = ~self.hidden[history]
        if self.private is not None:
            named &= ~np.isin(history, self.private[[row]].indices)
        return np.asarray(named, dtype=bool)

    def blocks(self) -> Iterator[Lists]:
        """The same for some users at a time, so that memory stays bounded."""
        bounds = np.searchsorted(self.events.row, np.arange(len(self.codes) + 1))
        most = _LISTED // max(1, self.codes.shape[1]), _SCORES // max(1, self.n * self.closed.size)
        size = max(1, min(_USERS, *most))
        for at in range(0, len(self.codes), size):
            codes = self.codes[at : at + size]
            mine = self.events.take(np.arange(bounds[at], bounds[at + len(codes)]))
            events = replace(mine, row=mine.row - at, n_users=len(codes))
            private = None if self.private is None else self.private[at : at + len(codes)]
            yield replace(self, events=events, codes=codes, seen=self.seen[at : at + len(codes)], private=private)

    def masked(self, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Scores (N, I) with ``-inf`` where the user of that row cannot be shown the item; written in place."""
        scores[:, np.flatnonzero(self.closed)] = -np.inf
        own = self.seen[rows].tocoo()
        scores[own.row, own.col] = -np.inf
        return scores


@dataclass(frozen=True)
class Answer:
    """The counterfactual of one listed product.

    Attributes
    ----------
    items : tuple of int
        Positions among the user's history items, sorted by item code; empty for "no small change".
    proven : bool
    rank_after : int or None
        None where `items` is empty.
    """

    items: tuple[int, ...]
    proven: bool
    rank_after: int | None


@dataclass(frozen=True)
class Answers:
    """One user's counterfactuals: one per listed product in the order of `Lists.codes`, None where there is none to tell.

    Attributes
    ----------
    each : tuple of Answer or None
    unconfirmed : int
        Sets that were found but that scoring again did not confirm. They are not told.
    """

    each: tuple[Answer | None, ...]
    unconfirmed: int


@dataclass(frozen=True, eq=False)
class _Claim:
    """Without these items this product of this user leaves the list."""

    row: int
    place: int
    product: int
    removed: np.ndarray


def counterfactuals(scorer: AttentionScorer, lists: Lists) -> list[Answers]:
    """Find the smallest sets of history items without which products leave their list, and score each one again.

    Parameters
    ----------
    scorer : AttentionScorer
        The one that made the lists.
    lists : Lists
        B users.

    Returns
    -------
    list of Answers, length B
    """
    return [answers for block in lists.blocks() for answers in _block(scorer, block)]


def _block(scorer: AttentionScorer, lists: Lists) -> list[Answers]:
    most = _most(scorer, lists)
    wide, outside = _competitors(scorer, lists, most)
    parts = scorer.contributions(lists.events, wide)
    net = parts.value.sum(axis=2)
    bounds = np.searchsorted(parts.row, np.arange(len(wide) + 1))
    found: list[list[Found | None]] = []
    claims: list[_Claim] = []
    for row, codes in enumerate(wide):
        mine, there = slice(bounds[row], bounds[row + 1]), np.flatnonzero(codes >= 0)
        history = parts.item[mine]
        race = Race(
            net[mine][:, there],
            parts.score[row, there],
            codes[there],
            min(there.size, lists.n),
            lists.n,
            lists.named(row, history),
            float(outside[row]),
        )
        concerned = np.asarray(race.net.any(axis=0))
        answers = [one if concerned[t] else None for t, one in enumerate(search(race))]
        found.append(answers)
        claims += [
            _Claim(row, t, int(codes[t]), history[list(one.items)])
            for t, one in enumerate(answers)
            if one is not None and one.items
        ]
    rank, sure = confirm(scorer, lists, claims)
    places = {(claim.row, claim.place): int(r) for claim, r, ok in zip(claims, rank, sure, strict=True) if ok}
    return [_answers(row, each, places) for row, each in enumerate(found)]


def _answers(row: int, found: list[Found | None], rank_after: dict[tuple[int, int], int]) -> Answers:
    each = tuple(
        None
        if one is None or (one.items and (row, t) not in rank_after)
        else Answer(one.items, one.proven, rank_after.get((row, t)))
        for t, one in enumerate(found)
    )
    return Answers(each, sum(one is not None for one in found) - sum(answer is not None for answer in each))


def _most(scorer: AttentionScorer, lists: Lists) -> np.ndarray:
    """The most that each product can score after any removal: float32, shape (B, I), ``-inf`` where it cannot be listed.

    Removing an item takes away what it adds to a product (never less than 0, as kernels and weights are not negative), and
    gives back what its negative events took. So the bound is the score plus all that negative evidence took from it.
    """
    most = scorer.score_events(lists.events)
    against = np.flatnonzero(lists.events.value < 0)
    if against.size:
        most -= scorer.score_events(lists.events.take(against)) - scorer.base_.astype(np.float32)
    return lists.masked(most, np.arange(len(lists.codes)))


def _competitors(scorer: AttentionScorer, lists: Lists, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products whose contributions are taken apart, and the most that any other can score; `most` is written over.

    Returns
    -------
    codes : ndarray of int64, shape (B, n + `BEHIND` + more)
        `Lists.codes`, then popular ones; -1 for none.
    outside : ndarray of float64, shape (B,)
    """
    row, column = np.nonzero(lists.codes >= 0)
    most[row, lists.codes[row, column]] = -np.inf
    popular = np.argsort(np.where(lists.closed, np.inf, -scorer.base_), kind="stable")[:_POPULAR]
    free = np.isfinite(most[:, popular])
    place = np.argsort(~free, axis=1, kind="stable")[:, : lists.n + _MORE]
    more = np.where(np.take_along_axis(free, place, axis=1), popular[place], -1)
    row, column = np.nonzero(more >= 0)
    most[row, more[row, column]] = -np.inf
    best = np.asarray(most.max(axis=1, initial=-np.inf), dtype=np.float64)
    there = np.isfinite(best)
    best[there] += _BULK * (1.0 + np.abs(best[there]))
    return np.concatenate([lists.codes, more], axis=1), best


def confirm(scorer: AttentionScorer, lists: Lists, claims: list[_Claim]) -> tuple[np.ndarray, np.ndarray]:
    """Score all items again without the removed ones, ages and the mask of seen items unchanged.

    The float32 scores of all items decide where they can. What lies so near that they cannot is summed in float64.

    Returns
    -------
    rank : ndarray of int64, shape (number of claims,)
        Of the product among all that may be listed; of equal scores the smaller code is ahead.
    sure : ndarray of bool, shape (number of claims,)
        At least `n` products lead it by more than `TIE`: it is off the list.
    """
    if not claims:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    events = _without(lists.events, claims)
    scores = lists.masked(scorer.score_events(events), np.array([claim.row for claim in claims]))
    own = np.array([claim.product for claim in claims])
    mine = scores[np.arange(own.size), own][:, None]
    scores[np.arange(own.size), own] = -np.inf
    blur = np.float32(_BLUR) * (1.0 + np.abs(mine))
    above = scores > mine + blur
    ahead = np.count_nonzero(above, axis=1)
    lead, other = _near(scorer, events, own, (scores >= mine - blur) & ~above)
    clear, tied = lead > TIE, (np.abs(lead) <= TIE) & (other < own[:, None])
    return np.asarray(1 + ahead + (clear | tied).sum(axis=1)), np.asarray(ahead + clear.sum(axis=1) >= lists.n)


def _near(scorer: AttentionScorer, events: Events, own: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much the marked items lead the own one, in float64, and their codes; shape (N, most marked in a row)."""
    count = near.sum(axis=1)
    width = int(count.max(initial=0))
    codes = np.full((own.size, 1 + width), -1, dtype=np.int64)
    codes[:, 0] = own
    row, item = np.nonzero(near)
    codes[row, 1 + np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)] = item
    lead, crowded = np.full((own.size, width), -np.inf), np.flatnonzero(count)
    if crowded.size:
        kept = np.flatnonzero(count[events.row] > 0)
        place = np.cumsum(count > 0) - 1
        fewer = events.take(kept)
        fewer = replace(fewer, row=place[fewer.row], n_users=int(crowded.size))
        score = scorer.contributions(fewer, codes[crowded]).score
        lead[crowded] = np.where(codes[crowded, 1:] >= 0, score[:, 1:] - score[:, :1], -np.inf)
    return lead, codes[:, 1:]


def _without(events: Events, claims: list[_Claim]) -> Events:
    """The events of each claim's user without those on the removed items; one row per claim."""
    bounds = np.searchsorted(events.row, np.arange(events.n_users + 1))
    kept = []
    for claim in claims:
        at = np.arange(bounds[claim.row], bounds[claim.row + 1])
        kept.append(at[(events.item[at][:, None] != claim.removed).all(axis=1)])
    row = np.repeat(np.arange(len(claims)), [at.size for at in kept])
    return replace(events.take(np.concatenate(kept)), row=row, n_users=len(claims))
