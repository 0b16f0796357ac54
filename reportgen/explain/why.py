"""From a fitted scorer to explanations, for one user or for many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from reportgen.attention.history import Events, gather_events
from reportgen.attention.lookup import best_of, candidate_codes
from reportgen.attention.marked import paired_items
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import model_id
from reportgen.attention.top import best_lists
from reportgen.data.dataset import Dataset
from reportgen.errors import ModelError
from reportgen.explain.assembly import Batch, assemble, usage_of
from reportgen.explain.counterfactual import BEHIND, Answers, Lists
from reportgen.explain.counterfactual import counterfactuals as find_counterfactuals
from reportgen.explain.explanation import Explanation, ModelFacts
from reportgen.explain.privacy import Privacy, make_privacy

#: The float32 bulk score may differ from the float64 sum by this much, relative to 1 + |score|.
_BULK_TOLERANCE = 1e-4
#: Users, and scores of all items, in one go where single users have rules of their own.
_BLOCK, _CELLS = 256, 32_000_000


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
    told = ~privacy.hidden_for(users[events.row], events.item)
    usage = usage_of(data, before, users, scorer.history_cap, events, told)
    batch = Batch(users, codes, parts, usage, answers)
    return assemble(data, before, as_of, privacy, model_facts(scorer), scorer.popularity_, batch)


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
