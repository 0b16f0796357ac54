"""A run as ``reportgen build`` makes it: HTML and JSON of many users to packs, with worker processes.

    python benchmarks/scale.py [--users N] [--workers N] [--formats html,json] [--out DIR] [--no-dask] [--quick]

The made-up shop is made, read and fitted first, by a process of its own (`_scale_data.py`). Then the same shards are made several times,
in turns, by bare loops, by the local pool and by Dask (`_scale_cost.py`), so that the cost of driving a run shows. Then all users
get their reports. Peak memory is the operating system's: of a worker after each of its shards, of this process at the end. A peak counts
the pages of the mapped histories that a worker has looked at so far, which all workers share and the system takes back when it
needs them; so what workers hold of their own is told apart (Linux). The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import _one_thread  # noqa: F401  (before NumPy)
import numpy as np
from _scale_cost import children_seconds, costs
from _scale_data import peak_bytes, prepared

from reportgen import AttentionScorer, Dataset
from reportgen.batch.people import choose
from reportgen.batch.plan import make_plan
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.batch.shard import processor_seconds, read_result
from reportgen.report.record import iso

KEY = b"a key for benchmarks, not a secret"
#: Users per shard, shards and rounds where the cost of driving is measured.
COST, QUICK_COST = (250, 16, 3), (50, 4, 1)


def whole_run(run: RunSettings, data: Dataset, scorer: AttentionScorer) -> dict[str, float]:
    """One run of everybody: users per second, processor time by stage, bytes and memory."""
    plan = make_plan(run, data, scorer, choose(data, run.key, run.locale, run.users, run.limit))
    peaks: list[int] = []
    held: dict[str, list[int]] = {"own": [], "mapped": []}

    def hear(event: str, **facts: Any) -> None:
        if event == "shard_done":
            result = read_result(run.out, plan, facts["shard"])
            peaks.append(result.peak if result else 0)
            for name, line in (("own", "RssAnon"), ("mapped", "RssFile")):
                held[name].append(memory_of_children(line))

    cpu, own, start = children_seconds(), processor_seconds(), time.perf_counter()
    made = build_run(run, data, scorer, clock=time.perf_counter, hear=hear)
    wall, cpu = time.perf_counter() - start, children_seconds() - cpu
    early, late = _early_and_late(peaks)
    stages = {name: spent for name, spent in made.seconds.items() if name not in ("trust", "finish")}
    return {
        "users": made.users.reported, "set_aside": made.users.set_aside, "shards": plan.shards,
        "wall_seconds": wall, "users_per_second": made.users.reported / wall,
        "users_per_cpu_second": made.users.reported / max(cpu, 1e-9),
        "worker_cpu_seconds": cpu, "parent_cpu_seconds": processor_seconds() - own,
        "trust_seconds": made.seconds["trust"], "finish_seconds": made.seconds["finish"],
        **{f"stage/{name}": spent for name, spent in stages.items()},
        "bytes_per_user": made.written / max(made.users.reported, 1),
        "peak_bytes_parent": peak_bytes(), "peak_bytes_worker": max(peaks),
        "peak_bytes_worker_early": early, "peak_bytes_worker_late": late, "worker_growth": late / early - 1,
        **{f"{name}_bytes_worker_{when}": size for name, sizes in held.items()
           for when, size in zip(("early", "late"), _early_and_late(sizes), strict=True)},
    }  # fmt: skip


def memory_of_children(line: str) -> int:
    """What the largest of the child processes holds now, by a line of ``/proc/<pid>/status``, in bytes; 0 where there is no such file."""
    sizes = [0]
    for listed in Path("/proc/self/task").glob("*/children"):
        for child in listed.read_text("ascii").split():
            with suppress(OSError):  # one that has just ended
                told = dict(row.split(":", 1) for row in Path(f"/proc/{child}/status").read_text("utf-8").splitlines())
                sizes.append(int(told.get(line, "0 kB").split()[0]) * 1024)
    return max(sizes)


def _early_and_late(peaks: list[int]) -> tuple[int, int]:
    """Peak of a worker after the first fifth of the shards, where it has seen every kind of work, and after the last."""
    early = max(len(peaks) // 5, min(2, len(peaks)))
    return int(np.median(peaks[early // 2 : early])), int(np.median(peaks[-max(early // 2, 1) :]))


def measure(given: argparse.Namespace, users: int, scratch: Path) -> dict[str, float]:
    """Everything that this script prints."""
    data, scorer, figures = prepared(users, scratch / "shop")
    as_of = int(data.timestamps.max())
    formats = tuple(given.formats.split(","))
    settings = RunSettings(scratch, KEY, as_of, iso(as_of), formats=formats, packs=True, user_seconds=120.0)
    size, shards, rounds = QUICK_COST if given.quick else COST
    few = replace(settings, out=scratch / "cost", shard=size)
    few.out.mkdir()
    figures |= {f"cost/{name}": share for name, share in costs(few, data, scorer, shards, rounds, given.dask).items()}
    return figures | whole_run(replace(settings, out=scratch / "run", workers=given.workers), data, scorer)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--formats", default="html,json")
    parser.add_argument(
        "--out", type=Path, help="where everything is written and left; a temporary folder when left out"
    )
    parser.add_argument("--no-dask", dest="dask", action="store_false", help="leave Dask out of the comparison")
    parser.add_argument("--quick", action="store_true", help="600 users; the costs of driving then mean little")
    given = parser.parse_args()
    users = 600 if given.quick else given.users
    scratch = given.out or Path(tempfile.mkdtemp())
    try:
        figures = measure(given, users, scratch)
    finally:
        if given.out is None:
            shutil.rmtree(scratch)
    conditions = {
        "users": users, "workers": given.workers, "formats": given.formats, "threads": 1,
        "python": platform.python_version(),
    }  # fmt: skip
    print(json.dumps({"benchmark": "scale", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
