"""The catalogue and the users in DuckDB: repeated ids settled, one row per id."""

from __future__ import annotations

import duckdb

from reportgen.config import ITEM_FLAGS, ITEM_TEXTS, Config
from reportgen.data.expressions import identifier
from reportgen.data.ingest_rows import Shape
from reportgen.data.schema import ITEMS, USERS, show
from reportgen.errors import InputError


def item_shape(config: Config) -> Shape:
    """The catalogue's columns: the usual ones, and the configured features."""
    kinds = {"title": "text"} | dict.fromkeys(ITEM_TEXTS, "text") | {"price": "price", "tags": "tags"}
    kinds |= dict.fromkeys(ITEM_FLAGS, "flag")
    forms = {"category": "text", "text": "text", "tags": "tags", "price": "price"}
    kinds |= {name: forms[feature.kind] for name, feature in config.features.items()}
    return Shape(ITEMS, kinds)


def item_names(config: Config) -> dict[str, str]:
    """Where the file keeps each column."""
    features = {name: f.column or config.items.columns.get(name, name) for name, f in config.features.items()}
    return config.items.columns | features


def user_shape(config: Config) -> Shape:
    """The columns of the users table: the usual ones, and the segments."""
    kinds = dict.fromkeys(("name", "email", "locale"), "text") | {"opted_out": "flag"}
    return Shape(USERS, kinds | {name: "text" for name in config.users.segments if name not in kinds})


def settle_items(con: duckdb.DuckDBPyConnection, shape: Shape, how: str) -> None:
    """Make the table ``items``: one row per id.

    Raises
    ------
    InputError
        An id has several different rows and ``how`` is "error".
    """
    columns = ", ".join(identifier(name) for name in ("item_id", *shape.kinds))
    if how == "error":
        # Rows that say the same thing twice contradict nothing.
        con.execute(f"CREATE TABLE items AS SELECT {columns}, min(row) AS row FROM items_ok GROUP BY {columns}")
        _refuse_contradictions(con)
    elif how == "most_frequent":
        con.execute(f"CREATE TABLE items AS SELECT {columns}, row FROM ({_MOST_FREQUENT})")
    else:
        side = "" if how == "first" else "DESC"
        pick = f"QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY row {side}) = 1"
        con.execute(f"CREATE TABLE items AS SELECT {columns}, row FROM items_ok {pick}")


# Ties go to the smaller title, not to the earlier row: the order of rows then does not matter.
_MOST_FREQUENT = """SELECT i.* REPLACE (trim(coalesce(title, '')) AS title, m.median AS price)
FROM items_ok i JOIN (
    SELECT min(row) AS row, item_id, trim(coalesce(title, '')) AS text FROM items_ok GROUP BY item_id, text
    QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY text = '', count(*) DESC, text) = 1
) best ON best.row = i.row
JOIN (SELECT item_id, median(price) AS median FROM items_ok GROUP BY item_id) m ON m.item_id = i.item_id"""


def _refuse_contradictions(con: duckdb.DuckDBPyConnection) -> None:
    many = "SELECT item_id, count(*) AS n FROM items GROUP BY item_id HAVING count(*) > 1"
    twice = con.execute(f"SELECT item_id, n, count(*) OVER () - 1 FROM ({many}) ORDER BY item_id LIMIT 1").fetchone()
    if twice is not None:
        raise InputError(
            f'items: "{show(twice[0])}" has {twice[1]} different rows (and so have {twice[2]} more ids); '
            'correct them or set [items] on_duplicate = "first", "last" or "most_frequent"'
        )


def settle_users(con: duckdb.DuckDBPyConnection, shape: Shape) -> None:
    """Make the table ``users``: the first row of each id counts, an opt-out in any row holds.

    Where rows name different e-mail addresses none is kept: a report must not go to a guess.
    """
    columns = ", ".join(identifier(name) for name in ("user_id", *shape.kinds))
    con.execute(
        f"""CREATE TABLE users AS SELECT {columns}, row FROM (SELECT * REPLACE (
        bool_or(opted_out) OVER (PARTITION BY user_id) AS opted_out,
        CASE WHEN min(email) OVER (PARTITION BY user_id) = max(email) OVER (PARTITION BY user_id) THEN
        min(email) OVER (PARTITION BY user_id) END AS email) FROM users_ok)
        QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY row) = 1"""
    )
