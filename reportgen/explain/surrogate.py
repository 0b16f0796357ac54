"""Another system's list, explained by our scorer in its place: a surrogate, with how far the two agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from reportgen.attention.lookup import find_codes
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.data.weights import GivenLists, read_lists
from reportgen.errors import InputError
from reportgen.explain.explanation import Explanation
from reportgen.explain.foreign_effects import kendall
from reportgen.explain.privacy import Privacy, make_privacy
from reportgen.explain.ranks import rank_correlation
from reportgen.explain.why import explain_many

if TYPE_CHECKING:
    import pandas as pd

#: Length of our own list that the given one is held against.
TOP = 50
#: Places of a given list that are looked at.
MOST = 100


@dataclass(frozen=True)
class Agreement:
    """How far our scorer would have made the same list.

    Attributes
    ----------
    source : str
        What the other system is called, or "".
    compared : int
        Products of the given list that our scorer may rank at all.
    tau, spearman : float
        Rank correlation of the given order with our scores over these; NaN for fewer than two.
    in_top : float
        Share of the products, explained or not, that are among the first `TOP` of our own list; NaN for none. What the user
        has already is never in our list.
    """

    source: str
    compared: int
    tau: float
    spearman: float
    in_top: float


@dataclass(frozen=True)
class Surrogate:
    """An explanation of a given list: products in the given order, reasons of our scorer."""

    why: Explanation
    agreement: Agreement


def explain_given(
    scorer: AttentionScorer,
    data: Dataset,
    lists: pd.DataFrame | str | PathLike[str] | GivenLists,
    user_ids: Iterable[str] | None = None,
    n: int = 5,
    as_of: int | None = None,
    privacy: Privacy | None = None,
) -> list[Surrogate]:
    """Explain lists of another system by our scorer.

    The other system keeps its reasons; ours are those that our scorer would have. There are no counterfactuals, since what would
    have taken a place in a list that is not ours is not known.

    Parameters
    ----------
    scorer : AttentionScorer
        Fitted on the catalogue of `data`.
    data : Dataset
    lists : DataFrame, str, path or GivenLists
        Columns ``user_id, item_id`` and where given ``rank, score, source``.
    user_ids : iterable of str, optional
        All users with a list when None.
    n : int
        Products explained per user, the first of the given list.
    as_of, privacy
        As of `reportgen.explain.why.explain_many`.

    Raises
    ------
    InputError
        A table that cannot be used, an unknown user or one without a list.
    """
    given = lists if isinstance(lists, GivenLists) else read_lists(lists, data)
    privacy = privacy or make_privacy(data)
    users = given.users() if user_ids is None else find_codes(data.user_ids, user_ids, "user")
    ids = [str(user) for user in data.user_ids[users]]
    order = [given.item[given.indptr[user] : given.indptr[user + 1]][:MOST] for user in users]
    if any(not items.size for items in order):
        raise InputError(
            "the recommendations have no row of one of these users; give a list for everyone or leave them out"
        )
    if not ids:
        return []
    candidates = [[str(item) for item in data.item_ids[items]] for items in order]
    most = max(items.size for items in order)
    whys = explain_many(scorer, data, ids, most, as_of, privacy, False, candidates)
    before = data if as_of is None else data.until(as_of)
    own = scorer.recommend_codes(before, users, TOP, privacy.barred, privacy.excluded)[0]
    return [
        _surrogate(why, items, data.item_ids[items], mine, given.source, n)
        for why, items, mine in zip(whys, order, own, strict=True)
    ]


def _surrogate(
    why: Explanation, items: np.ndarray, names: np.ndarray, own: np.ndarray, source: str, n: int
) -> Surrogate:
    """Bring the products back into the given order and cut them to the first `n`."""
    place = {str(name): at for at, name in enumerate(names)}
    given = np.array([place[str(item)] for item in why.picks.item_id], dtype=np.int64)
    tau = kendall(-given.astype(np.float64), why.scores)
    many = given.size > 1 and np.ptp(why.scores) > 0
    spearman = rank_correlation(-given.astype(np.float64), why.scores) if many else float("nan")
    told = Agreement(source, given.size, tau, spearman, float(np.isin(items, own).mean()))
    return Surrogate(reordered(why, np.argsort(given, kind="stable")[:n]), told)


def reordered(why: Explanation, order: np.ndarray) -> Explanation:
    """The same explanation with its products in another order, or only some of them."""
    picks = replace(
        why.picks,
        item_id=why.picks.item_id[order],
        title=why.picks.title[order],
        popularity=why.picks.popularity[order],
        details=tuple(why.picks.details[k] for k in order),
    )
    return replace(
        why,
        picks=picks,
        contributions=np.ascontiguousarray(why.contributions[order]),
        base=why.base[order],
        scores=why.scores[order],
        support=why.support[order],
        counterfactuals=tuple(why.counterfactuals[k] for k in order) if why.counterfactuals else (),
    )
