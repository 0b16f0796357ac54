"""Opening sources in DuckDB: settings, file options, column types, and what the parser could not read.

Of the files in this folder only those named ``ingest*`` touch duckdb.
"""

from __future__ import annotations

import glob
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from reportgen.config import Config, InputConfig
from reportgen.data.bytecheck import Checked, check_text, raw_chunks
from reportgen.data.expressions import Column, identifier, quoted
from reportgen.data.ingest_limits import is_full
from reportgen.data.schema import TableSpec, missing_column, show
from reportgen.data.sources import Source
from reportgen.errors import ConfigError, InputError

# A Parquet file may promise this much text before its ratio is held against it.
PARQUET_FLOOR = 1 << 30


@dataclass(frozen=True)
class Opened:
    """A source that SQL can read.

    Attributes
    ----------
    source : Source
    relation : str
        What stands after FROM.
    columns : dict of str to Column
        By the name in the file.
    checked : Checked or None
        For text: what is really parsed.
    """

    source: Source
    relation: str
    columns: dict[str, Column]
    checked: Checked | None = None

    @property
    def nuls(self) -> int:
        """NUL bytes that were replaced."""
        return self.checked.nuls if self.checked else 0


@dataclass(frozen=True)
class Ragged:
    """Rows of one file that do not have the header's number of cells, or a line too long."""

    lines: tuple[int, ...] = ()
    count: int = 0
    example: str = ""
    reason: str = "ragged_row"


