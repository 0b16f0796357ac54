"""Disturb runs at random moments, resume them, and compare every byte with an undisturbed run.

    python benchmarks/kill_test.py [--times N] [--seed N] [--tmpfs DIR] [--no-dask] [--quick]

Each time one of these, in turn: SIGKILL to the parent, to a worker, to a Dask worker of a run with ``--scheduler``, SIGTERM to the
parent, a limit on the size of files, and a full disk. For the last one a small tmpfs is mounted where this is root on Linux; ``--tmpfs``
names another small file system. After ``build --resume`` nobody may be lost or doubled, and the hash of every file but the status must
be that of the undisturbed run. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import _one_thread  # noqa: F401  (before NumPy; workers inherit it)
from _cluster import Cluster

from reportgen import AttentionScorer, Dataset
from reportgen.attention.store import save_model
from reportgen.data.shop import make_shop

ENV = os.environ | {"REPORTGEN_KEY": "a key for benchmarks, not a secret"}
#: What the last process said.
TOLD = Path(tempfile.gettempdir()) / f"kill-test-{os.getpid()}.err"
#: Bytes that a file may have, and that are left on the full disk: less than a run needs.
SMALL, LEFT = 40_000, 400_000


def prepare(folder: Path, users: int) -> list[str]:
    """Write tables and model; return the words of a build but for the folder."""
    shop = make_shop(users)
    items = shop.items.assign(tags=[",".join(tags) for tags in shop.items["tags"]])
    words = []
    for name, frame in {"events": shop.events, "items": items, "users": shop.users}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
        words += [f"--{name}", str(folder / f"{name}.csv")]
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    save_model(AttentionScorer(random_state=0).fit(data), folder / "model")
    return [*words, "--model", str(folder / "model"), "--shard-size", "25", "--quiet"]


def begin(words: list[str], out: Path, *more: str, size: int | None = None) -> subprocess.Popen[bytes]:
    """Start a build."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)) if size else None
    command = [sys.executable, "-m", "reportgen", "build", *words, "--out", str(out), *more]
    with open(TOLD, "wb") as told:
        return subprocess.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=told, preexec_fn=limit)


def hashes(out: Path) -> dict[str, str]:
    """SHA-256 of every file of a run but its status."""
    found = [path for path in out.rglob("*") if path.is_file() and path.name != "run_status.json"]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def workers(pid: int) -> list[int]:
    """Children of a process."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, path.read_text().split())
    return sorted(found)


def alive(pid: int) -> bool:
    """Whether a process lives; one that has ended but that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A tmpfs of 64 MB where this may be mounted; None elsewhere."""
    if sys.platform != "linux" or os.geteuid() != 0:
        yield None
        return
    with tempfile.TemporaryDirectory() as place:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", place], check=False).returncode:
            yield None
            return
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", place], check=True)


@dataclass
class Test:
    """Runs of one shop, and what disturbs them."""

    words: list[str]
    shards: int
    chance: random.Random
    cluster: Cluster | None

    def disturb(self, how: str, form: str, out: Path) -> int:
        """Start a run, do it harm, and return how it ended."""
        words = [*self.words, form]
        if how == "size":
            return begin(words, out, "--workers", "2", size=SMALL).wait()
        if how == "full":
            return self._fill(words, out)
        if how == "dask worker" and self.cluster:
            process = begin(words, out, "--scheduler", self.cluster.address)
            self._wait(process, out)
            if process.poll() is None:
                self.chance.choice(self.cluster.workers).kill()
            return process.wait()
        return self._kill(how, begin(words, out, "--workers", "2"), out)

    def _fill(self, words: list[str], out: Path) -> int:
        """Run on a disk that soon is full."""
        with open(out.parent / "ballast", "wb") as file:
            file.write(bytes(max(shutil.disk_usage(out.parent).free - LEFT, 0)))
        ended = begin(words, out, "--workers", "2").wait()
        (out.parent / "ballast").unlink()
        return ended

    def _wait(self, process: subprocess.Popen[bytes], out: Path) -> None:
        """Wait until somewhere between the first and the last shard."""
        made = self.chance.randrange(self.shards)
        while process.poll() is None and len(list((out / ".work" / "results").glob("0*.json"))) < made:
            time.sleep(0.002)
        time.sleep(self.chance.uniform(0.0, 0.05))

    def _kill(self, how: str, process: subprocess.Popen[bytes], out: Path) -> int:
        self._wait(process, out)
        below = workers(process.pid)
        if how == "worker" and below:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(below), signal.SIGKILL)
        elif how != "worker":
            process.send_signal(signal.SIGTERM if how == "stop" else signal.SIGKILL)
        ended = process.wait()
        time.sleep(0.2)
        left = [pid for pid in below if alive(pid)]
        if left:
            raise SystemExit(f"{how}: {len(left)} workers live on after their parent")
        return ended

    def resume(self, turn: int, form: str, out: Path) -> int:
        """Go on, by one worker, two, or the cluster."""
        ways = [["--workers", "1"], ["--workers", "2"]]
        if self.cluster:
            self.cluster.fill(2)
            ways.append(["--scheduler", self.cluster.address])
        return begin([*self.words, form], out, "--resume", *ways[turn // 6 % len(ways)]).wait()


def main() -> None:
    """Disturb, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--tmpfs", type=Path, help="a folder on a small file system")
    parser.add_argument("--no-dask", action="store_true")
    parser.add_argument("--quick", action="store_true", help="6 times, 200 users")
    given = parser.parse_args()
    times, users = (6, 200) if given.quick else (given.times, given.users)
    ends, figures, start = Counter[str](), Counter[str](wrong=0, lost=0, doubled=0), time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = given.tmpfs or stack.enter_context(small_disk())
        cluster = None if given.no_dask else Cluster(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        if cluster:
            stack.callback(cluster.close)
            cluster.open(2)
        test = Test(prepare(folder, users), users // 25, random.Random(given.seed), cluster)
        wanted = {}
        for form in ("--packs", "--no-packs"):
            if begin([*test.words, form], folder / form, "--workers", "2").wait():
                raise SystemExit(f"the undisturbed run failed: {TOLD.read_text()}")
            wanted[form] = hashes(folder / form)
        kinds = ["parent", "worker", *(["dask worker"] if cluster else []), "stop", "size", *(["full"] if disk else [])]
        for turn in range(times):
            how, form = kinds[turn % len(kinds)], test.chance.choice(["--packs", "--no-packs"])
            out = (disk if disk and how == "full" else folder) / "run"
            code = test.disturb(how, form, out)
            ends[f"{how}/{code}"] += 1
            again, found = test.resume(turn, form, out), hashes(out)
            figures["lost"] += len(wanted[form].keys() - found.keys())
            figures["doubled"] += len(found.keys() - wanted[form].keys())
            if again or found != wanted[form]:
                figures["wrong"] += 1
                told = f"ended with {code}, resumed with {again}: {TOLD.read_text()}"
                print(f"turn {turn}, {how}, {form}: {told}", file=sys.stderr)
            shutil.rmtree(out)
    TOLD.unlink()
    told = {"times": times} | dict(figures) | {f"ended/{name}": count for name, count in sorted(ends.items())}
    conditions = {"users": users, "shard": 25, "seed": given.seed, "python": platform.python_version(),
                  "seconds": round(time.monotonic() - start)}  # fmt: skip
    print(json.dumps({"benchmark": "kill_test", "figures": told, "conditions": conditions}))
    raise SystemExit(figures["wrong"] > 0)


if __name__ == "__main__":
    main()
