"""Each reason to set an event aside, times, numbers, ids, and what an event counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError

FULL = "user_id,item_id,timestamp,event_type,quantity,rating,order_id"
DAY = 86_400_000_000


def us(text: str) -> int:
    """Microseconds of an ISO time with offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("row", "reason", "example"),
    [
        (",A,2020-01-01,,,,", "empty_user_id", ""),
        ("   ,A,2020-01-01,,,,", "blank_user_id", ""),
        ("\u2003,A,2020-01-01,,,,", "blank_user_id", ""),
        ("u,,2020-01-01,,,,", "empty_item_id", ""),
        ("u,\u3000,2020-01-01,,,,", "blank_item_id", ""),
        ("u,A,,,,,", "empty_timestamp", ""),
        ("u,A,2026-02-30,,,,", "unreadable_timestamp", "2026-02-30"),
        ("u,A,infinity,,,,", "unreadable_timestamp", "infinity"),
        ("u,A,2020-01-01T,,,,", "unreadable_timestamp", "2020-01-01T"),
        ("u,A,01/02/2020,,,,", "unreadable_timestamp", "01/02/2020"),
        ("u,A,2026-01-01T00:00:00+25:00,,,,", "unreadable_timestamp", "2026-01-01T00:00:00+25:00"),
        ("u,A,1700000000,,,,", "timestamp_is_number", "1700000000"),
        ("u,A,1989-12-31T23:59:59Z,,,,", "timestamp_out_of_range", "1989-12-31T23:59:59"),
        ("u,A,0001-01-01,,,,", "timestamp_out_of_range", "0001-01-01T00:00:00"),
        ("u,A,9999-12-31T23:59:59Z,,,,", "timestamp_out_of_range", "9999-12-31T23:59:59"),
        ("u,A,2020-01-01,Purchase,,,", "unknown_event_type", "Purchase"),
        ("u,A,2020-01-01,,two,,", "quantity_not_a_number", "two"),
        ('u,A,2020-01-01,,"1,5",,', "quantity_not_a_number", "1,5"),
        ("u,A,2020-01-01,,1_000,,", "quantity_not_a_number", "1_000"),
        ("u,A,2020-01-01,,٣,,", "quantity_not_a_number", "٣"),
        ("u,A,2020-01-01,,nan,,", "quantity_not_a_number", "nan"),
        ("u,A,2020-01-01,,0x10,,", "quantity_not_a_number", "0x10"),
        ("u,A,2020-01-01,,1e400,,", "quantity_not_finite", "1e400"),
        ("u,A,2020-01-01,,0,,", "zero_quantity", "0"),
        ("u,A,2020-01-01,,-0.0,,", "zero_quantity", "-0.0"),
        ("u,A,2020-01-01,rating,,good,", "rating_not_a_number", "good"),
        ("u,A,2020-01-01,rating,,1e999,", "rating_not_finite", "1e999"),
        ("u,A,2020-01-01,rating,,,", "rating_missing", ""),
        ("u,A", "ragged_row", "too few cells"),
        ("u,A,2020-01-01,,,,,x", "ragged_row", "too many cells"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason_and_row_number(read: Any, row: str, reason: str, example: str) -> None:
    data = read.rows("good,A,2020-01-01,,,,", row, "good,B,2020-01-02,,,,", header=FULL)
    (problem,) = [p for p in data.problems if not p.kept]
    assert (problem.table, problem.reason, problem.count, problem.rows) == ("events", reason, 1, (2,))
    assert problem.example == example
    assert problem.file == "events.csv"
    assert problem.remedy.endswith(".")
    assert data.items.size == 2
    assert data.rows_read["events"] == 3


def test_empty_cells_beyond_the_header_lose_nothing(read: Any) -> None:
    data = read.rows("u,A,2020-01-01,,", "v,A,2020-01-01")
    assert (data.items.size, data.problems) == (2, ())


def test_the_first_reason_that_fits_is_the_one_given(read: Any, found: Any) -> None:
    data = read.rows("good,A,2020-01-01,,,,", "u,,never,what,zero,,", header=FULL)
    assert found(data)["empty_item_id"] == 1
    assert "unreadable_timestamp" not in found(data)


def test_row_numbers_count_ragged_rows_and_stop_at_five(read: Any) -> None:
    rows = ["u,A,bad", "u,A", "u,A,bad", "u,A,1,2", "u,A,bad", "u,A,bad", "u,A,bad", "u,A,bad"]
    data = read.rows(*rows)
    by_reason = {p.reason: p for p in data.problems}
    assert by_reason["unreadable_timestamp"].rows == (1, 3, 5, 6, 7)
    assert by_reason["unreadable_timestamp"].count == 6
    assert by_reason["ragged_row"].rows == (2, 4)


def test_rows_of_several_files_are_numbered_in_their_own_file(read: Any) -> None:
    (read.folder / "in").mkdir()
    for name, rows in (("b.csv", "u,A,2020-01-01\nu,A,no\n"), ("a.csv", "u,B,2020-01-01\nu,B,2020-01-02\n")):
        (read.folder / "in" / name).write_text("user_id,item_id,timestamp\n" + rows)
    items = read.write("items.csv", "item_id,title\nA,a\nB,b\n")
    data = Dataset.from_files(read.folder / "in", items)
    (problem,) = data.problems
    assert (problem.file, problem.rows) == ("b.csv", (2,))


def test_a_user_whose_rows_are_all_bad_is_not_lost(read: Any) -> None:
    data = read.rows("u1,A,2020-01-01", "u2,A,never", "u3,,2020-01-01")
    assert data.user_ids.tolist() == ["u1", "u2", "u3"]
    assert np.diff(data.indptr).tolist() == [1, 0, 0]


def test_the_user_id_is_never_shown(read: Any) -> None:
    excluded = {"events": {"exclude": [{"reason": "test accounts", "column": "user_id", "pattern": "secret.*"}]}}
    data = read.rows("secret1,A,2020-01-01", "x,A,2020-01-01", "secret2,A,never", "secret3,A", config=excluded)
    assert {p.reason for p in data.problems} == {"excluded: test accounts", "ragged_row"}
    assert not any("secret" in p.example for p in data.problems)


def test_nothing_usable_and_nobody_is_an_error(read: Any) -> None:
    with pytest.raises(InputError, match="no usable row and no users"):
        read.rows(",A,2020-01-01")


def test_nothing_usable_but_a_user_is_no_error(read: Any) -> None:
    data = read.rows("u,A,never")
    assert (data.user_ids.tolist(), data.indptr.tolist(), data.items.size) == (["u"], [0, 0], 0)


# --- times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2038-01-19T03:14:08Z", "2038-01-19T03:14:08+00:00"),
        ("2020-01-01T10:00:00+0530", "2020-01-01T04:30:00+00:00"),
        ("2020-01-01 10:00:00.123456-08:00", "2020-01-01T18:00:00.123456+00:00"),
        ("2020-01-01 10:00 +02", "2020-01-01T08:00:00+00:00"),
        ("2020/1/2", "2020-01-02T00:00:00+00:00"),
        (" 2020-01-01 ", "2020-01-01T00:00:00+00:00"),
    ],
)
def test_times_are_read_with_their_offset(read: Any, text: str, expected: str) -> None:
    assert read.rows(f"u,A,{text}").timestamps.tolist() == [us(expected)]


