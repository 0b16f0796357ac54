"""One core, one million users, 100,000 items: seconds to fit and to score everybody, and the most memory used.

    python benchmarks/scale_scorer.py [--users N] [--items N] [--quick]

The data are synthetic: item popularity follows a power law, and an item is followed by another of its own small group
more often than by chance, so that there is something to learn. Histories are made as arrays; reading files is not
timed here. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import time
from typing import Any

import _one_thread  # noqa: F401  (before NumPy)
import numpy as np
import pandas as pd

from reportgen import AttentionScorer, Dataset

GROUP = 20


def make_data(n_users: int, n_items: int, mean_events: float, seed: int) -> Dataset:
    """Histories with a power law over items and planted groups."""
    rng = np.random.default_rng(seed)
    length = 2 + rng.poisson(rng.gamma(1.5, (mean_events - 2) / 1.5, n_users))
    indptr = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    chance = (1.0 / np.arange(10, n_items + 10)) ** 0.8
    chance = np.cumsum(chance / chance.sum())
    start = np.searchsorted(chance, rng.random(indptr[-1])).astype(np.int32)
    start = np.minimum(start, n_items - 1)
    # An event follows the one before it in four of ten cases: another item of the same group.
    follows = rng.random(indptr[-1]) < 0.4
    follows[indptr[:-1]] = False
    items = start.copy()
    for _ in range(4):  # chains of followers settle in a few rounds; the rest stays as drawn
        before = np.roll(items, 1)
        items = np.where(follows, (before // GROUP) * GROUP + start % GROUP, items)
    items = np.minimum(items, n_items - 1).astype(np.int32)
    orders = (np.arange(indptr[-1]) - np.repeat(indptr[:-1], length)).astype(np.int32)
    day = 86_400_000_000
    names = np.array([f"i{k:07}" for k in range(n_items)], dtype=object)
    title = np.array([f"Thing {k // GROUP} {k % GROUP}" for k in range(n_items)], dtype=object)
    flags = dict.fromkeys(("sensitive", "sponsored", "price_personalised"), np.zeros(n_items, dtype=bool))
    catalogue = pd.DataFrame(
        {
            "title": title,
            "in_catalogue": np.ones(n_items, dtype=bool),
            **flags,
            "price": np.exp(rng.normal(3.0, 1.0, n_items)).round(2),
            "category": np.array([f"c{k // GROUP % 500}" for k in range(n_items)], dtype=object),
        }
    )
    people = pd.DataFrame(index=range(n_users))
    users = np.array([f"u{k:08}" for k in range(n_users)], dtype=object)
    return Dataset(
        users, names, indptr, items, orders.astype(np.int64) * day, np.zeros(items.size, dtype=np.int8),
        np.ones(items.size, dtype=np.float32), orders, ("purchase",), catalogue, people,
    )  # fmt: skip


def peak_bytes() -> int:
    """Most memory this process has used."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(n_users: int, n_items: int, mean_events: float) -> dict[str, float]:
    """Fit, score everybody, and what it took."""
    data = make_data(n_users, n_items, mean_events, 0)
    figures: dict[str, float] = {"events": int(data.items.size), "peak_bytes_data": peak_bytes()}
    start = time.process_time()
    scorer = AttentionScorer().fit(data)
    figures["fit_seconds"] = time.process_time() - start
    figures["peak_bytes_fit"] = peak_bytes()
    start = time.process_time()
    for at in range(0, n_users, 4096):
        scorer.recommend_codes(data, np.arange(at, min(at + 4096, n_users)), 10)
    seconds = time.process_time() - start
    figures |= {"score_seconds": seconds, "users_per_second": n_users / seconds, "peak_bytes_parent": peak_bytes()}
    figures |= {f"nnz/{name}": int(kernel.weights.nnz) for name, kernel in scorer.kernels_.items()}
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events", type=float, default=20.0, help="mean events per user")
    parser.add_argument("--quick", action="store_true", help="20,000 users and 5,000 items")
    given = parser.parse_args()
    users, items = (20_000, 5_000) if given.quick else (given.users, given.items)
    conditions: dict[str, Any] = {
        "users": users, "items": items, "mean_events": given.events, "threads": 1, "python": platform.python_version(),
    }  # fmt: skip
    figures = measure(users, items, given.events)
    print(json.dumps({"benchmark": "scale_scorer", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
