"""The record of a page about a model that is not ours: what its table said and what was measured, as canonical JSON."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from reportgen.explain.foreign import ForeignExplanation
from reportgen.report.record import MAX_REASONS, canonical, iso

SCHEMA = "reportgen.foreign/1"
#: Fields that an operator may keep back -> the keys that hold them.
_KEYS = {"item_id": ("item_id", "history_item_id"), "title": ("title",), "date": ("date",), "event": ("event_type",)}


def write_foreign(why: ForeignExplanation, key: str, fields: tuple[str, ...]) -> str:
    """Everything that is known of one user's list, with exact numbers; documented in `json_schema("foreign")`.

    Items that must not be shown are summed into one entry without a name, as are those beyond `MAX_REASONS`.

    Parameters
    ----------
    why : ForeignExplanation
    key : str
        Pseudonym of the user.
    fields : tuple of str
        Of `reportgen.config.RECORD_FIELDS`: those that may stand in it.
    """
    usage, how = why.usage, why.how
    faith = why.faithfulness
    return canonical(
        {
            "schema": SCHEMA,
            "user": key,
            "as_of": iso(why.as_of),
            "kind": why.kind,
            "model": {"name": why.model.name, "version": why.model.version},
            "how": vars(how) | {"measured_by": why.measured_by},
            "faithfulness": faith.measures or None if faith else None,
            "usage": {"events": usage.events, "used": usage.used, "after": usage.after, "outside": why.outside},
            "recommendations": [_product(why, k, fields) for k in range(why.scores.size)],
        }
    )


def _product(why: ForeignExplanation, k: int, fields: tuple[str, ...]) -> dict[str, Any]:
    faith = why.faithfulness
    told = {
        "rank": k + 1,
        "item_id": str(why.picks.item_id[k]),
        "title": str(why.picks.title[k]),
        "score": _number(why.scores[k]),
        "base": _number(why.base[k]),
        "weight_sum": float(why.total[k]),
        "adds_up": bool(why.sums[k]) if why.kind == "contribution" and not math.isnan(why.gap[k]) else None,
        "markers": float(why.markers[k]),
        "padding": float(why.padding[k]),
        "kendall_tau": _number(faith.tau[k]) if faith else None,
        "top3_shared": _number(faith.top3[k]) if faith else None,
        "reasons": _reasons(why, k, fields),
    }
    return _withheld(told, fields)


def _reasons(why: ForeignExplanation, k: int, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    hidden, size = why.past.hidden, np.abs(why.weights[k])
    named = np.flatnonzero(~hidden & ((size > 0) | _measured(why, k)))
    named = named[np.argsort(-size[named], kind="stable")]
    told = [_withheld(_reason(why, k, int(j)), fields) for j in named[:MAX_REASONS]]
    for word, group in (("others", named[MAX_REASONS:]), ("folded", np.flatnonzero(hidden))):
        if group.size:
            sums = {"weight": float(why.weights[k, group].sum()), "share": float(why.shares[k, group].sum())}
            told.append({word: int(group.size)} | sums)
    return told


def _measured(why: ForeignExplanation, k: int) -> np.ndarray:
    return np.zeros(why.past.hidden.size, dtype=bool) if why.effects is None else ~np.isnan(why.effects[k])


def _reason(why: ForeignExplanation, k: int, j: int) -> dict[str, Any]:
    past = why.past
    return {
        "history_item_id": str(past.item_id[j]),
        "title": str(past.title[j]),
        "date": iso(int(past.date[j])) if past.n_events[j] else None,
        "event_type": str(past.event_type[j]) if past.n_events[j] else None,
        "events": int(past.n_events[j]),
        "weight": float(why.weights[k, j]),
        "share": float(why.shares[k, j]),
        "effect": None if why.effects is None else _number(why.effects[k, j]),
        "by_feature": {name: float(part[k, j]) for name, part in why.by_feature.items() if part[k, j] != 0},
    }


def _withheld(told: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    gone = _gone(fields)
    return told | {key: None for key in gone if key in told} if gone else told


@lru_cache(maxsize=16)
def _gone(fields: tuple[str, ...]) -> tuple[str, ...]:
    """Keys that an operator keeps back: the same in every line of a run."""
    return tuple(key for name, keys in _KEYS.items() if name not in fields for key in keys)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
