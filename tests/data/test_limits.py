"""Events in bounded memory: the same result whatever the limits, and one clear line where they do not suffice."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen import Dataset
from reportgen.config import Config
from reportgen.data import ingest_sort
from reportgen.data.expressions import stepwise
from reportgen.data.ingest_limits import bytes_of, spill_folder
from reportgen.errors import ConfigError, InputError

ITEMS = pd.DataFrame({"item_id": ["A", "B"], "title": ["Lamp", "Chair"]})
ARRAYS = ("indptr", "items", "timestamps", "types", "values", "orders", "private", "user_ids", "item_ids")
COLUMNS = ("user_id", "item_id", "timestamp", "quantity", "order_id", "source", "event_type", "rating")
event = st.tuples(
    st.sampled_from("uvw"), st.sampled_from("ABC"), st.sampled_from(["2020-01-01", "2020-01-02", "2020-01-03", "x"]),
    st.sampled_from(["1", "2", "-1", ""]), st.sampled_from(["", "o1", "o2"]), st.sampled_from(["", "web", "gift"]),
    st.sampled_from(["", "view", "return", "rating"]), st.sampled_from(["", "0", "-0", "4"]),
)  # fmt: skip


def make(rows: list[Any], columns: int = len(COLUMNS), **config: Any) -> Dataset:
    table = pd.DataFrame([row[:columns] for row in rows], columns=COLUMNS[:columns], dtype=object)
    return Dataset.from_frames(table, ITEMS, config=Config.from_dict(config))


def assert_same(one: Dataset, two: Dataset) -> None:
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(two, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert one.problems == two.problems


@pytest.fixture(name="tiny")
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of three rows, pieces of one vector, and maps instead of memory."""
    monkeypatch.setattr(ingest_sort, "BLOCK", 3)
    monkeypatch.setattr(ingest_sort, "_VECTORS", 1)
    monkeypatch.setattr(ingest_sort, "HELD_BYTES", -1)


@given(st.lists(event, min_size=1, max_size=40), st.integers(3, len(COLUMNS)), st.integers(1, 9))
@settings(max_examples=40)
def test_the_size_of_blocks_changes_nothing(rows: list[Any], columns: int, block: int) -> None:
    if all(row[2] == "x" or (columns == len(COLUMNS) and row[3] == "") for row in rows):
        rows = [*rows, ("u", "A", "2020-01-01", "1", "", "", "", "1")]
    whole = make(rows, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_sort, "BLOCK", block)
        patch.setattr(ingest_sort, "HELD_BYTES", -1)
        assert_same(make(rows, columns), whole)


@given(st.lists(event, min_size=1, max_size=40).filter(lambda rows: any(row[2] != "x" for row in rows)))
@settings(max_examples=40)
def test_histories_agree_with_a_plain_loop(rows: list[Any]) -> None:
    """Order, orders and repeated rows, worked out one by one; the last columns play no part."""
    data = make(rows, 5)
    usable = [row[:5] for row in rows if row[2] != "x"]
    usable = [(u, i, t, {"": 1.0}.get(q) or abs(float(q)), o, q.startswith("-")) for u, i, t, q, o in usable]
    expected: list[tuple[str, str, str, int]] = []
    for user in sorted({row[0] for row in usable}):
        mine = sorted({row for row in usable if row[0] == user})
        first = {o: min(row[2] for row in mine if row[4] == o) for _, _, _, _, o, _ in mine if o}
        keys = sorted({(first.get(row[4], row[2]), row[4]) for row in mine})
        order = {row: keys.index((first.get(row[4], row[2]), row[4])) for row in mine}
        ranked = sorted(mine, key=lambda row: (order[row], row[2], row[5], row[1], row[3]))
        expected += [(user, row[1], row[2], order[row]) for row in ranked]
    users = np.repeat(data.user_ids, np.diff(data.indptr))
    times = data.timestamps.astype("datetime64[us]").astype("datetime64[D]").astype(str)
    found = list(
        zip(users.tolist(), data.item_ids[data.items].tolist(), times.tolist(), data.orders.tolist(), strict=True)
    )
    assert found == expected
    repeated = sum(p.count for p in data.problems if p.reason == "duplicate_row")
    assert repeated == len(usable) - len(expected)


