"""Frames, the catalogue and the users table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import InputError

ITEMS = pd.DataFrame({"item_id": ["A", "B"], "title": ["Lamp", "Chair"]})


def events(**columns: Any) -> pd.DataFrame:
    """Two events, with some columns replaced."""
    usual = {"user_id": ["u", "v"], "item_id": ["A", "B"], "timestamp": pd.to_datetime(["2020-01-01", "2020-01-02"])}
    # Explicitly object, as pandas would otherwise make its own text type of it and refuse lone surrogates.
    objects = {name: v for name, v in columns.items() if isinstance(v, np.ndarray) and v.dtype.hasobject}
    boxed = {name: pd.Series(values, dtype=object) for name, values in objects.items()}
    return pd.DataFrame(usual | columns | boxed)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (np.array([7, 8]), ["7", "8"]),
        (np.array([7.0, np.nan]), ["7"]),
        (pd.array([7, None], dtype="Int64"), ["7"]),
        (pd.Categorical(["x", "y"]), ["x", "y"]),
        (np.array(["007", None], dtype=object), ["007"]),
        (np.array([float("nan"), "NA"], dtype=object), ["NA"]),
        (np.array([9007199254740993, 1], dtype=object), ["1", "9007199254740993"]),
        (np.array([7.0, None], dtype=object), ["7"]),
        (np.array(["u\ud800", "u\udc00"], dtype=object), ["u\\ud800", "u\\udc00"]),
        (np.array(["a\0b", "c"], dtype=object), ["a\0b", "c"]),
        (np.array([True, False]), ["false", "true"]),
    ],
)
def test_ids_of_any_type_become_text(ids: Any, expected: list[str]) -> None:
    assert Dataset.from_frames(events(user_id=ids), ITEMS).user_ids.tolist() == expected


@pytest.mark.parametrize(
    "times",
    [
        pd.to_datetime(["2020-01-01", "2020-01-02"]).as_unit("s"),
        pd.to_datetime(["2020-01-01", "2020-01-02"]).as_unit("ns"),
        pd.to_datetime(["2020-01-01T01:00+01:00", "2020-01-02T01:00+01:00"]),
        np.array(["2020-01-01", "2020-01-02T00:00Z"], dtype=object),
        [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")],
        np.array([pd.Timestamp("2020-01-01").date(), pd.Timestamp("2020-01-02").date()], dtype=object),
    ],
)
def test_times_of_any_type(times: Any) -> None:
    assert Dataset.from_frames(events(timestamp=times), ITEMS).timestamps.tolist() == [
        1_577_836_800_000_000,
        1_577_923_200_000_000,
    ]


def test_missing_values_have_their_reasons(found: Any) -> None:
    frame = events(timestamp=[pd.NaT, pd.Timestamp("2020-01-01")], item_id=["A", None], quantity=[np.inf, 1.0])
    assert found(Dataset.from_frames(frame, ITEMS)) == {"empty_timestamp": 1, "empty_item_id": 1}
    assert found(Dataset.from_frames(events(quantity=[np.inf, -np.inf]), ITEMS)) == {"quantity_not_finite": 2}


def test_numbers_here_and_text_there_are_refused_in_frames_too() -> None:
    numbers = events(item_id=[1, 2])
    text = ITEMS.assign(item_id=["1", "2"])
    with pytest.raises(InputError, match=r"mixed_id_type: item_id .*items frame.*events frame"):
        Dataset.from_frames(numbers, text)
    boxed = events(item_id=np.array([1, 2], dtype=object))
    with pytest.raises(InputError, match="mixed_id_type"):
        Dataset.from_frames(boxed, text)
    config = Config.from_dict({"input": {"id_type": "text"}})
    assert Dataset.from_frames(numbers, text, config=config).problems == ()
    assert Dataset.from_frames(boxed, text.assign(item_id=[1, 2])).problems == ()


def test_a_frame_is_left_as_it_was_and_its_index_ignored() -> None:
    frame = events().set_index(pd.Index([5, 5]))
    before = frame.copy(deep=True)
    assert Dataset.from_frames(frame, ITEMS).items.size == 2
    pd.testing.assert_frame_equal(frame, before)


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.concat([events(), events()[["user_id"]]], axis=1)
    with pytest.raises(InputError, match='events frame: the column "user_id" stands there twice'):
        Dataset.from_frames(frame, ITEMS)


def test_lists_of_tags_may_hold_the_separator() -> None:
    items = ITEMS.assign(tags=[["a,b", "c"], None])
    assert Dataset.from_frames(events(), items).catalogue["tags"].tolist() == [("a,b", "c"), ()]


# --- the catalogue


def test_the_catalogue_has_the_promised_columns_and_types(read: Any) -> None:
    items = "item_id,title,brand,tags,price,sponsored,style\nB,,x, red ;blue;;,1.5,yes,modern\nA,Lamp,,,,0,\n"
    config = {"features": {"style": "category", "look": {"kind": "tags", "column": "tags"}}}
    config |= {"items": {"tags_separator": ";"}}
    data = read.rows("u,A,2020-01-01", items=items, config=config)
    table = data.catalogue
    assert table["title"].tolist() == ["Lamp", ""]
    assert table["brand"].tolist() == [None, "x"]
    assert table["style"].tolist() == [None, "modern"]
    assert table["tags"].tolist() == table["look"].tolist() == [(), ("red", "blue")]
    assert table["sponsored"].tolist() == [False, True]
    assert table["price"].tolist()[1] == 1.5
    assert np.isnan(table["price"][0])
    assert {c: table[c].dtype.kind for c in ("sensitive", "price_personalised", "in_catalogue", "price")} == {
        "sensitive": "b", "price_personalised": "b", "in_catalogue": "b", "price": "f",
    }  # fmt: skip
    assert not {"category", "currency", "url", "description"} & set(table.columns)
    assert [(p.reason, p.rows, p.kept) for p in data.problems] == [("empty_title", (1,), True)]


@pytest.mark.parametrize("price", ["nan", "1_000", "٣", '"1,5"', "1e400", "inf"])
def test_a_price_that_cannot_be_read_is_missing_and_counted(read: Any, found: Any, price: str) -> None:
    data = read.rows("u,A,2020-01-01", items=f"item_id,title,price\nA,Lamp,{price}\n")
    assert np.isnan(data.catalogue["price"][0])
    assert found(data, "items") == {"price_not_a_number": 1}


def test_an_unreadable_flag_counts_as_set(read: Any, found: Any) -> None:
    data = read.rows("u,A,2020-01-01", items="item_id,title,sensitive\nA,Lamp,ja\nB,Chair,No\n")
    assert data.catalogue["sensitive"].tolist() == [True, False]
    assert found(data, "items") == {"flag_unreadable": 1}


DOUBLE = "item_id,title,price\nA,New lamp,3\nA,Lamp,1\nA,Lamp ,2\nA,,9\nB,Chair,5\n"


@pytest.mark.parametrize(
    ("how", "title", "price"), [("first", "New lamp", 3.0), ("last", "", 9.0), ("most_frequent", "Lamp", 2.5)]
)
def test_an_item_described_twice(read: Any, how: str, title: str, price: float) -> None:
    data = read.rows("u,A,2020-01-01", items=DOUBLE, config={"items": {"on_duplicate": how}})
    assert (data.catalogue["title"][0], data.catalogue["price"][0]) == (title, price)
    problem = next(p for p in data.problems if p.reason == "duplicate_item")
    assert (problem.count, problem.kept, problem.example) == (3, False, "A")


def test_an_item_described_twice_is_an_error_by_default(read: Any) -> None:
    with pytest.raises(InputError, match=r'"A" has 4 different rows .*on_duplicate = "first"'):
        read.rows("u,A,2020-01-01", items=DOUBLE)


def test_the_same_row_twice_contradicts_nothing(read: Any) -> None:
    data = read.rows("u,A,2020-01-01", items="item_id,title\nA,Lamp\nA,Lamp\n")
    assert [(p.reason, p.count, p.rows) for p in data.problems] == [("duplicate_row", 1, (2,))]


def test_bad_item_rows(read: Any, found: Any) -> None:
    rule = {"reason": "fees", "column": "item_id", "values": ["POST"]}
    items = "item_id,title\n,x\n  ,y\nPOST,z\nA,Lamp\n"
    data = read.rows("u,A,2020-01-01", items=items, config={"items": {"exclude": [rule]}})
    assert found(data, "items") == {"empty_item_id": 1, "blank_item_id": 1, "excluded: fees": 1}
    assert data.item_ids.tolist() == ["A"]


@pytest.mark.parametrize("items", ["item_id,title\n", "item_id,title\n,x\n"])
def test_no_item_at_all_is_an_error(read: Any, items: str) -> None:
    with pytest.raises(InputError, match=r"no rows after the header|no usable row"):
        read.rows("u,A,2020-01-01", items=items)


def test_configured_columns_must_be_there(read: Any) -> None:
    for config in ({"items": {"columns": {"brand": "maker"}}}, {"features": {"maker": "category"}}):
        with pytest.raises(InputError, match='the items have no column "maker"'):
            read.rows("u,A,2020-01-01", config=config)
    unused = {"events": {"columns": {"quantity": ""}}}
    assert read.rows("u,A,2020-01-01,x", header="user_id,item_id,timestamp,quantity", config=unused).problems == ()


# --- users


def test_users_without_events_are_kept_and_columns_given(read: Any) -> None:
    users = "user_id,name,opted_out,club\nz,Zoë,,gold\nu,,true,\n"
    data = read.rows("u,A,2020-01-01", "v,A,2020-01-01", users=users, config={"users": {"segments": ["club"]}})
    assert data.user_ids.tolist() == ["u", "v", "z"]
    assert data.users["name"].tolist() == [None, None, "Zoë"]
    assert data.users["opted_out"].tolist() == [True, False, False]
    assert data.users["club"].tolist() == [None, None, "gold"]
    assert data.users["email"].tolist() == [None, None, None]
    assert np.diff(data.indptr).tolist() == [1, 1, 0]


def test_a_user_described_twice(read: Any, found: Any) -> None:
    users = "user_id,name,email,opted_out\nu,Ann,a@x.test,\nu,Anna,b@x.test,yes\nv,Bob,b@x.test,no\nv,Bob,b@x.test,no\n"
    data = read.rows("u,A,2020-01-01", users=users)
    assert data.users["name"].tolist() == ["Ann", "Bob"]
    assert data.users["email"].tolist() == [None, "b@x.test"]
    assert data.users["opted_out"].tolist() == [True, False]
    assert found(data, "users") == {"duplicate_user": 2}


def test_events_may_be_empty_when_there_are_users(read: Any) -> None:
    data = read("user_id,item_id,timestamp\n", users="user_id\nz\n")
    assert (data.user_ids.tolist(), data.indptr.tolist()) == (["z"], [0, 0])


def test_bad_user_rows_never_show_the_id(read: Any, found: Any) -> None:
    data = read.rows("u,A,2020-01-01", users="user_id,name\n,x\n \u2003,y\n", config={"report": {"synthetic": True}})
    assert found(data, "users") == {"empty_user_id": 1, "blank_user_id": 1}
    assert data.synthetic
