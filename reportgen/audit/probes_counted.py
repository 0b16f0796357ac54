"""Probes of what was counted and measured: statistics of a run, faithfulness, or the record of one person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reportgen.audit.fold_foreign import SHIFTED_TAU, kind_of
from reportgen.audit.fold_frame import HISTORY, LANGUAGE
from reportgen.audit.probes_facts import Facts, at, number, words
from reportgen.audit.probes_run import column
from reportgen.report.foreign_record import SCHEMA as FOREIGN_SCHEMA

_MOST_NAMED = 6
_TOLERANCE = 1e-9


def _mean(facts: Facts, measure: str) -> tuple[int, float] | None:
    """People counted and mean of a measure over everybody; None where nothing was counted."""
    found = at(facts.statistics, "sums", "", "", measure)
    unit = number(facts.statistics, "unit")
    if not isinstance(found, list | tuple) or len(found) != 3 or not found[0] or not unit:
        return None
    return int(found[0]), found[1] / found[0] / unit


def _share(facts: Facts, measure: str) -> str | None:
    found = _mean(facts, measure)
    return f"{100 * found[1]:.1f} % (n = {found[0]})" if found else None


def _counts(facts: Facts, start: str) -> int:
    counts = at(facts.statistics, "counts")
    return sum(n for name, n in counts.items() if str(name).startswith(start)) if isinstance(counts, Mapping) else 0


def _products(record: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    found = at(record, "recommendations")
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _told(facts: Facts, name: str) -> str | None:
    """Of the person's products, how many have something."""
    items = _products(facts.record)
    there = sum(bool(item.get(name)) for item in items)
    return f"{there} / {len(items)}" if there else None


def _reasons(facts: Facts) -> str | None:
    """Reasons were told; a share of none at all is none."""
    if foreign(facts):
        return _borne_out(facts)
    if facts.record is not None:
        return _told(facts, "reasons")
    found = _mean(facts, "reasoned")
    return _share(facts, "reasoned") if found and found[1] > 0 else None


def foreign(facts: Facts) -> str:
    """Kind of the weights, ``attention`` or ``contribution``, where the pages are about another model; empty for our own."""
    if facts.record is not None:
        return (words(facts.record, "kind") or "") if words(facts.record, "schema") == FOREIGN_SCHEMA else ""
    counts = at(facts.statistics, "counts")
    return kind_of(counts) if isinstance(counts, Mapping) else ""


def _borne_out(facts: Facts) -> str | None:
    """Of another model's products, those with something that may be called a reason: a measured effect, or parts that add up.

    Attention alone says where a model looked, and is none.
    """
    if facts.record is not None:
        items = _products(facts.record)
        there = sum(at(item, "adds_up") is True or any(map(_has_effect, item.get("reasons") or ())) for item in items)
        return f"{there} / {len(items)}" if there else None
    measured = _counts(facts, "measured_products")
    if measured:
        return f"{measured} / {_counts(facts, 'products')}"
    found = _mean(facts, "adds_up")
    return _share(facts, "adds_up") if found and found[1] > 0 else None


def _has_effect(reason: object) -> bool:
    return at(reason, "effect") is not None


def _of(facts: Facts, told: str | None) -> str | None:
    """Shares with what they are shares of, where that is no reason of ours."""
    kind = foreign(facts)
    return f"{kind}: {told}" if told and kind else told


def _counterfactuals(facts: Facts) -> str | None:
    """What would have changed the list was asked, also where the answer is that nothing small would."""
    if facts.record is not None:
        return _told(facts, "counterfactual")
    asked = _counts(facts, "counterfactual/") - _counts(facts, "counterfactual/not asked")
    return str(asked) if asked > 0 else None


def _data_used(facts: Facts) -> str | None:
    used = at(facts.record, "usage", "used") if facts.record is not None else _counts(facts, "usage/used")
    return (
        str(used)
        if isinstance(used, int) and not isinstance(used, bool) and (used or facts.record is not None)
        else None
    )


def _sums(facts: Facts) -> str | None:
    """Base and parts of each product add up to its score: in a run, of every report made; `verify` adds up again.

    Attention never does. What another model says of its scores was checked product by product.
    """
    kind = foreign(facts)
    if facts.record is None and kind:
        found = _mean(facts, "adds_up")
        whole = found is not None and found == (number(facts.manifest, "users", "reported"), 1.0)
        return f"{found[0]} / {found[0]}" if found and whole else None
    if facts.record is None:
        reported = number(facts.manifest, "users", "reported")
        return f"{reported:.0f} / {reported:.0f}" if reported and _mean(facts, "reasoned") else None
    items = _products(facts.record)
    holds = all(at(item, "adds_up") is True for item in items) if kind else all(map(_adds_up, items))
    return f"{len(items)} / {len(items)}" if items and holds else None


