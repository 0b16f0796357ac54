"""What the driver of shards costs: against a bare loop, and Dask against the local pool on the same cores.

    python benchmarks/_driver.py [--quick]

A shard here is a chain of hashes of a fixed length, so that every way does the same work, and the values can be compared.
Processor seconds count the parent and its workers, their start included; wall seconds are the least of the rounds, which
are taken in turns, since a shared machine is only ever slower. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import _one_thread  # noqa: F401  (before NumPy)

from reportgen.workers.dask_pool import DaskPool
from reportgen.workers.local_pool import HerePool, LocalPool
from reportgen.workers.pool import Pool, Task, drive

FOLDER = Path(__file__).resolve().parent


def work(length: int, number: int) -> str:
    """A chain of hashes: pure work, the same for everyone."""
    value = str(number).encode()
    for _ in range(length):
        value = sha256(value).digest()
    return value.hex()


def length_for(seconds: float) -> int:
    """How long a chain takes about so many processor seconds here."""
    start = time.process_time()
    work(300_000, 0)
    return max(1, int(300_000 * seconds / (time.process_time() - start)))


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def _measure(run: Callable[[], dict[int, str]], wanted: dict[int, str] | None) -> tuple[float, float, dict[int, str]]:
    """Wall seconds, processor seconds and the values, which must be the wanted ones."""
    wall, cpu = time.perf_counter(), _cpu()
    values = run()
    found = time.perf_counter() - wall, _cpu() - cpu, values
    if wanted is not None and values != wanted:
        raise SystemExit("the ways do not give the same values")
    return found


def _driven(length: int, count: int, pool: Pool) -> dict[int, str]:
    # By the module's name and not as a script: workers must be able to import the task.
    outcomes = drive(Task("_driver", "work", (length,)), range(count), pool)
    return {outcome.number: outcome.value for outcome in sorted(outcomes, key=lambda outcome: outcome.number)}


def against_bare_loop(seconds: float, count: int, rounds: int = 2) -> dict[str, float]:
    """Overhead of the driver in this process, and with one worker process, over a bare loop; 0.05 is five percent.

    ``bare/noise`` is how far the rounds of the bare loop lie apart: an overhead below that says nothing. ``start`` is what
    one worker costs before it begins, and is part of its overhead, but not of the milliseconds per shard.
    """
    length = length_for(seconds)
    ways: dict[str, Callable[[], dict[int, str]]] = {
        "bare": lambda: {number: work(length, number) for number in range(count)},
        "here": lambda: _driven(length, count, HerePool()),
        "local": lambda: _driven(length, count, LocalPool(1)),
    }
    walls: dict[str, list[float]] = {name: [] for name in ways}
    cpus: dict[str, list[float]] = {name: [] for name in ways}
    values = None
    for _ in range(rounds):
        for name, way in ways.items():
            wall, cpu, values = _measure(way, values)
            walls[name].append(wall)
            cpus[name].append(cpu)
    start = min(_measure(lambda: _driven(1, 1, LocalPool(1)), None)[1] for _ in range(3))
    figures = {
        "seconds": min(cpus["bare"]) / count,
        "shards": float(count),
        "start": start,
        "bare/noise": max(cpus["bare"]) / min(cpus["bare"]) - 1,
    }
    for name, once in (("here", 0.0), ("local", start)):
        figures[f"{name}/cpu_overhead"] = min(cpus[name]) / min(cpus["bare"]) - 1
        figures[f"{name}/wall_overhead"] = min(walls[name]) / min(walls["bare"]) - 1
        figures[f"{name}/ms_per_shard"] = 1000 * (min(cpus[name]) - min(cpus["bare"]) - once) / count
    return figures


def dask_against_local(seconds: float, count: int, workers: int = 2, rounds: int = 2) -> dict[str, float]:
    """Wall seconds of both pools from the first call to the end, workers of the local pool and the connection included."""
    length = length_for(seconds)
    walls: dict[str, list[float]] = {"local": [], "dask": []}
    values = None
    with cluster(workers) as address:
        for _ in range(rounds):
            for name in walls:
                pool = LocalPool(workers) if name == "local" else DaskPool(address)
                wall, _, values = _measure(lambda pool=pool: _driven(length, count, pool), values)  # type: ignore[misc]
                walls[name].append(wall)
    local, dask = min(walls["local"]), min(walls["dask"])
    return {"seconds": seconds, "shards": float(count), "local": local, "dask": dask, "overhead": dask / local - 1}


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """The address of a Dask scheduler on the loopback, with its workers."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scheduler.json")
        scheduler = ["scheduler", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file)]
        worker = [
            "worker",
            "--scheduler-file",
            str(file),
            "--nthreads",
            "1",
            "--no-dashboard",
            "--local-directory",
            folder,
        ]
        known = os.environ | {"PYTHONPATH": str(FOLDER)}
        processes = [
            subprocess.Popen([sys.executable, "-m", "dask", *command, "--host", "127.0.0.1"], env=known,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in [scheduler, *[worker] * workers]
        ]  # fmt: skip
        try:
            yield _wait_for(file, workers)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)


def _wait_for(file: Path, workers: int) -> str:
    from distributed import Client

    while not (file.exists() and file.read_text("utf-8").endswith("}")):
        time.sleep(0.1)
    address = str(json.loads(file.read_text("utf-8"))["address"])
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=60)
    return address


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small shards only: the figures mean little")
    quick = parser.parse_args().quick
    seconds, count = (0.2, 4) if quick else (5.0, 6)
    figures = {
        "shards": against_bare_loop(seconds, count),
        "tiny": against_bare_loop(0.001, 200 if quick else 2000),
        "dask": dask_against_local(seconds, count),
        "dask_tiny": dask_against_local(0.001, 200 if quick else 1000),
    }
    for name, group in figures.items():
        print(name, {key: round(value, 4) for key, value in group.items()})
    print(json.dumps({"benchmark": "driver", "figures": figures}))


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER))
    main()
