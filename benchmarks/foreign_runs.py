"""A run on another model's weights: reading a table that is longer than memory should be, and HTML and JSON of many users to packs.

    python benchmarks/foreign_runs.py [--users N] [--history N] [--products N] [--out DIR] [--quick]

The shop is the one of `scale.py`. Its table of weights is made by DuckDB: of each user the last items, each with a random share, for the
same few products. It is read by a process of its own, whose peak memory the operating system tells, before and after. Then the same run
is made by the calling process and by two workers, and the bytes of both are compared. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _one_thread  # noqa: F401  (before NumPy)
import duckdb
from _scale_cost import children_seconds
from _scale_data import peak_bytes, write_tables

from reportgen import Dataset
from reportgen.batch.foreign import Foreign
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.batch.shard import processor_seconds
from reportgen.data.weights import WeightTable, read_weights
from reportgen.data.weights_store import open_table, save_table
from reportgen.explain.foreign import ForeignModel
from reportgen.report.record import iso

KEY = b"a key for benchmarks, not a secret"


def own_peak() -> int:
    """Most memory of this process. ``ru_maxrss`` would count what its parent had when it was started."""
    status = Path("/proc/self/status")
    if not status.exists():
        return peak_bytes()
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def write_weights(folder: Path, history: int, products: int) -> int:
    """Make the table as Parquet, in no order of users; return its rows."""
    with duckdb.connect(config={"threads": 1, "memory_limit": "2GB", "temp_directory": str(folder / "spill")}) as con:
        con.execute("SELECT setseed(0.5)")
        con.execute(
            f"""COPY (SELECT user_id, p.item_id, history_item_id, w / sum(w) OVER (PARTITION BY user_id, p.item_id)
            AS weight, p.rank FROM (SELECT user_id, item_id AS history_item_id, random() AS w FROM
            (SELECT user_id, item_id, max(timestamp) AS t FROM '{folder}/events/*.parquet' GROUP BY ALL)
            QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY t DESC, item_id) <= {history}), (SELECT item_id,
            row_number() OVER (ORDER BY count(*) DESC, item_id) AS rank FROM '{folder}/events/*.parquet'
            GROUP BY item_id ORDER BY rank LIMIT {products}) p ORDER BY hash(user_id, history_item_id, p.item_id))
            TO '{folder}/weights.parquet' (FORMAT parquet)"""
        )
        return int(con.execute(f"SELECT count(*) FROM '{folder}/weights.parquet'").fetchall()[0][0])


def read(folder: Path) -> dict[str, float]:
    """Read the table; in a process of its own."""
    data = Dataset.open(folder / "data", verify=False)
    before, start = own_peak(), time.process_time()
    table = read_weights(folder / "weights.parquet", data)
    spent = time.process_time() - start
    save_table(table, folder / "table")
    return {"peak_bytes_before": before, "peak_bytes": own_peak(), "cpu_seconds": spent}


def whole_run(folder: Path, workers: int) -> dict[str, float]:
    """One run of everybody in the table."""
    data, table = Dataset.open(folder / "data", verify=False), open_table(WeightTable, folder / "table", verify=False)
    as_of, out = int(data.timestamps.max()), folder / f"run{workers}"
    run = RunSettings(out, KEY, as_of, iso(as_of), packs=True, user_seconds=120.0, workers=workers)
    cpu, own, start = children_seconds(), processor_seconds(), time.perf_counter()
    made = build_run(run, data, Foreign(table, model=ForeignModel("SASRec")), clock=processor_seconds)
    wall, users = time.perf_counter() - start, made.users.reported
    cpu = children_seconds() - cpu if workers > 1 else processor_seconds() - own
    return {
        "users": users, "set_aside": made.users.set_aside, "users_per_second": users / wall,
        "users_per_cpu_second": users / cpu, "bytes_per_user": made.written / max(users, 1),
        "peak_bytes_worker": made.peak_worker or own_peak(),
        **{f"us/{name}": 1e6 * spent / max(users, 1) for name, spent in made.seconds.items()},
    }  # fmt: skip


def _alone(*words: str) -> dict[str, float]:
    told = subprocess.run([sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def measure(users: int, history: int, products: int, folder: Path) -> dict[str, float]:
    """Everything that this script prints; each part is a process of its own, so that its peak is its own."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(users, folder)
    Dataset.from_files(folder / "events", folder / "items.parquet", folder / "users").save(folder / "data")
    figures: dict[str, float] = {"rows": write_weights(folder, history, products)}
    figures |= {f"read/{name}": value for name, value in _alone("--part", "read", "--out", str(folder)).items()}
    for workers in (1, 2):
        found = _alone("--part", f"run{workers}", "--out", str(folder))
        figures |= {f"workers{workers}/{name}": value for name, value in found.items()}
    packs = [sorted((folder / run / "packs").iterdir()) for run in ("run1", "run2")]
    figures["same_bytes"] = float(all(a.read_bytes() == b.read_bytes() for a, b in zip(*packs, strict=True)))
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--history", type=int, default=20, help="items of each user's history that have a weight")
    parser.add_argument("--products", type=int, default=5)
    parser.add_argument("--out", type=Path, help="where everything is written and left")
    parser.add_argument("--quick", action="store_true", help="600 users")
    parser.add_argument("--part", choices=("read", "run1", "run2"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(read(given.out) if given.part == "read" else whole_run(given.out, int(given.part[-1]))))
        return
    users, scratch = 600 if given.quick else given.users, given.out or Path(tempfile.mkdtemp())
    try:
        figures = measure(users, given.history, given.products, scratch)
    finally:
        if given.out is None:
            shutil.rmtree(scratch)
    conditions = {
        "users": users,
        "history": given.history,
        "products": given.products,
        "python": platform.python_version(),
    }
    print(json.dumps({"benchmark": "foreign_runs", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
