"""The record: the numbers that every rendering of a report shows, as canonical JSON.

A record is some hundred numbers, and each report writes one. So it is written once, as text, from whole columns; its hash is
taken from that text, and whoever wants data reads the text back.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import orjson

from reportgen.explain.explanation import Counterfactual, Explanation, Past

SCHEMA = "reportgen.record/1"
#: Reasons listed one by one; the rest of a long history is summed, so that a record stays small and its sum exact.
MAX_REASONS = 30

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def iso(microseconds: int) -> str:
    """A time in microseconds since 1970 as ISO 8601 in UTC, without a fraction."""
    return _iso(int(microseconds) // 1_000_000)


@lru_cache(maxsize=65_536)
def _iso(seconds: int) -> str:
    return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat() + "Z"


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, text as it is, numbers in Python's shortest form that reads back the same.

    ``json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))``, so anybody can write it again. NaN and
    infinity are refused.
    """
    return _ENCODER.encode(value)


def record_hash(record: dict[str, Any] | str) -> str:
    """SHA-256 of the canonical JSON of a record (or of that text itself) in UTF-8: 64 hexadecimal digits."""
    text = record if isinstance(record, str) else canonical(record)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def make_record(why: Explanation, key: str) -> dict[str, Any]:
    """The record as data; see `write_record`."""
    record: dict[str, Any] = json.loads(write_record(why, key))
    return record


def write_record(why: Explanation, key: str) -> str:
    """Everything that was computed for one user, with exact float64 numbers, as canonical JSON.

    Items that must not be shown are summed into one reason without a name (``"folded": count``), as are those beyond
    `MAX_REASONS` (``"others": count``); so ``base + sum(contribution) == score`` holds within 1e-9 in the record itself.

    Parameters
    ----------
    why : Explanation
    key : str
        Pseudonym of the user.

    Returns
    -------
    str
        What `canonical` would write for the same data; documented in `reportgen.report.document.json_schema`.
    """
    items, numbers = _Items(why).forms()
    usage = {name: getattr(why.usage, name) for name in ("events", "used", "capped", "excluded", "after")}
    form = (
        f'{{"as_of":"{iso(why.as_of)}","heads":{_safe(list(why.model.heads))},"model":{_safe(why.model.model_id)},'
        f'"recommendations":[{",".join(items)}],"schema":"{SCHEMA}","usage":{canonical(usage)},"user":{_safe(key)}}}'
    )
    return form % tuple(texts_of(numbers))


def texts_of(numbers: list[float]) -> list[str]:
    """Finite numbers as ``repr`` writes them: the shortest digits that read back the same.

    Writing digits is half the work of a record, and orjson does it in an eighth of the time. It finds the same digits (the
    shortest that read back are one and the same) but puts very small and very large numbers in another form, so those are
    written by ``repr``: below 1e-4 (``0.00001`` there, ``1e-05`` here) and from 1e16 (``e+16``).
    """
    text = orjson.dumps(numbers).decode("ascii")[1:-1]
    texts = text.split(",") if text else []
    size = np.abs(np.array(numbers))
    for place in np.flatnonzero((size >= 1e16) | ((size < 1e-4) & (size > 0))).tolist():
        texts[place] = repr(numbers[place])
    return texts


def _safe(value: Any) -> str:
    """Canonical JSON as a part of a form that is filled in with ``%``."""
    return canonical(value).replace("%", "%%")


@lru_cache(maxsize=4096)
def _by_head(heads: tuple[str, ...], present: bytes) -> str:
    """The form of what an item adds by kind of evidence; `present` has a byte for each head, 0 where it adds nothing."""
    return ",".join([f"{_safe(head)}:%s" for head, there in zip(heads, present, strict=True) if there])


@lru_cache(maxsize=65_536)
def _quoted(text: str) -> str:
    """An id or a title, which come again and again from one catalogue."""
    return _safe(text)


