"""A table from a SQL database: one SELECT, streamed from the server in chunks, kept as Parquet for the usual reader.

SQLAlchemy is an extra and is loaded only when an address is given. A password is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from reportgen.config import InputConfig
from reportgen.data.ingest_limits import spill_folder
from reportgen.data.ingest_spool import Spool
from reportgen.data.schema import show
from reportgen.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult, Engine

FORM = '"postgresql+psycopg://user@host/database::SELECT ..."'
# Rows that are asked for at once: a few megabytes.
CHUNK = 20_000
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+_.-]*://(?:\[[^\]]*\]|[^\[:]|:(?!:))*)::(.*)", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+_.-]*://")
# What is not read as SQL: comments, quoted text and names, and PostgreSQL's text between dollar signs.
_SKIPPED = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\$([A-Za-z_]*)\$.*?\$\1\$", re.DOTALL
)
_CHANGES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|INTO|CREATE|ALTER|DROP|TRUNCATE|GRANT)\b", re.IGNORECASE)
#: What makes a transaction of this dialect one that can only read, where the driver has no option for it.
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET TRANSACTION READ ONLY",
    "mariadb": "SET TRANSACTION READ ONLY",
}
Where = str | PathLike[str]


@dataclass(frozen=True)
class Address:
    """Where a database is and what is asked of it.

    Attributes
    ----------
    url : str
        As SQLAlchemy reads it. Not in the representation: it may hold a password.
    statement : str
        One SELECT, or WITH ... SELECT.
    """

    url: str = field(repr=False)
    statement: str

    @property
    def shown(self) -> str:
        """The address without what is secret in it."""
        return _mask(self.url)


def _mask(url: str) -> str:
    bare = re.sub(r"(://[^:/?#]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    return show(re.sub(r"([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]*", r"\1***", bare, flags=re.IGNORECASE))


def parse_address(where: Where | None) -> Address | None:
    """Read an address with a statement; None for anything that can only be a file.

    Raises
    ------
    InputError
        It begins like an address but has no statement, or one that does more than read.
    """
    if not isinstance(where, str) or not _SCHEME.match(where):
        return None
    found = _ADDRESS.fullmatch(where)
    if found is None:
        raise InputError(f"{_mask(where)}: neither a file nor a database with a statement; write it as {FORM}")
    address = Address(found[1], found[2].strip().rstrip(";").rstrip())
    server = re.split(r"[/?]", address.url.partition("://")[2])[0]
    if server.count("@") > 1:  # what stands after the first would pass for a host, and be shown
        raise InputError(f"{address.shown}: write an @ in a password as %40, or leave the password to PGPASSFILE")
    plain = _SKIPPED.sub(lambda found: " " if found[0][0] in "-/" else " x ", address.statement)
    first = plain.replace("(", " ").split()[:1]
    if not first or first[0].upper() not in ("SELECT", "WITH"):
        raise InputError(f"{address.shown}: only a SELECT or WITH statement is run here; write it as {FORM}")
    if ";" in plain:
        raise InputError(f"{address.shown}: more than one statement; write one SELECT")
    if change := _CHANGES.search(plain):
        raise InputError(
            f"{address.shown}: the statement holds {change[0].upper()}, and only reading is allowed; "
            "if it is the name of a column, put it in double quotes"
        )
    return address


@contextmanager
def fetched(config: InputConfig, tables: Mapping[str, Where | None]) -> Iterator[dict[str, str | Path | None]]:
    """Replace every address among the tables by a Parquet file with its rows, for as long as the context lasts.

    Parameters
    ----------
    config : InputConfig
    tables : mapping of str to path, address or None

    Raises
    ------
    InputError
        An address that cannot be used, or a statement that fails: nothing of it is used then.
    """
    files = {name: where if where is None or isinstance(where, str) else Path(where) for name, where in tables.items()}
    addresses = {name: address for name, where in tables.items() if (address := parse_address(where)) is not None}
    if not addresses:
        yield files
        return
    with spill_folder(config) as folder:
        for name, address in addresses.items():
            path = folder / f"{name} (SQL).parquet"
            _fetch(name, address, config, path)
            files[name] = path
        yield files


def _fetch(name: str, address: Address, config: InputConfig, path: Path) -> None:
    engine, secrets = _engine(name, address)
    try:
        with (
            _told(name, address, secrets) as at,
            engine.connect() as connection,
            closing(_run(connection, address)) as result,
            closing(Spool(_names(name, result.keys()), config, path.parent)) as spool,
        ):
            for rows in result.partitions(CHUNK):
                _add(spool, name, rows)
                at.rows = spool.rows
                if spool.rows > config.max_rows:
                    raise InputError(f"{name}: more rows than [input] max_rows = {config.max_rows}; raise it")
            spool.write(path)
    finally:
        engine.dispose()


def _add(spool: Spool, name: str, rows: Sequence[Any]) -> None:
    cells = zip(spool.names, zip(*rows, strict=True), strict=True)
    found = [_column(name, label, values) for label, values in cells]
    spool.append([texts for texts, _ in found], [kinds for _, kinds in found])


def _engine(name: str, address: Address) -> tuple[Engine, list[str]]:
    """An engine without a pool, and what must not be shown."""
    try:
        from sqlalchemy import create_engine, make_url, pool
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    except ImportError:
        raise InputError(f"{name}: to read from a database install: pip install 'reportgen[sql]'") from None
    try:
        url = make_url(address.url)
        engine = create_engine(url, poolclass=pool.NullPool)
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise InputError(
            f"{name}: {address.shown} is not an address that SQLAlchemy knows; write it as {FORM}"
        ) from None
    except ImportError as error:
        raise InputError(
            f"{name}: the driver of {address.shown} is not installed ({error}); for PostgreSQL: pip install 'reportgen[sql]'"
        ) from None
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise InputError(f"{name}: no database at {show(Path(url.database).name)}")  # it would be made, empty
    password = str(url.password or "")
    return engine, [word for word in {password, address.url} if word]


def _run(connection: Connection, address: Address) -> CursorResult[Any]:
    """Send the statement as it stands, in a transaction that can only read where the database knows such."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection = connection.execution_options(postgresql_readonly=True)
    elif dialect in _READ_ONLY:
        connection.exec_driver_sql(_READ_ONLY[dialect])
    options = {"stream_results": True, "max_row_buffer": CHUNK, "no_parameters": True}
    return connection.exec_driver_sql(address.statement, execution_options=options)


