"""Explanations of a batch of users, put together: what can be computed for all of them is, since NumPy is slow with few numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np

from reportgen.attention.contributions import Contributions
from reportgen.attention.history import Events
from reportgen.data.dataset import Dataset
from reportgen.explain.counterfactual import Answer, Answers
from reportgen.explain.explanation import Counterfactual, Explanation, ModelFacts, Past, Picks, Usage
from reportgen.explain.privacy import FOLDED, Privacy, fold_evidence
from reportgen.explain.race import MAX_REMOVED

_DETAILS = ("category", "brand", "price", "currency", "url", "sponsored", "price_personalised")
#: Products whose facts are kept at hand.
_KEPT = 16_384


@dataclass(frozen=True, eq=False)
class Shelf:
    """The catalogue as plain arrays, read once: a look-up in a DataFrame costs more than a whole explanation."""

    title: np.ndarray
    details: dict[str, np.ndarray]
    _known: dict[int, dict[str, object]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, data: Dataset) -> Shelf:
        """The catalogue of some data; kept as long as these are, since a run asks for it with each batch of users."""
        if data not in _SHELVES:
            _SHELVES[data] = cls._read(data)
        return _SHELVES[data]

    @classmethod
    def _read(cls, data: Dataset) -> Shelf:
        there = [name for name in _DETAILS if name in data.catalogue.columns]
        details = {name: data.catalogue[name].to_numpy(dtype=object) for name in there}
        return cls(data.catalogue["title"].to_numpy(dtype=object), details)

    def facts(self, item: int) -> dict[str, object]:
        """What is known about an item; missing values are left out. The same products are recommended again and again."""
        known = self._known.get(item)
        if known is None:
            found = {name: column[item] for name, column in self.details.items()}
            known = {name: value for name, value in found.items() if _there(value)}
            if len(self._known) < _KEPT:
                self._known[item] = known
        return known


_SHELVES: WeakKeyDictionary[Dataset, Shelf] = WeakKeyDictionary()


def _there(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and not np.isfinite(value))


@dataclass(frozen=True, eq=False)
class Batch:
    """What was found of B users.

    Attributes
    ----------
    users : ndarray of int64, shape (B,)
        User codes.
    codes : ndarray of int64, shape (B, K)
        Listed items; -1 where a list is shorter.
    parts : Contributions
        Of these items.
    usage : list of Usage, length B
    answers : list of Answers, length B, or None
        None where no counterfactuals were asked for.
    """

    users: np.ndarray
    codes: np.ndarray
    parts: Contributions
    usage: list[Usage]
    answers: list[Answers] | None


def assemble(
    data: Dataset,
    before: Dataset,
    as_of: int,
    privacy: Privacy,
    model: ModelFacts,
    popularity: np.ndarray,
    batch: Batch,
) -> list[Explanation]:
    """The explanation of each user: history newest first, items best first.

    Parameters
    ----------
    data, before : Dataset
        Everything, and what happened up to `as_of`.
    as_of : int
    privacy : Privacy
    model : ModelFacts
    popularity : ndarray of int64, shape (I,)
    batch : Batch
    """
    maker = _Maker(data, before, as_of, privacy, model, popularity, batch)
    return [maker.one(b) for b in range(batch.users.size)]


class _Maker:
    """The columns of a batch in the order of its pages; each user has a part of them."""

    def __init__(
        self, data: Dataset, before: Dataset, as_of: int, privacy: Privacy, model: ModelFacts, popularity: np.ndarray,
        batch: Batch,
    ) -> None:  # fmt: skip
        self.as_of, self.model, self.batch, parts = as_of, model, batch, batch.parts
        self.shelf, self.user_ids = Shelf.of(data), data.user_ids[batch.users].tolist()
        self.counts = (batch.codes >= 0).sum(axis=1).tolist()
        edges = np.searchsorted(parts.row, np.arange(batch.users.size + 1))
        self.bounds: list[int] = edges.tolist()
        newest = np.lexsort((-parts.last_event, parts.row))
        best = np.lexsort((-parts.score, batch.codes < 0), axis=1)
        self.place = np.empty(newest.size, dtype=np.int64)  # of a history item among those of its user
        self.place[newest] = np.arange(newest.size) - np.repeat(edges[:-1], np.diff(edges))
        item, event = parts.item[newest], parts.last_event[newest]
        kinds = np.array(before.event_types, dtype=object)[before.types[event]]
        hidden = privacy.hidden_for(batch.users[parts.row], item)
        self.past = (
            data.item_ids[item], self.shelf.title[item], before.timestamps[event], parts.n_events[newest], kinds, hidden
        )  # fmt: skip
        self.best, picked = best.tolist(), np.take_along_axis(batch.codes, best, axis=1)
        self.picked = picked.tolist()
        self.picks = data.item_ids[picked], self.shelf.title[picked], popularity[picked]
        self.base, self.score = (np.take_along_axis(table, best, axis=1) for table in (parts.base, parts.score))
        self._lines(newest, best, edges)

    def _lines(self, newest: np.ndarray, best: np.ndarray, edges: np.ndarray) -> None:
        """Contributions and support, a line for each history item of each product of each user."""
        counts, widths = np.array(self.counts, dtype=np.int64), np.diff(edges)
        self.lines = [0, *np.cumsum(counts * widths).tolist()]
        length = np.repeat(widths, counts)
        begin = np.cumsum(length) - length
        history = np.arange(length.sum()) - np.repeat(begin - np.repeat(edges[:-1], counts), length)
        product = np.repeat(best[np.arange(best.shape[1]) < counts[:, None]], length)
        self.value = np.ascontiguousarray(self.batch.parts.value[newest[history], product])
        self.support = self.batch.parts.support[newest[history], product]

    def one(self, b: int) -> Explanation:
        """The explanation of one user of the batch."""
        count, mine, lines = self.counts[b], slice(*self.bounds[b : b + 2]), slice(*self.lines[b : b + 2])
        past = Past(*[column[mine] for column in self.past])
        shape = (count, past.hidden.size)
        value, support = self.value[lines].reshape(*shape, self.value.shape[1]), self.support[lines].reshape(shape)
        model = self.model
        if past.hidden.any():
            value, support = fold_evidence(value, past.hidden), np.where(past.hidden, 0, support)
            model = replace(model, heads=(*model.heads, FOLDED), live=(*model.live, len(model.heads)))
        item_id, title, popularity = (table[b, :count] for table in self.picks)
        details = tuple([self.shelf.facts(item) for item in self.picked[b][:count]])
        return Explanation(
            str(self.user_ids[b]),
            self.as_of,
            past,
            Picks(item_id, title, popularity, details),
            value,
            self.base[b, :count],
            self.score[b, :count],
            support,
            self.batch.usage[b],
            model,
            *self._counterfactuals(b, count),
        )

    def _counterfactuals(self, b: int, count: int) -> tuple[tuple[Counterfactual | None, ...], int]:
        """In the order of the page: history newest first, items best first."""
        if self.batch.answers is None:
            return (), 0
        mine, place = self.batch.answers[b], self.place[self.bounds[b] : self.bounds[b + 1]]
        each = [_told(mine.each[k], place, rank) for rank, k in enumerate(self.best[b][:count], start=1)]
        return tuple(each), mine.unconfirmed


def _told(answer: Answer | None, place: np.ndarray, rank: int) -> Counterfactual | None:
    if answer is None:
        return None
    after = rank if answer.rank_after is None else answer.rank_after
    items = tuple([int(place[j]) for j in answer.items])
    return Counterfactual(items, "proven" if answer.proven else "best found", rank, after, MAX_REMOVED)


def usage_of(
    data: Dataset, before: Dataset, users: np.ndarray, cap: int, events: Events, told: np.ndarray
) -> list[Usage]:
    """How many events of each user were used, and why the others were not.

    Parameters
    ----------
    data, before : Dataset
    users : ndarray of int64, shape (B,)
    cap : int
        Events that are used at most.
    events : Events
        Those that are.
    told : ndarray of bool, shape (E,)
        Events whose day may be told.
    """
    total, known = (some.indptr[users + 1] - some.indptr[users] for some in (data, before))
    used = np.bincount(events.row, minlength=users.size)
    capped = np.maximum(known - cap, 0)
    rest, after = known - used - capped, total - known
    first, last = _days(before.timestamps[events.event[told]], events.row[told], users.size)
    columns = zip(*[column.tolist() for column in (known, used, capped, rest, after)], first, last, strict=True)
    return [Usage(*row) for row in columns]


def _days(when: np.ndarray, row: np.ndarray, size: int) -> tuple[list[int | None], list[int | None]]:
    """The oldest and the newest of some times of each user; None for a user without any. `row` is sorted."""
    first: list[int | None] = [None] * size
    last: list[int | None] = [None] * size
    begin = np.flatnonzero(np.diff(row, prepend=-1))
    if begin.size:
        oldest, newest = np.minimum.reduceat(when, begin).tolist(), np.maximum.reduceat(when, begin).tolist()
        for b, one, other in zip(row[begin].tolist(), oldest, newest, strict=True):
            first[b], last[b] = one, other
    return first, last
