"""Rows of the catalogue and of the users table in DuckDB: read cell by cell, or set aside with a reason."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from reportgen.config import Config, Exclude
from reportgen.data.expressions import (
    Column,
    blank,
    excluded,
    flag,
    id_not_whole,
    id_text,
    identifier,
    number,
    tags,
)
from reportgen.data.ingest_load import Opened
from reportgen.data.schema import ITEMS, TableSpec, missing_rule_column


@dataclass(frozen=True)
class Shape:
    """The columns of a table as it is kept.

    Attributes
    ----------
    spec : TableSpec
    kinds : dict of str to str
        ``text``, ``price``, ``flag`` or ``tags`` per column, the id left out.
    """

    spec: TableSpec
    kinds: dict[str, str]

    @property
    def id(self) -> str:
        """Name of the id column."""
        return self.spec.ids[0]

    def create(self) -> str:
        """SQL that makes the empty table."""
        types = {"text": "VARCHAR", "tags": "VARCHAR", "price": "DOUBLE", "flag": "BOOLEAN"}
        columns = "".join(f", {identifier(name)} {types[kind]}" for name, kind in self.kinds.items())
        bad = "".join(f", {identifier('bad ' + name)} VARCHAR" for name in self.checked)
        return (
            f"CREATE TABLE {self.spec.name}_raw (file INTEGER, {self.id} VARCHAR{columns}{bad}, "
            "long BOOLEAN, reason SMALLINT, example VARCHAR)"
        )

    @property
    def checked(self) -> tuple[str, ...]:
        """Columns whose cells may be unreadable."""
        return tuple(name for name, kind in self.kinds.items() if kind in ("price", "flag"))


def reasons(shape: Shape, rules: tuple[Exclude, ...]) -> tuple[str, ...]:
    """All reasons in the order in which they are tried; the position is the code."""
    left_out = dict.fromkeys(f"excluded: {rule.reason}" for rule in rules)
    return ("id_not_whole", f"empty_{shape.id}", f"blank_{shape.id}", "cell_too_long", *left_out)


def load(
    con: duckdb.DuckDBPyConnection, shape: Shape, opened: Opened, columns: dict[str, Column], config: Config,
    rules: tuple[Exclude, ...], file: int,
) -> None:  # fmt: skip
    """Append one source to the raw table."""
    cells = [f"{_cell(shape, name, columns, config)} AS {identifier('= ' + name)}" for name in shape.kinds]
    bad = [f"{_bad(shape, name, columns)} AS {identifier('bad ' + name)}" for name in shape.checked]
    limit = config.input.max_cell
    texts = [columns[name].text for name, kind in shape.kinds.items() if kind == "text" and name in columns]
    long = " OR ".join(f"coalesce(length({text}) > {limit}, FALSE)" for text in texts) or "FALSE"
    case, shown = _reason(shape, opened, columns[shape.id], rules, limit)
    con.execute(
        f"""INSERT INTO {shape.spec.name}_raw SELECT {file}, {id_text(columns[shape.id])} AS "= id",
        {", ".join([*cells, *bad])}, {long}, {case}, {shown} FROM {opened.relation}"""
    )


def _reason(shape: Shape, opened: Opened, key: Column, rules: tuple[Exclude, ...], limit: int) -> tuple[str, str]:
    """SQL of the first reason against a row, and of the value to show for it."""
    text = id_text(key)
    checks = [id_not_whole(key), f"{text} IS NULL", blank(text), f"length({text}) > {limit}"]
    codes = reasons(shape, rules)
    whens = [f"WHEN {check} THEN {code}" for code, check in enumerate(checks)]
    example = f"left({key.text}, 200)" if shape.spec is ITEMS else "''"
    shown = [f"WHEN {checks[0]} OR {checks[3]} THEN {example}"]
    for rule in rules:
        if rule.column not in opened.columns:
            raise missing_rule_column(shape.spec, rule.column, opened.columns, opened.source.name)
        check = excluded(rule, opened.columns[rule.column])
        whens.append(f"WHEN {check} THEN {codes.index('excluded: ' + rule.reason)}")
        shown.append(f"WHEN {check} THEN left({opened.columns[rule.column].text}, 200)")
    return f"CASE {' '.join(whens)} END", f"CASE {' '.join(shown)} END"


def _cell(shape: Shape, name: str, columns: dict[str, Column], config: Config) -> str:
    kind = shape.kinds[name]
    if name not in columns:
        return "FALSE" if kind == "flag" else "NULL"
    column = columns[name]
    if kind == "flag":
        return flag(column)[0]
    if kind == "tags":
        return tags(column, config.items.tags_separator)
    if kind == "text":
        return f"left({id_text(column)}, {config.input.max_cell})"
    cell = number(column)
    return f"CASE WHEN {cell.infinite} THEN NULL ELSE {cell.value} END"


def _bad(shape: Shape, name: str, columns: dict[str, Column]) -> str:
    """The text of a cell that cannot be read, else NULL."""
    if name not in columns:
        return "NULL"
    column = columns[name]
    if shape.kinds[name] == "flag":
        return f"CASE WHEN {flag(column)[1]} THEN left({column.text}, 200) END"
    cell = number(column)
    nan = f"isnan({cell.value})" if column.family == "float" else "FALSE"
    bad = f"NOT {cell.empty} AND NOT {nan} AND ({cell.unreadable} OR {cell.infinite})"
    return f"CASE WHEN {bad} THEN left({column.text}, 200) END"
