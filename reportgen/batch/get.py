"""One report out of a run folder, checked: ``find_report`` by key, ``get_report`` by the user's own id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.batch.people import report_stem
from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.explain.privacy import pseudonym
from reportgen.formats import FORMATS
from reportgen.output.durable import open_inside
from reportgen.output.entries import KEY, MADE, OPTED_OUT, SET_ASIDE
from reportgen.output.folder import MANIFEST, is_run
from reportgen.output.manifest import key_id
from reportgen.output.pack_index import FOLDER as INDEX
from reportgen.output.pack_index import find_entries
from reportgen.output.packs import FOLDER as PACKS
from reportgen.output.packs import DamagedError, read_report

_ERRORS = "errors.jsonl"


@dataclass(frozen=True)
class _Place:
    """A finished run and what its manifest says."""

    run: Path
    manifest: dict[str, Any]

    @property
    def packed(self) -> bool:
        return any(output["path"].startswith((f"{PACKS}/", f"{INDEX}/")) for output in self.manifest["outputs"])


def get_report(run: Path, user_id: str, key_secret: bytes, format: str = "html") -> bytes:  # noqa: A002
    """The report of a user, found by the id that the shop knows.

    Parameters
    ----------
    run : Path
        A finished run folder, with packs or without.
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
        raise ConfigError(f"{run} was made with another key; name the key of that run with --key-file")
    return _find(place, pseudonym(key_secret, user_id), format)


def find_report(run: Path, key: str, format: str = "html") -> bytes:  # noqa: A002
    """The report of a user, found by the key that stands in its file name.

    Parameters
    ----------
    run : Path
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
        No such format.
    OutputError
        The run did not end, or what it wrote is damaged (`DamagedError`).
    """
    return _find(_open(run), key, format)


def _open(run: Path) -> _Place:
    if not is_run(run):
        raise InputError(f"{run} is not a run folder of reportgen; name the folder that build wrote with --out")
    try:
        with open_inside(run, MANIFEST) as stream:
            manifest = json.load(stream)
        if not all({"path", "sha256", "bytes"} <= output.keys() for output in manifest["outputs"]):
            raise ValueError("an output without path, hash or length")
        return _Place(run, manifest)
    except FileNotFoundError as error:
        raise OutputError(f"{run} has no {MANIFEST}, so its run did not end; finish it with --resume") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{run}: {MANIFEST} is damaged ({error}); make the run again") from error


def _find(place: _Place, key: str, wanted: str) -> bytes:
    if wanted not in FORMATS:
        raise ConfigError(f"format {wanted!r} is not available; use one of {', '.join(FORMATS)}")
    if not KEY.fullmatch(key):
        raise InputError(f"{key!r} is not a key: keys have 24 letters of a-z and 2-7, as in the names of reports")
    return _from_pack(place, key, wanted) if place.packed else _from_folder(place, key, wanted)


def _from_pack(place: _Place, key: str, wanted: str) -> bytes:
    entries = find_entries(place.run, key)
    made = {entry.format: entry for entry in entries if entry.status == MADE}
    if wanted in made:
        return read_report(place.run, made[wanted])
    raise _none(place, key, wanted, list(made), next((entry.status for entry in entries), ""))


def _from_folder(place: _Place, key: str, wanted: str) -> bytes:
    stem = report_stem(key)
    mine = {output["path"]: output for output in place.manifest["outputs"] if output["path"].startswith(f"{stem}.")}
    path = f"{stem}.{wanted}"
    if path not in mine:
        raise _none(place, key, wanted, [name.rpartition(".")[2] for name in mine])
    try:
        with open_inside(place.run, path) as stream:
            data = stream.read(mine[path]["bytes"] + 1)
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror}); make the run again") from error
    if sha256(data).hexdigest() != mine[path]["sha256"]:
        raise DamagedError(f"{path} is damaged (its SHA-256 is not the one in {MANIFEST}); make the run again")
    return data


def _none(place: _Place, key: str, wanted: str, there: list[str], status: str = "") -> InputError:
    """Say why there is no such report."""
    if there:
        return InputError(f"{key} has no report as {wanted}, but as {', '.join(there)}; choose with --format")
    if status == OPTED_OUT:
        return InputError(f"{key} has opted out, so there is no report")
    reason = _reason(place.run, key)
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


def _reason(run: Path, key: str) -> str:
    """Stage and reason of a user who was set aside, as `errors.jsonl` has them; empty when it does not know the user."""
    try:
        with open_inside(run, _ERRORS) as stream:
            for line in stream:
                if key.encode("ascii") in line and (failed := json.loads(line)).get("user") == key:
                    return f" at {failed['stage']} ({failed['reason']})"
    except (OSError, ValueError, KeyError, AttributeError):
        return ""
    return ""
