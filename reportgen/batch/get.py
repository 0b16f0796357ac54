"""One report out of a run folder, checked: ``find_report`` by key, ``get_report`` by the user's own id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from reportgen.audit.register import FILE as ERASURES
from reportgen.batch.people import report_stem
from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.explain.privacy import pseudonym
from reportgen.formats import FORMATS
from reportgen.output.durable import open_inside
from reportgen.output.entries import KEY, MADE, OPTED_OUT, SET_ASIDE, Entry
from reportgen.output.far import Facts, FarRun, parsed
from reportgen.output.folder import MANIFEST, is_run
from reportgen.output.manifest import key_id
from reportgen.output.pack_index import FOLDER as INDEX
from reportgen.output.pack_index import find_entries
from reportgen.output.packs import FOLDER as PACKS
from reportgen.output.packs import DamagedError, read_report
from reportgen.output.store import is_url

_ERRORS = "errors.jsonl"


class _Place(Protocol):
    """A finished run, here or at a URL; whatever it gives out is checked against what its manifest says."""

    @property
    def name(self) -> str: ...

    @property
    def manifest(self) -> dict[str, Any]: ...

    @property
    def files(self) -> dict[str, Facts]: ...

    def read(self, path: str) -> bytes: ...

    def lines(self, path: str) -> Iterator[bytes]: ...

    def entries(self, key: str) -> list[Entry]: ...

    def report(self, entry: Entry) -> bytes: ...


@dataclass(frozen=True)
class _Here:
    """A run folder of this machine."""

    run: Path
    manifest: dict[str, Any]
    files: dict[str, Facts]

    @property
    def name(self) -> str:
        return str(self.run)

    def read(self, path: str) -> bytes:
        wanted = self.files[path]
        try:
            with open_inside(self.run, path) as stream:
                data = stream.read(wanted["bytes"] + 1)
        except OSError as error:
            raise DamagedError(f"{path} cannot be read ({error.strerror}); make the run again") from error
        if sha256(data).hexdigest() != wanted["sha256"]:
            raise DamagedError(f"{path} is damaged (its SHA-256 is not the one in {MANIFEST}); make the run again")
        return data

    def lines(self, path: str) -> Iterator[bytes]:
        """As far as the file can be read: a reason in one that is damaged is still a reason."""
        with open_inside(self.run, path) as stream:
            yield from stream

    def entries(self, key: str) -> list[Entry]:
        return find_entries(self.run, key)

    def report(self, entry: Entry) -> bytes:
        return read_report(self.run, entry)


def get_report(run: Path | str, user_id: str, key_secret: bytes, format: str = "html") -> bytes:  # noqa: A002
    """The report of a user, found by the id that the shop knows.

    Parameters
    ----------
    run : Path or str
        A finished run folder, with packs or without; or the URL that a run was copied to.
    user_id : str
    key_secret : bytes
        The secret of the run.
    format : str
        Of `reportgen.formats.FORMATS`.

    Raises
    ------
    ConfigError
        Another secret than the run's, or no such format.
    InputError
        As `find_report`.
    OutputError
        As `find_report`.
    """
    place = _open(run)
    if place.manifest.get("key_id") != key_id(key_secret):
        raise ConfigError(f"{place.name} was made with another key; name the key of that run with --key-file")
    return _find(place, pseudonym(key_secret, user_id), format)


def find_report(run: Path | str, key: str, format: str = "html") -> bytes:  # noqa: A002
    """The report of a user, found by the key that stands in its file name.

    Parameters
    ----------
    run : Path or str
        As for `get_report`.
    key : str
        Pseudonym, 24 letters.
    format : str

    Returns
    -------
    bytes
        Exactly what the run wrote: its length and its SHA-256 are checked.

    Raises
    ------
    InputError
        No run folder, no key, or no report for it: unknown, opted out, or set aside, with the reason.
    ConfigError
        No such format; or what the kind of URL needs is not installed.
    OutputError
        The run did not end, what it wrote is damaged (`DamagedError`), or the place of a URL fails.
    """
    return _find(_open(run), key, format)


def _open(run: Path | str) -> _Place:
    return FarRun(str(run)) if is_url(run) else _here(Path(run))


def _here(run: Path) -> _Here:
    if not is_run(run):
        raise InputError(f"{run} is not a run folder of reportgen; name the folder that build wrote with --out")
    try:
        with open_inside(run, MANIFEST) as stream:
            return _Here(run, *parsed(stream.read()))
    except FileNotFoundError as error:
        raise OutputError(f"{run} has no {MANIFEST}, so its run did not end; finish it with --resume") from error
    except (OSError, ValueError) as error:
        raise DamagedError(f"{run}: {MANIFEST} is damaged ({error}); make the run again") from error


def _find(place: _Place, key: str, wanted: str) -> bytes:
    if wanted not in FORMATS:
        raise ConfigError(f"format {wanted!r} is not available; use one of {', '.join(FORMATS)}")
    if not KEY.fullmatch(key):
        raise InputError(f"{key!r} is not a key: keys have 24 letters of a-z and 2-7, as in the names of reports")
    packed = any(path.startswith((f"{PACKS}/", f"{INDEX}/")) for path in place.files)
    return _from_pack(place, key, wanted) if packed else _from_folder(place, key, wanted)


def _from_pack(place: _Place, key: str, wanted: str) -> bytes:
    entries = place.entries(key)
    made = {entry.format: entry for entry in entries if entry.status == MADE}
    if wanted in made:
        return place.report(made[wanted])
    raise _none(place, key, wanted, list(made), next((entry.status for entry in entries), ""))


def _from_folder(place: _Place, key: str, wanted: str) -> bytes:
    stem = report_stem(key)
    there = [word for word in FORMATS if f"{stem}.{word}" in place.files]
    if wanted not in there:
        raise _none(place, key, wanted, there)
    return place.read(f"{stem}.{wanted}")


def _none(place: _Place, key: str, wanted: str, there: list[str], status: str = "") -> InputError:
    """Say why there is no such report."""
    if there:
        return InputError(f"{key} has no report as {wanted}, but as {', '.join(there)}; choose with --format")
    if status == OPTED_OUT:
        return InputError(f"{key} has opted out, so there is no report")
    if erased := _erased(place, key):
        return InputError(f"{erased}; see {ERASURES}")
    reason = _reason(place, key)
    if reason or status == SET_ASIDE:
        return InputError(f"{key} was set aside{reason}; see {_ERRORS}")
    users = place.manifest.get("users", {})
    also = [
        f"{users[name]} users {told}"
        for name, told in (("opted_out", "opted out"), ("not_chosen", "were not chosen"))
        if users.get(name)
    ]
    known = f" ({', '.join(also)})" if also else ""
    return InputError(f"{key} is not known in this run{known}; ids are text and compared exactly (007 is not 7)")


def _reason(place: _Place, key: str) -> str:
    """Stage and reason of a user who was set aside, as `errors.jsonl` has them; empty when it does not know the user."""
    try:
        for line in place.lines(_ERRORS):
            if key.encode("ascii") in line and (failed := json.loads(line)).get("user") == key:
                return f" at {failed['stage']} ({failed['reason']})"
    except (OSError, ValueError, KeyError, AttributeError, DamagedError):
        return ""
    return ""


def _erased(place: _Place, key: str) -> str:
    """That the report of a user was erased and when, as the register has it; empty when it does not know the user."""
    try:
        for line in map(json.loads, place.lines(ERASURES)):
            if line.get("key") == key:
                return f"the report of {key} was erased on {line['erased_at']}"
            if "purged_at" in line:
                return f"all reports of this run were erased on {line['purged_at']}, when their retention was over"
    except (OSError, ValueError, KeyError, AttributeError, DamagedError):
        return ""
    return ""
