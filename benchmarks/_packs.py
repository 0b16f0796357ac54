"""Packs against files: users per second written, bytes per user, and the time of a look-up in a large index.

The functions return figures; a benchmark that calls them prints. Reports are real ones of the made-up shop, given to as many users as
asked for: what a member of a pack costs does not depend on the other members.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from reportgen import AttentionScorer, Dataset, make_shop
from reportgen.batch.people import report_stem
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.explain.privacy import pseudonym
from reportgen.output.durable import Durable
from reportgen.output.entries import MADE, Entry, entry_line, read_entry
from reportgen.output.folder import RunFolder
from reportgen.output.pack_index import build_index, find_entries
from reportgen.output.packs import Pack, check_pack, pack_path, packs_of, read_listing, read_report
from reportgen.report.record import iso

SECRET = b"a key for benchmarks, not a secret"
WORDS = ("html", "json")
User = tuple[str, dict[str, bytes]]


def real_reports(folder: Path, users: int = 200) -> list[dict[str, bytes]]:
    """HTML and JSON of the first users of the made-up shop."""
    shop = make_shop(users)
    data = Dataset.from_frames(shop.events, shop.items, shop.users)
    as_of = int(data.timestamps.max())
    build_run(RunSettings(folder, SECRET, as_of, iso(as_of), formats=WORDS), data, AttentionScorer().fit(data))
    pages = sorted(folder.glob("reports/*/*.html"))
    return [{word: page.with_suffix(f".{word}").read_bytes() for word in WORDS} for page in pages]


def people(reports: list[dict[str, bytes]], count: int) -> Iterator[User]:
    """So many users, each with one of the reports."""
    for k in range(count):
        yield pseudonym(SECRET, f"user {k}"), reports[k % len(reports)]


def write_packs(out: Path, users: Iterator[User], shard_users: int) -> None:
    """One pack per shard, synced one by one, as workers do."""
    pack = Pack(0)

    def put() -> None:
        with Durable(out) as durable:
            durable.write(pack_path(pack.shard), pack.to_bytes())

    for k, (key, files) in enumerate(users):
        if k and k % shard_users == 0:
            put()
            pack = Pack(pack.shard + 1)
        for word, data in files.items():
            pack.write(f"{report_stem(key)}.{word}", data)
    put()
    build_index(out, (read_listing(out, shard) for shard in packs_of(out)))


def write_groups(out: Path, users: Iterator[User]) -> None:
    """Files in folders, synced in groups."""
    with Durable(out) as durable:
        for key, files in users:
            for word, data in files.items():
                durable.write(f"{report_stem(key)}.{word}", data)
                sha256(data).hexdigest()


def write_folder(out: Path, users: Iterator[User]) -> None:
    """Files in folders as a small run writes them, synced one by one at the end."""
    folder = RunFolder(out)
    for key, files in users:
        for word, data in files.items():
            folder.write(f"{report_stem(key)}.{word}", data, "")
    folder.seal(b"{}\n")


def on_disk(folder: Path) -> int:
    """Bytes that a folder takes up on its disk."""
    return sum(os.lstat(path).st_blocks * 512 for path in (folder, *folder.rglob("*")))


def measure_writing(scratch: Path, users: int, shard_users: int = 1000) -> dict[str, float]:
    """Users per second (of the clock, and of the processor) and bytes per user, three ways to write the same reports."""
    reports = real_reports(scratch / "real")
    ways: dict[str, Callable[[Path], None]] = {
        "packs": lambda out: write_packs(out, people(reports, users), shard_users),
        "groups": lambda out: write_groups(out, people(reports, users)),
        "folder": lambda out: write_folder(out, people(reports, users)),
    }
    figures: dict[str, float] = {"bytes/raw": sum(len(d) for r in reports for d in r.values()) / len(reports)}
    for name, write in ways.items():
        out = scratch / name
        out.mkdir()
        start, cpu = time.perf_counter(), time.process_time()
        write(out)
        figures[f"{name}/users_per_second"] = users / (time.perf_counter() - start)
        figures[f"{name}/users_per_cpu_second"] = users / (time.process_time() - cpu)
        figures[f"{name}/bytes_on_disk"] = on_disk(out) / users
        start = time.perf_counter()
        if name == "packs":
            figures["index/bytes_on_disk"] = on_disk(out / "index") / users
            figures |= _reading(out)
            start = time.perf_counter()
        shutil.rmtree(out)
        figures[f"{name}/delete_seconds"] = time.perf_counter() - start
    return figures


def _reading(run: Path, looks: int = 200) -> dict[str, float]:
    """Time to check a pack, and to find and take out one report."""
    shards = packs_of(run)
    start = time.process_time()
    for shard in shards:
        check_pack(run, shard)
    seconds = time.process_time() - start
    size = sum((run / pack_path(shard)).stat().st_size for shard in shards)
    keys = [entry.key for entry in _some_entries(run, looks)]
    start = time.process_time()
    for key in keys:
        read_report(run, find_entries(run, key)[0])
    return {
        "check/megabytes_per_cpu_second": size / seconds / 1e6,
        "get/milliseconds": (time.process_time() - start) / looks * 1e3,
    }


def _some_entries(run: Path, count: int) -> list[Entry]:
    dice = random.Random(0)
    lines = [line for shard in packs_of(run)[:5] for line in read_listing(run, shard)]
    return [read_entry(dice.choice(lines)) for _ in range(count)]


def measure_index(scratch: Path, entries: int, shard_users: int = 1000, looks: int = 2000) -> dict[str, float]:
    """An index of so many entries: time and memory to build it, its bytes, and the time of a search for a known and an unknown key."""
    scratch.mkdir(parents=True, exist_ok=True)
    users = entries // len(WORDS)

    def listings() -> Iterator[list[bytes]]:
        for at in range(0, users, shard_users):
            keys = [pseudonym(SECRET, f"user {k}") for k in range(at, min(at + shard_users, users))]
            yield [
                entry_line(Entry(key, word, at // shard_users, f"{report_stem(key)}.{word}", 30_000, "0" * 64, MADE))
                for key in keys
                for word in WORDS
            ]

    start = time.process_time()
    for _ in listings():
        pass
    making = time.process_time() - start
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    build_index(scratch, listings())
    building = time.process_time() - start - making
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {
        "index/build_cpu_seconds": building,
        "index/build_more_peak_bytes": (after - before) * 1024,
        "index/bytes_per_entry": sum(path.stat().st_size for path in (scratch / "index").iterdir()) / entries,
    }
    dice = random.Random(1)
    for name, low, high in (("known", 0, users), ("unknown", users, 2 * users)):
        keys = [pseudonym(SECRET, f"user {dice.randrange(low, high)}") for _ in range(looks)]
        start = time.process_time()
        found = sum(len(find_entries(scratch, key)) for key in keys)
        figures[f"index/{name}_milliseconds"] = (time.process_time() - start) / looks * 1e3
        assert found == (len(WORDS) * looks if name == "known" else 0)
    return figures
