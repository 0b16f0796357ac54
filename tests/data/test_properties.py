"""What holds for any input."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.config import Config, EventsConfig
from reportgen.data.dataset import Dataset
from reportgen.data.effects import values_of

ITEMS = pd.DataFrame({"item_id": ["A", "B"], "title": ["Lamp", "Chair"]})
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: not text.isspace())
cells = st.sampled_from(
    ["", " ", "u", "v", "A", "C", "2020-01-01", "2020-01-02T03:04:05Z", "99", "-2", "0", "nan", "buy"]
)
LISTS = ("items", "timestamps", "types", "values", "orders", "indptr", "user_ids", "item_ids")


def frame(rows: list[tuple[Any, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Rows of text as a frame whose cells stay what they are."""
    table = np.empty((len(rows), len(columns)), dtype=object)
    for i, row in enumerate(rows):
        table[i, :] = row
    return pd.DataFrame({name: pd.Series(table[:, j], dtype=object) for j, name in enumerate(columns)})


@given(st.lists(ids, min_size=1, max_size=20, unique=True))
@settings(max_examples=20)
def test_ids_come_back_exactly_and_in_code_point_order(names: list[str]) -> None:
    data = Dataset.from_frames(
        frame([(name, "A", "2020-01-01") for name in names], ("user_id", "item_id", "timestamp")), ITEMS
    )
    assert data.user_ids.tolist() == sorted(names)