@pytest.mark.usefixtures("tiny")
def test_one_user_longer_than_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("u", "AB"[k % 2], f"20{k // 300:02}-{1 + k // 25 % 12:02}-{1 + k % 25:02}") for k in range(5000)]
    rows += [("a", "A", "2020-01-01"), ("z", "A", "2020-01-01")]
    data = make(rows, 3)
    assert np.diff(data.indptr).tolist() == [1, 5000, 1]
    monkeypatch.undo()
    assert_same(data, make(rows, 3))


@pytest.mark.usefixtures("tiny")
def test_large_histories_are_maps_that_outlive_their_files(tmp_path: Path) -> None:
    data = make([("u", "A", "2020-01-01"), ("v", "B", "2020-01-02")], 3, input={"spill_folder": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
    for name in ("items", "timestamps", "types", "values", "orders"):
        assert isinstance(getattr(data, name).base, np.memmap)
        assert not getattr(data, name).flags.writeable
    assert data.items.tolist() == [0, 1]


@pytest.mark.parametrize("name", ["u", "first", "ts"])
def test_a_stream_that_is_out_of_order_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rows = [("u", "A", "2020-01-01", "1", "o1"), ("u", "B", "2020-01-02", "1", "o1"), ("u", "B", "2020-01-03", "1", "o2"),
            ("v", "B", "2020-01-02", "1", "o1")]  # fmt: skip
    honest = ingest_sort._stream

    def shuffled(*given: Any) -> Any:
        for piece in honest(*given):
            turned = {"u": [3, 0, 1, 2], "first": [2, 0, 1, 3], "ts": [1, 0, 2, 3]}[name]
            yield {column: values[turned] for column, values in piece.items()}

    monkeypatch.setattr(ingest_sort, "_stream", shuffled)
    with pytest.raises(AssertionError, match="out of order"):
        make(rows, 5)


def write(folder: Path, rows: int) -> Path:
    """Rows of one file, in the order of time."""
    when = "make_timestamp(1577836800000000 + r) AS timestamp"
    sql = f"SELECT 'user ' || hash(r) % 50000 AS user_id, 'A' AS item_id, {when} FROM range({rows}) t(r)"
    duckdb.execute(f"COPY ({sql}) TO '{folder / 'events.parquet'}' (FORMAT parquet)")
    (folder / "items.csv").write_text("item_id,title\nA,Lamp\n")
    return folder / "events.parquet"


def test_little_memory_gives_the_same(tmp_path: Path) -> None:
    events = write(tmp_path, 600_000)
    spill = tmp_path / "spill"
    spill.mkdir()
    small = {"memory_limit": "60MB", "threads": 1, "spill_folder": str(spill)}
    found = [
        Dataset.from_files(events, tmp_path / "items.csv", config=Config.from_dict({"input": values}))
        for values in (small, {"threads": 2})
    ]
    assert_same(*found)
    assert list(spill.iterdir()) == []


def test_a_spill_limit_that_is_too_small_is_named(tmp_path: Path) -> None:
    events = write(tmp_path, 2_000_000)
    config = Config.from_dict({"input": {"memory_limit": "60MB", "threads": 1, "spill_limit": "1MB"}})
    with pytest.raises(InputError, match=r"needs more than \[input\] spill_limit = 1MB of disk .*raise it"):
        Dataset.from_files(events, tmp_path / "items.csv", config=config)


def test_memory_that_is_too_small_is_named(tmp_path: Path) -> None:
    events = write(tmp_path, 300_000)
    config = Config.from_dict({"input": {"memory_limit": "1MB"}})
    with pytest.raises(InputError, match=r"does not fit into \[input\] memory_limit = 1MB; raise it"):
        Dataset.from_files(events, tmp_path / "items.csv", config=config)


def test_a_spill_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    config = Config.from_dict({"input": {"spill_folder": str(tmp_path / "none")}})
    with pytest.raises(InputError, match=r'\[input\] spill_folder = ".*none" cannot be used .*can be written'):
        Dataset.from_frames(
            pd.DataFrame({"user_id": ["u"], "item_id": ["A"], "timestamp": ["2020-01-01"]}), ITEMS, config=config
        )


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    config = Config.from_dict({"input": {"spill_folder": str(tmp_path)}})
    with (
        pytest.raises(InputError, match=rf"disk is full .*\[input\] spill_folder .*now {tmp_path}"),
        spill_folder(config.input),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ZeroDivisionError), spill_folder(config.input):
        raise ZeroDivisionError


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that can be made small: Linux and root")
def test_a_disk_that_fills_while_sorting(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(full)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small file system; run it as root")
    try:
        config = Config.from_dict({"input": {"memory_limit": "60MB", "threads": 1, "spill_folder": str(full)}})
        with pytest.raises(InputError, match=r"(disk is full|spill_limit)"):
            Dataset.from_files(write(tmp_path, 2_000_000), tmp_path / "items.csv", config=config)
        assert list(full.iterdir()) == []
    finally:
        subprocess.run(["umount", str(full)], check=True)


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("1.5GB", 1_500_000_000), ("2 GiB", 2 << 30), ("1TB", 10**12)]
)
def test_sizes(text: str, size: int) -> None:
    assert Config.from_dict({"input": {"memory_limit": text}}).input.memory_limit == text
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "1", "GB", "-1GB", "0GB", "1 kB", "1,5GB", "80%"])
def test_sizes_that_are_none(text: str) -> None:
    for name in ("memory_limit", "spill_limit"):
        with pytest.raises(ConfigError, match=rf'{name}: .* is not a size such as "500MB"'):
            Config.from_dict({"input": {name: text}})


