"""What all shards of a run count with: the groups of users, the edges of the bins, the seed of the sample.

It is made once, from the whole run, so that every shard puts the same user into the same group. Groups that are too small to be
told apart are put together here, before anything is counted: no file of a run holds a count of a small group.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from reportgen.data.dataset import Dataset
from reportgen.text import clean

#: Groups below this many people are never told apart.
SMALL_CELL = 10
#: Values of one segment that are told apart; the rest is one group.
MOST_GROUPS = 24
#: The group of those whose value is missing, and of those whose value is rare. No value of a table can be the same: values are cleaned,
#: and cleaning takes these marks away.
MISSING, REST = "\u0001missing", "\u0001rest"
#: Ways to group that every run has: language of the report, and how much history was used.
LANGUAGE, HISTORY = "\u0001language", "\u0001history"
#: Events used: none, 1 to 4, 5 to 19, 20 to 99, 100 and more.
HISTORY_EDGES = (1, 5, 20, 100)
#: Days since an event: the upper ends of the bins but for the last.
AGE_EDGES = (1, 7, 30, 90, 180, 365, 730)
#: Most popular products that hold this share of all takings are the head of a catalogue, the others its tail.
HEAD_SHARE = 0.8
_STANDARD = ("name", "email", "locale", "opted_out")
_LENGTH = 60


@dataclass(frozen=True)
class Frame:
    """Settings of the counting; two folds can be merged when theirs are equal.

    Attributes
    ----------
    run_id : str
    seed : str
        Hexadecimal; the sample of a stratum are the users with the smallest ``HMAC-SHA256(seed, key)``. It follows from the run's id,
        so nobody can choose it apart from inputs and settings.
    n : int
        Products per report that were asked for.
    candidates : int
        Products that could be recommended.
    tail_below : int
        Products that fewer people took are the long tail.
    currency : str
        The one in which prices are compared: the most frequent of the catalogue; "" where no price has one.
    segments : dict of str to tuple of str
        Values told apart, per segment column of the table of users.
    """

    run_id: str
    seed: str
    n: int
    candidates: int
    tail_below: int
    currency: str
    segments: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, with the bins that are fixed."""
        plain = asdict(self) | {"segments": {name: list(values) for name, values in self.segments.items()}}
        return plain | {"age_edges": list(AGE_EDGES), "history_edges": list(HISTORY_EDGES), "small_cell": SMALL_CELL}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Frame:
        """Read what `to_dict` made; ValueError for other bins."""
        frame = cls(
            **{name: plain[name] for name in ("run_id", "seed", "n", "candidates", "tail_below", "currency")},
            segments={name: tuple(values) for name, values in plain["segments"].items()},
        )
        if frame.to_dict() != plain:
            raise ValueError("the statistics were counted with other bins; make the audit with the version of the run")
        return frame

    def groups(self, row: dict[str, object], locale: str, used: int) -> dict[str, str]:
        """The group of one user in every dimension.

        Parameters
        ----------
        row : dict
            The user's segment columns.
        locale : str
            Language of the report.
        used : int
            Events that were scored.
        """
        own = {name: self._value(name, row.get(name)) for name in self.segments}
        return own | {LANGUAGE: locale, HISTORY: str(bisect_right(HISTORY_EDGES, used))}

    def _value(self, name: str, raw: object) -> str:
        value = segment_value(raw)
        return value if value == MISSING or value in self.segments[name] else REST


def segment_value(raw: object) -> str:
    """A value of a segment as it is counted and shown."""
    return (clean(raw, _LENGTH) if isinstance(raw, str) else "") or MISSING


def segment_columns(data: Dataset) -> list[str]:
    """The columns of the table of users by which people can be grouped."""
    return [str(name) for name in data.users.columns if name not in _STANDARD]


def make_frame(
    run_id: str, n: int, data: Dataset, popularity: np.ndarray, candidate: np.ndarray, codes: np.ndarray
) -> Frame:
    """Look at the whole run once.

    Parameters
    ----------
    run_id : str
    n : int
    data : Dataset
    popularity : ndarray of int64, shape (I,)
        People who took each item.
    candidate : ndarray of bool, shape (I,)
        Whether an item can be recommended.
    codes : ndarray of int64
        The people of the run.
    """
    seed = hashlib.sha256(f"reportgen/v1/sample|{run_id}".encode()).hexdigest()
    segments = {name: _told_apart(data.users[name], codes) for name in segment_columns(data)}
    return Frame(run_id, seed, n, int(candidate.sum()), tail_below(popularity[candidate]), _currency(data), segments)


def _told_apart(column: Any, codes: np.ndarray) -> tuple[str, ...]:
    """Values of a column with enough people, the most frequent of them where there are many; sorted."""
    people: dict[str, int] = {}
    for raw, count in column.iloc[codes].value_counts(sort=False).items():
        value = segment_value(raw)
        people[value] = people.get(value, 0) + int(count)
    people.pop(MISSING, None)
    often = sorted((value for value, count in people.items() if count >= SMALL_CELL), key=lambda v: (-people[v], v))
    return tuple(sorted(often[:MOST_GROUPS]))


def tail_below(popularity: Sequence[int] | np.ndarray) -> int:
    """Popularity of the least popular product of the head: the fewest products that hold `HEAD_SHARE` of all takings."""
    falling = np.sort(np.asarray(popularity, dtype=np.int64))[::-1]
    held = np.cumsum(falling)
    if not falling.size or not held[-1]:
        return 0
    return int(falling[int(np.searchsorted(held, HEAD_SHARE * held[-1]))])


def _currency(data: Dataset) -> str:
    if "currency" not in data.catalogue:
        return ""
    found = [value for value in data.catalogue["currency"] if isinstance(value, str) and value]
    values, counts = np.unique(found, return_counts=True) if found else (np.array([""]), np.array([1]))
    return str(values[int(np.argmax(counts))])
