"""The record: the numbers that every rendering of a report shows, as canonical JSON.

A record is some hundred numbers, and each report writes one. So it is written once, as text, from whole columns; its hash is
taken from that text, and whoever wants data reads the text back.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from reportgen.explain.explanation import Counterfactual, Explanation, Past
from reportgen.report.stack import Stack

SCHEMA = "reportgen.record/1"
#: Reasons listed one by one; the rest of a long history is summed, so that a record stays small and its sum exact.
MAX_REASONS = 30

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def iso(microseconds: int) -> str:
    """A time in microseconds since 1970 as ISO 8601 in UTC, without a fraction."""
    return _iso(int(microseconds) // 1_000_000)


def microseconds(iso: str) -> int:
    """The time that `iso` wrote, in microseconds since 1970; a fraction of a second is left out.

    Raises
    ------
    ValueError
        It is no ISO 8601 time.
    """
    return int(datetime.fromisoformat(iso).timestamp()) * 1_000_000


@lru_cache(maxsize=8192)
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
    return Records(Stack([why])).write(0, key)


def texts_of(numbers: Sequence[float] | np.ndarray) -> list[str]:
    """Finite numbers as ``repr`` writes them: the shortest digits that read back the same.

    Writing digits is half the work of a record, and orjson does it in an eighth of the time. It finds the same digits (the
    shortest that read back are one and the same) but puts very small and very large numbers in another form, so those are
    written by ``repr``: below 1e-4 (``0.00001`` there, ``1e-05`` here) and from 1e16 (``e+16``).
    """
    values = np.asarray(numbers, dtype=np.float64)
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode("ascii")[1:-1]
    texts = text.split(",") if text else []
    size = np.abs(values)
    for place in ((size >= 1e16) | ((size < 1e-4) & (size > 0))).nonzero()[0].tolist():
        texts[place] = repr(float(values[place]))
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


@lru_cache(maxsize=64)
def _named(heads: tuple[str, ...]) -> str:
    return _safe(list(heads))


class Records:
    """The records of a stack, each written when it is asked for: all numbers are at hand, in the order of the text."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.sorted = sorted(range(len(stack.heads)), key=stack.heads.__getitem__)
        self.heads = tuple([stack.heads[h] for h in self.sorted])
        self.all_heads = _by_head(self.heads, b"\1" * len(self.heads))
        matters = (stack.contributions != 0).any(axis=1)
        self.folded, named = matters & stack.hidden, matters & ~stack.hidden
        self.any_folded = bool(self.folded.any())
        self.count = stack.table(named).sum(axis=1)
        #: History items of each product by strength; `count` of them have a name and a contribution.
        strength = stack.table(np.where(named, -np.abs(stack.net), np.inf), np.inf)
        self.order = np.argsort(strength, axis=1, kind="stable")
        listed = np.minimum(self.count, MAX_REASONS)
        items = self.order[np.arange(self.order.shape[1]) < listed[:, None]]
        lines = np.repeat(stack.start, listed) + items
        #: Where the reasons of each product begin, and one end more.
        self.reason_at = [0, *np.cumsum(listed).tolist()]
        self.items: list[int] = items.tolist()
        self.support: list[int] = np.concatenate([why.support.ravel() for why in stack.whys])[lines].tolist()
        self._read_numbers(lines)

    def _read_numbers(self, lines: np.ndarray) -> None:
        """All numbers in one row: of each product the base, the sums by head, those of its reasons, and the score."""
        stack, width = self.stack, len(self.heads)
        by_head = stack.contributions[lines][:, self.sorted]
        values = np.column_stack([stack.weight[lines], by_head, stack.net[lines]])
        there = values != 0
        there[:, [0, -1]] = True
        ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])[self.reason_at]
        size = np.diff(ends)
        before = (width + 2) * np.arange(len(size))  # numbers of the products before that are none of reasons
        begin = ends[:-1] + before
        self.numbers = np.empty(ends[-1] + (width + 2) * len(size))
        self.numbers[begin] = stack.column("base")
        self.numbers[begin[:, None] + 1 + np.arange(width)] = stack.by_product(stack.contributions)[:, self.sorted]
        self.numbers[np.arange(ends[-1]) + np.repeat(before + width + 1, size)] = values[there]
        self.numbers[begin + width + 1 + size] = stack.column("scores")
        self.number_at: list[int] = np.append(begin, len(self.numbers))[stack.products].tolist()
        # One byte for each head: whether the item adds anything by it.
        present = np.ascontiguousarray(there[:, 1:-1])
        names: list[bytes] = present.view(f"V{width}").ravel().tolist() if width else [b""] * len(lines)
        forms = {kind: f'{{"attention_weight":%s,"by_head":{{{_by_head(self.heads, kind)}}},' for kind in set(names)}
        self.forms = [forms[kind] for kind in names]

    def write(self, u: int, key: str) -> str:
        """The record of one user of the stack, with a pseudonym."""
        why, first, last = self.stack.whys[u], *self.stack.products[u : u + 2]
        about, usage = _about(why.past), why.usage
        items = ",".join([self._item(why, k, p, about) for k, p in enumerate(range(first, last))])
        form = (
            f'{{"as_of":"{iso(why.as_of)}","heads":{_named(why.model.heads)},"model":{_quoted(why.model.model_id)},'
            f'"recommendations":[{items}],"schema":"{SCHEMA}","usage":{{"after":{usage.after},"capped":{usage.capped},'
            f'"events":{usage.events},"excluded":{usage.excluded},"used":{usage.used}}},"user":{_safe(key)}}}'
        )
        return form % tuple(texts_of(self.numbers[self.number_at[u] : self.number_at[u + 1]]))

    def _item(self, why: Explanation, k: int, p: int, about: list[tuple[str, str]]) -> str:
        """The form of one recommended item."""
        picks, reasons = why.picks, slice(self.reason_at[p], self.reason_at[p + 1])
        forms = [
            f"{form}{about[j][0]}{count}{about[j][1]}"
            for form, j, count in zip(self.forms[reasons], self.items[reasons], self.support[reasons], strict=True)
        ]
        return (
            f'{{"base":%s,"counterfactual":{_changed(why, k)},"heads":{{{self.all_heads}}},'
            f'"item_id":{_quoted(picks.item_id[k])},"rank":{k + 1},"reasons":[{",".join(forms + self._sums(p))}],'
            f'"score":%s,"support":{_taken(int(picks.popularity[k]), why.model.min_support)},'
            f'"title":{_quoted(picks.title[k])}}}'
        )

    def _sums(self, p: int) -> list[str]:
        """The reasons of a product without a name, as finished text."""
        count = int(self.count[p])
        if count <= MAX_REASONS and not self.any_folded:
            return []
        start = int(self.stack.start[p])
        end = int(self.stack.start[p + 1]) if p + 1 < len(self.count) else self.stack.lines[-1]
        others, folded = self.order[p, MAX_REASONS:count], np.flatnonzero(self.folded[start:end])
        return [
            _sum(self.stack, self.sorted, start + group, label)
            for label, group in (("others", others), ("folded", folded))
            if group.size
        ]


