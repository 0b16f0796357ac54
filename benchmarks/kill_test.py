"""Disturb runs at random moments, resume them, and compare every byte with an undisturbed run.

    python benchmarks/kill_test.py [--times N] [--seed N] [--tmpfs DIR] [--quick]

Each time one of these, in turn: SIGKILL to the parent, SIGKILL to a worker, SIGTERM to the parent, a limit on the size of files, and
where ``--tmpfs`` names a folder on a small file system, a full disk. After ``build --resume`` nobody may be lost or doubled, and the
hash of every file but the status must be that of the undisturbed run. The last line is one JSON object.
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
from contextlib import suppress
from functools import partial
from pathlib import Path

import _one_thread  # noqa: F401  (before NumPy; workers inherit it)

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


def disturb(how: str, words: list[str], out: Path, shards: int, chance: random.Random) -> int:
    """Start a run, do it harm somewhere between its first and its last shard, and return how it ended."""
    if how == "size":
        return begin(words, out, "--workers", "2", size=SMALL).wait()
    if how == "full":
        with open(out.parent / "ballast", "wb") as file:
            file.write(bytes(max(shutil.disk_usage(out.parent).free - LEFT, 0)))
        ended = begin(words, out, "--workers", "2").wait()
        (out.parent / "ballast").unlink()
        return ended
    process = begin(words, out, "--workers", "2")
    made = chance.randrange(shards)
    while process.poll() is None and len(list((out / ".work" / "results").glob("0*.json"))) < made:
        time.sleep(0.002)
    time.sleep(chance.uniform(0.0, 0.05))
    below = workers(process.pid)
    if how == "worker" and below:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(below), signal.SIGKILL)
    elif how != "worker":
        process.send_signal(signal.SIGTERM if how == "stop" else signal.SIGKILL)
    ended = process.wait()
    time.sleep(0.2)
    left = [pid for pid in below if alive(pid)]
    if left:
        raise SystemExit(f"{how}: {len(left)} workers live on after their parent")
    return ended


def main() -> None:
    """Disturb, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument(
        "--tmpfs", type=Path, help="a folder on a small file system (mount -t tmpfs -o size=64m none DIR)"
    )
    parser.add_argument("--quick", action="store_true", help="5 times, 200 users")
    given = parser.parse_args()
    times, users = (5, 200) if given.quick else (given.times, given.users)
    chance, ends, wrong = random.Random(given.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = prepare(folder, users)
        wanted = {}
        for form in ("--packs", "--no-packs"):
            if begin(words, folder / form, form, "--workers", "2").wait():
                raise SystemExit("the undisturbed run failed")
            wanted[form] = hashes(folder / form)
        kinds = ["parent", "worker", "stop", "size", *(["full"] if given.tmpfs else [])]
        for turn in range(times):
            how, form = kinds[turn % len(kinds)], chance.choice(["--packs", "--no-packs"])
            out = (given.tmpfs if how == "full" else folder) / "run"
            code = disturb(how, [*words, form], out, users // 25, chance)
            ends[f"{how}/{code}"] += 1
            again = begin([*words, form], out, "--resume", "--workers", str(1 + turn % 2)).wait()
            if again or hashes(out) != wanted[form]:
                wrong += 1
                print(
                    f"turn {turn}, {how}, {form}: ended with {code}, resumed with {again}: {TOLD.read_text()}",
                    file=sys.stderr,
                )
            shutil.rmtree(out)
    TOLD.unlink()
    figures = {"times": times, "wrong": wrong} | {f"ended/{name}": count for name, count in sorted(ends.items())}
    conditions = {"users": users, "seed": given.seed, "python": platform.python_version()}
    print(json.dumps({"benchmark": "kill_test", "figures": figures, "conditions": conditions}))
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
