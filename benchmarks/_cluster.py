"""A Dask scheduler and its workers on the loopback, each a process of its own, for scripts that end some of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Cluster:
    """Processes of a cluster; `folder` is where they keep what they need."""

    folder: Path
    address: str = ""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    scheduler: subprocess.Popen[bytes] | None = None

    def open(self, workers: int) -> None:
        """Start a scheduler and workers, and wait until all are there."""
        file = self.folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file)
        )
        while not (file.exists() and file.read_text("utf-8").endswith("}")):
            time.sleep(0.1)
        self.address = str(json.loads(file.read_text("utf-8"))["address"])
        self.fill(workers)

    def fill(self, workers: int) -> None:
        """Bring the workers up to a number again, without a nanny that would do so."""
        from distributed import Client

        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for _ in range(workers - len(self.workers)):
            self.workers.append(self._start(
                "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                "--local-directory", str(self.folder),
            ))  # fmt: skip
        with Client(self.address, set_as_default=False) as client:
            while len(client.nthreads()) != workers:
                time.sleep(0.1)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *command, "--host", "127.0.0.1"],
            env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def close(self) -> None:
        processes = [*self.workers, *([self.scheduler] if self.scheduler else [])]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except (
                subprocess.TimeoutExpired
            ):  # a worker may wait for a scheduler that is gone; the cluster is over either way
                process.kill()
                process.wait()