@given(st.lists(ids.filter(lambda text: "\0" not in text and "\r" not in text), min_size=1, max_size=20, unique=True))
@settings(max_examples=15)
def test_ids_come_back_exactly_from_csv(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        events, items = Path(folder, "e.csv"), Path(folder, "i.csv")
        rows = "".join('"' + name.replace('"', '""') + '",A,2020-01-01\n' for name in names)
        events.write_bytes(("user_id,item_id,timestamp\n" + rows).encode())
        items.write_text("item_id,title\nA,Lamp\n")
        assert Dataset.from_files(events, items).user_ids.tolist() == sorted(names)


@given(st.lists(st.tuples(*[cells] * 5), min_size=1, max_size=25))
@settings(max_examples=20)
def test_every_row_is_an_event_or_counted(rows: list[tuple[str, ...]]) -> None:
    table = frame(rows, ("user_id", "item_id", "timestamp", "quantity", "event_type"))
    data = Dataset.from_frames(table, ITEMS, pd.DataFrame({"user_id": ["someone"]}))
    aside = sum(p.count for p in data.problems if p.table == "events" and not p.kept)
    assert data.items.size + aside == data.rows_read["events"] == len(rows)
    named = {row[0] for row in rows if row[0].strip()}
    assert set(data.user_ids) == named | {"someone"}
    assert data.indptr[-1] == data.items.size
    assert np.isfinite(data.values).all()


event = st.tuples(
    st.sampled_from("uvw"), st.sampled_from("ABC"), st.sampled_from(["2020-01-01", "2020-01-02", "2020-01-03"]),
    st.sampled_from(["1", "2", "-1"]), st.sampled_from(["", "o1", "o2"]), st.sampled_from(["", "view"]),
)  # fmt: skip


@given(st.lists(event, min_size=1, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_the_order_of_rows_and_their_split_over_files_do_not_matter(rows: list[Any], random: Any) -> None:
    columns = ("user_id", "item_id", "timestamp", "quantity", "order_id", "event_type")
    straight = Dataset.from_frames(frame(rows, columns), ITEMS)
    shuffled = list(rows)
    random.shuffle(shuffled)
    cut = random.randrange(len(rows) + 1)
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("a.csv", shuffled[:cut]), ("b.csv", shuffled[cut:])):
            lines = [",".join(columns), *(",".join(row) for row in part)]
            Path(folder, name).write_text("\n".join(lines) + "\n")
        items = Path(folder, "items.parquetless.csv")
        items.write_text("item_id,title\nA,Lamp\nB,Chair\n")
        split = Dataset.from_files(str(Path(folder, "[ab].csv")), items)
    for name in LISTS:
        np.testing.assert_array_equal(getattr(split, name), getattr(straight, name), err_msg=name)


@given(st.lists(event, min_size=1, max_size=30))
@settings(max_examples=15)
def test_histories_are_sorted_and_orders_count_up(rows: list[Any]) -> None:
    columns = ("user_id", "item_id", "timestamp", "quantity", "order_id", "event_type")
    data = Dataset.from_frames(frame(rows, columns), ITEMS)
    for user in range(data.user_ids.size):
        orders, times = data.orders[data.history(user)], data.timestamps[data.history(user)]
        starts = [int(times[orders == order].min()) for order in range(int(orders.max(initial=-1)) + 1)]
        assert set(np.diff(orders)) <= {0, 1}
        assert orders.size == 0 or orders[0] == 0
        assert starts == sorted(starts)
        assert (np.diff(times)[np.diff(orders) == 0] >= 0).all()


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from([0, 1, 4]), st.integers(1, 4)), max_size=30
    )
)
def test_returns_agree_with_a_plain_loop(rows: list[tuple[int, int, int, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    config = EventsConfig()
    names = tuple(config.value_of())
    expected, seen = [], {}
    for user, item, kind, quantity in rows:
        bought, worth = seen.get((user, item), (0, 0.0))
        value = config.value_of()[names[kind]]
        if names[kind] == "return" and bought:
            value = -min(1.0, quantity / bought) * worth
        if names[kind] == "purchase":
            seen[user, item] = (bought + quantity, worth + value)
        expected.append(value)
    columns = [np.array([row[i] for row in rows], dtype=np.int64) for i in range(4)]
    ratings = np.full(len(rows), np.nan)
    values = values_of(*columns[:3], columns[3].astype(float), ratings, names, config)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_hash_seeds_do_not_matter(repository: Path) -> None:
    code = """
import hashlib, pandas as pd
from reportgen.data.dataset import Dataset
times = ["2020-01-0%d" % day for day in range(1, 7)]
e = pd.DataFrame({"user_id": list("cabbca"), "item_id": list("zyxxyz"), "timestamp": times})
d = Dataset.from_frames(e, pd.DataFrame({"item_id": list("xyq"), "title": list("XYQ")}))
parts = [d.user_ids.tolist(), d.item_ids.tolist(), d.items.tolist(), d.timestamps.tolist(), str(d.problems)]
print(hashlib.sha256(repr(parts).encode()).hexdigest())
"""
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(repository)},
            check=True, capture_output=True, text=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"))
    }  # fmt: skip
    assert len(seen) == 1
    assert len(seen.pop().strip()) == 64


@given(
    st.tuples(st.integers(1990, 2030), st.integers(0, 13), st.integers(0, 32)),
    st.none() | st.tuples(st.integers(0, 25), st.integers(0, 61), st.integers(0, 61)),
    st.sampled_from("T "),
    st.sampled_from(["", ".5", ".123456", ".123456789", "."]),
)
@settings(max_examples=40)
def test_the_short_way_for_usual_times_gives_what_the_long_way_gives(
    day: Any, clock: Any, between: str, fraction: str
) -> None:
    usual = "{:04}-{:02}-{:02}".format(*day) + (
        "" if clock is None else between + "{:02}:{:02}:{:02}".format(*clock) + fraction
    )
    rows = [("u", "A", usual), ("v", "A", usual.replace("-", "/"))]  # a slash takes the long way
    data = Dataset.from_frames(
        frame(rows, ("user_id", "item_id", "timestamp")),
        ITEMS,
        config=Config.from_dict({"input": {"timezone": "Asia/Tokyo"}}),
    )
    if data.items.size:
        assert data.timestamps[0] == data.timestamps[1]
    assert [(p.reason, p.count) for p in data.problems] in ([], [("unreadable_timestamp", 2)])
