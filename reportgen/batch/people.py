"""Who gets a report, in which language, under which name."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reportgen.data.dataset import Dataset
from reportgen.data.schema import show
from reportgen.errors import InputError
from reportgen.explain.privacy import pseudonym
from reportgen.languages import choose_locale
from reportgen.text import clean

_ADDRESS = re.compile(r"0x[0-9a-f]{6,}", re.IGNORECASE)
_REASON = 200


@dataclass(frozen=True)
class Person:
    """One user of a run; everything but `key` is private."""

    user_id: str
    key: str
    name: str
    email: str
    locale: str

    @property
    def stem(self) -> str:
        """Path of this user's files without their ending."""
        return report_stem(self.key)

    def hide(self, text: str) -> str:
        """A message without this user's id, name and address, and without addresses in memory."""
        private = {
            word for raw in (self.user_id, self.name, self.email) for word in (raw, repr(raw)[1:-1], clean(raw)) if word
        }
        found = re.compile("|".join(re.escape(word) for word in sorted(private, key=lambda word: (-len(word), word))))
        return clean(found.sub("(user)", _ADDRESS.sub("0x", clean(found.sub("(user)", text), _REASON))), _REASON)


class People:
    """The users of a run in their order, as arrays: a million of them take 40 MB, and a part can be had from a file.

    Parameters
    ----------
    data : Dataset
    table : ndarray
        One row per user, of `TABLE`: code, key and language.
    """

    TABLE = np.dtype([("code", "<i8"), ("key", "S24"), ("locale", "S8")])

    def __init__(self, data: Dataset, table: np.ndarray) -> None:
        self._data, self.table = data, table

    @classmethod
    def load(cls, data: Dataset, path: Path) -> People:
        """Open what `save` wrote; the rows stay in the file."""
        return cls(data, np.load(path, mmap_mode="r", allow_pickle=False))

    def save(self, path: Path) -> None:
        """Write the rows to a new file. It names no user by id; with the data set beside it, it does."""
        with open(path, "xb") as file:
            np.save(file, self.table, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())

    def __len__(self) -> int:
        return int(self.table.size)

    def __iter__(self) -> Iterator[Person]:
        return iter(self.part(0, len(self)))

    def part(self, start: int, stop: int) -> list[Person]:
        """Some of the people, by their places."""
        rows = self.table[start:stop]
        told = (self._data.users[column].to_numpy(dtype=object)[rows["code"]] for column in ("name", "email"))
        users = self._data.user_ids[rows["code"]]
        keys, locales = (rows[name].astype(str) for name in ("key", "locale"))
        return [
            Person(str(user), str(key), _text(name), _text(email), str(locale))
            for user, key, name, email, locale in zip(users, keys, *told, locales, strict=True)
        ]


@dataclass(frozen=True)
class Choice:
    """Who was chosen: `people` get a report, `opted_out` do not, `not_chosen` were not asked for."""

    people: People
    opted_out: int
    not_chosen: int


def report_stem(key: str) -> str:
    """``reports/<first byte of the key>/<key>``."""
    return f"reports/{base64.b32decode(key.upper())[0]:02x}/{key}"


def choose(
    data: Dataset, key: bytes, locale: str, wanted: tuple[str, ...] | None = None, limit: int | None = None,
    among: np.ndarray | None = None,
) -> Choice:  # fmt: skip
    """Choose the users of a run, in the order of their ids by code point.

    Parameters
    ----------
    data : Dataset
    key : bytes
    locale : str
    wanted : tuple of str, optional
        Ids; everybody when None.
    limit : int, optional
        Only the first so many who did not opt out.
    among : ndarray of int64, optional
        Codes of those of whom anything can be said; sorted.

    Raises
    ------
    InputError
        No user at all, an unknown one, or one of whom nothing can be said.
    """
    total = data.user_ids.size
    if not total:
        raise InputError("events, users: there is no user to report to; give at least one event or user")
    codes = (np.arange(total) if among is None else among) if wanted is None else _codes(data, wanted)
    if among is not None and np.setdiff1d(codes, among).size:
        raise InputError(
            "a user asked for with --user has no row in the table that is explained; add one or leave the user out"
        )
    out = data.users["opted_out"].to_numpy(dtype=bool)
    stay = codes[~out[codes]][:limit]
    opted_out = int(out[codes].sum())
    return Choice(People(data, _table(data, key, locale, stay)), opted_out, total - opted_out - stay.size)


def _codes(data: Dataset, wanted: tuple[str, ...]) -> np.ndarray:
    place = {user: code for code, user in enumerate(data.user_ids)}
    unknown = next((user for user in wanted if user not in place), None)
    if unknown is not None:
        raise InputError(f'unknown user "{show(unknown)}"; ids are text and compared exactly (007 is not 7)')
    return np.array(sorted({place[user] for user in wanted}), dtype=np.int64)


def _table(data: Dataset, key: bytes, locale: str, codes: np.ndarray) -> np.ndarray:
    locales = data.users["locale"].to_numpy(dtype=object)
    rows = np.empty(codes.size, dtype=People.TABLE)
    rows["code"] = codes
    rows["key"] = [pseudonym(key, str(user)) for user in data.user_ids[codes]]
    rows["locale"] = [language(own, locale) for own in locales[codes]]
    return rows


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def language(own: object, usual: str) -> str:
    """The language that serves a user's own tag, else the usual one (see `reportgen.languages.choose_locale`)."""
    return choose_locale(_text(own)) or usual
