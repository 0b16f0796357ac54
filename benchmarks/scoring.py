"""How fast users are scored and lists are explained, beside ALS of `implicit`, one-permutation SHAP and LIME.

    python benchmarks/scoring.py [--quick] [--data uci|shop] [--shared DIR] [--set name=value]...

One process, one thread, processor seconds, best of some repeats. Scored is a whole list: all items, minus what the user has,
ten best. ALS has 64 factors and `recommend(filter_already_liked_items=True)`, with its matrices ready before the clock starts.
An explanation is what each of a user's last 50 events adds to each of the ten items of the list. SHAP and LIME explain the
same score for the same users. Without the `implicit` package the ALS figures are left out. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import _one_thread
import numpy as np
from _quality_data import SHARED, NoDataError, online_retail, synthetic
from _sampling import Case, lime, permutation_shap
from _settings import read_settings

from reportgen import AttentionScorer, Dataset, explain_many
from reportgen.attention.history import gather_events

ITEMS, EVENTS, BATCH = 10, 50, 256


def cpu(call: Callable[[], Any], repeats: int) -> float:
    """Processor seconds of the quickest of some calls."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def load(kind: str | None, shared: Path, quick: bool) -> tuple[Dataset, str]:
    """The data and their name."""
    if kind == "uci" or (kind is None and not quick):
        try:
            return online_retail(shared), "uci-online-retail"
        except NoDataError:
            if kind == "uci":
                raise
    users, items = (1_500, 600) if quick else (12_000, 12_000)
    return synthetic(users, items), f"synthetic shop, {users} users, {items} items"


def list_speed(scorer: AttentionScorer, data: Dataset, repeats: int) -> dict[str, float]:
    """Users per second of a whole list, ours and ALS."""
    users = np.flatnonzero(np.diff(data.indptr) > 0)
    seconds = cpu(lambda: scorer.recommend_codes(data, users, ITEMS), repeats)
    figures = {"ours/users_per_second": users.size / seconds}
    if importlib.util.find_spec("implicit") is None:
        return figures
    from _implicit import fit_als, taken

    matrix = taken(data)
    model = fit_als(matrix, 64)
    rows = matrix[users]

    def recommend() -> None:
        model.recommend(users, rows, N=ITEMS, filter_already_liked_items=True)

    figures["als/users_per_second"] = users.size / cpu(recommend, repeats)
    figures["ours/als"] = figures["ours/users_per_second"] / figures["als/users_per_second"]
    return figures


def explain_speed(scorer: AttentionScorer, data: Dataset, users: np.ndarray, repeats: int) -> dict[str, float]:
    """Microseconds per user of exact contributions, and how well they sum to the score."""
    batches = [users[at : at + BATCH] for at in range(0, users.size, BATCH)]
    lists = [scorer.recommend_codes(data, batch, ITEMS)[0] for batch in batches]

    def contributions() -> None:
        for batch, codes in zip(batches, lists, strict=True):
            scorer.contributions(gather_events(data, batch, EVENTS), codes)

    figures = {"ours/explain_us": 1e6 * cpu(contributions, repeats) / users.size}
    some = [str(name) for name in data.user_ids[users[:BATCH]]]
    figures["ours/explain_many_us"] = 1e6 * cpu(lambda: explain_many(scorer, data, some, ITEMS), repeats) / len(some)
    return figures | sum_errors(scorer, data, batches, lists)


def sum_errors(
    scorer: AttentionScorer, data: Dataset, batches: list[np.ndarray], lists: list[np.ndarray]
) -> dict[str, float]:
    """Largest ``|sum + base - score|`` in float64, and largest gap to the float32 product, as a share."""
    exact, bulk = 0.0, 0.0
    for batch, codes in zip(batches, lists, strict=True):
        events = gather_events(data, batch, EVENTS)
        parts = scorer.contributions(events, codes)
        total = parts.base.copy()
        # One row at a time and not the order in which the scorer adds, or the check would repeat what it checks.
        for row in range(len(batch)):
            total[row] += parts.value[parts.row == row][::-1].sum(axis=(0, 2))
        exact = max(exact, float(np.abs(total - parts.score).max()))
        quick = np.take_along_axis(scorer.score_events(events), np.maximum(codes, 0), axis=1)
        gap = np.abs(quick - parts.score) / (1.0 + np.abs(parts.score))
        bulk = max(bulk, float(gap[codes >= 0].max(initial=0.0)))
    return {"ours/sum_error": exact, "ours/bulk_error": bulk}


