"""The cases that an auditor looks at one by one: which users, and what their records say.

A stratum's sample are the users with the smallest ``HMAC-SHA256(seed, key)``. Each shard kept the first of its own (`Fold.marks`), and
the first of all are among them, so no report is read but those that are shown. The seed follows from the run's id and stands in
``audit/statistics.json``, whose hash the manifest holds: nobody can choose the cases afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from reportgen.audit.fold import ALL, Fold
from reportgen.errors import ReportgenError

#: Strata in their order: a case is told in the first that it was drawn for.
STRATA = (
    "unconfirmed", "mostly_folded", "negative", "priced", "sponsored", "against", "without_reason", "without_history",
    "excluded", "carried", "popular", ALL,
)  # fmt: skip
#: Cases shown of each stratum, and of all.
EACH, OF_ALL = 2, 5
#: Reasons shown of a product.
_REASONS = 2

#: The JSON record of a user by key; ReportgenError where there is none.
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Drawn:
    """One user who was drawn.

    Attributes
    ----------
    key : str
    stratum : str
    record : dict or None
        What is shown of the record; None where it cannot be read.
    trouble : str
        Why not.
    """

    key: str
    stratum: str
    record: dict[str, Any] | None
    trouble: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return dict(vars(self))


def draw(fold: Fold, read: Read) -> list[Drawn]:
    """Draw the cases of a run and read their records."""
    return [_case(key, stratum, read) for key, stratum in chosen(fold)]


def chosen(fold: Fold) -> Iterator[tuple[str, str]]:
    """Keys with the stratum they were drawn for, each once."""
    taken: set[str] = set()
    for stratum in STRATA:
        keys = fold.marks[stratum].keys if stratum in fold.marks else []
        for key in [key for key in keys if key not in taken][: OF_ALL if stratum == ALL else EACH]:
            taken.add(key)
            yield key, stratum


def _case(key: str, stratum: str, read: Read) -> Drawn:
    try:
        record = json.loads(read(key))
        return Drawn(key, stratum, _shown(record))
    except (ReportgenError, ValueError, KeyError, TypeError, RecursionError) as error:
        return Drawn(key, stratum, None, str(error) if isinstance(error, ReportgenError) else "the record is damaged")


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    """Of a record what an auditor sees at a glance, with the sum taken again."""
    products = [_product(product) for product in record["recommendations"]]
    gap = max((abs(product.pop("gap")) for product in products), default=0.0)
    return {
        "as_of": record["as_of"],
        "usage": record["usage"],
        "products": products,
        "largest_gap": gap,
        "sums": gap <= 1e-9,
    }


def _product(product: dict[str, Any]) -> dict[str, Any]:
    found = product.get("counterfactual")
    return {
        "rank": product["rank"],
        "title": product.get("title"),
        "score": product["score"],
        "base": product["base"],
        "gap": product["base"] + sum(reason["contribution"] for reason in product["reasons"]) - product["score"],
        "reasons": [
            {"title": reason.get("title"), "share": reason["attention_weight"], "kind": _strongest(reason["by_head"])}
            for reason in product["reasons"][:_REASONS]
        ],
        "without": None if found is None else [event.get("title") for event in found["events"]],
        "minimal": None if found is None else found["minimal"],
    }


def _strongest(by_head: dict[str, float]) -> str | None:
    return max(sorted(by_head), key=lambda head: by_head[head], default=None)
