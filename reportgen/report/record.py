"""The record: the numbers that every rendering of a report shows, as JSON-able data."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from reportgen.explain.explanation import Explanation

SCHEMA = "reportgen.record/1"
#: Reasons listed one by one; the rest of a long history is summed, so that a record stays small and its sum exact.
MAX_REASONS = 50


def iso(microseconds: int) -> str:
    """A time in microseconds since 1970 as ISO 8601 in UTC, without a fraction."""
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(microseconds))
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


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
        "counterfactual": None,
        "support": int(why.picks.popularity[k]),
    }


def _reasons(why: Explanation, k: int) -> list[dict[str, Any]]:
    matters = np.flatnonzero(why.contributions[k].any(axis=1))
    named = matters[~why.past.hidden[matters]]
    named = named[np.argsort(-np.abs(why.net[k, named]), kind="stable")]
    hidden, rest = matters[why.past.hidden[matters]], named[MAX_REASONS:]
    out = [_named(why, k, j) for j in named[:MAX_REASONS]]
    return out + [_sum(why, k, group, label) for label, group in (("others", rest), ("folded", hidden)) if group.size]


def _named(why: Explanation, k: int, j: int) -> dict[str, Any]:
    past = why.past
    names = {"history_item_id": str(past.item_id[j]), "title": str(past.title[j]), "date": iso(past.date[j])}
    events = {"event_type": str(past.event_type[j]), "events": int(past.n_events[j]), "support": int(why.support[k, j])}
    return names | events | _numbers(why, k, np.array([j]))


def _sum(why: Explanation, k: int, group: np.ndarray, label: str) -> dict[str, Any]:
    return {"history_item_id": None, "title": None, "date": None, label: int(group.size)} | _numbers(why, k, group)


def _numbers(why: Explanation, k: int, group: np.ndarray) -> dict[str, Any]:
    by_head = why.contributions[k, group].sum(axis=0)
    return {
        "contribution": float(why.net[k, group].sum()),
        "attention_weight": float(why.attention[k, group].sum()),
        "by_head": {name: float(v) for name, v in zip(why.model.heads, by_head, strict=True) if v != 0.0},
    }
