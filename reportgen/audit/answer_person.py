"""What an answer pack is made of: one person, their reports, their data; and where these come from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.audit.lawpacks import Control
from reportgen.audit.place import read_small
from reportgen.audit.register import Register
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError
from reportgen.output import entries
from reportgen.output.facts import InputFile
from reportgen.output.pack_index import FOLDER as INDEX
from reportgen.output.pack_index import find_entries
from reportgen.report.record import iso

MADE, SET_ASIDE, OPTED_OUT, NOT_CHOSEN, ERASED = "made", "set_aside", "opted_out", "not_chosen", "erased"
STATUSES = (MADE, SET_ASIDE, OPTED_OUT, NOT_CHOSEN, ERASED)
EVENT_COLUMNS = ("time", "item_id", "title", "event_type", "value", "order", "not_later_than_report")
_ERRORS, _ERASURES = "errors.jsonl", "erasures.jsonl"


@dataclass(frozen=True)
class Person:
    """What an answer holds.

    Attributes
    ----------
    key : str
        Pseudonym.
    status : str
        Of `STATUSES`.
    locale : str
        Language of the reader.
    manifest : mapping
        Of the run.
    reason : str
        Why the person was set aside.
    reports : mapping of str to bytes
        By format.
    events : sequence of mapping, optional
        One per event with the keys `EVENT_COLUMNS`; None when the data of the run were not given.
    profile : mapping, optional
        The person's row of the table of users.
    controls : sequence of Control
        Those that are asked for one person.
    proof : mapping, optional
        As `reportgen.audit.proof.make_proof` makes it.
    """

    key: str
    status: str
    locale: str
    manifest: Mapping[str, Any]
    reason: str = ""
    reports: Mapping[str, bytes] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] | None = None
    profile: Mapping[str, Any] | None = None
    controls: Sequence[Control] = ()
    proof: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PersonData:
    """One person's rows of the tables of a run: `events` and `profile` as in `Person`, None where they have no place in the data."""

    events: tuple[Mapping[str, Any], ...]
    profile: Mapping[str, Any]
    opted_out: bool


def person_data(data: Dataset, user_id: str, as_of: str) -> PersonData | None:
    """Take one person's rows out of a data set; None where nobody of that id is in it.

    Parameters
    ----------
    data : Dataset
    user_id : str
    as_of : str
        Time of the report as the manifest has it, in whole seconds.
    """
    user = int(np.searchsorted(data.user_ids, user_id)) if data.user_ids.size else 0
    if user >= data.user_ids.size or data.user_ids[user] != user_id:
        return None
    until = int(datetime.fromisoformat(as_of).astimezone(UTC).timestamp())
    mine = data.history(user)
    events = tuple(_event(data, place, until) for place in range(mine.start, mine.stop))
    row = {str(name): _plain(data.users[name].iloc[user]) for name in data.users.columns}
    return PersonData(events, {"user_id": user_id} | row, bool(row["opted_out"]))


def _event(data: Dataset, place: int, until: int) -> dict[str, Any]:
    item = int(data.items[place])
    time = int(data.timestamps[place])
    return {
        "time": iso(time),
        "item_id": str(data.item_ids[item]),
        "title": str(data.catalogue["title"].iloc[item]),
        "event_type": data.event_types[int(data.types[place])],
        "value": float(f"{data.values[place]:.7g}"),
        "order": int(data.orders[place]) + 1,
        "not_later_than_report": time // 1_000_000 <= until,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    return (None if math.isnan(value) else value) if isinstance(value, float) else str(value)


def check_inputs(manifest: Mapping[str, Any], given: Sequence[InputFile]) -> None:
    """Refuse tables that the run was not made from.

    Raises
    ------
    InputError
        Names the table, and the file where there is one.
    """
    known = {(row.get("table"), row.get("sha256")): row.get("name") for row in manifest["inputs"]}
    wrong = next((file for file in given if (file.table, file.sha256) not in known), None)
    if wrong is not None:
        raise InputError(
            f"{wrong.table}: {wrong.name} is not what the run was made from (another SHA-256); give the files of that run"
        )
    tables = {file.table for file in given}
    there = {(file.table, file.sha256) for file in given}
    lost = next((known[one] for one in known if one[0] in tables and one not in there), None)
    if lost is not None:
        raise InputError(f"{lost}: the run was made from this file too; give all files of its tables")


def check_config(manifest: Mapping[str, Any], plain: Mapping[str, Any]) -> None:
    """Refuse a configuration with which the tables would be read in another way than the run read them.

    Parameters
    ----------
    manifest : mapping
    plain : mapping
        Of `reportgen.output.manifest.plain_config`.

    Raises
    ------
    ConfigError
    """
    made = manifest["settings"]["config"]
    now = json.loads(json.dumps(plain))
    reading = ("input", "events", "items", "users")
    wrong = next((name for name in reading if made.get(name) != now.get(name)), None)
    if wrong is not None:
        raise ConfigError(
            f"[{wrong}] is not as in the run, so its data would be read in another way; give its --config"
        )


def why_none(run: Path, key: str, manifest: Mapping[str, Any], data: PersonData | None) -> tuple[str, str]:
    """Why a person has no report in a run: one of `STATUSES`, and a reason; two empty texts where nothing tells."""
    if key in Register.read(read_small(run, _ERASURES)).keys:
        return ERASED, ""
    for line in (read_small(run, _ERRORS) or b"").splitlines():
        failed = json.loads(line) if key.encode("ascii") in line else {}
        if failed.get("user") == key:
            return SET_ASIDE, f"{failed.get('stage')}: {failed.get('reason')}"
    packed = any(output["path"].startswith(f"{INDEX}/") for output in manifest["outputs"])
    status = next((entry.status for entry in find_entries(run, key)), "") if packed else ""
    if status in entries.ABSENT:
        return status, ""
    if data is None:
        return "", ""
    return (OPTED_OUT if data.opted_out else NOT_CHOSEN), ""