def make_case(scorer: AttentionScorer, data: Dataset, user: int) -> Case:
    """The last events of a user, and the list."""
    events = gather_events(data, np.array([user]), EVENTS)
    codes, _ = scorer.recommend_codes(data, np.array([user]), ITEMS)
    return Case(events, np.unique(events.item, return_inverse=True)[1], codes[0][codes[0] >= 0])


def exact_values(scorer: AttentionScorer, case: Case) -> np.ndarray:
    """Contributions of the history items in the order of the players: shape (P, K)."""
    return scorer.contributions(case.events, case.candidates[None, :]).value.sum(axis=2)


def sampling(scorer: AttentionScorer, data: Dataset, users: np.ndarray, exact_us: float) -> dict[str, float]:
    """Seconds and errors of the sampling explainers, and how many times quicker the exact way is.

    Several users go into one question, so that no time is lost between small ones: some 500 rows each.
    """
    cases = [case for user in users if (case := make_case(scorer, data, int(user))).candidates.size == ITEMS]
    truth = [exact_values(scorer, case) for case in cases]
    figures: dict[str, float] = {}
    for name, explainer, at_once in (("shap", permutation_shap, 10), ("lime", lime, 1)):
        groups = [cases[at : at + at_once] for at in range(0, len(cases), at_once)]
        ways = []
        for bulk in (False, True):
            rng = np.random.default_rng(0)
            start = time.process_time()
            found = [values for group in groups for values in explainer(scorer, group, rng, bulk)]
            ways.append((time.process_time() - start, bulk, found))
        seconds, bulk, found = min(ways, key=lambda way: way[0])
        gap = sum(np.abs(a - b).sum() for a, b in zip(found, truth, strict=True))
        figures[f"{name}/explain_us"] = 1e6 * seconds / len(cases)
        figures[f"{name}/ours"] = figures[f"{name}/explain_us"] / exact_us
        figures[f"{name}/error"] = float(gap / sum(np.abs(b).sum() for b in truth))
        figures[f"{name}/asks_bulk"] = float(bulk)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small synthetic shop")
    parser.add_argument("--data", choices=("uci", "shop"), help="uci where it is there, else the synthetic shop")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder that holds the data sets")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the scorer")
    given = parser.parse_args()
    try:
        data, name = load(given.data, given.shared, given.quick)
    except NoDataError as error:
        raise SystemExit(str(error)) from None
    parameters = {"random_state": 0} | read_settings(given.set)
    start = time.process_time()
    scorer = AttentionScorer(**parameters).fit(data)
    figures = {"ours/fit_seconds": time.process_time() - start}
    repeats = 2 if given.quick else 5
    figures |= list_speed(scorer, data, repeats)
    long = np.flatnonzero(np.diff(data.indptr) >= EVENTS)
    rng = np.random.default_rng(0)
    users = np.sort(rng.choice(long, min(long.size, 256 if given.quick else 1024), replace=False))
    figures |= explain_speed(scorer, data, users, repeats)
    figures |= sampling(scorer, data, users[: 10 if given.quick else 50], figures["ours/explain_us"])
    conditions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "data": name,
        "users": int((np.diff(data.indptr) > 0).sum()),
        "items": int(data.item_ids.size),
        "explained_users": int(users.size),
        "scorer": {key: str(value) for key, value in parameters.items()},
        "heads": list(scorer.heads_),
        "threads": _one_thread.THREADS,
        "seconds": "processor",
    }
    if "als/users_per_second" in figures:
        conditions["implicit"] = version("implicit")
    print(json.dumps({"benchmark": "scoring", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
