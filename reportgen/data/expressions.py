"""SQL text for one cell: ids, times, numbers, flags, lists. Only strings are made here; nothing is run.

Every function takes a :class:`Column`, because a cell of a CSV file is text while Parquet and frames have types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportgen.config import Exclude, InputConfig

NUMBER = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_DAY = r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
_OFFSET = r"[Zz]|[+-](?:0[0-9]|1[0-8])(?::?[0-5][0-9])?"
_ISO = rf"^({_DAY}(?:[ T]{_CLOCK})?)(?:(?: ?)({_OFFSET}))?$"
_USUAL = "[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?)?"
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
# What Python's str.isspace() calls space; an id of these alone is blank.
SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + (
    "\u2028\u2029\u202f\u205f\u3000"
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of one source.

    Attributes
    ----------
    name : str
        As in the file.
    sql : str
        Quoted identifier.
    type : str
        DuckDB's name of its type.
    """

    name: str
    sql: str
    type: str

    @property
    def family(self) -> str:
        """One of text, int, float, time, zoned, list, bool, other."""
        kind = self.type.upper()
        if kind.endswith("]"):
            return "list"
        if kind.startswith("TIMESTAMP WITH TIME ZONE") or kind == "TIMESTAMPTZ":
            return "zoned"
        start = kind.split("(")[0].split("_")[0]
        return _FAMILIES.get(start, "other")

    @property
    def text(self) -> str:
        """The cell as text, NULL where empty."""
        return self.sql if self.type == "VARCHAR" else f"CAST({self.sql} AS VARCHAR)"


_FAMILIES = (
    dict.fromkeys(("VARCHAR", "ENUM", '"NULL"', "NULL"), "text")
    | dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "int")
    | dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "int")
    | dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), "float")
    | dict.fromkeys(("TIMESTAMP", "DATE"), "time")
    | {"BOOLEAN": "bool"}
)


