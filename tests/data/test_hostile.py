"""The shared list of hostile inputs, as far as it concerns reading."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from reportgen.checks import safe_url
from reportgen.errors import InputError

DAY = 86_400_000_000


def row(*cells: str) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


@pytest.mark.parametrize("case", [f"id-{i:02}" for i in (*range(1, 10), 12)] + [f"path-{i:02}" for i in range(1, 18)])
def test_ids_are_kept_exactly(read: Any, bad_inputs: Any, case: str) -> None:
    value = bad_inputs[case]["value"]
    data = read.rows(row(value, "A", "2020-01-01"), row("7" + value, "A", "2020-01-01"))
    assert set(data.user_ids) == {value, "7" + value}
    assert data.problems == ()


@pytest.mark.parametrize("case", ["path-18", "path-19"])
def test_long_ids_are_kept_exactly(read: Any, bad_inputs: Any, case: str) -> None:
    value = bad_inputs[case]["value"]["s"] * bad_inputs[case]["value"]["n"]
    assert read.rows(row(value, "A", "2020-01-01")).user_ids.tolist() == [value]


@pytest.mark.parametrize("case", ["coll-01", "coll-02", "coll-03", "coll-04"])
def test_ids_that_look_alike_stay_apart(read: Any, bad_inputs: Any, case: str) -> None:
    values = bad_inputs[case]["value"]
    data = read.rows(*(row(value, "A", "2020-01-01") for value in values))
    assert sorted(data.user_ids) == sorted(values)
    assert np.diff(data.indptr).tolist() == [1] * len(values)


@pytest.mark.parametrize(("case", "reason"), [("id-10", "empty_user_id"), ("id-11", "blank_user_id")])
def test_no_id_no_event(read: Any, found: Any, bad_inputs: Any, case: str, reason: str) -> None:
    data = read.rows(row(bad_inputs[case]["value"], "A", "2020-01-01"), row("u", "A", "2020-01-01"))
    assert found(data) == {reason: 1}
    assert data.user_ids.tolist() == ["u"]


def test_id_14_and_15(read: Any, found: Any, bad_inputs: Any) -> None:
    items = "item_id,title\n" + "\n".join(bad_inputs["id-14"]["value"]) + "\n"
    with pytest.raises(InputError, match='"A1" has 2 different rows'):
        read.rows("u,A1,2020-01-01", items=items)
    kept = read.rows("u,A1,2020-01-01", items=items, config={"items": {"on_duplicate": "first"}})
    assert kept.catalogue["title"].tolist() == ["Lamp"]
    assert found(kept, "items") == {"duplicate_item": 1}
    twice = read.rows(*bad_inputs["id-15"]["value"], items="item_id,title\nA1,Lamp\n")
    assert twice.items.size == 1
    assert found(twice) == {"duplicate_row": 1}


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("time-01", "timestamp_out_of_range"),
        ("time-02", "timestamp_out_of_range"),
        ("time-03", "timestamp_out_of_range"),
        ("time-04", "unreadable_timestamp"),
        ("time-05", "timestamp_is_number"),
        ("time-06", "timestamp_is_number"),
        ("time-09", "unreadable_timestamp"),
    ],
)
def test_times_that_are_refused(read: Any, found: Any, bad_inputs: Any, case: str, reason: str) -> None:
    assert found(read.rows(f"u,A,{bad_inputs[case]['value']}")) == {reason: 1}


@pytest.mark.parametrize(("case", "unit"), [("time-05", "s"), ("time-06", "ms")])
def test_numbers_with_their_unit(read: Any, bad_inputs: Any, case: str, unit: str) -> None:
    data = read.rows(f"u,A,{bad_inputs[case]['value']}", config={"input": {"time_unit": unit}})
    assert data.timestamps.tolist() == [1_700_000_000_000_000]


@pytest.mark.parametrize("case", ["time-07", "time-08", "time-10"])
def test_times_that_are_read_by_rule(read: Any, bad_inputs: Any, case: str) -> None:
    value = bad_inputs[case]["value"]
    data = read.rows(f"u,A,{value}", config={"input": {"timezone": "Europe/Berlin"}})
    moment = datetime.fromisoformat(value)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=0)
    assert data.timestamps.tolist() == [round(moment.timestamp() * 1e6)]


def test_num_01_a_negative_quantity_is_a_return(read: Any, bad_inputs: Any) -> None:
    data = read.rows(f"u,A,2020-01-01,{bad_inputs['num-01']['value']}", header="user_id,item_id,timestamp,quantity")
    assert data.event_types[data.types[0]] == "return"
    assert data.values.tolist() == [-1.0]


@pytest.mark.parametrize(("case", "reason"), [("num-02", "zero_quantity"), ("num-03", "quantity_not_finite")])
def test_quantities_that_are_no_evidence(read: Any, found: Any, bad_inputs: Any, case: str, reason: str) -> None:
    data = read.rows(f"u,A,2020-01-01,{bad_inputs[case]['value']}", header="user_id,item_id,timestamp,quantity")
    assert found(data) == {reason: 1}


@pytest.mark.parametrize("case", ["num-04", "num-05", "num-06", "num-07"])
def test_prices_that_are_no_numbers(read: Any, bad_inputs: Any, case: str) -> None:
    items = f"item_id,title,price\n{row('A', 'Lamp', bad_inputs[case]['value'])}\n"
    data = read.rows("u,A,2020-01-01", items=items)
    assert np.isnan(data.catalogue["price"][0])
    (problem,) = data.problems
    assert (problem.reason, problem.kept) == ("price_not_a_number", True)
    assert "point" in problem.remedy


def test_shapes_of_histories(read: Any, found: Any) -> None:
    # shape-01, -02, -04, -06, -07: nobody, one, unknown items, all set aside, and not sorted by user.
    rows = ["u2,A,2020-01-03", "u1,B,2020-01-02", "u2,X,2020-01-01", "u1,A,2020-01-01", "bad,A,never"]
    data = read.rows(*rows, users="user_id\nnobody\n")
    assert data.user_ids.tolist() == ["bad", "nobody", "u1", "u2"]
    assert [data.item_ids[i] for i in data.items] == ["A", "B", "X", "A"]
    assert np.diff(data.indptr).tolist() == [0, 0, 2, 2]
    assert found(data) == {"unreadable_timestamp": 1, "unknown_item": 1}


def test_shape_03_one_user_with_very_many_events(read: Any) -> None:
    rows = "".join(f"u,A,{1_600_000_000 + i}\n" for i in range(200_000, 0, -1))
    data = read("user_id,item_id,timestamp\n" + rows, config={"input": {"time_unit": "s"}})
    assert data.items.size == 200_000
    assert (np.diff(data.timestamps) == 1_000_000).all()
    assert data.orders[-1] == 199_999


LINKS = {
    "url-12": "https://xn--exmple-4nf.com/",
    "url-13": "https://x.test/%22onmouseover=%22alert(1)",
}


@pytest.mark.parametrize("case", [f"url-{i:02}" for i in range(1, 16)])
def test_links_of_items(read: Any, found: Any, bad_inputs: Any, case: str) -> None:
    value = bad_inputs[case]["value"]
    value = value if isinstance(value, str) else value["s"] * value["n"]
    data = read.rows("u,A,2020-01-01", items=f"item_id,title,url\n{row('A', 'Lamp', value)}\n")
    assert data.catalogue["url"].tolist() == [LINKS.get(case)]
    assert found(data, "items") == ({} if case in LINKS else {"unsafe_url": 1})
    assert data.catalogue["title"].tolist() == ["Lamp"]


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://x.test", "https://x.test"),
        ("https://X.test:8443/a%20b?q=ü&r=1#f", "https://x.test:8443/a%20b?q=%C3%BC&r=1#f"),
        ("https://x.test/it's <b>", "https://x.test/it%27s%20%3Cb%3E"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/"),
        ("mailto:help@x.test", "mailto:help@x.test"),
        ("mailto:help@x.test?subject=My report", "mailto:help@x.test?subject=My%20report"),
        ("mailto:help@x.test?bcc=v@evil.test", None),
        ("mailto:help@x.test,v@evil.test", None),
        ("https://", None),
        ("https:///path", None),
        ("https://x.test:99999/", None),
        ("https://x.test\u202e/", None),
        ("https://a..b/", None),
        ("https://" + "a" * 70 + ".test/", None),
        ("https://x.test/" + "ü" * 1000, None),
        ("", None),
    ],
)
def test_links_that_may_be_shown(text: str, link: str | None) -> None:
    assert safe_url(text) == link