@pytest.mark.parametrize(
    "wall",
    ["2026-03-29T02:30:00", "2026-03-29T03:00:00", "2026-10-25T02:30:00", "2026-10-25T03:00:00", "2026-07-01 12:00"],
)
def test_naive_times_follow_the_zone_with_fold_0(read: Any, wall: str) -> None:
    zone = {"input": {"timezone": "Europe/Berlin"}}
    data = read.rows(f"u,A,{wall}", "v,A,2026-07-01T12:00:00+00:00", config=zone)
    naive = datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=0)
    assert data.timestamps[data.history(0)].tolist() == [round(naive.timestamp() * 1e6)]
    assert data.timestamps[data.history(1)].tolist() == [us("2026-07-01T12:00:00+00:00")]


def test_dates_without_time_of_day_stay_on_their_day_in_any_zone(read: Any) -> None:
    data = read.rows("u,A,2020-01-01", "u,A,2020-06-01", config={"input": {"timezone": "Asia/Shanghai"}})
    assert data.date_only
    assert data.timestamps.tolist() == [us("2020-01-01T00:00:00+00:00"), us("2020-06-01T00:00:00+00:00")]
    assert not read.rows("u,A,2020-01-01", "u,A,2020-06-01T00:00:01").date_only


@pytest.mark.parametrize(("unit", "text"), [("s", "1700000000"), ("ms", "1700000000000"), ("us", "1700000000000000")])
def test_numbers_are_times_only_with_a_unit_and_a_mix_is_set_aside(read: Any, found: Any, unit: str, text: str) -> None:
    data = read.rows(f"u,A,{text}", f"u,A,{text}000", f"u,A,{text[:-3]}", config={"input": {"time_unit": unit}})
    assert data.timestamps.tolist() == [1_700_000_000_000_000]
    assert found(data) == {"timestamp_out_of_range": 2}


