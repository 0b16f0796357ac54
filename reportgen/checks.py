"""The small part of ``config.py`` that knows no settings: links that may be shown, and plain tables -> frozen values.

Nothing here imports another room, so that ``config`` and ``data`` can both use :func:`safe_url`.
"""

from __future__ import annotations

import codecs
import difflib
import re
import tomllib
import types
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import MISSING, field, fields, is_dataclass
from datetime import date, datetime
from os import PathLike
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from reportgen.errors import ConfigError

Check = Callable[[Any], "str | None"]
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_FONT = r"""(?:"[\w -]+"|'[\w -]+'|[^\W\d][\w-]*(?: [^\W\d][\w-]*)*)"""
_FONTS = re.compile(rf"{_FONT}(?: *, *{_FONT})*")
_PATH = "/%:@!$&()*+,;=~-._"
_MAILTO = re.compile(r"(?i:mailto:)[\w.+-]+@[\w-]+(\.[\w-]+)+(\?subject=[\w .%-]*)?", re.ASCII)


def safe_url(text: str) -> str | None:
    """Return a link that may be shown, or None.

    Only ``https`` and plain ``mailto`` pass; no user info, control characters or more than 2,048 characters. The host
    comes back in punycode and everything else percent-encoded, so that the link reads as what it is.
    """
    text = text.strip(" ")
    if not text or len(text) > 2048 or "\\" in text or any(unicodedata.category(c) in _HIDDEN for c in text):
        return None
    if _MAILTO.fullmatch(text):
        return text.replace(" ", "%20")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
    except (ValueError, UnicodeError):
        return None
    if parts.scheme != "https" or "@" in parts.netloc or not re.fullmatch(r"[a-z0-9.-]+|[0-9a-f:]+:[0-9a-f:.]*", host):
        return None
    tail = "".join(mark + quote(t, safe=_PATH + "?") for mark, t in (("?", parts.query), ("#", parts.fragment)) if t)
    host = f"[{host}]" if ":" in host else host
    link = f"https://{host}" + (f":{port}" if port else "") + quote(parts.path, safe=_PATH) + tail
    return link if len(link) <= 2048 else None


def checked(default: Any, check: Check) -> Any:
    """A dataclass field whose value, when read from a file, must pass ``check`` (None = fine, else what is wrong)."""
    return field(default=default, metadata={"check": check})


def no_regex(value: str) -> str | None:
    """Say why ``value`` is not a regular expression."""
    try:
        re.compile(value)
    except re.error as error:
        return f"is not a regular expression ({error})"
    return None


def no_zone(value: str) -> str | None:
    """Say that ``value`` is not an IANA time zone."""
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        return 'is not a known time zone; write an IANA name such as "Europe/Berlin"'
    return None


def no_encoding(value: str) -> str | None:
    """Say that ``value`` is not a text encoding."""
    try:
        "".encode(codecs.lookup(value).name)
    except LookupError:
        return 'is not a known text encoding; write for example "utf-8", "latin-1" or "utf-16"'
    return None


def no_link(value: str) -> str | None:
    """Say that ``value`` is neither empty nor a link that may be shown."""
    return None if not value or safe_url(value) else "is not a link that may be shown; write https://... or mailto:..."


def no_fonts(value: str) -> str | None:
    """Say that ``value`` is not a CSS list of font families: names of letters, digits, spaces and hyphens, in quotes or not."""
    if len(value) <= 300 and (not value or _FONTS.fullmatch(value)):
        return None
    return "is not a list of font names; write for example '\"Open Sans\", Arial, sans-serif'"


def no_picture_path(value: str) -> str | None:
    """Say that ``value`` is not the path of a picture file; an address on the web is none."""
    if re.match(r"[A-Za-z][\w+.-]+:|//", value):
        return "is an address; a page fetches nothing, so save the picture and give the path of the file"
    return (
        None
        if re.fullmatch(r"|.*\.(?i:png|svg|jpe?g)", value, re.DOTALL)
        else "is not the path of a png, svg or jpg file"
    )


def unlike(pattern: str, wanted: str) -> Check:
    """Check text against a whole pattern."""
    return lambda value: None if re.fullmatch(pattern, value, re.DOTALL) else f"is not {wanted}"


def below(least: float) -> Check:
    """Check a number against its least value."""
    return lambda value: None if value >= least else f"is too small; the least is {least}"


