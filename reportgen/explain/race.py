"""One user's list as a race: the fewest history items without which a product loses its place.

Scores are sums, so everything here is arithmetic on contributions: no model is asked. With the gap ``g_k = s_i - s_k`` to a
competitor and ``d_ek = C_ei - C_ek``, what the gap loses when item ``e`` does not count, the fewest removals that let ``k``
overtake take the largest ``d_ek`` first. Item ``i`` leaves the first ``n`` when ``n`` competitors are ahead of it, so no set
is smaller than the ``n``-th smallest of these counts: a lower bound. Greedy removal with pruning, and a search through all
sets of one size where these are few, give an upper bound. Where the two meet the set is proven minimal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb

import numpy as np

#: A longer list of conditions is no explanation.
MAX_REMOVED = 5
#: Scores closer than this are a tie: sums of the same parts in another order differ by less.
TIE = 1e-9
#: Candidates for removal, the strongest ones; all sets of one size are searched where there are at most so many of them
#: (sets of three of 20 always, larger ones in a short history).
_POOL, _SETS = 20, 1_200
#: Numbers in one table of product x item x competitor: long lists are taken in parts.
_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Race:
    """The listed products of one user and those behind them (K competitors, J history items).

    Attributes
    ----------
    net : ndarray of float64, shape (J, K)
        Contributions, all kinds of evidence together.
    score : ndarray of float64, shape (K,)
    code : ndarray of int64, shape (K,)
        Of equal scores the smaller code is ahead.
    shown : int
        The first so many are on the list.
    n : int
        Places on the list.
    named : ndarray of bool, shape (J,)
        Items that may be named, and so be part of an answer.
    outside : float
        Upper bound of the score that any other product can have after any removal; ``-inf`` where there is no other.
    """

    net: np.ndarray
    score: np.ndarray
    code: np.ndarray
    shown: int
    n: int
    named: np.ndarray
    outside: float


@dataclass(frozen=True)
class Found:
    """An answer for one product.

    Attributes
    ----------
    items : tuple of int
        Positions in the history, strongest first; empty where no set of at most `MAX_REMOVED` was found.
    proven : bool
        No smaller set of any items does it; where `items` is empty: no set of at most `MAX_REMOVED` does it.
    """

    items: tuple[int, ...]
    proven: bool


def search(race: Race) -> list[Found]:
    """The smallest set that was found, for each listed product.

    A set counts only where `n` competitors lead by more than `TIE`. A bound counts a tie for the competitor with the
    smaller code, as the ranking does: so what is called proven holds for the ranking as it is.
    """
    if race.code.size <= race.n:
        return [Found((), race.outside == -np.inf)] * race.shown
    step = max(1, _CELLS // max(1, race.net.size))
    places = np.arange(race.shown)
    return [one for at in range(0, race.shown, step) for one in _search(race, places[at : at + step])]


def _search(race: Race, own: np.ndarray) -> list[Found]:
    """Some of the listed products at a time."""
    gap, loss = _gaps(race, own)
    found = _alone(race, gap, loss)
    hard = np.array([t for t, one in enumerate(found) if one is None], dtype=np.int64)
    if hard.size:
        field = _Field.of(race, own[hard], gap[hard], loss[hard])
        least = field.bound()
        greedy = field.greedy(least <= MAX_REMOVED)
        for at, t in enumerate(hard.tolist()):
            found[t] = _settle(field, at, int(least[at]), greedy[at])
    return [one for one in found if one is not None]


def _gaps(race: Race, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``g`` of listed products (T, K), infinite for itself, and ``d`` (T, J, K)."""
    gap = race.score[own, None] - race.score
    gap[np.arange(own.size), own] = np.inf
    return gap, race.net[:, own].T[:, :, None] - race.net[None]


def _alone(race: Race, gap: np.ndarray, loss: np.ndarray) -> list[Found | None]:
    """The one item that is enough, where there is one: most products are settled here, as nothing is smaller than one."""
    if not race.named.any():
        return [None] * len(gap)
    deciding = np.where(race.named, _deciding(gap[:, None, :] - loss, race.n), np.inf)
    best = deciding.argmin(axis=1).tolist()
    return [Found((j,), True) if deciding[t, j] < -TIE else None for t, j in enumerate(best)]


def _deciding(gap: np.ndarray, n: int) -> np.ndarray:
    """The gap to the `n`-th best competitor (last axis): below ``-TIE`` the product is off the list."""
    return np.asarray(np.partition(gap, n - 1, axis=-1)[..., n - 1])


