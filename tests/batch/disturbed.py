"""What the tests of disturbed runs share: runs in processes of their own, and looks at processes and folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import save_model
from reportgen.batch.settings import RunSettings
from reportgen.cli import main
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.explain.privacy import pseudonym
from reportgen.output.folder import WORK

Told = Callable[..., RunSettings]
FOLDER = str(Path(__file__).parent)
KEY = "a key for tests, not a secret"
ENV = os.environ | {
    "REPORTGEN_KEY": KEY,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": FOLDER,
}
_POISONED = (
    "import sys, poison_for_shards; from reportgen.cli import main; poison_for_shards.arm_all(); sys.exit(main())"
)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a run but its status, which tells when."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "run_status.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def children(pid: int) -> set[int]:
    """Processes below one, at any depth."""
    found = {int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()}
    return found.union(*map(children, found)) if found else found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], Any], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def results(out: Path) -> int:
    """Shards that are done."""
    return len(list((out / WORK / "results").glob("0*.json")))


def keys(data: Dataset, told: Told) -> list[str]:
    """Keys of those who get a report, in the order of the run."""
    out = data.users["opted_out"].to_numpy(dtype=bool)
    return [pseudonym(told(Path()).key, str(user)) for user in data.user_ids[~out]]


def brew(folder: Path, poison: dict[str, Any]) -> None:
    """Say what the users of runs in a folder do, as `poison_for_shards` reads it."""
    (folder / "poison.json").write_text(json.dumps(poison))


def make_tables(folder: Path, scorer: AttentionScorer) -> None:
    """Tables and a model for processes of their own."""
    made = make_shop(60)
    items = made.items.assign(tags=[",".join(tags) for tags in made.items["tags"]])
    for name, frame in {"events": made.events, "items": items, "users": made.users}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    save_model(scorer, folder / "model")


def words(shop: Path, out: Path) -> list[str]:
    tables = [word for name in ("events", "items", "users") for word in (f"--{name}", str(shop / f"{name}.csv"))]
    return ["build", *tables, "--model", str(shop / "model"), "--out", str(out), "--shard-size", "5", "--packs"]


def build(shop: Path, out: Path, *more: str, poisoned: bool = False, **given: Any) -> subprocess.Popen[bytes]:
    """Begin a run in a process of its own; what it says goes to a file."""
    begin = ["-c", _POISONED] if poisoned else ["-m", "reportgen"]
    with open(out.with_suffix(".err"), "wb") as told:
        return subprocess.Popen(
            [sys.executable, *begin, *words(shop, out), *more],
            env=ENV, stdout=subprocess.DEVNULL, stderr=told, **given,
        )  # fmt: skip


def make_shards(out: Path, shards: str) -> subprocess.Popen[bytes]:
    """``reportgen shard`` in a process of its own, as a cluster's queue starts it, with poison."""
    words = ["shard", "--plan", str(out / "run_plan.json"), "--shards", shards, "--quiet"]
    return subprocess.Popen([sys.executable, "-c", _POISONED, *words], env=ENV, stderr=subprocess.DEVNULL)


def said(out: Path) -> str:
    return out.with_suffix(".err").read_text("utf-8")


def finish(shop: Path, out: Path, *more: str) -> int:
    """Go on with a run in this process; return its exit code."""
    return main([*words(shop, out), "--resume", "--quiet", *more])