def keys_of(known: Iterable[str]) -> dict[str, Check]:
    """Metadata for a free table whose keys must be among ``known``."""
    names = tuple(known)
    return {"check": lambda value: next((unknown(key, names) for key in value if key not in names), None)}


def unknown(key: str, known: Iterable[str]) -> str:
    """Say that ``key`` is not known, and which known one is nearest."""
    names = list(known)
    near = nearest(key, names)
    return f'unknown key "{key}"; did you mean "{near}"? Known: {", ".join(names)}'


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the most similar known word, "" when there is none at all."""
    by_form = {name.casefold(): name for name in reversed(list(known))}
    close = difflib.get_close_matches(word.casefold(), list(by_form), n=1, cutoff=0.0)
    return by_form[close[0]] if close else ""


def no_blanks(value: dict[str, str]) -> str | None:
    """Say which key of a free table of texts has no text."""
    return next((f"{key} needs words, not an empty text" for key, text in value.items() if not text.strip()), None)


def read_toml(path: str | PathLike[str]) -> dict[str, Any]:
    """Read a TOML file as plain tables.

    Raises
    ------
    ConfigError
        Names the file and what is wrong with it.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid TOML ({error})") from error


def table(cls: Any, raw: Any, source: str, section: str) -> Any:
    """Build the frozen dataclass ``cls`` from a plain table.

    Raises
    ------
    ConfigError
        Names source, section, key, the value and what is allowed.
    """
    where = f"{source}: [{section}]" if section else f"{source}:"
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} must be a table, found {raw!r}")
    known = {f.name: f for f in fields(cls)}
    wrong = next((key for key in raw if key not in known), None)
    if wrong is not None:
        raise ConfigError(f"{where} {unknown(wrong, known)}")
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    lacking = next((name for name in needed if name not in raw), None)
    if lacking is not None:
        raise ConfigError(f'{where} needs the key "{lacking}"')
    hints = get_type_hints(cls)
    return cls(**{key: _item(known[key], hints[key], value, source, section) for key, value in raw.items()})


def _item(spec: Any, kind: Any, raw: Any, source: str, section: str) -> Any:
    name = f"{section}.{spec.name}" if section else spec.name
    value = _value(kind, raw, source, name)
    complaint = spec.metadata["check"](value) if "check" in spec.metadata else None
    if complaint:
        shown = "" if isinstance(value, dict) else f"{value!r} "
        raise ConfigError(f"{source}: [{section}] {spec.name}: {shown}{complaint}")
    return value


def _value(kind: Any, raw: Any, source: str, name: str) -> Any:
    if is_dataclass(kind):
        return table(kind, raw, source, name)
    origin, args = get_origin(kind), get_args(kind)
    if origin is dict and isinstance(raw, dict):
        return {key: _value(args[1], value, source, f"{name}.{key}") for key, value in raw.items()}
    if origin is tuple and isinstance(raw, list):
        return tuple(_value(args[0], value, source, name) for value in raw)
    if origin in (Union, types.UnionType) and raw is not None:
        return _value(args[0], raw, source, name)
    if origin is Literal and raw in args:
        return raw
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    plain = isinstance(kind, type) and isinstance(raw, kind) and not isinstance(raw, bool | datetime)
    if (plain and raw == raw and raw not in (float("inf"), float("-inf"))) or (kind is bool and isinstance(raw, bool)):
        return raw
    raise ConfigError(f"{source}: {name} = {raw!r} is not allowed; allowed: {_allowed(kind)}")


_WORDS = {str: "text in quotes", int: "a whole number", float: "a finite number", bool: "true or false",
          date: "a date like 1990-01-01", dict: "a table", tuple: "a list [...]"}  # fmt: skip


def _allowed(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f'"{word}"' for word in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return _allowed(get_args(kind)[0])
    return _WORDS.get(get_origin(kind) or kind, "another type")


def short_features(raw: dict[str, Any]) -> dict[str, Any]:
    """Read ``style = "category"`` as ``style = {kind = "category"}``."""
    given = raw.get("features", {})
    if not isinstance(given, dict):
        return raw
    return raw | {"features": {name: {"kind": f} if isinstance(f, str) else f for name, f in given.items()}}


def plain_data(value: Any) -> Any:
    """A setting as JSON takes it, with sorted free keys."""
    if isinstance(value, dict):
        return {key: plain_data(value[key]) for key in sorted(value)}
    if isinstance(value, tuple | list):
        return [plain_data(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
