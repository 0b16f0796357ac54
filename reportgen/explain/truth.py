"""Do the reasons name what really happened? On the synthetic shop every purchase knows its cause, so it can be counted.

Each user's last order is hidden, the scorer is fitted on the rest, and the hidden purchases are explained: is the item that
caused the purchase the first reason, is it among the first three, and is the strongest kind of evidence the kind of the cause?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.attention.history import drop_events, holdout_mask, looking_takes, strong_mask
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.data.shop import CAUSES, Shop
from reportgen.explain.fidelity import OURS
from reportgen.explain.ranks import Mean, order_of
from reportgen.explain.removal import Cases, baseline_strengths, net

#: Summary over all kinds of cause.
ALL = "all"


@dataclass(frozen=True)
class Hits:
    """How often the planted cause was found, as means over hidden purchases.

    Attributes
    ----------
    first, top3 : dict of str to Mean
        By method: the cause is the first reason; it is one of the first three.
    head : Mean
        The head that adds most to the item has the name of the cause.
    """

    first: dict[str, Mean]
    top3: dict[str, Mean]
    head: Mean


@dataclass(frozen=True)
class PlantedTruth:
    """Explanations of hidden purchases beside their planted causes.

    Attributes
    ----------
    n_purchases : int
        Hidden purchases compared.
    n_popular : int
        Hidden purchases that no past item caused; left out.
    n_unknown : int
        Hidden purchases whose cause is not among the events in use, because the history is capped; left out.
    without_reason : Mean
        Share of the compared ones for which nothing in the history speaks. They count as not found.
    by_cause : dict of str to Hits
        By kind of cause, and ``all``.
    """

    n_purchases: int
    n_popular: int
    n_unknown: int
    without_reason: Mean
    by_cause: dict[str, Hits]

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        kinds = {kind: {"head": vars(hits.head)} | _plain(hits) for kind, hits in self.by_cause.items()}
        return vars(self) | {"without_reason": vars(self.without_reason), "by_cause": kinds}


def _plain(hits: Hits) -> dict[str, Any]:
    found = {"first": hits.first, "top3": hits.top3}
    return {name: {method: vars(mean) for method, mean in means.items()} for name, means in found.items()}


def planted_truth(shop: Shop, scorer: AttentionScorer | None = None, seed: int = 0) -> PlantedTruth:
    """Count how often explanations find the planted cause of a purchase that the scorer has not seen.

    Parameters
    ----------
    shop : Shop
    scorer : AttentionScorer, optional
        Its parameters are used for a fresh fit; the usual ones when None.
    seed : int
        Of the random baseline.
    """
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    looking = looking_takes(data)
    held = holdout_mask(data, looking)
    train = drop_events(data, held)
    fresh = AttentionScorer(**(scorer.get_params(deep=False) if scorer is not None else {})).fit(train)
    bought = np.flatnonzero(held & strong_mask(data, looking) & (data.values > 0))
    user = np.searchsorted(data.indptr, bought, side="right") - 1
    kind, source = _causes(shop, data, bought, user)
    caused = source >= 0
    cases = Cases.make(fresh, train, user[caused], data.items[bought[caused]].astype(np.int64))
    known = _in_history(cases, source[caused])
    found = _compare(fresh, train, cases, kind[caused], source[caused], known, seed)
    popular = int((kind == CAUSES.index("popular")).sum())
    return PlantedTruth(int(known.sum()), popular, int((~known).sum()), *found)


def _causes(shop: Shop, data: Dataset, bought: np.ndarray, user: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kind of cause (index into `CAUSES`) and code of the item behind each hidden purchase, -1 where there is none."""
    truth, place = shop.truth, {str(item): code for code, item in enumerate(data.item_ids)}
    when = truth["timestamp"].to_numpy().astype("datetime64[us]").astype(np.int64).tolist()
    key = zip(truth["user_id"], truth["item_id"], when, strict=True)
    planted = dict(zip(key, zip(truth["cause"], truth["cause_item_id"], strict=True), strict=True))
    asked = zip(data.user_ids[user], data.item_ids[data.items[bought]], data.timestamps[bought].tolist(), strict=True)
    found = [planted[line] for line in asked]
    kind = np.array([CAUSES.index(cause) for cause, _ in found], dtype=np.int64)
    return kind, np.array([place[item] if item is not None else -1 for _, item in found], dtype=np.int64)


def _in_history(cases: Cases, source: np.ndarray) -> np.ndarray:
    """Whether the cause is among the events in use: bool, shape (B,)."""
    there = np.zeros(source.size, dtype=bool)
    there[cases.parts.row[cases.parts.item == source[cases.parts.row]]] = True
    return there


def _compare(
    scorer: AttentionScorer,
    data: Dataset,
    cases: Cases,
    kind: np.ndarray,
    source: np.ndarray,
    known: np.ndarray,
    seed: int,
) -> tuple[Mean, dict[str, Hits]]:
    strengths = {OURS: net(cases.parts)} | baseline_strengths(scorer, data, cases, seed)
    place = {method: _place_of_cause(cases, strength, source, method == OURS) for method, strength in strengths.items()}
    named = _strongest_head(scorer, cases) == np.array(CAUSES, dtype=object)[kind]
    mute = np.bincount(cases.parts.row[strengths[OURS] > 0], minlength=source.size) == 0
    picked = {ALL: known} | {cause: known & (kind == k) for k, cause in enumerate(CAUSES)}
    by_cause = {
        name: Hits(
            {method: Mean.of(at[rows] < 1) for method, at in place.items()},
            {method: Mean.of(at[rows] < 3) for method, at in place.items()},
            Mean.of(named[rows]),
        )
        for name, rows in picked.items()
        if rows.any()
    }
    return Mean.of(mute[known]), by_cause


def _place_of_cause(cases: Cases, strength: np.ndarray, source: np.ndarray, only_positive: bool) -> np.ndarray:
    """At which place each case's cause is named, from 0; beyond the end where it is not. A reason of ours speaks for the item."""
    parts, place = cases.parts, np.full(source.size, np.iinfo(np.int64).max)
    for b, mine in enumerate(cases.slices()):
        order = order_of(strength[mine], parts.last_event[mine])
        order = order[strength[mine][order] > 0] if only_positive else order
        found = np.flatnonzero(parts.item[mine][order] == source[b])
        place[b] = found[0] if found.size else place[b]
    return place


def _strongest_head(scorer: AttentionScorer, cases: Cases) -> np.ndarray:
    """Name of the head that adds most to each target, "" where none does: object, shape (B,)."""
    added = np.zeros((cases.users.size, len(scorer.heads_)))
    np.add.at(added, cases.parts.row, cases.parts.value[:, 0, :])
    names = np.array(scorer.heads_, dtype=object)[added.argmax(axis=1)]
    return np.where(added.max(axis=1) > 0, names, "")
