"""What is counted of a user: measures in 0..1 (or a named unit), events of a kind, and marks, for many users at once.

A measure is one number per user, so that its spread over users is known and an interval can be told. NaN means that there is nothing
to measure, such as the share of a kind of evidence in a list that no history speaks for. Definitions stand in ``docs/audit.md``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reportgen.audit.fold_frame import AGE_EDGES, Frame
from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.explain.foreign import ForeignExplanation
from reportgen.explain.privacy import FOLDED
from reportgen.report.stack import Stack

DAY = 86_400_000_000
#: Beyond it a number in a column of prices is a mistake; it also keeps sums of squares of cents within 64 bits.
_MOST_PRICE = 1e6
#: From this share on, one item of the history carries a list, or items that are not shown do.
CARRIES, MOSTLY = 0.9, 0.5
#: Parts of one whole, of which most users have only some: a part that a user does not have is not counted, so that it does not matter
#: whether others who are measured at the same time have it. Whoever has a reason at all is counted by ``strongest``.
PARTS = ("kind/", "age/", "event/")
#: Sizes of counterfactual sets counted apart; larger ones are counted with the last.
_SIZES = 10


@dataclass(frozen=True)
class Case:
    """One user whose report was made.

    Attributes
    ----------
    why : Explanation or ForeignExplanation
        The latter where the page is about another model: see `reportgen.audit.fold_foreign`.
    key : str
        Pseudonym.
    locale : str
        Language of the report.
    row : dict
        Segment columns of the user.
    """

    why: Explanation | ForeignExplanation
    key: str
    locale: str
    row: dict[str, object] = field(default_factory=dict)

    def groups(self, frame: Frame) -> dict[str, str]:
        """The user's group in every dimension."""
        return frame.groups(self.row, self.locale, self.why.usage.used)


@dataclass
class Measured:
    """What was found of U users.

    Attributes
    ----------
    values : dict of str to ndarray of float64, shape (U,)
        Millionths (`price` in cents, `effective` and `length` as numbers in millionths too); NaN where there is nothing to measure.
    only_overall : set of str
        Measures that are not told by group.
    counts, items : Counter
    marks : dict of str to list of int
        Places of the users of whom something is so.
    """

    values: dict[str, np.ndarray] = field(default_factory=dict)
    only_overall: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    marks: dict[str, list[int]] = field(default_factory=dict)


def measure(cases: Sequence[Case], frame: Frame) -> Measured:
    """Measure some users with reasons of our own; what is found of one does not depend on the others."""
    out, whys = Measured(), [case.why for case in cases if isinstance(case.why, Explanation)]
    places: dict[tuple[str, ...], list[int]] = {}
    for place, why in enumerate(whys):  # those with items that are not shown have one kind of evidence more
        places.setdefault(why.model.heads, []).append(place)
    for mine in places.values():
        part = _Part([whys[place] for place in mine], frame)
        for name, values in part.values().items():
            whole = out.values.setdefault(name, np.full(len(cases), np.nan))
            whole[mine] = values * (1.0 if name == "price" else 1e6)
            if name.startswith(PARTS):
                whole[whole == 0] = np.nan
        part.count(out.counts)
        out.items.update(part.items)
        for name, there in part.marks().items():
            found = [mine[at] for at in np.flatnonzero(there)]
            if found:
                out.marks.setdefault(name, []).extend(found)
    out.only_overall = {name for name in out.values if name.startswith(("age/", "event/"))}
    return out


