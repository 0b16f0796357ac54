"""What a record claims, added up again: for every product ``|base + sum of contributions - score| <= 1e-9``."""

from __future__ import annotations

from math import fsum, isfinite
from typing import Any

import orjson

TOLERANCE = 1e-9
#: Of another model, mostly in single precision; relative to 1 + |score|, as in `reportgen.explain.foreign.SUMS`.
FOREIGN_TOLERANCE = 1e-4


def check_record(data: bytes, key: str) -> str | None:
    """Say what is wrong with a record; None when nothing is.

    Parameters
    ----------
    data : bytes
        JSON, see ``docs/verify.md``.
    key : str
        Pseudonym that its path names.
    """
    try:
        record = orjson.loads(data)
        if record["user"] != key:
            return f"it is the record of {str(record['user'])[:24]}"
        return next((told for product in record["recommendations"] if (told := _sum(product))), None)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return f"it is no record ({type(error).__name__}: {error})"


def _sum(product: dict[str, Any]) -> str | None:
    if "weight_sum" in product:
        return _weights(product)
    found = product["base"] + fsum([reason["contribution"] for reason in product["reasons"]])
    gap = abs(found - product["score"])
    if isfinite(gap) and gap <= TOLERANCE:
        return None
    return f"the reasons of rank {product['rank']} sum to {found!r}, the score is {product['score']!r}"


def _weights(product: dict[str, Any]) -> str | None:
    """Of a model that is not ours: its weights sum to what is said of them, and to the score only where that is said."""
    found = fsum([reason["weight"] for reason in product["reasons"]] + [product["markers"], product["padding"]])
    if not abs(found - product["weight_sum"]) <= TOLERANCE * (1 + abs(found)):
        return f"the weights of rank {product['rank']} sum to {found!r}, said is {product['weight_sum']!r}"
    if product["adds_up"]:
        gap = abs((product["base"] or 0.0) + found - product["score"])
        if not gap <= FOREIGN_TOLERANCE * (1 + abs(product["score"])):
            return (
                f"base and contributions of rank {product['rank']} miss the score by {gap!r}, said is that they add up"
            )
    return None
