"""From what was counted to figures that can be told: `summarise`. Definitions, formulas and sources stand in ``docs/audit.md``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from reportgen.audit.fold import Fold
from reportgen.audit.fold_foreign import kind_of
from reportgen.audit.fold_frame import AGE_EDGES
from reportgen.audit.statistics_foreign import summarise_foreign
from reportgen.audit.statistics_groups import by_group, dimensions, estimate, kinds_of, people_marked, told
from reportgen.audit.statistics_intervals import Estimate, change_of, mean_of

#: Marks that are told as shares of all people.
SHARES = (
    "without_history",
    "popular",
    "folded",
    "mostly_folded",
    "excluded",
    "capped",
    "against",
    "sponsored",
    "priced",
)
#: Outcomes of the question without what a product would leave the list.
OUTCOMES = ("proven", "best found", "none, proven", "none, best found", "not asked")


def summarise(fold: Fold) -> dict[str, Any]:
    """All figures of a run as plain data; those of small groups are left out."""
    return {
        "people": fold.users,
        "uncounted": fold.counts["uncounted"],
        "evidence": _evidence(fold),
        "concentration": concentration(fold.items.values(), fold.frame.candidates) | _carried(fold),
        "age": _age(fold),
        "events": _events(fold),
        "sponsored": _ranked(fold, "sponsored"),
        "prices": _ranked(fold, "priced") | {"currency": fold.frame.currency, "mean": told(fold, "price")},
        "lists": {"asked": fold.frame.n, "lengths": _bins(fold, "length"), "reasoned": told(fold, "reasoned")},
        "support": {"powers_of_two": _bins(fold, "support")},
        "counterfactuals": _counterfactuals(fold),
        "privacy": _privacy(fold),
        "negative": {"share": told(fold, "against"), "people": people_marked(fold, "against"), "lines": fold.counts["against_lines"]},
        "popularity": {"share": told(fold, "popularity"), "people": people_marked(fold, "popular")},
        "history": {"without": people_marked(fold, "without_history")},
        "fairness": [by_group(fold, dimension, groups) for dimension, groups in dimensions(fold).items()],
        "foreign": summarise_foreign(fold),
    }  # fmt: skip


def _bins(fold: Fold, name: str) -> dict[str, int]:
    """A histogram: bin -> count, in the order of the bins."""
    found = {key.removeprefix(f"{name}/"): n for key, n in fold.counts.items() if key.startswith(f"{name}/") and n}
    return dict(sorted(found.items(), key=lambda pair: (len(pair[0]), pair[0])))


def _evidence(fold: Fold) -> list[dict[str, Any]]:
    """What drives the lists: the share of each kind of evidence, and for how many products it counts most."""
    led = sum(_bins(fold, "first_kind").values())
    return [
        {
            "kind": kind,
            "share": told(fold, f"kind/{kind}"),
            "people": fold.sums["", "", f"kind/{kind}"][0],
            "leads": round(fold.counts[f"first_kind/{kind}"] / led, 6) if led else None,
        }
        for kind in kinds_of(fold)
    ]


def concentration(lists: Iterable[int], candidates: int) -> dict[str, Any]:
    """How evenly the lists are spread over the products that could be recommended.

    Parameters
    ----------
    lists : iterable of int
        Of each product that was recommended, the lists it stands in.
    candidates : int
        Products that could be recommended; those that were not have none.

    Returns
    -------
    dict
        ``products, candidates, coverage, top`` (share of all places that the most frequent product has), ``entropy`` (Shannon's, divided
        by the logarithm of `candidates`) and ``gini`` (0 all alike, towards 1 all on one); None where nothing can be said.
    """
    rising = sorted(count for count in lists if count)
    total, most = sum(rising), max(candidates, len(rising))
    found: dict[str, Any] = {"products": len(rising), "candidates": most, "places": total}
    if not total:
        return found | dict.fromkeys(("coverage", "top", "entropy", "gini"))
    chaos = -math.fsum(count / total * math.log(count / total) for count in rising)
    empty = most - len(rising)
    area = sum((2 * place - most - 1) * count for place, count in enumerate(rising, start=empty + 1))
    return found | {
        "coverage": round(len(rising) / most, 6),
        "top": round(rising[-1] / total, 6),
        "entropy": round(chaos / math.log(most), 6) if most > 1 else None,
        "gini": round(area / (most * total), 6),
    }


def _carried(fold: Fold) -> dict[str, Any]:
    """Concentration within a list: what its strongest reason carries."""
    tenths = [fold.counts[f"strongest/{k}"] for k in range(10)]
    return {
        "tail": told(fold, "tail"),
        "tail_below": fold.frame.tail_below,
        "strongest": told(fold, "strongest"),
        "effective": told(fold, "effective"),
        "tenths": tenths,
    }


def _age(fold: Fold) -> list[dict[str, Any]]:
    ends = [*AGE_EDGES, None]
    begins = [0, *AGE_EDGES]
    return [
        {"from": first, "to": last, "share": told(fold, f"age/{k}")}
        for k, (first, last) in enumerate(zip(begins, ends, strict=True))
    ]


def _events(fold: Fold) -> list[dict[str, Any]]:
    names = {m.removeprefix("event/"): s[1] for (d, _, m), s in fold.sums.items() if not d and m.startswith("event/")}
    return [
        {"event": name, "share": told(fold, f"event/{name}")} for name in sorted(names, key=lambda n: (-names[n], n))
    ]


def _ranked(fold: Fold, mark: str) -> dict[str, Any]:
    """Products of a kind in the lists: their share, their mean rank beside that of all, and how many stand at each rank."""
    everything, marked = _bins(fold, "rank"), _bins(fold, f"{mark}_rank")
    return {
        "share": told(fold, mark),
        "people": people_marked(fold, mark),
        "places": sum(marked.values()),
        "mean_rank": _mean_rank(marked),
        "mean_rank_of_all": _mean_rank(everything),
        "ranks": [
            {"rank": int(rank), "places": places, "of_them": marked.get(rank, 0)} for rank, places in everything.items()
        ],
    }


def _mean_rank(places: dict[str, int]) -> float | None:
    total = sum(places.values())
    return round(sum(int(rank) * count for rank, count in places.items()) / total, 6) if total else None


def _counterfactuals(fold: Fold) -> dict[str, Any]:
    counts = {name: fold.counts[f"counterfactual/{name}"] for name in OUTCOMES}
    return {
        "outcomes": counts,
        "unconfirmed": fold.counts["unconfirmed"],
        "sizes": _bins(fold, "set_size"),
        "contestable": told(fold, "contestable"),
    }


def _privacy(fold: Fold) -> dict[str, Any]:
    usage = {name: fold.counts[f"usage/{name}"] for name in ("events", "used", "excluded", "capped", "after")}
    return {
        "usage": usage,
        "folded_items": fold.counts["folded_items"],
        "folded": people_marked(fold, "folded"),
        "mostly_folded": people_marked(fold, "mostly_folded"),
        "excluded": people_marked(fold, "excluded"),
        "capped": people_marked(fold, "capped"),
    }


#: Measures that are held against those of the last run.
COMPARED = ("popularity", "strongest", "tail", "contestable", "sponsored", "priced", "reasoned", "against")
#: The same of two runs about another model, and what two runs of different kinds have in common.
COMPARED_FOREIGN = (
    "weighted",
    "elsewhere",
    "strongest",
    "against",
    "first_agrees",
    "top3",
    "tail",
    "sponsored",
    "priced",
)
COMMON = ("tail", "sponsored", "priced")


def changes(now: Fold, before: Fold) -> list[dict[str, Any]]:
    """What changed since another run: kinds of evidence by weight, then the other measures.

    A share of attention is never held against a share of reasons, nor attention against contributions.
    """
    kinds = [*kinds_of(now), *(kind for kind in kinds_of(before) if kind not in kinds_of(now))]
    compared: tuple[str, ...] = COMPARED_FOREIGN if kind_of(now.counts) else COMPARED
    if kind_of(now.counts) != kind_of(before.counts):
        kinds, compared = [], COMMON
    found = []
    for measure in (*(f"kind/{kind}" for kind in kinds), *compared):
        new, old = estimate(now, "", "", measure), estimate(before, "", "", measure)
        if new is not None and old is not None:
            both = {"now": new.to_dict(), "before": old.to_dict(), "change": change_of(new, old).to_dict()}
            found.append({"measure": measure} | both)
    return found


__all__ = ["Estimate", "changes", "concentration", "mean_of", "summarise"]
