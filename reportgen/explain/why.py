"""From a fitted scorer to explanations, for one user or for many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from reportgen.attention.contributions import Contributions
from reportgen.attention.history import Events, gather_events
from reportgen.attention.lookup import best_of, candidate_codes
from reportgen.attention.marked import paired_items
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import model_id
from reportgen.attention.top import best_lists
from reportgen.data.dataset import Dataset
from reportgen.errors import ModelError
from reportgen.explain.counterfactual import BEHIND, Answer, Answers, Lists
from reportgen.explain.counterfactual import counterfactuals as find_counterfactuals
from reportgen.explain.explanation import Counterfactual, Explanation, ModelFacts, Past, Picks, Usage
from reportgen.explain.privacy import FOLDED, Privacy, fold_evidence, make_privacy
from reportgen.explain.race import MAX_REMOVED

#: The float32 bulk score may differ from the float64 sum by this much, relative to 1 + |score|.
_BULK_TOLERANCE = 1e-4
#: Users, and scores of all items, in one go where single users have rules of their own.
_BLOCK, _CELLS = 256, 32_000_000
_DETAILS = ("category", "brand", "price", "currency", "url", "sponsored", "price_personalised")


def explain(
    scorer: AttentionScorer,
    data: Dataset,
    user_id: str,
    n: int = 5,
    as_of: int | None = None,
    privacy: Privacy | None = None,
    counterfactuals: bool = True,
) -> Explanation:
    """Explain the `n` best items of one user.

    Parameters
    ----------
    scorer : AttentionScorer
        Fitted on the catalogue of `data`.
    data : Dataset
    user_id : str
    n : int
    as_of : int, optional
        Reference time in microseconds since 1970 UTC; later events are not used. The newest event of `data` when None.
    privacy : Privacy, optional
        `make_privacy(data)` when None, as on the command line: what the catalogue marks as sensitive and what the rules of the
        configuration name with which `data` were read is folded, or treated as that configuration says.
    counterfactuals : bool
        Look for the smallest sets of history items without which a product would leave the list.

    Raises
    ------
    InputError
        Unknown user.
    ModelError
        The model belongs to another catalogue.
    """
    return explain_many(scorer, data, [user_id], n, as_of, privacy, counterfactuals)[0]


def explain_many(
    scorer: AttentionScorer,
    data: Dataset,
    user_ids: Iterable[str],
    n: int = 5,
    as_of: int | None = None,
    privacy: Privacy | None = None,
    counterfactuals: bool = True,
    candidates: Sequence[Iterable[str]] | None = None,
) -> list[Explanation]:
    """As `explain`, for a batch of users in one go; pass some hundreds at a time.

    With `candidates`, one list of item ids per user, only these are scored and the best of them explained; there are
    no counterfactuals then, since what would have taken a place is not known.
    """
    data = scorer.check_data(data)
    users = scorer.user_codes(data, user_ids)
    privacy = privacy or make_privacy(data)
    before = data if as_of is None else data.until(as_of)
    as_of = as_of if as_of is not None else int(data.timestamps.max(initial=0))
    events = _gather(before, users, scorer.history_cap, privacy)
    answers: list[Answers] | None = None
    if candidates is not None:
        given = candidate_codes(scorer.item_ids_, candidates, privacy.barred)
        given[privacy.private_for(users[:, None], given)] = -1
        codes = best_of(given, scorer.contributions(events, given).score, n)
        parts = scorer.contributions(events, codes)
    else:
        width = n + BEHIND if counterfactuals else n
        wide, bulk = _ranked(scorer, before, users, width, privacy)
        codes = wide[:, :n]
        parts = scorer.contributions(events, codes)
        _check_bulk(parts.score, bulk[:, :n])
    if counterfactuals and candidates is None:
        closed = ~scorer.candidate_ if privacy.barred is None else ~scorer.candidate_ | privacy.barred
        private = _private_items(privacy, users) if privacy.by_user else None
        seen = scorer.seen(before, users) if private is None else scorer.seen(before, users) + private
        lists = Lists(events, wide, n, closed, seen, privacy.hidden, private)
        answers = find_counterfactuals(scorer, lists)
    maker = _Maker(
        data, before, as_of, parts, privacy, Shelf.of(data), model_facts(scorer), scorer.popularity_, answers
    )
    told = ~privacy.hidden_for(users[events.row], events.item)
    usage = _usage(data, before, users, scorer.history_cap, events, told)
    bounds = np.searchsorted(parts.row, np.arange(users.size + 1))
    return [maker.one(b, users[b], codes[b], slice(bounds[b], bounds[b + 1]), usage[b]) for b in range(users.size)]


def _gather(before: Dataset, users: np.ndarray, cap: int, privacy: Privacy) -> Events:
    """The events that count, by the rules for all and by those for single users."""
    events = gather_events(before, users, cap, privacy.excluded)
    if privacy.mode != "exclude" or not privacy.by_user:
        return events
    return events.take(~privacy.private_for(users[events.row], events.item))


def _ranked(
    scorer: AttentionScorer, before: Dataset, users: np.ndarray, n: int, privacy: Privacy
) -> tuple[np.ndarray, np.ndarray]:
    """The best items of each user; none that is private for him, as a gift that he has only looked at so far."""
    if not privacy.by_user:
        return scorer.recommend_codes(before, users, n, privacy.barred, privacy.excluded)
    closed = ~scorer.candidate_ if privacy.barred is None else ~scorer.candidate_ | privacy.barred
    return best_lists(
        users,
        n,
        max(1, min(_BLOCK, _CELLS // closed.size)),
        lambda some: scorer.score_events(_gather(before, some, scorer.history_cap, privacy)),
        lambda some: scorer.seen(before, some) + _private_items(privacy, some),
        closed,
    )


def _private_items(privacy: Privacy, users: np.ndarray) -> Any:
    return paired_items(privacy.private, users, privacy.sensitive.size)


def model_facts(scorer: AttentionScorer) -> ModelFacts:
    """What a report says about the model."""
    finite = np.isfinite(np.asarray(scorer.half_lives_, dtype=np.float64))
    return ModelFacts(
        model_id(scorer),
        tuple(scorer.heads_),
        tuple(int(head) for head in np.flatnonzero(scorer.theta_.any(axis=1))),
        bool(scorer.theta_[:, finite].any()),
        int(scorer.n_users_),
        int(scorer.base_.size),
        int(scorer.n_users_learnt_) if scorer.learnt_ else 0,
        int(scorer.min_support),
        int(scorer.history_cap),
        tuple(float(h) for h in scorer.half_lives_),
    )


def _check_bulk(exact: np.ndarray, bulk: np.ndarray) -> None:
    """The list was ranked by a float32 product over all items; the reasons are sums in float64. They must agree."""
    there = np.isfinite(bulk)
    gap = np.abs(exact[there] - bulk[there]) / (1.0 + np.abs(exact[there]))
    if not gap.max(initial=0.0) <= _BULK_TOLERANCE:
        raise ModelError(
            f"the explained score differs from the ranking score by {gap.max():.3g}; the model is not consistent"
        )


@dataclass(frozen=True, eq=False)
class Shelf:
    """The catalogue as plain arrays, read once: a look-up in a DataFrame costs more than a whole explanation."""

    title: np.ndarray
    details: dict[str, np.ndarray]

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
        """What is known about an item; missing values are left out."""
        found = {name: column[item] for name, column in self.details.items()}
        return {name: value for name, value in found.items() if _known(value)}


_SHELVES: WeakKeyDictionary[Dataset, Shelf] = WeakKeyDictionary()


def _known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and not np.isfinite(value))


@dataclass(frozen=True, eq=False)
class _Maker:
    """Everything that the explanations of one batch share."""

    data: Dataset
    before: Dataset
    as_of: int
    parts: Contributions
    privacy: Privacy
    shelf: Shelf
    facts: ModelFacts
    popularity: np.ndarray
    answers: list[Answers] | None

    def one(self, row: int, user: int, codes: np.ndarray, mine: slice, usage: Usage) -> Explanation:
        """The explanation of one user of the batch: history newest first, items best first."""
        parts, count = self.parts, int((codes >= 0).sum())
        order = np.argsort(-parts.last_event[mine], kind="stable")
        best = np.argsort(-parts.score[row, :count], kind="stable")
        past = self._past(user, mine, order)
        value, support = parts.value[mine][order][:, best].transpose(1, 0, 2), parts.support[mine][order][:, best].T
        facts = self.facts
        if past.hidden.any():
            value, support = fold_evidence(value, past.hidden), np.where(past.hidden, 0, support)
            facts = replace(facts, heads=(*facts.heads, FOLDED), live=(*facts.live, len(facts.heads)))
        return Explanation(
            str(self.data.user_ids[user]),
            self.as_of,
            past,
            self._picks(codes[:count][best]),
            np.ascontiguousarray(value),
            parts.base[row, :count][best],
            parts.score[row, :count][best],
            support,
            usage,
            facts,
            *self._counterfactuals(row, order, best),
        )

    def _counterfactuals(
        self, row: int, order: np.ndarray, best: np.ndarray
    ) -> tuple[tuple[Counterfactual | None, ...], int]:
        """In the order of the page: history newest first, items best first."""
        if self.answers is None:
            return (), 0
        mine, place = self.answers[row], np.argsort(order)
        each = tuple(_told(mine.each[k], place, rank) for rank, k in enumerate(best.tolist(), start=1))
        return each, mine.unconfirmed

    def _past(self, user: int, mine: slice, order: np.ndarray) -> Past:
        item, event = self.parts.item[mine][order], self.parts.last_event[mine][order]
        kind = np.array(self.before.event_types, dtype=object)[self.before.types[event]]
        dates, count = self.before.timestamps[event], self.parts.n_events[mine][order]
        hidden = self.privacy.hidden_for(np.array(user), item)
        return Past(self.data.item_ids[item], self.shelf.title[item], dates, count, kind, hidden)

    def _picks(self, item: np.ndarray) -> Picks:
        details = tuple(self.shelf.facts(i) for i in item)
        return Picks(self.data.item_ids[item], self.shelf.title[item], self.popularity[item], details)


def _told(answer: Answer | None, place: np.ndarray, rank: int) -> Counterfactual | None:
    if answer is None:
        return None
    after = rank if answer.rank_after is None else answer.rank_after
    items = tuple(int(place[j]) for j in answer.items)
    return Counterfactual(items, "proven" if answer.proven else "best found", rank, after, MAX_REMOVED)


def _usage(
    data: Dataset, before: Dataset, users: np.ndarray, cap: int, events: Events, told: np.ndarray
) -> list[Usage]:
    """How many events of each user were used, and why the others were not; `told` are those whose day may be told."""
    total, known = np.diff(data.indptr)[users], np.diff(before.indptr)[users]
    used = np.bincount(events.row, minlength=users.size)
    capped = np.maximum(known - cap, 0)
    bounds = np.searchsorted(events.row, np.arange(users.size + 1))
    out = []
    for b in range(users.size):
        mine = slice(bounds[b], bounds[b + 1])
        when = before.timestamps[events.event[mine][told[mine]]]
        first, last = (int(when.min()), int(when.max())) if when.size else (None, None)
        rest = int(known[b] - used[b] - capped[b])
        out.append(Usage(int(known[b]), int(used[b]), int(capped[b]), rest, int(total[b] - known[b]), first, last))
    return out