def test_a_time_format_of_ones_own(read: Any) -> None:
    data = read.rows("u,A,31.12.2020 10:00", config={"input": {"timestamp_format": "%d.%m.%Y %H:%M"}})
    assert data.timestamps.tolist() == [us("2020-12-31T10:00:00+00:00")]
    with pytest.raises(ConfigError, match="timestamp_format"):
        read.rows("u,A,1", config={"input": {"timestamp_format": "%Q"}})


def test_bounds_of_time(read: Any, found: Any) -> None:
    limit = us("2020-01-02T00:00:00+00:00")
    data = read.rows("u,A,2020-01-02", "u,A,2020-01-02T00:00:00.000001", not_after=limit)
    assert data.timestamps.tolist() == [limit]
    assert found(data) == {"timestamp_out_of_range": 1}
    early = read.rows("u,A,1980-01-01", config={"input": {"earliest": datetime(1980, 1, 1, tzinfo=UTC).date()}})
    assert early.items.size == 1


def test_until_counts_what_it_leaves_out(read: Any) -> None:
    data = read.rows("u,A,2020-01-01", "u,B,2020-01-03", "v,A,2020-01-02", "w,A,2020-01-09")
    cut = data.until(us("2020-01-02T00:00:00+00:00"))
    assert cut.user_ids.tolist() == ["u", "v", "w"]
    assert cut.indptr.tolist() == [0, 1, 2, 2]
    assert cut.items.tolist() == [0, 0]
    assert [(p.reason, p.count, p.kept) for p in cut.problems] == [("after_as_of", 2, False)]
    assert data.until(10**18) is data


def test_until_is_asked_again_and_answers_for_each_time(read: Any) -> None:
    data = read.rows("u,A,2020-01-01", "u,B,2020-01-03", "v,A,2020-01-02")
    first, second = us("2020-01-01T00:00:00+00:00"), us("2020-01-02T00:00:00+00:00")
    cut = data.until(first)
    assert cut.items.size == 1
    assert data.until(first) is cut
    assert data.until(second).items.size == 2
    assert data.until(first).items.size == 1
    assert cut.until(second) is cut
    assert data.items.size == 3


# --- types, exclusions, duplicates, orders


def test_types_are_mapped_and_own_types_need_a_value(read: Any) -> None:
    config = {"events": {"types": {"BUY": "purchase"}, "values": {"wish": 0.7}, "default_type": "view"}}
    data = read.rows(
        "u,A,2020-01-01,BUY,,,", "u,A,2020-01-02,wish,,,", "u,A,2020-01-03,,,,", header=FULL, config=config
    )
    assert [data.event_types[code] for code in data.types] == ["purchase", "wish", "view"]
    assert data.values.tolist() == pytest.approx([1.0, 0.7, 0.2])


def test_rows_left_out_on_purpose_are_counted_by_reason(read: Any, found: Any) -> None:
    rules = [
        {"reason": "fees", "column": "item_id", "values": ["POST", "FEE"]},
        {"reason": "fees", "column": "item_id", "pattern": "GIFT_.*"},
        {"reason": "cheap", "column": "quantity", "at_most": 1},
    ]
    rows = ["u,POST,2020-01-01,,5,,", "u,GIFT_1,2020-01-01,,5,,", "u,POSTER,2020-01-01,,5,,", "u,A,2020-01-01,,1,,"]
    data = read.rows(*rows, header=FULL, config={"events": {"exclude": rules}})
    assert found(data) == {"excluded: fees": 2, "excluded: cheap": 1, "unknown_item": 1, "empty_event_type": 1}
    assert "GIFT_1" not in data.item_ids


