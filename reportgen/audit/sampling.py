"""The cases that an auditor looks at one by one: which users, and what their records say.

A stratum's sample are the users with the smallest ``HMAC-SHA256(seed, key)``. Each shard kept the first of its own (`Fold.marks`), and
the first of all are among them, so no report is read but those that are shown. The seed follows from the run's id and stands in
``audit/statistics.json``, whose hash the manifest holds: nobody can choose the cases afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import fsum
from typing import Any

from reportgen.audit.fold import ALL, Fold
from reportgen.errors import ReportgenError
from reportgen.report.foreign_record import SCHEMA as FOREIGN_SCHEMA

#: Strata in their order: a case is told in the first that it was drawn for. Runs about another model have `FOREIGN` ones.
FOREIGN = ("not_adding", "disagrees", "hidden_weight", "without_weight", "elsewhere", "no_events")
STRATA = (
    "unconfirmed", "mostly_folded", "negative", "priced", "sponsored", "against", "without_reason", "without_history",
    "excluded", "carried", "popular", *FOREIGN, ALL,
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
    if record["schema"] == FOREIGN_SCHEMA:
        return _looked(record)
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


def _looked(record: dict[str, Any]) -> dict[str, Any]:
    """The same of a page about another model: its weights are summed, and where they are contributions held against the score."""
    products = [_weighed(product) for product in record["recommendations"]]
    gaps = [product.pop("gap") for product in products]
    about = {"kind": record["kind"], "measured_by": record["how"]["measured_by"], "model": record["model"]["name"]}
    return {
        "as_of": record["as_of"],
        "usage": record["usage"],
        "products": products,
        "sums": all(gap <= 1e-9 for gap in gaps),
    } | about


def _weighed(product: dict[str, Any]) -> dict[str, Any]:
    reasons = product["reasons"]
    total = fsum([reason["weight"] for reason in reasons] + [product["markers"], product["padding"]])
    named = [reason for reason in reasons if "history_item_id" in reason]
    return {
        "rank": product["rank"],
        "title": product.get("title"),
        "score": product["score"],
        "adds_up": product["adds_up"],
        "tau": product["kendall_tau"],
        "gap": abs(total - product["weight_sum"]) / (1 + abs(total)),
        "looked": [{"title": one.get("title"), "share": one["share"]} for one in named[:_REASONS]],
        "effects": [{"title": one.get("title"), "effect": one["effect"]} for one in _by_effect(named)[:_REASONS]],
    }


def _by_effect(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons with a measured effect, the largest first."""
    return sorted((one for one in reasons if one["effect"] is not None), key=lambda one: -float(one["effect"]))


def _strongest(by_head: dict[str, float]) -> str | None:
    return max(sorted(by_head), key=lambda head: by_head[head], default=None)
