"""What it costs that a run is driven: the same shards by a bare loop in each of two processes, by the local pool, and by Dask.

A bare loop is a process that opens the job of a planned run and makes its share of the shards, with nobody watching. Everybody starts a
process, imports the package and opens the job, so that is in all of the figures. As many processes are at work at the same time in every
way: two of them at once slow each other down, and a loop that has the machine for itself would be compared with something else.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import _one_thread  # noqa: F401  (before NumPy)
from _driver import cluster

from reportgen import AttentionScorer, Dataset
from reportgen.batch.run import build_run, plan_run
from reportgen.batch.settings import RunSettings
from reportgen.batch.shard import processor_seconds

BARE = "import sys; from reportgen.batch.job import make_shard; [make_shard(sys.argv[1], int(k)) for k in sys.argv[2:]]"


def children_seconds() -> float:
    """Processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bare_loops(run: Path, shards: int, processes: int) -> tuple[float, float]:
    """Shards of a planned run, dealt out in turns to so many processes: wall and processor seconds."""
    wall, cpu = time.perf_counter(), children_seconds()
    begun = [
        subprocess.Popen([sys.executable, "-c", BARE, str(run), *map(str, range(k, shards, processes))])
        for k in range(processes)
    ]
    if any([process.wait() for process in begun]):  # noqa: C419 - wait for all of them
        raise SystemExit("a bare loop failed")
    return time.perf_counter() - wall, children_seconds() - cpu


def driven(settings: RunSettings, data: Dataset, scorer: AttentionScorer) -> tuple[float, float, float]:
    """A run by workers: wall seconds of its shards, processor seconds of workers that have ended, and of this process meanwhile."""
    seen: dict[str, float] = {}

    def hear(event: str, **_facts: Any) -> None:
        if event == "shard_done":
            seen["wall"], seen["cpu"] = time.perf_counter(), processor_seconds()

    cpu = children_seconds()
    first: dict[str, float] = {}

    def say(*_: int) -> None:  # called first when the plan is written and the shards begin
        first.setdefault("wall", time.perf_counter())
        first.setdefault("cpu", processor_seconds())

    build_run(settings, data, scorer, say=say, hear=hear)
    return seen["wall"] - first["wall"], children_seconds() - cpu, seen["cpu"] - first["cpu"]


def costs(
    settings: RunSettings, data: Dataset, scorer: AttentionScorer, shards: int, rounds: int, with_dask: bool
) -> dict[str, float]:
    """Overheads as shares: 0.05 is five per cent. All ways take turns; each figure is the least of its rounds.

    ``driver_overhead`` is processor time of parent and workers over that of bare loops, ``driver_wall_overhead`` the same by the clock;
    ``dask_overhead`` is the clock of a Dask cluster (started before) over that of the local pool (which starts its workers).
    ``two_at_once`` is the processor time of two bare loops at the same time over that of one that makes all shards alone: mostly
    the second start, where shards are few.
    """
    assert settings.shard is not None
    run = replace(settings, limit=shards * settings.shard)
    planned = replace(run, out=settings.out / "bare")
    plan, _ = plan_run(planned, data, scorer)
    ways: dict[str, Callable[[int], tuple[float, ...]]] = {
        "bare": lambda _k: bare_loops(planned.out, plan.shards, 2),
        "local": lambda k: driven(replace(run, out=settings.out / f"local{k}", workers=2), data, scorer),
    }
    if rounds > 1:  # a single round says nothing of it
        ways["alone"] = lambda _k: bare_loops(planned.out, plan.shards, 1)
    with cluster(2) if with_dask else nullcontext("") as address:
        if with_dask:
            over = replace(run, scheduler=address)
            ways["dask"] = lambda k: driven(replace(over, out=settings.out / f"dask{k}"), data, scorer)
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
        for k in range(rounds):
            for name, way in ways.items():
                found[name].append(way(k))
    least = {name: [min(column) for column in zip(*figures, strict=True)] for name, figures in found.items()}
    (wall, cpu), (local, workers, parent) = least["bare"], least["local"]
    figures = {
        "bare_users_per_cpu_second": plan.users / cpu,
        "driver_overhead": (workers + parent) / cpu - 1,
        "driver_parent_share": parent / cpu,
        "driver_wall_overhead": local / wall - 1,
        "bare_noise": max(figure[1] for figure in found["bare"]) / cpu - 1,
    }
    if "alone" in least:
        figures["two_at_once"] = cpu / least["alone"][1] - 1
    return figures | ({"dask_overhead": least["dask"][0] / local - 1} if with_dask else {})