def test_limits_are_not_part_of_what_a_manifest_says() -> None:
    given = Config.from_dict(
        {"input": {"memory_limit": "3GB", "threads": 2, "spill_folder": "/x", "spill_limit": "1TB"}}
    )
    assert given.to_dict() == Config().to_dict()


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=20, unique=True).map(sorted),
    st.lists(st.integers(-60, 60), min_size=1),
)
@settings(max_examples=30)
def test_steps_as_a_tree_are_the_steps(starts: list[int], asked: list[int]) -> None:
    steps = [(start, 10 * place) for place, start in enumerate(starts)]
    rows = ", ".join(f"({number})" for number in asked)
    found = [row[0] for row in duckdb.execute(f"SELECT {stepwise('x', steps)} FROM (VALUES {rows}) t(x)").fetchall()]
    places = [max(sum(start <= number for start in starts) - 1, 0) for number in asked]
    assert found == [10 * place for place in places]


CHILD = """
import resource, sys
from reportgen import Dataset
from reportgen.config import Config
config = Config.from_dict({"input": {"memory_limit": "150MB", "threads": 1}})
data = Dataset.from_files(sys.argv[1], sys.argv[2], config=config)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, data.items.size)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(resource, "RLIMIT_AS") or sys.platform == "darwin", reason="ru_maxrss is in bytes there"
)
def test_memory_does_not_grow_with_the_events(repository: Path) -> None:
    """Eight times the events must not take even twice the memory; arrays alone would grow by 110 MB, Python's rows by GBs."""
    peaks = []
    for rows in (750_000, 6_000_000):
        with tempfile.TemporaryDirectory() as folder:
            events = write(Path(folder), rows)
            words = [sys.executable, "-c", CHILD, str(events), str(Path(folder, "items.csv"))]
            done = subprocess.run(words, cwd=repository, check=True, capture_output=True, text=True).stdout.split()
        assert int(done[1]) == rows
        peaks.append(int(done[0]))
    assert peaks[1] < 2 * peaks[0]
