"""How stable the reasons of a run are, and what ``build --stability N`` costs beside the fit.

    python benchmarks/stability.py --data ml-100k|uci|shop [--refits N] [--quick] [--wheel PATH] [--shared DIR]

A whole run is made (reports of twenty users), with N refits on users drawn with replacement, as anybody makes one. Means, intervals and
spreads are those of its ``audit/stability.json``; seconds are processor seconds of this process, on one thread of linear algebra.
``shop`` is the made-up shop and needs no data; ``--quick`` takes a small one and two refits. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import _one_thread
from _quality_data import SHARED, find_wheel, movielens, online_retail, synthetic

from reportgen import AttentionScorer, Dataset
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.explain.stability import MEASURES
from reportgen.report.record import iso

REPORTS = 20
#: It orders the pseudonyms, and so decides who is measured.
KEY = b"the key of a benchmark, not a secret"


def read(args: argparse.Namespace) -> Dataset:
    """The data that were asked for."""
    if args.data == "ml-100k":
        return movielens(find_wheel(args.wheel))
    return online_retail(args.shared) if args.data == "uci" else synthetic(*((200, 150) if args.quick else (2000, 500)))


def measure(data: Dataset, refits: int) -> dict[str, float]:
    """Fit, make a run, and read what it measured."""
    start = time.process_time()
    scorer = AttentionScorer().fit(data)
    fit, as_of = time.process_time() - start, int(data.timestamps.max())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        settings = RunSettings(out, KEY, as_of, iso(as_of), formats=("json",), limit=REPORTS, stability=refits)
        seconds = build_run(settings, data, scorer, clock=time.process_time).seconds["stability"]
        found = json.loads((out / "audit" / "stability.json").read_bytes())
    figures = {
        "fit/seconds": fit,
        "stability/seconds": seconds,
        "stability/fits": seconds / fit,
        "users": found["n_users"],
    }
    for name in MEASURES:
        figures |= {name if key == "mean" else f"{name}/{key}": found[name][key] for key in ("mean", "low", "high")}
        figures |= {f"{name}/spread": found["spread"][name], f"{name}/unchanged": found["unchanged"][name]}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["ml-100k", "uci", "shop"], default="shop")
    parser.add_argument("--refits", type=int, help="20; 2 with --quick")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--wheel", type=Path, help="of recbole, which holds MovieLens 100k")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of public data")
    args = parser.parse_args()
    refits = args.refits or (2 if args.quick else 20)
    data = read(args)
    figures = measure(data, refits)
    for key, value in figures.items():
        print(f"{key:24} {value:10.4f}")
    conditions = {
        "data": args.data,
        "users": int(data.user_ids.size),
        "items": int(data.item_ids.size),
        "events": int(data.items.size),
        "refits": refits,
        "threads": _one_thread.THREADS,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }
    rounded = {key: round(value, 6) for key, value in figures.items()}
    print(json.dumps({"benchmark": "stability", "figures": rounded, "conditions": conditions}))


if __name__ == "__main__":
    main()
