"""Events in DuckDB: each raw row gets the first reason that speaks against it, or becomes an event."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from reportgen.config import Config, Exclude
from reportgen.data.expressions import (
    Column,
    blank,
    excluded,
    id_not_whole,
    id_text,
    moment,
    number,
    quoted,
)
from reportgen.data.ingest_load import Opened
from reportgen.data.schema import EVENTS, missing_rule_column

USER_REASONS = ("id_not_whole/user", "empty_user_id", "blank_user_id", "cell_too_long/user")
ITEM_REASONS = ("id_not_whole/item", "empty_item_id", "blank_item_id", "cell_too_long/item")
TIME_REASONS = ("empty_timestamp", "timestamp_is_number", "unreadable_timestamp", "timestamp_out_of_range")
NUMBER_REASONS = (
    "quantity_not_finite",
    "quantity_not_a_number",
    "zero_quantity",
    "negative_quantity",
    "rating_not_finite",
    "rating_not_a_number",
    "rating_missing",
    "cell_too_long",
)
NOTICES = ("empty_event_type", "empty_quantity")
CREATE = """CREATE TABLE events_raw (file INTEGER, user_id VARCHAR, item_id VARCHAR, wall BIGINT, shift BIGINT,
type TINYINT, quantity DOUBLE, rating DOUBLE, order_id VARCHAR, source VARCHAR, notice INTEGER, reason SMALLINT,
example VARCHAR)"""


def event_types(config: Config) -> tuple[str, ...]:
    """The known types; their position is their code."""
    return tuple(config.events.value_of())


def reasons(config: Config) -> tuple[str, ...]:
    """All reasons in the order in which they are tried; the position is the code."""
    left_out = dict.fromkeys(f"excluded: {rule.reason}" for rule in config.events.exclude)
    return (*USER_REASONS, *ITEM_REASONS, *left_out, *TIME_REASONS, "unknown_event_type", *NUMBER_REASONS)


@dataclass(frozen=True)
class Plan:
    """The columns of one source that are used, and the settings."""

    opened: Opened
    columns: dict[str, Column]
    config: Config

    def rule(self, rule: Exclude) -> Column:
        """The column of an exclude rule."""
        if rule.column not in self.opened.columns:
            raise missing_rule_column(EVENTS, rule.column, self.opened.columns, self.opened.source.name)
        return self.opened.columns[rule.column]


def load(con: duckdb.DuckDBPyConnection, plan: Plan, file: int) -> None:
    """Append one source to ``events_raw``."""
    cells = _cells(plan)
    inner = ", ".join(f"{sql} AS {name}" for name, sql in cells.items())
    codes = {code: i for i, code in enumerate(reasons(plan.config))}
    checks = _checks(plan)
    case = " ".join(f"WHEN {when} THEN {codes[code]}" for code, (when, _) in checks.items())
    shown = " ".join(f"WHEN {codes[code]} THEN {text}" for code, (_, text) in checks.items() if text)
    returned = _is_return(plan)
    empty_quantity = "quantity_empty" if "quantity" in plan.columns else "FALSE"
    notice = f"CASE WHEN type_empty THEN 1 ELSE 0 END + CASE WHEN {empty_quantity} THEN 2 ELSE 0 END"
    con.execute(
        f"""INSERT INTO events_raw SELECT {file}, user_id, item_id, wall, shift,
        CASE WHEN {returned} THEN {event_types(plan.config).index("return")} ELSE type END,
        coalesce(abs(quantity), 1), rating, order_id, source, {notice}, reason,
        CASE reason {shown} END FROM (SELECT *, CASE {case} END AS reason FROM (SELECT {inner}
        FROM {plan.opened.relation}))"""
    )


def _is_return(plan: Plan) -> str:
    rules = plan.config.events.returns
    by_order = f"starts_with(order_id, {quoted(rules.order_id_prefix)})" if rules.order_id_prefix else "FALSE"
    by_quantity = "quantity < 0" if rules.negative_quantity else "FALSE"
    return f"coalesce({by_order}, FALSE) OR coalesce({by_quantity}, FALSE)"


def _cells(plan: Plan) -> dict[str, str]:
    """SQL of every value that the checks and the events need."""
    user, item, when = (plan.columns[name] for name in EVENTS.required)
    time = moment(when, plan.config.input)
    cells = {"user_id": id_text(user), "user_fraction": id_not_whole(user)}
    cells |= {"item_id": id_text(item), "item_fraction": id_not_whole(item), "item_text": f"left({item.text}, 200)"}
    cells |= {"wall": time.wall, "shift": time.shift, "time_empty": time.empty, "time_number": time.number}
    cells |= {"time_text": f"left({when.text}, 200)"}
    cells |= _number_cells(plan, "quantity") | _number_cells(plan, "rating") | _type_cells(plan)
    for name in ("order_id", "source"):
        cells[name] = id_text(plan.columns[name]) if name in plan.columns else "NULL"
    for i, rule in enumerate(plan.config.events.exclude):
        column = plan.rule(rule)
        cells[f"out_{i}"] = excluded(rule, column)
        cells[f"out_text_{i}"] = f"left({column.text}, 200)" if column.name != user.name else "''"
    return cells


def _number_cells(plan: Plan, name: str) -> dict[str, str]:
    if name not in plan.columns:
        return {name: "NULL", f"{name}_empty": "TRUE", f"{name}_bad": "FALSE", f"{name}_infinite": "FALSE"} | {
            f"{name}_text": "NULL"
        }
    cell = number(plan.columns[name])
    return {
        name: cell.value,
        f"{name}_empty": cell.empty,
        f"{name}_bad": cell.unreadable,
        f"{name}_infinite": cell.infinite,
        f"{name}_text": f"left({plan.columns[name].text}, 200)",
    }


def _type_cells(plan: Plan) -> dict[str, str]:
    names = event_types(plan.config)
    default = names.index(plan.config.events.default_type)
    if "event_type" not in plan.columns:
        return {"type": str(default), "type_text": "NULL", "type_empty": "FALSE"}
    text = plan.columns["event_type"].text
    known = {name: name for name in names} | plan.config.events.types
    cases = " ".join(f"WHEN {quoted(word)} THEN {names.index(name)}" for word, name in known.items())
    empty = f"coalesce(trim({text}) = '', TRUE)"
    code = f"CASE WHEN {empty} THEN {default} ELSE CASE {text} {cases} END END"
    return {"type": code, "type_text": f"left({text}, 200)", "type_empty": empty}


def _checks(plan: Plan) -> dict[str, tuple[str, str]]:
    """For each reason but the range of time: when it holds, and the text to show (never a user id)."""
    limit, names = plan.config.input.max_cell, event_types(plan.config)
    checks = {
        "id_not_whole/user": ("user_fraction", ""),
        "empty_user_id": ("user_id IS NULL", ""),
        "blank_user_id": (blank("user_id"), ""),
        "cell_too_long/user": (f"length(user_id) > {limit}", ""),
        "id_not_whole/item": ("item_fraction", "item_text"),
        "empty_item_id": ("item_id IS NULL", ""),
        "blank_item_id": (blank("item_id"), ""),
        "cell_too_long/item": (f"length(item_id) > {limit}", "item_text"),
    }
    for i, rule in enumerate(plan.config.events.exclude):
        key = f"excluded: {rule.reason}"
        when, text = checks.get(key, ("FALSE", "''"))
        checks[key] = (f"{when} OR out_{i}", f"CASE WHEN out_{i} THEN out_text_{i} ELSE {text} END")
    checks |= {
        "empty_timestamp": ("time_empty", ""),
        "timestamp_is_number": ("time_number", "time_text"),
        "unreadable_timestamp": ("wall IS NULL", "time_text"),
        "unknown_event_type": ("type IS NULL", "type_text"),
        "quantity_not_finite": ("NOT quantity_empty AND quantity_infinite", "quantity_text"),
        "quantity_not_a_number": ("NOT quantity_empty AND quantity_bad", "quantity_text"),
        "zero_quantity": ("quantity = 0", "quantity_text"),
    }
    if not plan.config.events.returns.negative_quantity:
        checks["negative_quantity"] = ("quantity < 0", "quantity_text")
    checks["rating_not_finite"] = ("NOT rating_empty AND rating_infinite", "rating_text")
    checks["rating_not_a_number"] = ("NOT rating_empty AND rating_bad", "rating_text")
    if "rating" in plan.columns:
        checks["rating_missing"] = (f"type = {names.index('rating')} AND rating_empty", "")
    checks["cell_too_long"] = (f"length(order_id) > {limit} OR length(source) > {limit}", "")
    return checks
