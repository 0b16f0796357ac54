"""A made-up shop with any number of customers as a folder of histories and a fitted model, made in bounded memory.

The shop is made once for at most `ORIGINALS` users. More users are copies of these under ids of their own: they cost a run the same as
originals, and are written as files, part after part, and read as ``reportgen build`` reads them, sorted out of core.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import _one_thread  # noqa: F401  (before NumPy)
import duckdb
import pandas as pd

from reportgen import AttentionScorer, Dataset
from reportgen.attention.store import load_model, save_model
from reportgen.data.shop import Shop, make_shop

ORIGINALS = 20_000


def peak_bytes() -> int:
    """Most memory this process has used, as the operating system counts it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def write_tables(users: int, folder: Path) -> None:
    """Events, items and users of a shop as Parquet files."""
    shop = make_shop(min(users, ORIGINALS))
    for table in ("events", "users"):
        (folder / table).mkdir()
    items = shop.items.assign(tags=shop.items["tags"].map("|".join))
    _write("SELECT * FROM it", folder / "items.parquet", it=items)
    for part, start in enumerate(range(0, users, ORIGINALS)):
        _write_part(shop, part, min(ORIGINALS, users - start), folder)


def _write_part(shop: Shop, part: int, users: int, folder: Path) -> None:
    """The first so many users and their events, ids prefixed by the number of the part."""
    people = shop.users.head(users)
    own = f"'{part:04}-' || "
    chosen = f"SELECT * REPLACE ({own}user_id AS user_id, {own}email AS email) FROM people"
    _write(chosen, folder / "users" / f"{part:04}.parquet", people=people)
    ids = f"SELECT * REPLACE ({own}user_id AS user_id, {own}order_id AS order_id) FROM events"
    kept = f"{ids} WHERE user_id IN (SELECT user_id FROM people)"
    _write(kept, folder / "events" / f"{part:04}.parquet", events=shop.events, people=people)


def _write(select: str, path: Path, **frames: pd.DataFrame) -> None:
    with duckdb.connect(config={"threads": 1}) as database:
        for name, frame in frames.items():
            database.register(name, frame)
        database.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")


def prepare(users: int, folder: Path) -> dict[str, float]:
    """Write tables, read them, fit, and save both results in `folder`; in a process of its own, see `prepared`."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    write_tables(users, folder)
    made = time.process_time()
    data = Dataset.from_files(folder / "events", folder / "items.parquet", folder / "users")
    read = time.process_time()
    figures = {"make_cpu_seconds": made - start, "read_cpu_seconds": read - made, "peak_bytes_read": peak_bytes()}
    scorer = AttentionScorer(random_state=0).fit(data)
    figures |= {"fit_cpu_seconds": time.process_time() - read, "events": int(data.items.size)}
    data.save(folder / "data")
    save_model(scorer, folder / "model")
    return figures | {"peak_bytes_prepare": peak_bytes()}


def prepared(users: int, folder: Path) -> tuple[Dataset, AttentionScorer, dict[str, float]]:
    """Data and model of such a shop, opened from a folder where another process has made them, and what that took."""
    told = subprocess.run(
        [sys.executable, __file__, str(users), str(folder)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    data = Dataset.open(folder / "data", verify=False)
    return data, load_model(folder / "model"), json.loads(told.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(prepare(int(sys.argv[1]), Path(sys.argv[2]))))