class _Items:
    """The recommended items of one user, as forms and the numbers that fill them."""

    def __init__(self, why: Explanation) -> None:
        self.why = why
        self.sorted = sorted(range(len(why.model.heads)), key=why.model.heads.__getitem__)
        self.heads = tuple([why.model.heads[h] for h in self.sorted])
        matters = why.contributions.any(axis=2)
        self.folded = matters & why.past.hidden
        self.any_folded = bool(self.folded.any())
        named = matters & ~why.past.hidden
        self.count = named.sum(axis=1).tolist()
        #: History items of each product by strength; `count` of them have a name and a contribution.
        self.order = np.argsort(np.where(named, -np.abs(why.net), np.inf), axis=1, kind="stable")

    def forms(self) -> tuple[list[str], list[float]]:
        """One form per item, and the numbers of all of them in order."""
        why, picks = self.why, self.why.picks
        by_head = _by_head(self.heads, b"\1" * len(self.heads))
        heads = why.contributions.sum(axis=1)[:, self.sorted].tolist()
        forms, numbers = [], []
        for k, (reasons, inside) in enumerate(self._reasons()):
            forms.append(
                f'{{"base":%s,"counterfactual":{self._changed(k)},"heads":{{{by_head}}},'
                f'"item_id":{_quoted(picks.item_id[k])},"rank":{k + 1},"reasons":[{",".join(reasons + self._sums(k))}],'
                f'"score":%s,"support":{_taken(int(picks.popularity[k]), why.model.min_support)},'
                f'"title":{_quoted(picks.title[k])}}}'
            )
            numbers += [float(why.base[k]), *heads[k], *inside, float(why.scores[k])]
        return forms, numbers

    def _reasons(self) -> list[tuple[list[str], list[float]]]:
        """Of each product the forms of its named reasons, and their numbers: taken out of NumPy once, not one by one."""
        why = self.why
        counts = [min(count, MAX_REASONS) for count in self.count]
        taken = np.arange(self.order.shape[1]) < np.array(counts, dtype=np.int64)[:, None]
        k, j = np.nonzero(taken)[0], self.order[taken]
        weight, by_head, net = why.attention[k, j].sum(axis=1), why.contributions[k, j][:, self.sorted], why.net[k, j]
        values = np.concatenate([weight[:, None], by_head, net[:, None]], axis=1)
        there = np.concatenate(
            [np.ones((len(k), 1), dtype=bool), by_head != 0, np.ones((len(k), 1), dtype=bool)], axis=1
        )
        numbers: list[float] = values[there].tolist()
        forms = self._named(j.tolist(), there[:, 1:-1], why.support[k, j].tolist())
        ends = [0, *accumulate(counts)]
        at = [0, *np.cumsum(there.sum(axis=1)).tolist()]
        return [(forms[a:b], numbers[at[a] : at[b]]) for a, b in pairwise(ends)]

    def _named(self, items: list[int], there: np.ndarray, support: list[int]) -> list[str]:
        about = self._about()
        present: list[bytes] = np.ascontiguousarray(there).view(f"V{there.shape[1]}").ravel().tolist()
        start = {
            heads: f'{{"attention_weight":%s,"by_head":{{{_by_head(self.heads, heads)}}},' for heads in set(present)
        }
        return [
            f"{start[heads]}{about[j][0]}{count}{about[j][1]}"
            for j, heads, count in zip(items, present, support, strict=True)
        ]

    def _about(self) -> list[tuple[str, str]]:
        """Of each history item what stands before and after its support: the same for all products that it speaks for."""
        past = self.why.past
        columns = (past.date, past.event_type, past.n_events, past.item_id, past.title)
        return [
            (
                f'"contribution":%s,"date":"{iso(date)}","event_type":{_quoted(kind)},"events":{n},"history_item_id":{_quoted(item)},"support":',
                f',"title":{_quoted(title)}}}',
            )
            for date, kind, n, item, title in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def _changed(self, k: int) -> str:
        found = self.why.counterfactuals[k] if self.why.counterfactuals else None
        return "null" if found is None else _safe(_counterfactual(self.why.past, found))

    def _sums(self, k: int) -> list[str]:
        """The reasons without a name, as finished text."""
        if self.count[k] <= MAX_REASONS and not self.any_folded:
            return []
        others = self.order[k, MAX_REASONS : self.count[k]]
        rest = (("others", others), ("folded", np.flatnonzero(self.folded[k])))
        return [_safe(_sum(self.why, k, group, label)) for label, group in rest if group.size]


def _taken(takers: int, floor: int) -> str:
    """How many took a product; no number where these are so few that it would tell of single people."""
    return "null" if 0 < takers < floor else str(takers)


def _counterfactual(past: Past, found: Counterfactual) -> dict[str, Any]:
    """The removed items, strongest first. No items, and ``none_up_to``: no set of so many was found, or there is none."""
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
