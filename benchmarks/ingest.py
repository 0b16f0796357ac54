"""Events in a file -> histories: CPU seconds and the most memory used, beside pandas and a plain DuckDB query.

    python benchmarks/ingest.py [--events N] [--users N] [--items N] [--format csv|parquet] [--folder DIR] [--quick]

Each reader is a process of its own, and the operating system says what it took (``wait4``: processor time of all its
threads, largest resident size), the start of Python and its imports included. The file is synthetic and lies in the
order of time, as a log does, so that every reader must sort it by user. Reportgen checks every cell and numbers users,
items and orders; pandas numbers users and items without a check; the DuckDB query only sorts the text. The histories of
reportgen and pandas are compared. pandas takes part up to 30 million events, and only with CSV: it needs a further
package for Parquet. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

# The engine's memory: the same for both that have one. It is also reportgen's default.
MEMORY = "1.5GB"
PANDAS_MOST = 30_000_000
VECTORS = 128


def make_file(path: Path, events: int, users: int, items: int) -> None:
    """Events in the order of time, one a second or more often; users even, items with a long tail."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(path.parent / "making")})
    kind = "(FORMAT parquet)" if path.suffix == ".parquet" else "(HEADER)"
    step = 3 * 365 * 86_400_000_000 / events
    con.execute(
        f"""COPY (SELECT 'u' || lpad(CAST(hash(r) % {users} AS VARCHAR), 8, '0') AS user_id,
        'i' || lpad(CAST(CAST(floor({items} * pow(hash(r + 1000000007) % 1000003 / 1000003.0, 3)) AS BIGINT) AS VARCHAR),
        7, '0') AS item_id, make_timestamp(1600000000000000 + CAST(r * {step} AS BIGINT)) AS timestamp
        FROM range({events}) t(r)) TO '{path}' {kind}"""
    )
    con.execute(
        f"""COPY (SELECT 'i' || lpad(CAST(r AS VARCHAR), 7, '0') AS item_id, 'Thing ' || r AS title
        FROM range({items}) t(r)) TO '{path.parent / "items.csv"}' (HEADER)"""
    )


def read_ours(path: Path) -> tuple[int, int, int]:
    """Events, users, and a checksum of the histories."""
    from reportgen import Dataset
    from reportgen.config import Config

    config = Config.from_dict({"input": {"memory_limit": MEMORY, "spill_folder": str(path.parent)}})
    data = Dataset.from_files(path, path.parent / "items.csv", config=config)
    assert not data.problems, data.problems
    return int(data.items.size), int(data.user_ids.size), _checksum(data.items, data.timestamps)


def read_pandas(path: Path) -> tuple[int, int, int]:
    """The same by the usual calls, without a check."""
    import numpy as np
    import pandas as pd

    table = pd.read_csv(path, dtype={"user_id": object, "item_id": object}, parse_dates=["timestamp"])
    users, names = pd.factorize(table["user_id"], sort=True)
    catalogue = pd.Index(pd.read_csv(path.parent / "items.csv", dtype=object)["item_id"]).sort_values()
    items = catalogue.get_indexer(table["item_id"])
    times = table["timestamp"].to_numpy().astype("datetime64[us]").astype(np.int64)
    order = np.lexsort((times, users))
    return int(order.size), len(names), _checksum(items[order].astype(np.int32), times[order])


def read_duckdb(path: Path) -> tuple[int, int, int]:
    """One query that sorts, streamed; the text stays text."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(path.parent / "sorting")})
    found = con.execute(f"SELECT user_id, item_id, timestamp FROM '{path}' ORDER BY user_id, timestamp")
    events, users, last = 0, 0, None
    while len(piece := found.fetch_df_chunk(VECTORS)):
        names = piece["user_id"].to_numpy()
        events += names.size
        users += int((names[1:] != names[:-1]).sum()) + (names[0] != last)
        last = names[-1]
    return events, users, 0


def _checksum(items: object, times: object) -> int:
    """Blocks keep a mapped array out of memory."""
    found = 0
    for start in range(0, len(items), 1 << 20):  # type: ignore[arg-type]
        for array in (items, times):
            found = zlib.crc32(array[start : start + (1 << 20)].tobytes(), found)  # type: ignore[index]
    return found


READERS = {"ours": read_ours, "pandas": read_pandas, "duckdb": read_duckdb}


def measure(name: str, path: Path) -> tuple[dict[str, float], list[int]]:
    """Run one reader as a process of its own."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen([sys.executable, __file__, "--reader", name, "--file", str(path)], stdout=out)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{name} failed with {child.returncode}")
        out.seek(0)
        told = json.loads(out.read().splitlines()[-1])
    peak = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
    return {f"{name}/cpu_seconds": used.ru_utime + used.ru_stime, f"{name}/peak_bytes": peak}, told


def compare(events: int, users: int, items: int, kind: str, folder: Path) -> dict[str, float]:
    """Make the file, read it by each, and hold their results together."""
    path = folder / f"events.{kind}"
    # Made by a process of its own: a child's largest size begins with that of the process it comes from.
    words = ["--make", "--file", str(path), "--events", str(events), "--users", str(users), "--items", str(items)]
    subprocess.run([sys.executable, __file__, *words], check=True)
    names = ["ours", "duckdb", *(["pandas"] if kind == "csv" and events <= PANDAS_MOST else [])]
    figures: dict[str, float] = {"file_bytes": path.stat().st_size}
    told = {}
    for name in names:
        found, told[name] = measure(name, path)
        figures |= found
    assert all(one[:2] == told["ours"][:2] for one in told.values()), told
    assert told.get("pandas", told["ours"]) == told["ours"], "the histories differ"
    for name in names[1:]:
        for key in ("cpu_seconds", "peak_bytes"):
            figures[f"ours_to_{name}/{key}"] = figures[f"ours/{key}"] / figures[f"{name}/{key}"]
    return figures


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--folder", type=Path, help="where the file and what is spilled lie (the temporary folder)")
    parser.add_argument("--quick", action="store_true", help="300,000 events of 10,000 users")
    for name in ("--reader", "--file", "--make"):  # the processes that are measured
        parser.add_argument(name, help=argparse.SUPPRESS, **({"action": "store_true"} if name == "--make" else {}))
    given = parser.parse_args()
    if given.make:
        make_file(Path(given.file), given.events, given.users, given.items)
    elif given.reader:
        print(json.dumps(READERS[given.reader](Path(given.file))))
    else:
        report(given)


def report(given: argparse.Namespace) -> None:
    """Measure and print the result."""
    events, users = (300_000, 10_000) if given.quick else (given.events, given.users)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        figures = compare(events, users, given.items, given.format, Path(folder))
    conditions = {
        "events": events, "users": users, "items": given.items, "format": given.format, "memory_limit": MEMORY,
        "cores": os.cpu_count(), "python": platform.python_version(),
    }  # fmt: skip
    print(json.dumps({"benchmark": "ingest", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