def quoted(text: str) -> str:
    """A text literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def blank(sql: str) -> str:
    """Whether a text is made of spaces only.

    Nearly every id begins with a visible ASCII character, which settles it; to trim a set of characters takes 80 times longer.
    """
    return f"CASE WHEN unicode({sql}) BETWEEN 33 AND 126 THEN FALSE ELSE trim({sql}, {quoted(SPACES)}) = '' END"


def stepwise(sql: str, steps: Sequence[tuple[int, int]]) -> str:
    """The value of the last step at or below a number, as a tree of decisions: no join, so rows keep their order.

    Parameters
    ----------
    sql : str
        A number.
    steps : sequence of (int, int)
        ``(from, value)``, ascending; the first holds for everything below too.
    """
    if len(steps) == 1:
        return str(steps[0][1])
    half = len(steps) // 2
    below, above = stepwise(sql, steps[:half]), stepwise(sql, steps[half:])
    return f"CASE WHEN {sql} < {steps[half][0]} THEN {below} ELSE {above} END"


def id_text(column: Column) -> str:
    """An id as text, exactly as given; NULL where it is empty or a number that is not whole."""
    if column.family != "float":
        return f"nullif({column.text}, '')"
    # Beyond 2**53 (2**24 for FLOAT) neighbouring whole numbers are no longer told apart.
    exact = 2**24 if column.type == "FLOAT" else 2**53
    whole = f"{column.sql} = trunc({column.sql}) AND abs({column.sql}) < {exact}"
    return f"CASE WHEN {whole} THEN CAST(CAST({column.sql} AS BIGINT) AS VARCHAR) END"


def id_not_whole(column: Column) -> str:
    """Whether an id is a number that is not whole (or too large to be told from its neighbours)."""
    if column.family != "float":
        return "FALSE"
    return f"({column.sql} IS NOT NULL AND NOT isnan(CAST({column.sql} AS DOUBLE)) AND {id_text(column)} IS NULL)"


@dataclass(frozen=True)
class Moment:
    """SQL for a time: wall clock and offset from UTC in microseconds (NULL = configured zone), and what is wrong."""

    wall: str
    shift: str
    empty: str
    number: str


def moment(column: Column, config: InputConfig) -> Moment:
    """Read a time.

    Offsets are taken apart here, not by the engine, whose cast of text with an offset changed between versions.
    """
    if column.family == "zoned":
        return Moment(_finite(column.sql), "0", f"{column.sql} IS NULL", "FALSE")
    if column.family == "time":
        return Moment(_finite(f"CAST({column.sql} AS TIMESTAMP)"), "NULL", f"{column.sql} IS NULL", "FALSE")
    if column.family in ("int", "float"):
        nan = f"isnan(CAST({column.sql} AS DOUBLE))" if column.family == "float" else "FALSE"
        empty = f"({column.sql} IS NULL OR {nan})"
        return Moment(_counted(column.sql, config), "0", empty, "FALSE" if config.time_unit else f"NOT {empty}")
    return _moment_from_text(f"trim({column.text})", config)


def _moment_from_text(text: str, config: InputConfig) -> Moment:
    empty, number = f"coalesce({text} = '', TRUE)", f"regexp_full_match({text}, '[+-]?[0-9]+([.][0-9]+)?')"
    if config.timestamp_format:
        read, aware = f"try_strptime({text}, {quoted(config.timestamp_format)})", "%z" in config.timestamp_format
        return Moment(_finite(read), "0" if aware else "NULL", empty, "FALSE")
    wall = f"epoch_us(try_cast(replace(regexp_extract({text}, '{_ISO}', 1), '/', '-') AS TIMESTAMP))"
    zone = f"replace(regexp_extract({text}, '{_ISO}', 2), ':', '')"
    minutes = f"(60 * try_cast({zone}[2:3] AS BIGINT) + coalesce(try_cast({zone}[4:5] AS BIGINT), 0))"
    shift = f"CASE WHEN {zone} = '' THEN NULL WHEN lower({zone}) = 'z' THEN 0 ELSE "
    shift += f"CASE WHEN {zone}[1] = '-' THEN -60000000 ELSE 60000000 END * {minutes} END"
    # The usual form needs nothing taken apart: one look instead of several saves a quarter of the time for a CSV file.
    usual = f"CASE WHEN regexp_full_match({text}, '{_USUAL}') THEN"
    wall = f"{usual} epoch_us(try_cast({text} AS TIMESTAMP)) ELSE {wall} END"
    shift = f"{usual} NULL ELSE {shift} END"
    if not config.time_unit:
        return Moment(wall, shift, empty, number)
    wall = f"CASE WHEN {number} THEN {_counted(text, config)} ELSE {wall} END"
    return Moment(wall, f"CASE WHEN {number} THEN 0 ELSE {shift} END", empty, "FALSE")


def _finite(sql: str) -> str:
    return f"CASE WHEN isfinite({sql}) THEN epoch_us({sql}) END"


def _counted(sql: str, config: InputConfig) -> str:
    """A plain number of seconds, milliseconds or microseconds since 1970 as whole microseconds."""
    factor = _MICROSECONDS.get(config.time_unit, 1)
    return f"try_cast(try_cast({sql} AS DECIMAL(38, 6)) * {factor} AS BIGINT)"


@dataclass(frozen=True)
class Number:
    """SQL for a number, and what is wrong with it."""

    value: str
    empty: str
    unreadable: str
    infinite: str


def number(column: Column) -> Number:
    """Read a number: digits, one point, an exponent; no separators, no words, no other digits than 0-9."""
    if column.family in ("int", "float"):
        # By way of text, so that 0.85 stored in 32 bits does not become 0.8500000238418579.
        value = f"CAST({column.text if column.type == 'FLOAT' else column.sql} AS DOUBLE)"
        return Number(value, f"({value} IS NULL)", "FALSE", f"(isinf({value}) OR isnan({value}))")
    text = f"trim({column.text})"
    form, value = f"regexp_full_match({text}, '{NUMBER}')", f"try_cast({text} AS DOUBLE)"
    # Some versions cast 1e400 to NULL and some to infinity; both are "not finite" once the form is right.
    return Number(
        f"CASE WHEN {form} THEN {value} END",
        f"coalesce({text} = '', TRUE)",
        f"NOT {form}",
        f"({form} AND coalesce(isinf({value}), TRUE))",
    )


def flag(column: Column) -> tuple[str, str]:
    """A yes or no, and whether it was unreadable (it then counts as yes: the careful side)."""
    if column.family == "bool":
        return f"coalesce({column.sql}, FALSE)", "FALSE"
    text = f"lower(trim(coalesce({column.text}, '')))"
    no = f"{text} IN ('', 'false', 'f', 'no', 'n', '0', '0.0')"
    return f"NOT {no}", f"NOT ({no} OR {text} IN ('true', 't', 'yes', 'y', '1', '1.0'))"


def tags(column: Column, separator: str) -> str:
    """A list of labels as one text, separated by U+001F; NULL where empty."""
    if column.family == "list":
        cells = f"CAST({column.sql} AS VARCHAR[])"
    else:
        # Frames hand lists over with U+001F between the labels, so that a label may hold the separator.
        split = f"string_split({column.text}, {quoted(separator)})"
        cells = f"CASE WHEN contains({column.text}, chr(31)) THEN string_split({column.text}, chr(31)) ELSE {split} END"
    clean = f"list_filter(list_transform({cells}, lambda x: trim(replace(x, chr(31), ' '))), lambda x: x <> '')"
    return f"nullif(array_to_string({clean}, chr(31)), '')"


def excluded(rule: Exclude, column: Column) -> str:
    """Whether a row is left out on purpose."""
    text = column.text if column.family != "float" else f"coalesce({id_text(column)}, {column.text})"
    if rule.values:
        return f"coalesce({text} IN ({', '.join(quoted(value) for value in rule.values)}), FALSE)"
    if rule.pattern:
        return f"coalesce(regexp_full_match({text}, {quoted(rule.pattern)}), FALSE)"
    return f"coalesce({number(column).value} <= {rule.at_most!r}, FALSE)"
