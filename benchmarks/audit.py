"""What proof costs: verifying beside bare hashing of the same bytes, sealing beside making the run; and whether changes are found.

    python benchmarks/audit.py [--quick] [--users N] [--kind files|packs]

A made-up shop gets HTML and JSON for every user, sealed and signed. Then, in one process on one core, in processor time:

* `verify/per_second`: reports verified per second. `verify/hash_ratio`: that time by the time to open, read and SHA-256 the same files
  (for packs: to read and inflate them and SHA-256 every report), the best of three each, taking turns.
  `verify/per_second_beside_hashing`: reports per second of the time that is left when hashing is taken away.
* `seal/overhead`: share of the run's time that goes into leaves, root, statement and signature.
* `changes/made`, `changes/found`: single bytes changed at random places of all bytes of all files, each verified by itself and named.
* `forget/users`, `forget/green`: users erased, and whether the run is still proven; `forget/per_second` of one after another.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import time
import zipfile
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import _one_thread  # noqa: F401 - before numpy

from reportgen.audit import seal
from reportgen.audit.dsse import find_signer, make_keys, read_public_key
from reportgen.audit.erase import erase_users
from reportgen.audit.leaves import read_leaves, text_key
from reportgen.audit.place import read_manifest
from reportgen.audit.verify import verify_run
from reportgen.batch import closing
from reportgen.batch.run import build_run
from reportgen.verbs.demo import demo_data, demo_settings
from reportgen.verbs.model import fit_scorer

ROUNDS, SEED, WHEN = 3, 6, "2026-07-01T00:00:00Z"


def make(folder: Path, users: int, packs: bool) -> tuple[Path, Path, float]:
    """Make a signed run; return it, the public key, and the share of its time that sealing took."""
    private, public, _ = make_keys(folder / "keys")
    data, config, inputs = demo_data(users)
    as_of = int(data.timestamps.max())
    scorer = fit_scorer(data, config, as_of)
    sealing = seal.Sealing(find_signer(private, {}, lambda _: None))
    settings = replace(
        demo_settings(folder / "run", config, as_of, inputs), formats=("html", "json"), packs=packs, sealing=sealing
    )
    spent = 0.0

    def timed(*given: Any) -> Any:
        nonlocal spent
        start = time.process_time()
        found = seal.seal_run(*given)
        spent += time.process_time() - start
        return found

    closing.seal_run = timed
    start = time.process_time()
    build_run(settings, data, scorer)
    whole = time.process_time() - start
    closing.seal_run = seal.seal_run
    return folder / "run", public, spent / (whole - spent)


def bare_hashing(run: Path) -> int:
    """Open, read and hash what `verify` hashes; return the bytes."""
    size = 0
    for output in read_manifest(run)["outputs"]:
        path = run / output["path"]
        with open(path, "rb") as file:
            data = file.read()
        sha256(data).hexdigest()
        size += len(data)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    sha256(archive.read(name)).hexdigest()
    return size


def best(work: tuple[Callable[[], object], ...]) -> list[float]:
    """The least processor time of each, of some rounds in which they take turns."""
    spent: list[list[float]] = [[] for _ in work]
    for _ in range(ROUNDS):
        for one, times in zip(work, spent, strict=True):
            start = time.process_time()
            one()
            times.append(time.process_time() - start)
    return [min(times) for times in spent]


def change_bytes(run: Path, count: int) -> tuple[int, list[str]]:
    """Change single bytes, each at a place drawn from all bytes of the run; return how many were named, and the others."""
    paths = [*(output["path"] for output in read_manifest(run)["outputs"]), "manifest.json"]
    paths = [path for path in paths if (run / path).stat().st_size]
    ends = list(accumulate((run / path).stat().st_size for path in paths))
    draw, found, missed = random.Random(SEED), 0, []
    for _ in range(count):
        place = draw.randrange(ends[-1])
        at = bisect_right(ends, place)
        path, offset = run / paths[at], place - (ends[at - 1] if at else 0)
        with open(path, "r+b") as file:
            file.seek(offset)
            before = file.read(1)
            file.seek(offset)
            file.write(bytes([before[0] ^ draw.randrange(1, 256)]))
        named = any(paths[at] in str(one) for one in verify_run(run).findings)
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(before)
        found += named
        if not named:
            missed.append(f"{paths[at]}, byte {offset}")
    return found, missed


def forget(run: Path, public: Path, count: int) -> tuple[int, bool, float]:
    """Erase users one after another; return how many, whether the run is proven afterwards, and the time."""
    keys = [text_key(raw) for raw in read_leaves(run, 10**8).keys]
    chosen = random.Random(SEED).sample(keys, min(count, len(keys) - 1))
    start = time.process_time()
    for key in chosen:
        erase_users(run, [key], WHEN)
    spent = time.process_time() - start
    verdict = verify_run(run, read_public_key(public))
    return len(chosen), verdict.good and verdict.facts["erased"] == len(chosen), spent


def measure(folder: Path, users: int, changes: int, small: int, packs: bool) -> dict[str, Any]:
    """All figures; the changes are made in a smaller run, since each is verified as a whole."""
    run, public, overhead = make(folder / "large", users, packs)
    key = read_public_key(public)
    verdict = verify_run(run, key)
    if not verdict.good:
        raise SystemExit("\n".join(map(str, verdict.findings)))
    verifying, hashing = best((lambda: verify_run(run, key), lambda: bare_hashing(run)))
    reports = verdict.facts["reports"]
    little, public, _ = make(folder / "small", small, packs)
    found, missed = change_bytes(little, changes)
    for one in missed:
        print(f"not found: {one}")
    gone, green, spent = forget(little, public, 100)
    return {
        "verify/per_second": round(reports / verifying, 1),
        "verify/hash_ratio": round(verifying / hashing, 3),
        "verify/per_second_beside_hashing": round(reports / max(verifying - hashing, 1e-9), 1),
        "verify/reports": reports,
        "verify/bytes": verdict.facts["bytes"],
        "seal/overhead": round(overhead, 5),
        "changes/made": changes,
        "changes/found": found,
        "forget/users": gone,
        "forget/green": int(green),
        "forget/per_second": round(gone / max(spent, 1e-9), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small version in under 30 seconds")
    parser.add_argument("--users", type=int, default=5000, help="users of the run that is timed")
    parser.add_argument("--kind", choices=("files", "packs"), default="files")
    given = parser.parse_args()
    users, changes, small = (300, 60, 120) if given.quick else (given.users, 1000, 130)
    with tempfile.TemporaryDirectory(prefix="reportgen-audit-") as name:
        folder = Path(name)
        for part in ("large", "small"):
            (folder / part).mkdir()
        figures = measure(folder, users, changes, small, given.kind == "packs")
    conditions = {
        "users": users, "kind": given.kind, "users_where_bytes_were_changed": small, "formats": "html,json",
        "python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(), "rounds": ROUNDS,
    }  # fmt: skip
    print(json.dumps({"benchmark": "audit", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
