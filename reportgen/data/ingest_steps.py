"""The steps of one reading, in order: items, users, events; then numbers for users and items, and the sorted events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np

from reportgen.config import Config, Exclude
from reportgen.data import ingest_events, ingest_items, ingest_rows
from reportgen.data.expressions import Column, identifier, quoted, stepwise
from reportgen.data.ingest_load import Opened, find_columns, open_source, reading, source_names, take_rejects
from reportgen.data.ingest_problems import Check, Ledger
from reportgen.data.ingest_rows import Shape
from reportgen.data.ingest_sort import Histories, Seen, sort_events
from reportgen.data.schema import EVENTS, TableSpec, show
from reportgen.data.sources import Source
from reportgen.data.zones import offsets
from reportgen.errors import InputError

DAY = 86_400_000_000
# Where no ``not_after`` is given: no event of a shop is dated later, and a wrong time unit often is.
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class Steps:
    """Holds the connection and what was found so far."""

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path, config: Config) -> None:
        self.con, self.folder, self.config = con, folder, config
        self.item_shape, self.user_shape = ingest_items.item_shape(config), ingest_items.user_shape(config)
        self.ledgers = {name: Ledger(con, name) for name in ("events", "items", "users")}
        self.rows_read: dict[str, int] = {}
        self.present: dict[str, set[str]] = {"events": set(), "items": set(), "users": set()}
        self.columns: dict[str, list[dict[str, str]]] = {name: [] for name in self.present}
        self.id_kinds: dict[str, tuple[str, str, str]] = {}
        self.date_only = False
        self.private = np.zeros(0, dtype=np.int64)

    def read_items(self, sources: Sequence[Source]) -> None:
        """Make the table ``items``."""
        how = self.config.items.on_duplicate
        self._read_rows(self.item_shape, sources, ingest_items.item_names(self.config), self.config.items.exclude)
        ingest_items.settle_items(self.con, self.item_shape, how)
        reason = "duplicate_row" if how == "error" else "duplicate_item"
        self._note_repeated("items", Check("TRUE", reason, "item_id", kept=False))
        self.ledgers["items"].rows("items", [Check("coalesce(title, '') = ''", "empty_title", "item_id")])
        if not self._one("SELECT count(*) FROM items"):
            raise InputError("items: no usable row; the catalogue needs at least one item with an id")

    def read_users(self, sources: Sequence[Source]) -> None:
        """Make the table ``users``, empty where none is given."""
        names = self.config.users.columns | {name: name for name in self.config.users.segments}
        self._read_rows(self.user_shape, sources, names, ())
        ingest_items.settle_users(self.con, self.user_shape)
        self._note_repeated("users", Check("TRUE", "duplicate_user", kept=False))

    def _read_rows(
        self, shape: Shape, sources: Sequence[Source], names: dict[str, str], rules: tuple[Exclude, ...]
    ) -> None:
        name = shape.spec.name
        self.con.execute(shape.create())

        def load(opened: Opened, file: int) -> None:
            columns = find_columns(opened, shape.spec, names)
            self._note_columns(shape.spec, opened, names, columns)
            ingest_rows.load(self.con, shape, opened, columns, self.config, rules, file)

        self._each(shape.spec, sources, load)
        self._require_rows(name, bool(sources) and name == "items")
        self.con.execute(f"CREATE VIEW {name}_rows AS SELECT rowid AS row, * FROM {name}_raw")
        self.con.execute(f"CREATE VIEW {name}_ok AS FROM {name}_rows WHERE reason IS NULL")
        self._note_rows(shape, rules)

    def _note_rows(self, shape: Shape, rules: tuple[Exclude, ...]) -> None:
        name, ledger = shape.spec.name, self.ledgers[shape.spec.name]
        ledger.set_aside(f"{name}_rows", ingest_rows.reasons(shape, rules))
        checks = [Check("long", "cell_too_long")]
        for column in shape.checked:
            bad = identifier("bad " + column)
            reason = "price_not_a_number" if shape.kinds[column] == "price" else "flag_unreadable"
            checks.append(Check(f"{bad} IS NOT NULL", reason, bad))
        ledger.rows(f"{name}_ok", checks)

    def _note_repeated(self, name: str, check: Check) -> None:
        """Note the rows that settling left out."""
        self.ledgers[name].rows(f"(FROM {name}_ok WHERE row NOT IN (SELECT row FROM {name}))", [check])

    def _each(self, spec: TableSpec, sources: Sequence[Source], load: Callable[[Opened, int], None]) -> None:
        """Open, load and account for one source after the other."""
        lost = 0
        for file, source in enumerate(sources):
            with reading(source):
                opened = open_source(self.con, source, self.config.input, self.folder, f"{spec.name}_{file}")
                start = self._count(spec)
                load(opened, file)
                ragged = take_rejects(self.con, opened)
            lines = [line for rows in ragged for line in rows.lines]
            self.ledgers[spec.name].read(opened, start, ragged)
            lost += len(lines)
            self._limit(spec, source, lost)
        self.rows_read[spec.name] = self._count(spec) + lost

    def _count(self, spec: TableSpec) -> int:
        return self._one(f"SELECT count(*) FROM {spec.name}_raw")

    def _limit(self, spec: TableSpec, source: Source, lost: int) -> None:
        rows = self._count(spec) + lost
        if rows > self.config.input.max_rows:
            raise InputError(
                f"{show(source.name)}: with it the {spec.name} have {rows} rows, more than [input] max_rows = "
                f"{self.config.input.max_rows}; raise it or split the input"
            )

    def _require_rows(self, name: str, needed: bool) -> None:
        if needed and not self.rows_read[name]:
            raise InputError(f"{self.ledgers[name].files.names[0]}: no rows after the header")

    def _note_columns(
        self, spec: TableSpec, opened: Opened, names: dict[str, str], found: Mapping[str, Column]
    ) -> None:
        """Note which columns there are, and refuse ids that are numbers here and text there."""
        self.present[spec.name] |= found.keys()
        self.columns[spec.name].append(source_names(found))
        for name in spec.ids if self.config.input.id_type != "text" else ():
            column = opened.columns[names.get(name, name)]
            number = column.family in ("int", "float") or column.name in opened.source.numeric
            kind, file = "a number" if number else "text", show(opened.source.name)
            before = self.id_kinds.setdefault(name, (kind, file, spec.name))
            if before[0] != kind:
                raise InputError(
                    f"mixed_id_type: {name} is {before[0]} in {before[1]} ({before[2]}) but {kind} in {file} "
                    f'({spec.name}); store both alike, or set [input] id_type = "text" to compare them as text'
                )

    def read_events(self, sources: Sequence[Source], not_after: int | None) -> Histories:
        """Make the tables ``user_codes`` and ``item_codes``, and sort the events."""
        self.con.execute(ingest_events.CREATE)
        names = self.config.events.columns
        if self.config.privacy.rules.source:  # a rule that finds no column would hide nothing and not say so
            names = names | {"source": names.get("source") or "source"}

        def load(opened: Opened, file: int) -> None:
            columns = find_columns(opened, EVENTS, names)
            self._note_columns(EVENTS, opened, names, columns)
            ingest_events.load(self.con, ingest_events.Plan(opened, columns, self.config), file)

        self._each(EVENTS, sources, load)
        users = self._one("SELECT count(*) FROM users")
        self._require_rows("events", not users)
        codes = ingest_events.reasons(self.config)
        self._time_events(codes.index("timestamp_out_of_range"), not_after)
        self._number_ids()
        self._mark_private()
        histories = sort_events(
            self.con, self.present["events"], ingest_events.event_types(self.config), self.config.events, self.folder
        )
        self._note_events(codes, histories)
        return histories

    def _time_events(self, range_code: int, not_after: int | None) -> None:
        """Make ``events_rows``: the raw rows with their time in UTC."""
        first, last, timed = self.con.execute(
            f"SELECT min(wall), max(wall), bool_or(wall % {DAY} <> 0) FROM events_raw WHERE reason IS NULL"
        ).fetchall()[0]
        self.date_only = first is not None and not timed
        config = self.config.input
        low = int(datetime.combine(config.earliest, datetime.min.time(), UTC).timestamp()) * 10**6
        high = int(LATEST.timestamp()) * 10**6
        zoned = config.timezone != "UTC" and bool(timed)
        # Dates without a time of day stay on their day: shifting midnight would move them to the day before.
        shift = "coalesce(shift, 0)"
        if zoned:
            steps = offsets(config.timezone, max(first, low), max(min(last, high), low))
            shift = f"coalesce(shift, {stepwise('wall', steps)})"
        bad = f"(ts < {low} OR ts > {high if not_after is None else not_after})"
        self.con.execute(
            f"""CREATE VIEW events_rows AS SELECT row, file, user_id, item_id, ts, type,
            quantity, rating, order_id, source, notice,
            CASE WHEN {bad} AND coalesce(reason > {range_code}, TRUE) THEN {range_code} ELSE reason END AS reason,
            CASE WHEN {bad} AND coalesce(reason > {range_code}, TRUE)
            THEN strftime(make_timestamp(ts), '%Y-%m-%dT%H:%M:%S') ELSE example END AS example
            FROM (SELECT events_raw.rowid AS row, *, wall - {shift} AS ts FROM events_raw)"""
        )

    def _number_ids(self) -> None:
        known = len(ingest_events.USER_REASONS)
        ids = {
            "user": f"SELECT user_id AS id FROM events_rows WHERE reason IS NULL OR reason >= {known} "
            "UNION SELECT user_id FROM users",
            "item": "SELECT item_id AS id FROM events_rows WHERE reason IS NULL UNION SELECT item_id FROM items",
        }
        for name, found in ids.items():
            code = "CAST(row_number() OVER (ORDER BY id) - 1 AS INTEGER) AS code"
            self.con.execute(f"CREATE TABLE {name}_codes AS SELECT id, {code} FROM ({found})")
        if not self._one("SELECT count(*) FROM user_codes"):
            raise InputError(
                "events: no usable row and no users; nothing can be reported (see the remedies of the rows)"
            )

    def _mark_private(self) -> None:
        """Find who got what by an event of a source that the rules name. Rows that are set aside for their time count too."""
        named = ", ".join(quoted(source.strip().lower()) for source in self.config.privacy.rules.source)
        if not named:
            return
        found = self.con.execute(
            f"""SELECT DISTINCT CAST(u.code AS BIGINT) * (SELECT count(*) FROM item_codes) + i.code AS pair
            FROM events_rows JOIN user_codes u ON u.id = user_id JOIN item_codes i ON i.id = item_id
            WHERE lower(trim(source)) IN ({named}) ORDER BY pair"""
        ).fetchnumpy()
        self.private = np.asarray(found["pair"], dtype=np.int64)

    def _note_events(self, codes: Sequence[str], histories: Histories) -> None:
        ledger = self.ledgers["events"]
        ledger.set_aside("events_rows", codes)
        self._note_seen("duplicate_row", histories.repeated, "", kept=False)
        notices = enumerate(ingest_events.NOTICES)
        ledger.rows(
            "events_rows", [Check(f"reason IS NULL AND notice & {1 << bit} > 0", name) for bit, name in notices]
        )
        if (unknown := histories.unknown).count:
            code = int(unknown.items[0])
            ((item,),) = self.con.execute(f"SELECT id FROM item_codes WHERE code = {code}").fetchall()
            self._note_seen("unknown_item", unknown, item, kept=True)

    def _note_seen(self, reason: str, seen: Seen, example: str, *, kept: bool) -> None:
        if seen.count:
            self.ledgers["events"].found(reason, seen.count, seen.rows.tolist(), example, kept=kept)

    def note_links(self, rows: np.ndarray, texts: np.ndarray) -> None:
        """Count links that may not be shown."""
        order = np.argsort(rows, kind="stable")
        ledger = self.ledgers["items"]
        name, numbers = ledger.files.locate([int(row) for row in rows[order][:5]])
        ledger.note("unsafe_url", int(rows.size), numbers, texts[order][0], kept=True, file=name)

    def _one(self, sql: str) -> int:
        return int(self.con.execute(sql).fetchall()[0][0])
