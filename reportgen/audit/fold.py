"""Population statistics as a fold: what a shard counts, and how counts are put together.

Everything is a whole number: a share is counted in millionths, rounded once per user. Sums of whole numbers are the same in any order,
so neither the size of the shards nor the order in which they are merged changes a digit, and a million users take no more room than
a thousand. `reportgen.audit.fold_measures` says what is counted.
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

import numpy as np

from reportgen.audit.fold_foreign import measure_foreign
from reportgen.audit.fold_frame import Frame
from reportgen.audit.fold_measures import Case, measure
from reportgen.errors import OutputError
from reportgen.explain.foreign import ForeignExplanation

SCHEMA = "reportgen.statistics/1"
#: Shares are counted in this part of one.
UNIT = 1_000_000
#: Users kept of a stratum, and of the stratum of all: enough to find a defect of one in a hundred (see `reportgen.audit.sampling`).
KEPT, KEPT_OF_ALL = 12, 299
ALL = "all"
#: Explanations measured in one go; sums of squares of so many stay within 64 bits.
_BLOCK = 256

#: People counted, sum and sum of squares of a measure over them.
Sums = tuple[int, int, int]


@dataclass
class Mark:
    """Users of whom something is so: how many, and the keys of those that come first by ``HMAC(seed, key)``."""

    users: int = 0
    keys: list[str] = field(default_factory=list)


@dataclass
class Fold:
    """What was counted of some users.

    Attributes
    ----------
    frame : Frame
    users : int
    sums : dict of (dimension, group, measure) to Sums
        Dimension and group are "" for everybody.
    counts : Counter
        By name; a bin of a histogram is ``name/bin``.
    items : Counter
        Lists in which each product stands.
    marks : dict of str to Mark
    """

    frame: Frame
    users: int = 0
    sums: dict[tuple[str, str, str], Sums] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    marks: dict[str, Mark] = field(default_factory=dict)

    def add(self, cases: Sequence[Case]) -> None:
        """Count some users; each must be counted once."""
        for start in range(0, len(cases), _BLOCK):
            self._block(cases[start : start + _BLOCK])

    def _block(self, cases: Sequence[Case]) -> None:
        foreign = isinstance(cases[0].why, ForeignExplanation)  # a run has pages of one kind
        found = measure_foreign(cases, self.frame) if foreign else measure(cases, self.frame)
        self.users += len(cases)
        self.counts.update(found.counts)
        self.items.update(found.items)
        self._sum(found.values, [{}] * len(cases), ("",))
        everywhere = {name: values for name, values in found.values.items() if name not in found.only_overall}
        groups = [case.groups(self.frame) for case in cases]
        self._sum(everywhere, groups, sorted(groups[0]))
        for name, places in found.marks.items():
            keys = [cases[place].key for place in places]
            self._mark(name, Mark(len(keys), keys))

    def _sum(self, values: dict[str, np.ndarray], groups: list[dict[str, str]], dimensions: Iterable[str]) -> None:
        """Add numbers up by group. NaN is left out: there is nothing to measure."""
        table = np.stack(list(values.values()))
        there = np.isfinite(table)
        whole = np.rint(np.where(there, table, 0.0)).astype(np.int64)
        columns = np.concatenate([there.astype(np.int64), whole, whole * whole]).T
        for dimension in dimensions:
            names, place = np.unique([group.get(dimension, "") for group in groups], return_inverse=True)
            inside = place[None, :] == np.arange(len(names))[:, None]
            for name, row in zip(names.tolist(), (inside.astype(np.int64) @ columns).tolist(), strict=True):
                parts = (row[k * len(values) : (k + 1) * len(values)] for k in range(3))
                for measured, *sums in zip(values, *parts, strict=True):
                    self._plus((dimension, name, measured), tuple(sums))

    def _plus(self, place: tuple[str, str, str], more: Any) -> None:
        if more[0]:
            n, total, squares = self.sums.get(place, (0, 0, 0))
            self.sums[place] = (n + more[0], total + more[1], squares + more[2])

    def _mark(self, name: str, more: Mark) -> None:
        mark = self.marks.setdefault(name, Mark())
        mark.users += more.users
        mark.keys = first_keys(self.frame.seed, (*mark.keys, *more.keys), KEPT_OF_ALL if name == ALL else KEPT)

    def merge(self, other: Fold) -> None:
        """Add what was counted of other users.

        Raises
        ------
        ValueError
            The other fold was counted in another frame.
        """
        if other.frame != self.frame:
            raise ValueError("statistics of two runs cannot be added up")
        self.users += other.users
        for place, sums in other.sums.items():
            self._plus(place, sums)
        self.counts.update(other.counts)
        self.items.update(other.items)
        for name, mark in other.marks.items():
            self._mark(name, mark)

    def to_dict(self) -> dict[str, Any]:
        """As plain data: whole numbers, and names in the order of their code points."""
        sums: dict[str, dict[str, dict[str, list[int]]]] = {}
        for (dimension, group, measured), triple in sorted(self.sums.items()):
            sums.setdefault(dimension, {}).setdefault(group, {})[measured] = list(triple)
        return {
            "schema": SCHEMA,
            "unit": UNIT,
            "frame": self.frame.to_dict(),
            "users": self.users,
            "sums": sums,
            "counts": {name: count for name, count in sorted(self.counts.items()) if count},
            "items": dict(sorted(self.items.items())),
            "marks": {name: {"users": mark.users, "keys": mark.keys} for name, mark in sorted(self.marks.items())},
        }

    def to_json(self) -> bytes:
        """Canonical JSON, one line: equal counts are equal bytes."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        return text.encode("ascii") + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Fold:
        """Read what `to_json` wrote.

        Raises
        ------
        OutputError
            It is damaged or of another version.
        """
        try:
            return cls.from_dict(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise OutputError(f"statistics cannot be read ({error}); make the run again with --resume") from error

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Fold:
        """Read what `to_dict` made; ValueError, KeyError or TypeError when it is something else."""
        if plain["schema"] != SCHEMA or plain["unit"] != UNIT:
            raise ValueError(f"schema {plain['schema']!r} is not {SCHEMA!r}")
        sums = {
            (dimension, group, measured): (int(triple[0]), int(triple[1]), int(triple[2]))
            for dimension, groups in plain["sums"].items()
            for group, measures in groups.items()
            for measured, triple in measures.items()
        }
        marks = {
            name: Mark(int(mark["users"]), [str(key) for key in mark["keys"]]) for name, mark in plain["marks"].items()
        }
        counts, items = (Counter({str(k): int(v) for k, v in plain[name].items()}) for name in ("counts", "items"))
        return cls(Frame.from_dict(plain["frame"]), int(plain["users"]), sums, counts, items, marks)


def sample_rank(seed: str, key: str) -> bytes:
    """What a user's place in the sample follows from: ``HMAC-SHA256(seed, key)``, the smallest first."""
    return hmac.digest(bytes.fromhex(seed), key.encode("ascii"), "sha256")


def first_keys(seed: str, keys: Iterable[str], count: int) -> list[str]:
    """The first of some users in the order of the sample."""
    return [key for _, key in nsmallest(count, ((sample_rank(seed, key), key) for key in set(keys)))]
