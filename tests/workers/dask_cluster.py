"""A real Dask scheduler and real workers, each a process of its own on this machine's loopback."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

#: Dask's workers import the tasks by name, too: PYTHONPATH tells them where.
FOLDER = str(Path(__file__).parent)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def stat(pid: int) -> list[str]:
    """State, parent and more of a process, as the system tells them; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    return bool(found := stat(pid)) and found[0] != "Z"


@dataclass
class Cluster:
    """A scheduler and its workers, which find modules in some more folders."""

    folder: Path
    paths: tuple[str, ...] = (FOLDER,)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        # One death is enough for Dask to give up a task: its usual three only make the test longer.
        known = {"PYTHONPATH": os.pathsep.join(self.paths), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        with (self.folder / f"log{len(self.processes)}.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--host", "127.0.0.1"],
                env=os.environ | known | environment,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        self.start("scheduler", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file))
        assert until(lambda: file.exists() and file.read_text("utf-8").endswith("}")), "a scheduler begins"
        self.address = json.loads(file.read_text("utf-8"))["address"]

    def worker(self, threads: int = 1, **environment: str) -> subprocess.Popen[bytes]:
        place = self.folder / f"worker{len(self.processes)}"
        options = ["--nthreads", str(threads), "--no-dashboard", "--local-directory", str(place)]
        return self.start("worker", self.address, *options, **environment)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            self.end(process)


def wait_for_workers(cluster: Cluster, n: int) -> None:
    import distributed

    with distributed.Client(cluster.address, set_as_default=False) as client:
        assert until(lambda: len(client.nthreads()) == n)


@contextmanager
def clusters(
    make_folder: Callable[[str], Path], need_tool: Callable[[str, str], str], paths: tuple[str, ...] = (FOLDER,)
) -> Iterator[Callable[[], Cluster]]:
    """Makes clusters with a scheduler and no workers yet; they end with the block."""
    if importlib.util.find_spec("distributed") is None:
        need_tool("dask", "pip install -e '.[dask]'")
    made: list[Cluster] = []

    def make() -> Cluster:
        made.append(Cluster(make_folder("dask"), paths))
        made[-1].scheduler()
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()
