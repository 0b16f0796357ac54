"""The real data sets beside the repository; skipped with a word where they are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from reportgen.config import Config, load_config
from reportgen.data.dataset import Dataset

EXPECTED_RAW = {
    "empty_user_id": 135_080,
    "excluded: not a product": 1_920,
    "excluded: no price": 33,
    "duplicate_row": 5_227,
}


def counts(data: Dataset, table: str = "events") -> dict[str, int]:
    return {problem.reason: problem.count for problem in data.problems if problem.table == table}


@pytest.fixture(scope="module")
def raw_config(repository: Path) -> Config:
    return load_config(repository / "docs" / "examples" / "uci-raw.toml")


@pytest.fixture(scope="module")
def raw(shared_table: Any, raw_config: Config) -> Dataset:
    path = shared_table("uci-online-retail/raw.parquet")
    return Dataset.from_files(path, path, config=raw_config)


def test_the_prepared_retail_tables(shared_table: Any) -> None:
    folder = "uci-online-retail/"
    data = Dataset.from_files(shared_table(folder + "interactions.parquet"), shared_table(folder + "items.parquet"))
    assert (data.user_ids.size, data.rows_read) == (4_362, {"items": 3_659, "users": 0, "events": 404_876})
    assert counts(data) == {"duplicate_row": 5_227, "unknown_item": 19}
    assert data.items.size == 404_876 - 5_227
    assert int(data.catalogue["in_catalogue"].sum()) == 3_659
    assert set(np.unique(data.types).tolist()) == {data.event_types.index("purchase"), data.event_types.index("return")}
    assert data.catalogue["tags"].map(type).eq(tuple).all()


def test_the_raw_retail_file_as_events_and_as_items(raw: Dataset) -> None:
    assert raw.rows_read == {"items": 541_909, "users": 0, "events": 541_909}
    assert counts(raw) == EXPECTED_RAW
    assert raw.items.size == 541_909 - sum(EXPECTED_RAW.values())
    assert raw.user_ids[0] == "12346"
    assert not set(raw.item_ids) & {"POST", "M", "D", "DOT", "BANK CHARGES"}
    lamp = raw.item_ids.tolist().index("85123A")
    assert raw.catalogue["title"][lamp] == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert sum(counts(raw, "items").values()) + int(raw.catalogue["in_catalogue"].sum()) == 541_909
    returned = raw.types == raw.event_types.index("return")
    assert (raw.values[returned] < 0).all()
    assert (raw.values[~returned] == 1.0).all()


def test_the_raw_retail_file_as_csv_says_the_same(
    raw: Dataset, raw_config: Config, shared_table: Any, tmp_path: Path
) -> None:
    # Written as text, 17850.0 is an id of its own; the cast keeps the two files comparable.
    source, path = shared_table("uci-online-retail/raw.parquet"), tmp_path / "raw.csv"
    duckdb.sql(f"COPY (SELECT * REPLACE (customer::BIGINT AS customer) FROM '{source}') TO '{path}' (HEADER)")
    data = Dataset.from_files(path, path, config=raw_config)
    assert counts(data) == EXPECTED_RAW
    for name in ("user_ids", "item_ids", "indptr", "items", "timestamps", "types", "values", "orders"):
        np.testing.assert_array_equal(getattr(data, name), getattr(raw, name), err_msg=name)
    assert data.catalogue["title"].equals(raw.catalogue["title"])


def test_the_amazon_histories(shared_table: Any) -> None:
    folder = "open-ecommerce-amazon/"
    data = Dataset.from_files(
        shared_table(folder + "demo_interactions.parquet"), shared_table(folder + "demo_items.parquet")
    )
    assert (data.user_ids.size, data.item_ids.size, data.rows_read["events"]) == (200, 33_810, 40_955)
    assert data.date_only
    assert counts(data) == {"duplicate_row": 12}
    assert max(map(len, data.catalogue["title"])) > 400
