"""A run as ``reportgen build`` makes it: HTML and JSON of many users to packs, with worker processes.

    python benchmarks/scale_run.py [--users N] [--workers N] [--out DIR] [--quick]

The made-up shop is read and fitted first, which is not timed. Then the same first shards are made twice: in a bare loop in this
process, and by one watched worker, so that the cost of the driver shows. Then all shards are made by the workers. Peak memory is
the operating system's, of each worker after each of its shards. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import _one_thread  # noqa: F401  (before NumPy)
import numpy as np

from reportgen import AttentionScorer, Dataset
from reportgen.batch.people import choose
from reportgen.batch.plan import make_plan, read_plan
from reportgen.batch.run import build_run, plan_run
from reportgen.batch.settings import RunSettings
from reportgen.batch.shard import Maker, processor_seconds, read_result
from reportgen.data.shop import make_shop
from reportgen.report.record import iso

KEY = b"a key for benchmarks, not a secret"


def read(users: int) -> tuple[Dataset, AttentionScorer]:
    """The made-up shop, and a scorer that learnt from it."""
    shop = make_shop(users)
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    return data, AttentionScorer(random_state=0).fit(data)


def children_seconds() -> float:
    """Processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def driver_cost(settings: RunSettings, data: Dataset, scorer: AttentionScorer, shards: int) -> dict[str, float]:
    """Processor time for the same shards in a bare loop and through the driver with a watched worker, without its start."""
    few = replace(settings, out=settings.out / "bare", limit=shards * 1000)
    plan, _ = plan_run(few, data, scorer)
    choice = choose(data, few.key, few.locale, limit=few.limit)
    maker = Maker(few.out, plan, few, data, scorer, choice.people)
    maker.make(0)  # warm
    start = processor_seconds()
    for shard in range(plan.shards):
        maker.make(shard)
    bare = processor_seconds() - start
    seen: dict[str, float] = {}

    def hear(_event: str, **_facts: Any) -> None:
        seen.setdefault("first", processor_seconds())
        seen["last"] = processor_seconds()

    driven = replace(few, out=settings.out / "driven", workers=2)
    build_run(driven, data, scorer, hear=hear)
    parent = (seen["last"] - seen["first"]) * plan.shards / max(plan.shards - 1, 1)
    users = len(choice.people)
    return {"bare_users_per_cpu_second": users / bare, "driver_overhead": parent / bare}


def measure(users: int, workers: int, out: Path, shards: int) -> dict[str, float]:
    """Everything that this script prints."""
    data, scorer = read(users)
    as_of = int(data.timestamps.max())
    settings = RunSettings(out, KEY, as_of, iso(as_of), packs=True, user_seconds=120.0)
    out.mkdir(exist_ok=True)
    figures = driver_cost(settings, data, scorer, shards)
    run = replace(settings, out=out / "run", workers=workers)
    plan = make_plan(run, data, scorer, choose(data, run.key, run.locale))
    peaks: list[int] = []
    times: list[float] = []

    def hear(event: str, **facts: Any) -> None:
        if event == "shard_done":
            times.append(time.perf_counter())
            result = read_result(run.out, plan, facts["shard"])
            peaks.append(result.peak if result else 0)

    cpu, own, start = children_seconds(), processor_seconds(), time.perf_counter()
    made = build_run(run, data, scorer, clock=time.perf_counter, hear=hear)
    wall = time.perf_counter() - start
    assert read_plan(run.out) == plan
    steady = max(len(times) // 5, workers)
    first, last = (int(np.median(part)) for part in (peaks[:steady], peaks[-steady:]))
    per_shard = (
        plan.size * (len(times) - 1 - workers) / (times[-1] - times[workers]) if len(times) > workers + 1 else 0.0
    )
    parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return figures | {
        "users": made.users.reported, "set_aside": made.users.set_aside, "wall_seconds": wall,
        "users_per_second": made.users.reported / wall, "users_per_second_steady": per_shard,
        "worker_cpu_seconds": children_seconds() - cpu, "parent_cpu_seconds": processor_seconds() - own,
        "finish_seconds": made.seconds["finish"], "trust_seconds": made.seconds["trust"],
        **{f"stage/{name}": made.seconds.get(name, 0.0) for name in ("explain", "report", "html", "write")},
        "bytes_per_user": made.written / max(made.users.reported, 1),
        "peak_bytes_parent": parent if sys.platform == "darwin" else parent * 1024,
        "peak_bytes_worker": max(peaks), "peak_bytes_worker_first": first, "peak_bytes_worker_last": last,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where runs are written and left; a temporary folder when left out")
    parser.add_argument("--quick", action="store_true", help="3,000 users")
    given = parser.parse_args()
    users = 3_000 if given.quick else given.users
    out = given.out or Path(tempfile.mkdtemp())
    try:
        figures = measure(users, given.workers, out, 1 if given.quick else 4)
    finally:
        if given.out is None:
            shutil.rmtree(out)
    conditions = {"users": users, "workers": given.workers, "threads": 1, "python": platform.python_version()}
    print(json.dumps({"benchmark": "scale_run", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