def check_settings(con: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Let the engine read the patterns before any row: its regular expressions know no look-around.

    Raises
    ------
    ConfigError
        Names the pattern or the time format.
    """
    patterns = [rule.pattern for rule in (*config.events.exclude, *config.items.exclude) if rule.pattern]
    tests = [("exclude pattern", f"regexp_full_match('', {quoted(pattern)})", pattern) for pattern in patterns]
    form = config.input.timestamp_format
    tests += [("[input] timestamp_format", f"try_strptime('', {quoted(form)})", form)] if form else []
    for name, sql, value in tests:
        try:
            con.execute(f"SELECT typeof({sql})").fetchall()
        except duckdb.Error as error:
            reason = str(error).splitlines()[0][:200]
            raise ConfigError(f"{name} {value!r} cannot be used ({reason})") from error


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turn the engine's errors into one line that names the file."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise  # told by `within_limits`, which knows the settings
    except duckdb.Error as error:
        if is_full(error):
            raise
        first = (str(error) or type(error).__name__).splitlines()[0].replace(str(source.path), source.name)
        raise InputError(f"{show(source.name)}: cannot be read ({first[:200]})") from error


def open_source(con: duckdb.DuckDBPyConnection, source: Source, config: InputConfig, folder: Path, key: str) -> Opened:
    """Check a source and make it readable."""
    with reading(source):
        if source.path is None:
            return _open_frame(con, source, key)
        return _open_text(con, source, config, folder / f"{key}.txt") if source.is_text else _open_parquet(
            con, source, config
        )  # fmt: skip


def _open_frame(con: duckdb.DuckDBPyConnection, source: Source, key: str) -> Opened:
    name = f"frame_{key}"
    con.register(name, {f"c{i}": values for i, values in enumerate(source.columns.values())})
    described = con.execute(f"DESCRIBE {name}").fetchall()
    columns = {
        ours: Column(ours, identifier(row[0]), row[1]) for ours, row in zip(source.columns, described, strict=True)
    }
    return Opened(source, name, columns)


def _open_parquet(con: duckdb.DuckDBPyConnection, source: Source, config: InputConfig) -> Opened:
    path = quoted(glob.escape(str(source.path)))
    relation = f"read_parquet({path}, binary_as_string = true, hive_partitioning = false)"
    rows = con.execute(f"SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata({path})").fetchall()[0][0]
    if rows > config.max_rows:
        raise InputError(f"{show(source.name)}: {rows} rows are more than [input] max_rows = {config.max_rows}")
    described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    columns = {row[0]: Column(row[0], identifier(row[0]), row[1]) for row in described}
    _refuse_parquet_bomb(con, source, relation, columns, int(rows), config)
    return Opened(source, relation, columns)


def _refuse_parquet_bomb(
    con: duckdb.DuckDBPyConnection, source: Source, relation: str, columns: dict[str, Column], rows: int,
    config: InputConfig,
) -> None:  # fmt: skip
    """Estimate the text inside from a sample: the footer counts repeated values once, so its sizes say little."""
    assert source.path is not None
    texts = [f"coalesce(strlen({column.sql}), 0)" for column in columns.values() if column.type == "VARCHAR"]
    if not texts:
        return
    mean = con.execute(f"SELECT avg({' + '.join(texts)}) FROM (FROM {relation} LIMIT 2000)").fetchall()[0][0] or 0
    if mean * rows > max(PARQUET_FLOOR, config.max_ratio * source.path.stat().st_size):
        raise InputError(
            f"{show(source.name)}: holds about {mean * rows / 1e9:.0f} GB of text, more than {config.max_ratio:g} "
            "times its size; if the file can be trusted, raise [input] max_ratio"
        )


def _open_text(con: duckdb.DuckDBPyConnection, source: Source, config: InputConfig, copy: Path) -> Opened:
    chunks = _zst_chunks(con, source) if source.compression == "zst" else raw_chunks(source)
    checked = check_text(source, chunks, config, copy)
    columns = {name: Column(name, f"c{i}", "VARCHAR") for i, name in enumerate(checked.header) if name}
    return Opened(source, _read_csv(checked, source, config), columns, checked)


def _read_csv(checked: Checked, source: Source, config: InputConfig) -> str:
    names = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(checked.header)))
    packed = {"": "none", "gz": "gzip"}[checked.compression]
    longest = max(4 << 20, 8 * config.max_cell)
    return (
        f"read_csv({quoted(glob.escape(str(checked.path)))}, auto_detect = false, header = false, skip = 1, "
        f"columns = {{{names}}}, delim = {quoted(source.delimiter)}, quote = '\"', escape = '\"', nullstr = '', "
        f"compression = '{packed}', strict_mode = true, null_padding = false, hive_partitioning = false, "
        f"max_line_size = {longest}, store_rejects = true, rejects_limit = 0)"
    )


def _zst_chunks(con: duckdb.DuckDBPyConnection, source: Source) -> Iterator[bytes]:
    """Unpack with DuckDB, line by line and byte for byte (Latin-1), as the standard library of Python 3.11 cannot."""
    relation = (
        f"read_csv({quoted(glob.escape(str(source.path)))}, auto_detect = false, header = false, "
        "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', encoding = 'latin-1', "
        "compression = 'zstd', strict_mode = false, max_line_size = 16777216)"
    )
    cursor = con.cursor().execute(f"SELECT line FROM {relation}")
    while lines := cursor.fetchmany(20_000):
        yield "".join(f"{line or ''}\n" for (line,) in lines).encode("latin-1")


def take_rejects(con: duckdb.DuckDBPyConnection, opened: Opened) -> list[Ragged]:
    """Read and forget what the parser refused.

    Raises
    ------
    InputError
        A quote that is not closed: everything after it is in doubt, so the file is refused with the line.
    """
    if not opened.source.is_text:
        return []
    # The parser counts rows and the header, from 1; so row 1 after the header is its line 2.
    rows = con.execute("SELECT line - 1, error_type, line_byte_position FROM reject_errors ORDER BY ALL").fetchall()
    con.execute("DROP TABLE reject_errors")
    con.execute("DROP TABLE reject_scans")
    for _, kind, position in rows:
        if kind in ("UNQUOTED VALUE", "INVALID STATE"):
            raise InputError(
                f"{show(opened.source.name)}: line {_line_at(opened.checked, position)}: a quote is not closed, or "
                'text follows a closing quote; double a quote inside quotes: ""'
            )
    by_row = {row: kind for row, kind, _ in rows}
    long = tuple(row for row, kind in by_row.items() if kind == "LINE SIZE OVER MAXIMUM")
    ragged = tuple(row for row in by_row if row not in set(long))
    few = any(kind == "MISSING COLUMNS" for kind in by_row.values())
    found = [Ragged(ragged, len(ragged), "too few cells" if few else "too many cells")] if ragged else []
    return found + ([Ragged(long, len(long), "", "cell_too_long")] if long else [])


def _line_at(checked: Checked | None, position: int) -> int:
    """Count lines up to a byte, as an editor does: cells may span lines."""
    assert checked is not None
    with gzip.open(checked.path) if checked.compression == "gz" else open(checked.path, "rb") as file:
        start = file.read(position)
    return start.count(b"\n") + 1 if b"\n" in start else start.count(b"\r") + 1


def source_names(found: Mapping[str, Column]) -> dict[str, str]:
    """Our names of the columns that a source has -> what the source calls them, safe to print."""
    return {ours: show(column.name) for ours, column in sorted(found.items())}


def find_columns(opened: Opened, spec: TableSpec, names: dict[str, str]) -> dict[str, Column]:
    """Match our column names to the file's.

    Parameters
    ----------
    opened : Opened
    spec : TableSpec
    names : dict of str to str
        From the configuration: ours -> the file's; "" = do not use an optional column.

    Raises
    ------
    InputError
        A required or configured column is missing.
    """
    found = {}
    for ours in dict.fromkeys((*spec.required, *spec.optional, *names)):
        wanted = names.get(ours, ours)
        if wanted in opened.columns:
            found[ours] = opened.columns[wanted]
        elif ours in spec.required or (ours in names and wanted):
            raise missing_column(spec, ours, wanted, opened.columns, opened.source.name)
    return found
