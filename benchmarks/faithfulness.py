"""How faithful, true and stable the reasons are, on the synthetic shop.

    python benchmarks/faithfulness.py [--quick] [--users N] [--seed N] [--boot N] [--repeat]

* fidelity: history items are removed in the order of the reasons and the first product is scored again (`measure_fidelity`),
  beside orders of removal that know nothing of the model.
* truth: hidden purchases are explained and the reasons compared with the planted cause (`planted_truth`).
* stability: the scorer is refitted on users drawn with replacement (`stability_report`).

The shop is made here from a seed, so that nothing is downloaded. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

from reportgen import AttentionScorer, Dataset, make_shop
from reportgen.data.shop import Shop
from reportgen.explain.fidelity import METHODS, Fidelity, measure_fidelity
from reportgen.explain.ranks import Mean
from reportgen.explain.removal import choose_sample
from reportgen.explain.stability import Stability, stability_report
from reportgen.explain.truth import PlantedTruth, planted_truth

#: With --quick these are not chosen but given, which halves the time of a fit.
HALF_LIVES = (float("inf"), 20.0, 3.0)


def both(key: str, mean: Mean) -> dict[str, float]:
    """A figure and its standard error."""
    return {key: mean.mean, f"{key}/se": mean.se}


def fidelity_figures(found: Fidelity) -> Iterator[dict[str, float]]:
    for method, figures in found.methods.items():
        for measure, mean in figures.items():
            yield both(f"{method}/{measure}", mean)
    for name, mean in vars(found.randomised).items():
        yield both(f"randomised/{name}", mean)
    yield {"fidelity/users": found.n_users, "fidelity/left_out": found.n_left_out}


def truth_figures(found: PlantedTruth) -> Iterator[dict[str, float]]:
    for cause, hits in found.by_cause.items():
        for method in METHODS:
            yield both(f"truth/{cause}/{method}/first", hits.first[method])
            yield both(f"truth/{cause}/{method}/top3", hits.top3[method])
        yield both(f"truth/{cause}/head", hits.head) | {f"truth/{cause}/n": hits.head.n}
    yield {"truth/purchases": found.n_purchases, "truth/popular": found.n_popular}
    yield both("truth/without_reason", found.without_reason)


def stability_figures(found: Stability) -> Iterator[dict[str, float]]:
    for name in ("top3", "first_reason", "first_item", "same_sign", "flipped"):
        yield both(f"stability/{name}", getattr(found, name)) | {f"stability/{name}/spread": found.spread[name]}


def measure(shop: Shop, args: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """All figures, and the seconds of each part."""
    data, parts, seconds = Dataset.from_frames(shop.events, shop.items, shop.users), [], {}
    settings = {"random_state": args.seed, "max_users": args.max_users, "repeat": args.repeat}
    settings |= {"half_lives": HALF_LIVES} if args.quick else {}

    def timed(name: str, start: float) -> None:
        seconds[f"{name}/seconds"] = time.perf_counter() - start

    start = time.perf_counter()
    scorer = AttentionScorer(**settings).fit(data)
    timed("fit", start)
    start = time.perf_counter()
    order = np.random.default_rng(args.seed).permutation(data.user_ids.size)
    users = choose_sample(scorer, data, order, args.sample)
    parts += fidelity_figures(measure_fidelity(scorer, data, users, seed=args.seed))
    timed("fidelity", start)
    start = time.perf_counter()
    parts += truth_figures(planted_truth(shop, scorer, args.seed))
    timed("truth", start)
    if args.boot:
        start = time.perf_counter()
        parts += stability_figures(stability_report(data, scorer, args.boot, random_state=args.seed))
        timed("stability", start)
    return {key: value for part in parts for key, value in part.items()}, seconds


def table(figures: dict[str, float]) -> Iterator[str]:
    """The figures for people: fidelity by method, truth by cause."""
    measures = [key.partition("/")[2] for key in figures if key.startswith("ours/") and not key.endswith("/se")]
    yield f"{'':20}" + "".join(f"{method:>18}" for method in METHODS)
    for measure in measures:
        yield f"{measure:20}" + "".join(f"{figures[f'{method}/{measure}']:18.3f}" for method in METHODS)
    for kind in [key.split("/")[1] for key in figures if key.startswith("truth/") and key.endswith("/head")]:
        hits = ((figures[f"truth/{kind}/{m}/first"], figures[f"truth/{kind}/{m}/top3"]) for m in METHODS)
        yield f"cause {kind:14}" + "".join(f"{first:11.3f} / {top3:.2f}" for first, top3 in hits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small shop and one refit")
    parser.add_argument("--users", type=int, help="size of the shop (2000; 200 with --quick)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--boot", type=int, help="refits for stability (20; 1 with --quick; 0 leaves it out)")
    parser.add_argument("--repeat", action="store_true", help="let what was bought be recommended again")
    args = parser.parse_args()
    args.users = args.users or (200 if args.quick else 2000)
    args.boot = args.boot if args.boot is not None else (1 if args.quick else 20)
    args.sample, args.max_users = (60, 60) if args.quick else (300, 1000)
    figures, seconds = measure(make_shop(args.users, random_state=args.seed), args)
    for line in table(figures):
        print(line)
    conditions = {
        "data": "synthetic shop",
        "users": args.users,
        "seed": args.seed,
        "sample": args.sample,
        "refits": args.boot,
        "max_users": args.max_users,
        "repeat": args.repeat,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }
    rounded = {key: round(value, 6) for key, value in (figures | seconds).items()}
    print(json.dumps({"benchmark": "faithfulness", "figures": rounded, "conditions": conditions}))


if __name__ == "__main__":
    main()
