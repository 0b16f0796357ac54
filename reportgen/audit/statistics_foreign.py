"""Figures of a run whose pages are about another model: where its weight lies, and what was measured of it."""

from __future__ import annotations

from typing import Any

from reportgen.audit.fold import Fold
from reportgen.audit.fold_foreign import BY, SHIFTED_TAU, how_read, kind_of
from reportgen.audit.statistics_groups import estimate, people_marked, told

#: Where the weight of a product lies, as shares of all of it, and how it is spread.
LIES = ("elsewhere", "no_event", "hidden", "same_category", "same_brand", "strongest", "effective", "whole", "adds_up")


def summarise_foreign(fold: Fold) -> dict[str, Any] | None:
    """What can be told of another model; None for a run of our own.

    Returns
    -------
    dict or None
        ``kind``; ``how`` heads and layers were read, by people; ``weighted``: products with any weight on the history; ``lies``: where
        the weight lies (see `LIES`); ``outside``: items of histories that no weight names; ``measured``: leave-one-out effects.
    """
    kind = kind_of(fold.counts)
    if not kind:
        return None
    return {
        "kind": kind,
        "how": how_read(fold.counts),
        "weighted": told(fold, "weighted"),
        "lies": {measure: told(fold, measure) for measure in LIES},
        "outside": {"items": fold.counts["outside_items"], "people": people_marked(fold, "outside")},
        "measured": _measured(fold),
    }


def _measured(fold: Fold) -> dict[str, Any]:
    """How the weights stand to the effects that were measured; `products` 0 where none was."""
    by = {name[len(BY) :]: count for name, count in sorted(fold.counts.items()) if name.startswith(BY) and count}
    measures = ("first_agrees", "top3", "effect_strongest", "effect_effective")
    return {
        "by": {name: count for name, count in by.items() if name},
        "products": fold.counts["measured_products"],
        "of": fold.counts["products"],
        "people": fold.users - (fold.marks["unmeasured"].users if "unmeasured" in fold.marks else 0),
        "tau": _tau(fold),
        **{measure: told(fold, measure) for measure in measures},
        "disagrees": people_marked(fold, "disagrees"),
    }


def _tau(fold: Fold) -> dict[str, Any] | None:
    """Kendall's tau, which is counted with 1 added."""
    found = estimate(fold, "", "", SHIFTED_TAU)
    if found is None:
        return None
    plain = found.to_dict()
    return plain | {end: round(plain[end] - 1.0, 6) for end in ("mean", "low", "high") if plain[end] is not None}