def _adds_up(item: Mapping[str, Any]) -> bool:
    reasons = item.get("reasons")
    parts = [number(reason, "contribution") for reason in reasons] if isinstance(reasons, list) else []
    return abs(number(item, "base") + math.fsum(parts) - number(item, "score")) <= _TOLERANCE


def _evidence(facts: Facts) -> str | None:
    """Mean share of each kind of evidence over everybody who has a reason, the largest first; the shares sum to 1."""
    measures, everybody = at(facts.statistics, "sums", "", ""), _mean(facts, "strongest")
    kinds = [name for name in measures if name.startswith("kind/")] if isinstance(measures, Mapping) else []
    means = {kind.removeprefix("kind/"): _mean(facts, kind) for kind in kinds}
    if everybody is None:
        return None
    # A kind is counted only where a person has it; the others have none of it.
    shares = {kind: n * mean / everybody[0] for kind, (n, mean) in ((k, m) for k, m in means.items() if m)}
    told = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
    return _of(facts, ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in told[:_MOST_NAMED]) or None)


def _groups(facts: Facts) -> dict[str, int]:
    """Groups by dimension."""
    sums = at(facts.statistics, "sums")
    return {name: len(sums[name]) for name in sorted(sums) if name and sums[name]} if isinstance(sums, Mapping) else {}


def _segments(facts: Facts) -> str | None:
    """People are told apart by at least one column of the operator's own."""
    own = {name: n for name, n in _groups(facts).items() if name not in (LANGUAGE, HISTORY) and n > 1}
    return ", ".join(f"{name} ({n})" for name, n in own.items()) or None


def _stability(facts: Facts) -> str | None:
    found = at(facts.statistics, "stability")
    there = isinstance(found, Mapping) and found and found.get("measured") is not False
    return "audit/stability.json" if there else None


def _ages(facts: Facts) -> str | None:
    measures = at(facts.statistics, "sums", "", "")
    bins = sum(str(name).startswith("age/") for name in measures) if isinstance(measures, Mapping) else 0
    return str(bins) if bins else None


def _sponsored(facts: Facts) -> str | None:
    """Paid placements were counted: some are there, or the column was read and none is."""
    shown = _counts(facts, "sponsored_rank/")
    return str(shown) if shown or (column(facts, "items", "sponsored") and _mean(facts, "sponsored")) else None


def _priced(facts: Facts) -> str | None:
    shown = _counts(facts, "priced_rank/")
    return str(shown) if shown or (column(facts, "items", "price_personalised") and _mean(facts, "priced")) else None


def _fidelity(facts: Facts) -> str | None:
    """The measure beside removing items blindly, on how many users; of another model the rank agreement with measured effects."""
    if foreign(facts):
        found = _mean(facts, SHIFTED_TAU)
        return f"Kendall's tau {found[1] - 1:.3f} (n = {found[0]})" if found else None
    if at(facts.fidelity, "measured") is not True:
        return None
    ours, blind = (
        number(facts.fidelity, "methods", name, "comprehensiveness@3", "mean") for name in ("ours", "random")
    )
    return f"{ours:.3f} / {blind:.3f} (n = {number(facts.fidelity, 'n_users'):.0f})"


def _randomised(facts: Facts) -> str | None:
    found = at(facts.fidelity, "randomised", "rank", "mean")
    return f"{found:.3f}" if at(facts.fidelity, "measured") is True and isinstance(found, int | float) else None


PROBES = {
    "report.reasons": _reasons,
    "report.counterfactuals": _counterfactuals,
    "report.data_used": _data_used,
    "report.sums": _sums,
    "statistics.evidence": _evidence,
    "statistics.segments": _segments,
    "statistics.concentration": lambda facts: _of(facts, _share(facts, "strongest")),
    "statistics.age": _ages,
    "statistics.sponsored": _sponsored,
    "statistics.personalised_prices": _priced,
    "statistics.stability": _stability,
    "fidelity.measured": _fidelity,
    "fidelity.randomised": _randomised,
}
