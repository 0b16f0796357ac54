"""The record: the numbers that every rendering of a report shows, as JSON-able data."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from reportgen.explain.explanation import Explanation

SCHEMA = "reportgen.record/1"
#: Reasons listed one by one; the rest of a long history is summed, so that a record stays small and its sum exact.
MAX_REASONS = 30


def iso(microseconds: int) -> str:
    """A time in microseconds since 1970 as ISO 8601 in UTC, without a fraction."""
    return _iso(int(microseconds) // 1_000_000)


@lru_cache(maxsize=65_536)
def _iso(seconds: int) -> str:
    return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat() + "Z"


def make_record(why: Explanation, key: str) -> dict[str, Any]:
    """Everything that was computed for one user, with exact float64 numbers.

    Items that must not be shown are summed into one reason without a name (``"folded": count``), as are those beyond
    `MAX_REASONS` (``"others": count``); so ``base + sum(contribution) == score`` holds within 1e-9 in the record itself.
    """
    return {
        "schema": SCHEMA,
        "user": key,
        "as_of": iso(why.as_of),
        "model": why.model.model_id,
        "heads": list(why.model.heads),
        "usage": {name: getattr(why.usage, name) for name in ("events", "used", "capped", "excluded", "after")},
        "recommendations": [_item(why, k) for k in range(len(why.scores))],
    }


def record_hash(record: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a record: 64 hexadecimal digits."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _item(why: Explanation, k: int) -> dict[str, Any]:
    heads = why.contributions[k].sum(axis=0)
    return {
        "rank": k + 1,
        "item_id": str(why.picks.item_id[k]),
        "title": str(why.picks.title[k]),
        "score": float(why.scores[k]),
        "base": float(why.base[k]),
        "heads": {name: float(value) for name, value in zip(why.model.heads, heads, strict=True)},
        "reasons": _reasons(why, k),
        "counterfactual": _counterfactual(why, k),
        "support": int(why.picks.popularity[k]),
    }


def _counterfactual(why: Explanation, k: int) -> dict[str, Any] | None:
    """The removed items, strongest first. No items, and ``none_up_to``: no set of so many was found, or there is none."""
    found = why.counterfactuals[k] if why.counterfactuals else None
    if found is None:
        return None
    past = why.past
    events = [
        {"history_item_id": str(past.item_id[j]), "title": str(past.title[j]), "date": iso(past.date[j])}
        for j in found.items
    ]
    told = {
        "events": events,
        "minimal": found.minimal,
        "rank_before": found.rank_before,
        "rank_after": found.rank_after,
    }
    return told if events else told | {"none_up_to": found.none_up_to}


def _reasons(why: Explanation, k: int) -> list[dict[str, Any]]:
    net, hidden = why.net[k], why.past.hidden
    matters = why.contributions[k].any(axis=1)
    named = np.flatnonzero(matters & ~hidden)
    named = named[np.argsort(-np.abs(net[named]), kind="stable")]
    rest = (("others", named[MAX_REASONS:]), ("folded", np.flatnonzero(matters & hidden)))
    return _named(why, k, named[:MAX_REASONS]) + [_sum(why, k, group, label) for label, group in rest if group.size]


def _named(why: Explanation, k: int, group: np.ndarray) -> list[dict[str, Any]]:
    """One entry per item; columns are taken out of NumPy once, not number by number."""
    past, names = why.past, why.model.heads
    columns = zip(
        past.item_id[group].tolist(),
        past.title[group].tolist(),
        past.date[group].tolist(),
        past.event_type[group].tolist(),
        past.n_events[group].tolist(),
        why.support[k, group].tolist(),
        why.net[k, group].tolist(),
        why.attention[k, group].sum(axis=1).tolist(),
        why.contributions[k, group].tolist(),
        strict=True,
    )
    return [
        {
            "history_item_id": item,
            "title": title,
            "date": iso(date),
            "event_type": kind,
            "events": events,
            "support": support,
            "contribution": net,
            "attention_weight": weight,
            "by_head": {name: value for name, value in zip(names, by_head, strict=True) if value != 0.0},
        }
        for item, title, date, kind, events, support, net, weight, by_head in columns
    ]


def _sum(why: Explanation, k: int, group: np.ndarray, label: str) -> dict[str, Any]:
    by_head = why.contributions[k, group].sum(axis=0)
    return {
        "history_item_id": None,
        "title": None,
        "date": None,
        label: int(group.size),
        "contribution": float(why.net[k, group].sum()),
        "attention_weight": float(why.attention[k, group].sum()),
        "by_head": {name: float(v) for name, v in zip(why.model.heads, by_head, strict=True) if v != 0.0},
    }