class _Part:
    """Users with the same kinds of evidence, as one table; N products, R lines (see `Stack`)."""

    def __init__(self, whys: Sequence[Explanation], frame: Frame) -> None:
        self.whys, self.frame = whys, frame
        self.stack = stack = Stack(whys)
        self.size = len(whys)
        self.user = np.repeat(np.arange(self.size), stack.counts)
        self.rank = np.arange(self.user.size) - np.array(stack.products[:-1], dtype=np.int64)[self.user]
        self.heads = stack.by_product(stack.attention)
        self.reasoned = self.heads.sum(axis=1) > 0.5  # shares of a product sum to 1, or to 0
        self.lists = np.bincount(self.user, minlength=self.size)
        self.taken = _joined([why.picks.popularity for why in whys])
        self.items = Counter(item for why in whys for item in why.picks.item_id.tolist())
        details = [detail for why in whys for detail in why.picks.details]
        self.sponsored = np.array([bool(detail.get("sponsored")) for detail in details], dtype=bool)
        self.priced = np.array([bool(detail.get("price_personalised")) for detail in details], dtype=bool)
        self.price = np.array([cents(detail, frame.currency) for detail in details], dtype=np.float64)
        self.found = [found for why in whys for found in _counterfactuals(why)]
        self._by_line()

    def _by_line(self) -> None:
        """Day, kind of event and support of each line, from the histories."""
        stack = self.stack
        begin = np.cumsum([0, *stack.widths])[self.user[stack.where[0]]] + stack.where[1]
        as_of = np.repeat([why.as_of for why in self.whys], stack.widths)
        age = (as_of - _joined([why.past.date for why in self.whys])) // DAY
        self.age = np.searchsorted(AGE_EDGES, age)[begin]
        kinds: dict[str, int] = {}
        told = [str(kind) for why in self.whys for kind in why.past.event_type.tolist()]
        codes = np.array([kinds.setdefault(kind, len(kinds)) for kind in told], dtype=np.int64)
        self.event, self.events = codes[begin], list(kinds)
        self.support = _joined([why.support.ravel() for why in self.whys])
        self.plus = stack.by_product(np.maximum(stack.net, 0.0)[:, None])[:, 0]
        self.minus = stack.by_product(np.maximum(-stack.net, 0.0)[:, None])[:, 0]
        self.base = np.maximum(stack.column("base"), 0.0)

    def _mean(self, values: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Mean of a number of products over those of each user's products that have it; NaN where none has."""
        total = np.bincount(self.user, weights=np.where(there, values, 0.0), minlength=self.size)
        return _ratio(total, np.bincount(self.user, weights=there, minlength=self.size))

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.user, weights=values, minlength=self.size)

    def _binned(self, bins: np.ndarray, count: int) -> np.ndarray:
        """Share of the weight of each product by bin of its lines: shape (N, count)."""
        place = self.stack.where[0] * count + bins
        return np.bincount(place, self.stack.weight, self.user.size * count).reshape(self.user.size, count)

    def values(self) -> dict[str, np.ndarray]:
        """Every measure, one number per user."""
        everything, weight = np.ones(self.user.size, dtype=bool), self.stack.weight
        table = self.stack.table(weight)
        chaos = -self.stack.by_product((weight * np.log(np.where(weight > 0, weight, 1.0)))[:, None])[:, 0]
        plus, minus, base = self._sum(self.plus), self._sum(self.minus), self._sum(self.base)
        shares = {
            "reasoned": self.reasoned,
            "tail": self.taken < self.frame.tail_below,
            "sponsored": self.sponsored,
            "priced": self.priced,
            "contestable": np.array([found is not None and bool(found.items) for found in self.found], dtype=bool),
        }
        out = {name: self._mean(there.astype(np.float64), everything) for name, there in shares.items()}
        out |= {
            "popularity": _ratio(base, base + plus),
            "against": _ratio(minus, plus + minus),
            "strongest": self._mean(table.max(axis=1, initial=0.0), self.reasoned),
            "effective": self._mean(np.exp(chaos), self.reasoned),
            "length": self.lists.astype(np.float64),
            "price": self._mean(np.nan_to_num(self.price), np.isfinite(self.price)),
        }
        out |= {f"kind/{head}": self._mean(self.heads[:, h], self.reasoned) for h, head in enumerate(self.stack.heads)}
        ages = self._binned(self.age, len(AGE_EDGES) + 1)
        out |= {f"age/{k}": self._mean(ages[:, k], self.reasoned) for k in range(ages.shape[1])}
        kinds = self._binned(self.event, len(self.events))
        return out | {f"event/{name}": self._mean(kinds[:, k], self.reasoned) for k, name in enumerate(self.events)}

    def count(self, counts: Counter[str]) -> None:
        """Count products, events and outcomes."""
        for name, there in (("", None), ("sponsored_", self.sponsored), ("priced_", self.priced)):
            ranks = self.rank if there is None else self.rank[there]
            counts.update({f"{name}rank/{rank + 1}": n for rank, n in enumerate(np.bincount(ranks).tolist())})
        counts.update({f"length/{k}": n for k, n in enumerate(np.bincount(self.lists).tolist())})
        first = self.heads[self.reasoned].argmax(axis=1) if self.reasoned.any() else np.zeros(0, dtype=np.int64)
        counts.update({f"first_kind/{self.stack.heads[h]}": n for h, n in enumerate(np.bincount(first).tolist())})
        shared = self.support[(self.stack.weight > 0) & (self.support > 0)]
        counts.update({f"support/{k}": n for k, n in enumerate(np.bincount(np.log2(shared).astype(int)).tolist())})
        strongest = self.stack.table(self.stack.weight).max(axis=1, initial=0.0)[self.reasoned]
        tenths = np.minimum((strongest * 10).astype(np.int64), 9)
        counts.update({f"strongest/{k}": n for k, n in enumerate(np.bincount(tenths).tolist())})
        counts.update(_outcome(found) for found in self.found)
        counts.update(f"set_size/{min(len(found.items), _SIZES)}" for found in self.found if found and found.items)
        for field_ in ("events", "used", "capped", "excluded", "after"):
            counts[f"usage/{field_}"] += sum(getattr(why.usage, field_) for why in self.whys)
        counts["unconfirmed"] += sum(why.unconfirmed for why in self.whys)
        counts["folded_items"] += sum(int(why.past.hidden.sum()) for why in self.whys)
        counts["against_lines"] += int((self.stack.net < 0).sum())

    def marks(self) -> dict[str, np.ndarray]:
        """Of whom something is so: bool, one per user."""
        used, most = np.array([why.usage.used for why in self.whys]), self._mean(self._strongest(), self.reasoned)
        folded = self._folded()
        none = self._sum(self.reasoned) == 0
        first = self.rank == 0
        return {
            "all": np.ones(self.size, dtype=bool),
            "without_history": used == 0,
            "without_reason": none & (used > 0) & (self.lists > 0),
            "empty": self.lists == 0,
            "short": (self.lists < self.frame.n) & (self.lists > 0),
            "carried": np.nan_to_num(most) >= CARRIES,
            "popular": np.nan_to_num(_ratio(self._sum(self.base), self._sum(self.base + self.plus))) > MOSTLY,
            "folded": np.array([why.past.hidden.any() for why in self.whys], dtype=bool),
            "mostly_folded": np.nan_to_num(folded) > MOSTLY,
            "excluded": np.array([why.usage.excluded > 0 for why in self.whys], dtype=bool),
            "capped": np.array([why.usage.capped > 0 for why in self.whys], dtype=bool),
            "against": self._sum(self.minus) > 0,
            "negative": self._sum(self.stack.column("scores") < 0) > 0,
            "unconfirmed": np.array([why.unconfirmed > 0 for why in self.whys], dtype=bool),
            "sponsored": self._sum(self.sponsored) > 0,
            "sponsored_first": self._sum(self.sponsored & first) > 0,
            "priced": self._sum(self.priced) > 0,
            "untitled": np.array([not all(map(bool, why.picks.title.tolist())) for why in self.whys], dtype=bool),
        }

    def _strongest(self) -> np.ndarray:
        return np.asarray(self.stack.table(self.stack.weight).max(axis=1, initial=0.0))

    def _folded(self) -> np.ndarray:
        if FOLDED not in self.stack.heads:
            return np.zeros(self.size)
        return self._mean(self.heads[:, self.stack.heads.index(FOLDED)], self.reasoned)


def cents(detail: Mapping[str, object], currency: str) -> float:
    """The price of a product in hundredths of the currency in which prices are compared; NaN where it has none."""
    price = detail.get("price")
    fits = str(detail.get("currency") or "") == currency
    return price * 100.0 if fits and isinstance(price, float | int) and 0 <= price <= _MOST_PRICE else math.nan


def _counterfactuals(why: Explanation) -> Sequence[Counterfactual | None]:
    return why.counterfactuals or (None,) * len(why.scores)


def _outcome(found: Counterfactual | None) -> str:
    """What became of the question without what a product would leave the list."""
    if found is None:
        return "counterfactual/not asked"
    return f"counterfactual/{found.minimal if found.items else f'none, {found.minimal}'}"


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(array, dtype=np.int64) for array in arrays])


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))
