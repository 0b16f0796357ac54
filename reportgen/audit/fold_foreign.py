"""What is counted of a user whose page is about another model: where its weight lies, and how far measured effects bear it out.

The shares here are of attention, or of what a model says that it counted. They are never added to those of our own reasons, which are
parts of a score: a run holds the one or the other, and `summary` says which. What was measured (leave-one-out effects) has measures of
its own. Definitions stand in ``docs/audit.md``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reportgen.audit.fold_frame import AGE_EDGES, Frame
from reportgen.audit.fold_measures import CARRIES, DAY, MOSTLY, PARTS, Case, Measured, cents
from reportgen.explain.foreign import ForeignExplanation
from reportgen.explain.foreign_effects import AGREES

#: Names of counts: people by kind of the weights, by what measured the effects, and by how heads and layers were read.
KIND, BY, HOW = "foreign/", "measured_by/", "how/"
#: Kendall's tau is counted with 1 added, so that it cannot be below 0.
SHIFTED_TAU = "tau_plus_1"


def measure_foreign(cases: Sequence[Case], frame: Frame) -> Measured:
    """Measure some users; what is found of one does not depend on the others."""
    out = Measured()
    for place, case in enumerate(cases):
        assert isinstance(case.why, ForeignExplanation)
        one = _One(case.why, frame)
        for name, value in one.values().items():
            if math.isnan(value) or (name.startswith(PARTS) and not value):
                continue  # a part that somebody does not have is not counted, see `PARTS`
            values = out.values.setdefault(name, np.full(len(cases), np.nan))
            values[place] = value * (1.0 if name == "price" else 1e6)
        one.count(out.counts)
        out.items.update(case.why.picks.item_id.tolist())
        for name, there in one.marks().items():
            if there:
                out.marks.setdefault(name, []).append(place)
    out.only_overall = {name for name in out.values if name.startswith(("age/", "event/"))}
    return out


class _One:
    """One user: K products, J items of the history."""

    def __init__(self, why: ForeignExplanation, frame: Frame) -> None:
        self.why, self.frame, self.size = why, frame, why.scores.size
        self.shares, self.rest = why.shares, why.rest_share
        self.weighted = self.shares.sum(axis=1) > 0
        self.there = why.past.n_events > 0
        self.effects = why.effects
        known = np.zeros(self.size, dtype=bool) if why.effects is None else ~np.isnan(why.effects).all(axis=1)
        self.measured = known
        self.gains = np.zeros_like(self.shares) if why.effects is None else np.maximum(np.nan_to_num(why.effects), 0.0)
        details = why.picks.details
        self.sponsored = np.array([bool(detail.get("sponsored")) for detail in details], dtype=bool)
        self.priced = np.array([bool(detail.get("price_personalised")) for detail in details], dtype=bool)
        self.price = np.array([cents(detail, frame.currency) for detail in details], dtype=np.float64)

    def _mean(self, values: np.ndarray, there: np.ndarray | None = None) -> float:
        """Mean over the products that have it; NaN where none has."""
        found = values if there is None else values[there]
        return float(found.mean()) if found.size else math.nan

    def _on(self, items: np.ndarray) -> float:
        """Mean share of the weight that lies on some items of the history."""
        return self._mean(self.shares[:, items].sum(axis=1), self.weighted)

    def values(self) -> dict[str, float]:
        """Every measure; shares in 0..1."""
        why, weighted = self.why, self.weighted
        shares = {
            "weighted": weighted, "tail": why.picks.popularity < self.frame.tail_below, "sponsored": self.sponsored,
            "priced": self.priced, "measured": self.measured,
        }  # fmt: skip
        out = {name: self._mean(np.asarray(there, dtype=np.float64)) for name, there in shares.items()}
        out |= {
            "length": float(self.size),
            "price": self._mean(self.price, np.isfinite(self.price)),
            "strongest": self._mean(self.shares.max(axis=1, initial=0.0), weighted),
            "effective": self._mean(_effective(self.shares), weighted),
            "elsewhere": self._mean(self.rest, self.rest + self.shares.sum(axis=1) > 0),
            "no_event": self._on(~self.there),
            "hidden": self._on(why.past.hidden),
        }
        return out | self._sums() | self._matched() | self._parts() | self._effects()

    def _sums(self) -> dict[str, float]:
        """Whether what is said of the weights of a product is so: a whole for attention, the score for contributions."""
        why = self.why
        if why.kind == "attention":
            return {"whole": self._mean(why.whole.astype(np.float64), self.weighted)}
        positive, negative = np.maximum(why.weights, 0.0).sum(), np.maximum(-why.weights, 0.0).sum()
        against = float(negative / (positive + negative)) if positive + negative else math.nan
        return {"adds_up": self._mean(why.sums.astype(np.float64), ~np.isnan(why.gap)), "against": against}

    def _matched(self) -> dict[str, float]:
        """Share of the weight on items of the product's own category, and of its own brand."""
        why, out = self.why, dict[str, float]()
        for block, texts in why.features.items():
            mine, theirs = np.array(texts, dtype=object), np.array(why.pick_features[block], dtype=object)
            same = (theirs[:, None] == mine[None, :]) & (mine != "")[None, :]
            out[f"same_{block}"] = self._mean((self.shares * same).sum(axis=1), self.weighted & (theirs != ""))
        return out

    def _parts(self) -> dict[str, float]:
        """The weight by feature, by age of the newest event on an item, and by its kind."""
        why = self.why
        whole = np.maximum(why.weights, 0.0).sum(axis=1) + np.maximum(why.markers, 0.0) + np.maximum(why.padding, 0.0)
        out = {}
        for name, part in why.by_feature.items():
            told = np.maximum(part, 0.0).sum(axis=1)
            out[f"kind/{name}"] = self._mean(told[self.weighted] / whole[self.weighted])
        bins = np.searchsorted(AGE_EDGES, (why.as_of - why.past.date) // DAY)
        for k in range(len(AGE_EDGES) + 1):
            out[f"age/{k}"] = self._on(self.there & (bins == k))
        for name in sorted({str(kind) for kind in why.past.event_type[self.there].tolist()}):
            out[f"event/{name}"] = self._on(self.there & (why.past.event_type == name))
        return out

    def _effects(self) -> dict[str, float]:
        """How the weights stand to what was measured; NaN where nothing was."""
        faith, total = self.why.faithfulness, self.gains.sum(axis=1)
        gain = self.measured & (total > 0)
        share = self.gains[gain] / total[gain][:, None]
        both = gain & self.weighted
        first = self.gains[both].argmax(axis=1) == self.shares[both].argmax(axis=1) if both.any() else np.zeros(0)
        out = {
            "effect_strongest": self._mean(share.max(axis=1, initial=0.0)),
            "effect_effective": self._mean(_effective(share)),
            "first_agrees": self._mean(np.asarray(first, dtype=np.float64)),
        }
        if faith is not None:
            tau, top3 = np.array(faith.tau, dtype=np.float64), np.array(faith.top3, dtype=np.float64)
            out[SHIFTED_TAU] = self._mean(tau + 1.0, ~np.isnan(tau))
            out["top3"] = self._mean(top3, ~np.isnan(top3))
        return out

    def count(self, counts: Counter[str]) -> None:
        """Count products, events, and how the table was read."""
        why = self.why
        for rank in range(1, self.size + 1):
            counts[f"rank/{rank}"] += 1
            counts[f"sponsored_rank/{rank}"] += int(self.sponsored[rank - 1])
            counts[f"priced_rank/{rank}"] += int(self.priced[rank - 1])
        counts[f"length/{self.size}"] += 1
        strongest = self.shares.max(axis=1, initial=0.0)[self.weighted]
        counts.update(f"strongest/{min(int(share * 10), 9)}" for share in strongest.tolist())
        counts[f"{KIND}{why.kind}"] += 1
        counts[f"{BY}{why.measured_by}"] += 1
        counts[HOW + json.dumps(vars(why.how), sort_keys=True)] += 1
        for name in ("events", "used", "after"):
            counts[f"usage/{name}"] += getattr(why.usage, name)
        counts["outside_items"] += why.outside
        counts["folded_items"] += int(why.past.hidden.sum())
        counts["against_lines"] += int((why.weights < 0).sum()) if why.kind == "contribution" else 0
        counts["measured_products"] += int(self.measured.sum())
        counts["products"] += self.size

    def marks(self) -> dict[str, bool]:
        """Whether something is so of the user."""
        why, weighted, faith = self.why, self.weighted, self.why.faithfulness
        strongest = self._mean(self.shares.max(axis=1, initial=0.0), weighted)
        tau = np.array(faith.tau if faith else (), dtype=np.float64)
        claimed = why.kind == "contribution"
        return {
            "all": True,
            "no_events": why.usage.events == 0,
            "without_weight": not weighted.any(),
            "short": self.size < self.frame.n,
            "one_item": strongest >= CARRIES,
            "elsewhere": self._mean(self.rest, weighted | (self.rest > 0)) > MOSTLY,
            "folded": bool(why.past.hidden.any()),
            "hidden_weight": self._on(why.past.hidden) > MOSTLY,
            "outside": why.outside > 0,
            "against": claimed and bool((why.weights < 0).any()),
            "not_adding": claimed and bool((~why.sums & ~np.isnan(why.gap)).any()),
            "not_whole": not claimed and why.how.heads != "max" and bool((~why.whole & weighted).any()),
            "disagrees": not claimed and bool((tau < AGREES).any()),
            "unmeasured": not self.measured.any(),
            "sponsored": bool(self.sponsored.any()),
            "sponsored_first": bool(self.sponsored[:1].any()),
            "priced": bool(self.priced.any()),
            "untitled": not all(map(bool, why.picks.title.tolist())),
        }


def _effective(shares: np.ndarray) -> np.ndarray:
    """Over how many equal items each row is spread as evenly: the exponential of its entropy, the row divided by its sum."""
    total = shares.sum(axis=1, keepdims=True)
    part = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    return np.asarray(np.exp(-(part * np.log(np.where(part > 0, part, 1.0))).sum(axis=1)))


def kind_of(counts: Mapping[str, int]) -> str:
    """``attention`` or ``contribution`` where these counts are of pages about another model; empty for our own."""
    return next((name[len(KIND) :] for name, count in sorted(counts.items()) if count and name.startswith(KIND)), "")


def how_read(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """How heads and layers were put together, and for how many people; the most frequent first."""
    found = [(count, name) for name, count in counts.items() if count and name.startswith(HOW)]
    return [
        json.loads(name[len(HOW) :]) | {"people": count}
        for count, name in sorted(found, key=lambda one: (-one[0], one[1]))
    ]
