"""The main job on real shop data: rows in, rows set aside and why, users, seconds, peak memory, bytes per report.

    python benchmarks/real_input.py [--shared DIR] [--quick]

`DIR` holds ``uci-online-retail`` and ``open-ecommerce-amazon`` (see docs/real-input.md for what they are and where they come
from; they are not part of this repository). Each run is the command line in a process of its own.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

SHARED = Path(os.environ.get("REPORTGEN_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TOML = Path(__file__).resolve().parent.parent / "docs" / "examples" / "uci-raw.toml"


def runs(shared: Path, scratch: Path) -> dict[str, list[str]]:
    """Name -> arguments of ``reportgen build``."""
    uci, amazon = shared / "uci-online-retail", shared / "open-ecommerce-amazon"
    raw, csv = uci / "raw.parquet", scratch / "raw.csv"
    duckdb.sql(f"COPY (SELECT * FROM read_parquet('{raw}')) TO '{csv}' (HEADER, DELIMITER ',')")
    return {
        "uci": ["--events", str(uci / "interactions.parquet"), "--items", str(uci / "items.parquet")],
        "uci-raw-parquet": ["--events", str(raw), "--items", str(raw), "--config", str(TOML)],
        "uci-raw-csv": ["--events", str(csv), "--items", str(csv), "--config", str(TOML)],
        "amazon": [
            "--events",
            str(amazon / "demo_interactions.parquet"),
            "--items",
            str(amazon / "demo_items.parquet"),
        ],
    }


def measure(name: str, arguments: list[str], out: Path, pdfs: int) -> dict[str, float]:
    """Build one run; what it cost by the operating system's account, and what its manifest says."""
    command = [
        sys.executable,
        "-m",
        "reportgen",
        "build",
        *arguments,
        "--out",
        str(out),
        "--format",
        "html,pdf,json",
        "--pdf-limit",
        str(pdfs),
        "--quiet",
    ]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 3):
        raise SystemExit(f"{name}: exit code {os.waitstatus_to_exitcode(status)}")
    manifest = json.loads((out / "manifest.json").read_bytes())
    figures = {
        "seconds": time.monotonic() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "users": manifest["users"]["total"],
        "reported": manifest["users"]["reported"],
        "set_aside_users": manifest["users"]["set_aside"],
    }
    for entry in manifest["inputs"]:
        figures[f"rows/{entry['table']}"] = entry["rows"]
    for problem in manifest["problems"]:
        kind = "kept" if problem["kept"] else "set_aside"
        figures[f"{kind}/{problem['table']}/{problem['reason']}"] = problem["count"]
    for kind in ("html", "pdf", "json"):
        sizes = [
            entry["bytes"]
            for entry in manifest["outputs"]
            if entry["path"].endswith(f".{kind}") and "reports/" in entry["path"]
        ]
        figures[f"files/{kind}"] = len(sizes)
        figures[f"bytes_per_{kind}"] = round(sum(sizes) / max(1, len(sizes)))
    return {f"{name}/{key}": round(value, 2) for key, value in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder that holds the data sets")
    parser.add_argument("--quick", action="store_true", help="only the smallest of them")
    given = parser.parse_args()
    figures: dict[str, float] = {}
    conditions: dict[str, Any] = {"python": platform.python_version(), "pdfs": 5 if given.quick else 50}
    if not given.shared.is_dir():
        conditions["skipped"] = f"no data in {given.shared.name}/; say --shared DIR"
        print(json.dumps({"benchmark": "real_input", "figures": figures, "conditions": conditions}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name, arguments in runs(given.shared, Path(scratch)).items():
            if not given.quick or name == "amazon":
                figures |= measure(name, arguments, Path(scratch) / name, conditions["pdfs"])
    print(
        json.dumps(
            {
                "benchmark": "real_input",
                "figures": figures,
                "conditions": conditions,
            }
        )
    )


if __name__ == "__main__":
    main()