def test_an_exclude_rule_for_a_missing_column_names_the_nearest(read: Any) -> None:
    rule = {"reason": "x", "column": "quantum", "at_most": 0}
    with pytest.raises(InputError, match=r'no column "quantum".*"quantity"'):
        read.rows("u,A,2020-01-01,,1,,", header=FULL, config={"events": {"exclude": [rule]}})
    pattern = {"reason": "x", "column": "item_id", "pattern": "(?=a)"}
    with pytest.raises(ConfigError, match=r"\(\?=a\)"):
        read.rows("u,A,2020-01-01", config={"events": {"exclude": [pattern]}})


def test_exact_duplicates_count_once(read: Any) -> None:
    data = read.rows("u,A,2020-01-01", "u,B,2020-01-01", "u,A,2020-01-01", "u,A,2020-01-01")
    assert data.items.size == 2
    (problem,) = data.problems
    assert (problem.reason, problem.count, problem.rows, problem.kept) == ("duplicate_row", 2, (3, 4), False)


def test_an_item_out_of_the_catalogue_is_kept_and_counted(read: Any) -> None:
    data = read.rows("u,C,2020-01-01", "u,A,2020-01-01")
    assert data.item_ids.tolist() == ["A", "B", "C"]
    assert data.catalogue["in_catalogue"].tolist() == [True, True, False]
    assert data.catalogue["title"].tolist() == ["Lamp", "Chair", ""]
    (problem,) = data.problems
    assert (problem.reason, problem.count, problem.example, problem.kept) == ("unknown_item", 1, "C", True)


def test_orders_go_by_order_id_else_by_time(read: Any) -> None:
    rows = [
        "u,A,2020-01-03,,,,o1", "u,B,2020-01-01,,,,o1", "u,A,2020-01-02,,,,o2",
        "u,A,2020-01-02,,,,", "u,B,2020-01-02,,,,", "v,A,2020-01-09,,,,o1",
    ]  # fmt: skip
    data = read.rows(*rows, header=FULL)
    u = data.history(0)
    assert data.orders[u].tolist() == [0, 0, 1, 1, 2]
    assert [t // DAY - 18262 for t in data.timestamps[u]] == [0, 2, 1, 1, 1]
    assert data.orders[data.history(1)].tolist() == [0]


# --- returns and ratings


def test_a_return_counts_against_what_was_bought(read: Any) -> None:
    rows = [
        "u,A,2020-01-01,purchase,2,,o1", "u,A,2020-01-02,purchase,2,,o2", "u,A,2020-01-03,,-1,,o3",
        "u,A,2020-01-04,return,9,,o4", "u,B,2020-01-01,,-3,,o5", "v,A,2020-01-09,,1,,C7",
    ]  # fmt: skip
    data = read.rows(*rows, header=FULL, config={"events": {"returns": {"order_id_prefix": "C"}}})
    by_item = {
        (int(o), int(i)): float(v) for o, i, v in zip(data.orders[:5], data.items[:5], data.values[:5], strict=True)
    }
    assert sorted(by_item.values()) == [-2.0, -1.0, -0.5, 1.0, 1.0]
    assert data.values[data.history(1)].tolist() == [-1.0]
    assert {data.event_types[t] for t, v in zip(data.types, data.values, strict=True) if v < 0} == {"return"}


def test_the_value_of_a_return_can_be_set(read: Any) -> None:
    rows = ["u,A,2020-01-01,,1,,", "u,A,2020-01-02,,-1,,"]
    data = read.rows(*rows, header=FULL, config={"events": {"values": {"return": 0.0}}})
    assert data.values.tolist() == [1.0, 0.0]


def test_a_fraction_given_back_of_nothing_known_counts_as_one_purchase(read: Any) -> None:
    rows = ["u,A,2020-01-01,purchase,0.1,,", "u,A,2020-01-02,purchase,0.2,,", "u,B,2020-01-03,return,0.3,,"]
    assert read.rows(*rows, header=FULL).values.tolist() == [1.0, 1.0, -1.0]


def test_negative_quantities_can_be_refused(read: Any, found: Any) -> None:
    config = {"events": {"returns": {"negative_quantity": False}}}
    data = read.rows("u,A,2020-01-01,purchase,-3,,", header=FULL, config=config)
    assert found(data) == {"negative_quantity": 1}


def test_a_low_rating_counts_against(read: Any) -> None:
    rows = ["u,A,2020-01-01,rating,,2,", "u,A,2020-01-02,rating,,2.5,", "u,A,2020-01-03,purchase,,1,"]
    assert read.rows(*rows, header=FULL).values.tolist() == [-1.0, 1.0, 1.0]
