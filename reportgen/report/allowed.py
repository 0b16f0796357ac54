"""What a page may tell of an explanation: no name of a hidden item, and only the fields on the operator's list."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from reportgen.config import PAGE_FIELDS, RECORD_FIELDS
from reportgen.explain.explanation import Explanation, Past, Picks

_FACTS = ("brand", "category", "price")
#: Fields of a record -> the keys that hold them, of a product or of a reason.
_KEYS = {
    "item_id": ("item_id", "history_item_id"),
    "title": ("title",),
    "date": ("date",),
    "event": ("event_type", "events"),
    "support": ("support",),
}


def tellable(why: Explanation, fields: tuple[str, ...] = PAGE_FIELDS) -> Explanation:
    """The explanation as its words may use it; the same object where nothing has to be kept back.

    Hidden titles, ids and days leave it here and not only where a sentence would use them, so that a new sentence or an
    error message cannot know them.

    Parameters
    ----------
    why : Explanation
    fields : tuple of str
        Of `PAGE_FIELDS`.
    """
    kept_back = set(PAGE_FIELDS) - set(fields)
    if not kept_back and not why.past.hidden.any():
        return why
    told = copy.copy(why)
    usage = replace(why.usage, first=None, last=None) if "date" in kept_back else why.usage
    parts = {"past": _past(why.past, kept_back), "picks": _picks(why.picks, kept_back), "usage": usage}
    for name, part in parts.items():
        object.__setattr__(told, name, part)
    return told


def _past(past: Past, kept_back: set[str]) -> Past:
    hidden, size = past.hidden, past.hidden.size
    blank = {name: np.where(hidden, "", getattr(past, name)) for name in ("item_id", "title", "event_type")}
    date, n_events = np.where(hidden, 0, past.date), np.where(hidden, 1, past.n_events)
    if "event" in kept_back:
        blank["event_type"], n_events = np.full(size, "", dtype=object), np.ones(size, dtype=np.int64)
    if "date" in kept_back:
        date = np.zeros(size, dtype=np.int64)
    return replace(past, date=date, n_events=n_events, **blank)


def _picks(picks: Picks, kept_back: set[str]) -> Picks:
    gone = {name for name in _FACTS if name in kept_back}
    if not gone:
        return picks
    return replace(picks, details=tuple({k: v for k, v in facts.items() if k not in gone} for facts in picks.details))


def withhold(record: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Set the fields of a record that are not on the list to None, in place. The keys stay, so that its form stays.

    Parameters
    ----------
    record : dict
        As of `reportgen.report.record.make_record`.
    fields : tuple of str
        Of `RECORD_FIELDS`.
    """
    gone = [key for name in RECORD_FIELDS if name not in fields for key in _KEYS[name]]
    for item in record["recommendations"] if gone else ():
        removed = item["counterfactual"]["events"] if item["counterfactual"] else []
        for entry in (item, *item["reasons"], *removed):
            entry.update((key, None) for key in gone if key in entry)
    return record
