"""Tables about another model with other names of columns: read as with ours, and a mapping that cannot hold is one clear error."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.config import Config, load_config
from reportgen.config_columns import ABLATION_NEEDED, LISTS_MORE, LISTS_NEEDED, WEIGHTS_MORE, WEIGHTS_NEEDED
from reportgen.data.dataset import Dataset
from reportgen.data.weights import read_ablation, read_lists, read_weights
from reportgen.errors import ConfigError, InputError

WEIGHTS = pd.DataFrame(
    {"user_id": ["u", "u", "v"], "item_id": "c", "history_item_id": ["a", "b", "a"], "weight": [0.25, 0.75, 1.0],
     "rank": [1, 1, 2], "score": [3.5, 3.5, 1.5], "head": ["x", "x", "y"]}
)  # fmt: skip
LISTS = pd.DataFrame(
    {"user_id": ["u", "u"], "item_id": ["b", "c"], "rank": [2, 1], "score": [0.5, 0.25], "source": "E"}
)
ABLATION = pd.DataFrame({"user_id": ["u", "u"], "item_id": "c", "removed_item_id": ["a", None], "score": [1.0, 3.5]})
#: Section -> its table, what reads it, and its names of columns.
TABLES: dict[str, tuple[pd.DataFrame, Callable[..., Any], tuple[str, ...], tuple[str, ...]]] = {
    "weights": (WEIGHTS, read_weights, WEIGHTS_NEEDED, WEIGHTS_MORE),
    "recommendations": (LISTS, read_lists, LISTS_NEEDED, LISTS_MORE),
    "ablation": (ABLATION, read_ablation, ABLATION_NEEDED, ()),
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    events = pd.DataFrame({"user_id": list("uuv"), "item_id": list("aba"), "timestamp": "2026-01-01"})
    return Dataset.from_frames(events, pd.DataFrame({"item_id": list("abc"), "title": list("ABC")}))


def configured(section: str, **columns: str) -> Config:
    return Config.from_dict({section: {"columns": columns}}, "reportgen.toml")


def same(left: Any, right: Any) -> bool:
    """Whether two tables as read hold the same, whatever the columns of their files are called."""
    pairs = [(getattr(left, one.name), getattr(right, one.name)) for one in fields(left) if one.name != "columns"]
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a == b for a, b in pairs
    )


@pytest.mark.parametrize("section", TABLES)
@pytest.mark.parametrize("form", ["frame", "csv", "parquet"])
def test_other_names_read_the_same_table(section: str, form: str, data: Dataset, tmp_path: Path) -> None:
    frame, read, _, _ = TABLES[section]
    names = {ours: f"Their {ours}!" for ours in frame.columns}

    def given(table: pd.DataFrame, name: str) -> Any:
        if form == "frame":
            return table
        path = tmp_path / name / f"table.{form}"
        path.parent.mkdir()
        if form == "csv":
            table.to_csv(path, index=False)
        else:
            duckdb.from_df(table).write_parquet(str(path))
        return path

    usual = read(given(frame, "ours"), data)
    assert same(read(given(frame.rename(columns=names), "theirs"), data, configured(section, **names)), usual)
    assert usual.rows_read == len(frame)


@pytest.mark.parametrize("section", TABLES)
def test_a_mapped_column_that_is_not_there_is_named_with_the_remedy(
    section: str, data: Dataset, tmp_path: Path
) -> None:
    frame, read, needed, more = TABLES[section]
    path = tmp_path / "table.csv"
    frame.rename(columns={"item_id": "produkt"}).to_csv(path, index=False)
    with pytest.raises(InputError) as found:
        read(path, data, configured(section, item_id="product"))
    told = (
        f'table.csv: the {section} have no column "product"; the nearest is "produkt": write item_id = "produkt" under'
    )
    assert str(found.value).startswith(f"{told} [{section}.columns]. Found: ")
    with pytest.raises(InputError, match=rf'no column "item_id"; .* under \[{section}\.columns\]'):
        read(path, data)
    if more:  # a column that is not needed must be there too, once it is named
        with pytest.raises(InputError, match='no column "place"'):
            read(frame, data, configured(section, rank="place"))
    assert needed


def test_a_column_of_one_of_our_names_can_mean_something_else_or_be_left_out(data: Dataset) -> None:
    table = WEIGHTS.rename(columns={"weight": "score", "score": "logit"})
    found = read_weights(table, data, configured("weights", weight="score", score="logit"))
    assert same(found, read_weights(WEIGHTS, data))
    without = read_weights(WEIGHTS.assign(rank="none"), data, configured("weights", rank=""))
    assert np.isnan(without.rank).all()
    assert not without.problems


@pytest.mark.parametrize(
    ("section", "columns", "told"),
    [
        ("weights", {"wieght": "w"}, 'unknown key "wieght"; did you mean "weight"?'),
        ("weights", {"removed_item_id": "w"}, 'unknown key "removed_item_id"; did you mean "'),
        ("recommendations", {"postion": "p"}, 'unknown key "postion"; did you mean "'),
        ("ablation", {"score_": "s"}, 'unknown key "score_"; did you mean "score"?'),
        ("weights", {"item_id": "x", "history_item_id": "x"}, '"x" would be read as both item_id and history_item_id'),
        ("weights", {"weight": "score"}, 'read as both weight and score; name another column for score, or leave it out with'),
        ("weights", {"weight": "item_id"}, '"item_id" would be read as both item_id and weight; name another column for item_id'),
        ("recommendations", {"rank": "n", "score": "n"}, 'both rank and score; name another column for score, or leave it out'),
        ("ablation", {"removed_item_id": "item_id"}, "read as both item_id and removed_item_id"),
        ("weights", {"user_id": ""}, "user_id cannot be left out"),
        ("ablation", {"score": " "}, "score cannot be left out"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_hold_is_refused(section: str, columns: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as found:
        configured(section, **columns)
    assert str(found.value).startswith(f"reportgen.toml: [{section}] columns: ")
    assert told in str(found.value)
    assert "\n" not in str(found.value)


@given(
    st.dictionaries(st.sampled_from((*LISTS_NEEDED, *LISTS_MORE)), st.sampled_from(["a", "b", "c", "rank", "item_id"]))
)
def test_no_column_is_ever_read_as_two_things(columns: dict[str, str]) -> None:
    names = [columns.get(ours, ours) for ours in (*LISTS_NEEDED, *LISTS_MORE)]
    twice = any(left == right for left, right in itertools.combinations(names, 2))
    if twice:
        with pytest.raises(ConfigError, match="would be read as both"):
            configured("recommendations", **columns)
    else:
        assert configured("recommendations", **columns).recommendations.columns == columns


def test_the_names_are_part_of_the_settings_of_a_run() -> None:
    plain = configured("weights", weight="w", item_id="product").to_dict()
    assert list(plain["weights"]["columns"]) == ["item_id", "weight"]
    assert plain["recommendations"] == plain["ablation"] == {"columns": {}}


def test_the_example_of_another_model_is_valid_and_names_columns_for_each_table(repository: Path) -> None:
    config = load_config(repository / "docs" / "examples" / "other-model.toml")
    sections = (config.weights, config.recommendations, config.ablation)
    assert all(section.columns["user_id"] == "customer" for section in sections)