def _about(past: Past) -> list[tuple[str, str]]:
    """Of each history item what stands before and after its support: the same for all products that it speaks for."""
    # Hardly a time comes twice, so all of a history are written at once.
    dates = np.datetime_as_string((past.date // 1_000_000).astype("M8[s]")).tolist()
    columns = (past.event_type, past.n_events, past.item_id, past.title)
    return [
        (
            f'"contribution":%s,"date":"{date}Z","event_type":{_quoted(kind)},"events":{n},"history_item_id":{_quoted(item)},"support":',
            f',"title":{_quoted(title)}}}',
        )
        for date, kind, n, item, title in zip(dates, *[column.tolist() for column in columns], strict=True)
    ]


def _changed(why: Explanation, k: int) -> str:
    found = why.counterfactuals[k] if why.counterfactuals else None
    return "null" if found is None else _counterfactual(why.past, found)


def _taken(takers: int, floor: int) -> str:
    """How many took a product; no number where these are so few that it would tell of single people."""
    return "null" if 0 < takers < floor else str(takers)


def _counterfactual(past: Past, found: Counterfactual) -> str:
    """The removed items, strongest first. No items, and ``none_up_to``: no set of so many was found, or there is none."""
    events = [
        f'{{"date":"{iso(past.date[j])}","history_item_id":{_quoted(past.item_id[j])},"title":{_quoted(past.title[j])}}}'
        for j in found.items
    ]
    none = "" if events else f'"none_up_to":{found.none_up_to},'
    return (
        f'{{"events":[{",".join(events)}],"minimal":{_quoted(found.minimal)},{none}"rank_after":{found.rank_after},'
        f'"rank_before":{found.rank_before}}}'
    )


def _sum(stack: Stack, heads: list[int], lines: np.ndarray, label: str) -> str:
    """Lines without a name, summed; `heads` in the order of their names."""
    by_head = stack.contributions[lines].sum(axis=0).tolist()
    told = ",".join([f"{_quoted(stack.heads[h])}:{_number(by_head[h])}" for h in heads if by_head[h] != 0.0])
    weight, net = float(stack.attention[lines].sum()), float(stack.net[lines].sum())
    folded, others = (f'"{name}":{lines.size},' if name == label else "" for name in ("folded", "others"))
    return (
        f'{{"attention_weight":{_number(weight)},"by_head":{{{told}}},"contribution":{_number(net)},"date":null,{folded}'
        f'"history_item_id":null,{others}"title":null}}'
    )


def _number(value: float) -> str:
    """A number as `canonical` writes it."""
    if not math.isfinite(value):
        raise ValueError(f"a record cannot hold {value}")
    return repr(value)