@dataclass
class _Progress:
    rows: int = 0


@contextmanager
def _told(name: str, address: Address, secrets: Sequence[str]) -> Iterator[_Progress]:
    """Turn what a database or its driver says into one line: which table, after how many rows, where in the statement."""
    from sqlalchemy.exc import SQLAlchemyError

    at = _Progress()
    try:
        yield at
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        for secret in secrets:
            first = first.replace(secret, "***")
        position = getattr(getattr(cause, "diag", None), "statement_position", None)
        place = f" at character {position} of the statement" if position else ""
        after = f"after {at.rows} rows " if at.rows else ""
        raise InputError(
            f"{name}: the database failed {after}({_short(first)}{place}); nothing of it was used. Asked: {address.shown}"
        ) from None


def _short(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:200]


def _names(name: str, keys: Any) -> tuple[str, ...]:
    names = tuple(str(key) for key in keys)
    twice = next((key for key in names if names.count(key) > 1), None)
    if twice is not None:
        raise InputError(f'{name}: the statement gives two columns named "{show(twice)}"; name one of them with AS')
    return names


def _column(name: str, label: str, cells: Sequence[Any]) -> tuple[np.ndarray, set[str]]:
    """The cells as text, and the kinds of value that they were."""
    types = set(map(type, cells)) - {type(None)}
    makers = {kind: _maker(name, label, kind) for kind in types}
    out = np.empty(len(cells), dtype=object)
    out[:] = [None if cell is None else makers[type(cell)][1](cell) for cell in cells]
    # A time with an offset says more than a timestamp can hold; it is read as text.
    aware = (
        any(isinstance(cell, datetime) and cell.tzinfo is not None for cell in cells) if datetime in types else False
    )
    return out, {"text" if kind == "datetime" and aware else kind for kind, _ in makers.values()}


def _maker(name: str, label: str, kind: type) -> tuple[str, Callable[[Any], str]]:
    for known, told, maker in _KINDS:
        if issubclass(kind, known):
            return told, maker
    raise InputError(
        f'{name}: the column "{show(label)}" holds values of type {kind.__name__}; cast it to text in the statement'
    )


def _text(value: str) -> str:
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")


def _labels(value: Sequence[Any]) -> str:
    return "".join(f"{_text(str(label)) if label is not None else ''}\x1f" for label in value)


#: Type of a value -> kind, and how it is written. The first that fits counts.
_KINDS: tuple[tuple[type, str, Callable[[Any], str]], ...] = (
    (str, "text", _text),
    (bool, "bool", lambda value: "true" if value else "false"),
    (int, "int", str),
    (float, "float", repr),
    (Decimal, "decimal", lambda value: format(value, "f") if value.is_finite() else str(value)),
    (datetime, "datetime", lambda value: value.isoformat(sep=" ")),
    (date, "date", lambda value: value.isoformat()),
    (UUID, "text", str),
    (list, "text", _labels),
)