@dataclass(frozen=True, eq=False)
class _Field:
    """Listed products against all competitors: T products, P candidates for removal each.

    Attributes
    ----------
    own : ndarray of int64, shape (T,)
        Which products.
    gap : ndarray, shape (T, K)
        Infinite for the product itself.
    loss : ndarray, shape (T, J, K)
        ``d``.
    edge : ndarray, shape (T, K)
        At or below this gap the competitor may be ahead.
    pool : ndarray of int64, shape (T, P)
    """

    race: Race
    own: np.ndarray
    gap: np.ndarray
    loss: np.ndarray
    edge: np.ndarray
    pool: np.ndarray

    @classmethod
    def of(cls, race: Race, own: np.ndarray, gap: np.ndarray, loss: np.ndarray) -> _Field:
        edge = np.where(race.code < race.code[own, None], TIE, -TIE)
        near = np.maximum(loss[:, :, : 2 * race.n], 0.0).sum(axis=2)
        near[:, ~race.named] = -1.0
        pool = np.argsort(-near, axis=1, kind="stable")[:, : min(_POOL, int(race.named.sum()))]
        return cls(race, own, gap, loss, edge, pool)

    # -- lower bound ---------------------------------------------------------------------------------------------

    def bound(self) -> np.ndarray:
        """No set with fewer items than this takes the product off the list; int64, shape (T,), 1 to `MAX_REMOVED` + 1."""
        total = np.cumsum(_largest(np.maximum(self.loss, 0.0), MAX_REMOVED), axis=1)
        ahead = (self.gap[:, None, :] - total <= self.edge[:, None, :]).sum(axis=2) >= self.race.n
        possible = ahead | self._outsiders
        return np.where(possible.any(axis=1), possible.argmax(axis=1), MAX_REMOVED).astype(np.int64) + 1

    @cached_property
    def _outsiders(self) -> np.ndarray:
        """Might a product that is not looked at get ahead after 1, 2, ... removals? bool, shape (T, MAX_REMOVED)."""
        race = self.race
        help_most = _largest(np.maximum(race.net[None, :, self.own], 0.0), MAX_REMOVED)[0]
        left = race.score[self.own] - np.cumsum(help_most, axis=0)
        return np.asarray((left <= race.outside + TIE).T)

    def pool_is_enough(self, t: int, m: int) -> bool:
        """True where a set of `m` with any item outside the pool surely fails, and no outsider can get ahead."""
        if self._outsiders[t, m - 1]:
            return False
        rest = np.delete(self.loss[t], self.pool[t], axis=0)
        # Others help nobody: a set with one works without it, and that was looked at before.
        rest = rest[(rest > 0).any(axis=1)]
        best = _largest(np.maximum(self.loss[t], 0.0)[None], m - 1)[0].sum(axis=0)
        left = (
            self.gap[t] - best - np.maximum(rest, 0.0)
        )  # one row per item outside: with it and the best of all others
        return not ((left <= self.edge[t]).sum(axis=1) >= self.race.n).any()

    # -- upper bound ---------------------------------------------------------------------------------------------

    def greedy(self, wanted: np.ndarray) -> list[list[int]]:
        """Take away what brings the deciding competitor nearest, again and again; then put back what was not needed.

        Returns
        -------
        list of list of int, length T
            Places in the pool; empty where `MAX_REMOVED` were not enough.
        """
        chosen: list[list[int]] = [[] for _ in wanted]
        if not self.pool.size:
            return chosen
        loss = np.take_along_axis(self.loss, self.pool[:, :, None], axis=1)
        gap, free = self.gap.copy(), np.ones(self.pool.shape, dtype=bool)
        open_ = np.flatnonzero(wanted)
        for _ in range(min(MAX_REMOVED, self.pool.shape[1])):
            trial = gap[open_][:, None, :] - loss[open_]
            deciding = np.where(free[open_], _deciding(trial, self.race.n), np.inf)
            best = deciding.argmin(axis=1)
            gap[open_], free[open_, best] = trial[np.arange(open_.size), best], False
            for t, p in zip(open_.tolist(), best.tolist(), strict=True):
                chosen[t].append(p)
            open_ = open_[deciding[np.arange(open_.size), best] >= -TIE]
            if not open_.size:
                break
        for t in open_.tolist():
            chosen[t] = []
        return [self._pruned(t, places) for t, places in enumerate(chosen)]

    def _pruned(self, t: int, places: list[int]) -> list[int]:
        for place in list(places):
            fewer = [p for p in places if p != place]
            if fewer and _deciding(self.gap[t] - self.loss[t, self.pool[t, fewer]].sum(axis=0), self.race.n) < -TIE:
                places = fewer
        return places

    def full(self, t: int, m: int) -> tuple[list[int], bool]:
        """Try all sets of `m` of the pool: the one that works best, or none, and whether one may work by a tie."""
        sets = _sets(self.pool.shape[1], m)
        if not len(sets):
            return [], False
        gap = np.repeat(self.gap[t][None], len(sets), axis=0)
        loss = self.loss[t, self.pool[t]]
        for column in range(m):
            gap -= loss[sets[:, column]]
        enough = np.flatnonzero(np.count_nonzero(gap < -TIE, axis=1) >= self.race.n)
        if enough.size:
            best = enough[_deciding(gap[enough], self.race.n).argmin()]
            return [int(p) for p in sets[best]], True
        return [], bool((np.count_nonzero(gap <= self.edge[t], axis=1) >= self.race.n).any())


def _settle(field: _Field, t: int, least: int, greedy: list[int]) -> Found:
    """Bring the bounds of one product together."""
    found = greedy
    size = least
    while size < (len(found) or MAX_REMOVED + 1) and comb(field.pool.shape[1], size) <= _SETS:
        better, tie = field.full(t, size)
        if better:
            found = better
            break
        if not tie and least == size and field.pool_is_enough(t, size):
            least += 1
        size += 1
    items = field.pool[t, found].tolist() if found else []
    by_strength = sorted(items, key=lambda j: (-float(field.race.net[j, field.own[t]]), j))
    return Found(tuple(by_strength), (len(items) or MAX_REMOVED + 1) == least)


def _largest(values: np.ndarray, m: int) -> np.ndarray:
    """The `m` largest along the second axis, largest first; zeros where there are fewer. Shape (A, m, B)."""
    size = values.shape[1]
    if size > m:
        values = np.partition(values, size - m, axis=1)[:, size - m :] if m else values[:, :0]
    top = -np.sort(-values, axis=1)
    return top if size >= m else np.pad(top, ((0, 0), (0, m - size), (0, 0)))


@lru_cache(maxsize=64)
def _sets(size: int, m: int) -> np.ndarray:
    """All sets of `m` of `size` places: int64, shape (number of sets, m)."""
    return np.array(list(combinations(range(size), m)), dtype=np.int64).reshape(-1, m)
