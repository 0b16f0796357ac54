"""The plan of a run: what determines its bytes, by hashes, and which users make up each shard.

It is written before any report, holds nothing of this machine and no user, and stays in the run folder. A run may be continued
only by a plan that is equal; where two differ, `differences` names what does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.engine import Engine, engine_of
from reportgen.batch.people import Choice
from reportgen.batch.settings import RunSettings
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError
from reportgen.output.durable import Durable, open_inside
from reportgen.output.facts import package_versions, python_version, templates_hash
from reportgen.output.manifest import key_id, run_id
from reportgen.output.zipped import deflate_version
from reportgen.report.record import iso
from reportgen.version import VERSION

FILE, SCHEMA = "run_plan.json", "reportgen.plan/1"
MEDIA_TYPE = "application/json"
#: Users per shard: some seconds of work. A PDF takes as long as a hundred pages.
SHARD, PDF_SHARD = 1000, 100
#: Above this many users reports go to packs: a million files take hours to copy or delete.
MOST_FILES = 50_000
_ARRAYS = ("indptr", "items", "timestamps", "types", "values", "orders", "private")
_MOST_TOLD = 5


@dataclass(frozen=True)
class Plan:
    """What is made, and in which pieces.

    Attributes
    ----------
    run_id : str
    facts : dict
        Everything that determines the bytes of the run, as plain data: hashes, settings, versions.
    users : int
        People of the run, in their order.
    size : int
        Users per shard.
    packs : bool
        One pack per shard, rather than one file per report.
    """

    run_id: str
    facts: dict[str, Any]
    users: int
    size: int
    packs: bool

    @property
    def shards(self) -> int:
        return -(-self.users // self.size)

    def span(self, shard: int) -> tuple[int, int]:
        """Places of a shard's users: from the first to before the last."""
        return shard * self.size, min((shard + 1) * self.size, self.users)

    @property
    def plan_id(self) -> str:
        """Sixteen digits that are the same for equal plans."""
        return hashlib.sha256(_canonical(self._plain()).encode("ascii")).hexdigest()[:16]

    def _plain(self) -> dict[str, Any]:
        shards = {"users": self.users, "size": self.size, "count": self.shards, "packs": self.packs}
        return {"schema": SCHEMA, "run_id": self.run_id, "facts": self.facts, "shards": shards}

    def to_json(self) -> bytes:
        """For the run folder: sorted keys, indented for people."""
        plain = self._plain() | {"plan_id": self.plan_id}
        return (json.dumps(plain, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def _canonical(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain_settings(settings: RunSettings, users: int) -> dict[str, Any]:
    """The settings of a run as its plan and its manifest hold them; the form of the output depends on the number of users."""
    plain, packs = settings.to_dict(), _packs(settings, users)
    plain["options"]["users_per_pack"] = _size(settings) if packs else None
    return plain


def _packs(settings: RunSettings, users: int) -> bool:
    return users > MOST_FILES if settings.packs is None else settings.packs


def _size(settings: RunSettings) -> int:
    slow = "pdf" in settings.formats and settings.pdf_limit is None
    return settings.shard or (PDF_SHARD if slow else SHARD)


def make_plan(settings: RunSettings, data: Dataset, engine: AttentionScorer | Engine, choice: Choice) -> Plan:
    """Plan a run. Reads every event once, to know them again."""
    users, model = len(choice.people), engine_of(engine).facts()
    known = known_facts(settings, users)
    facts = known | {
        "model": model,
        "histories": _hash(data, names=not settings.inputs),
        "people": hashlib.sha256(choice.people.table.tobytes()).hexdigest(),
    }
    name = run_id(settings.inputs, known["settings"] | {"as_of": settings.as_of}, known["templates"], model)
    return Plan(name, json.loads(_canonical(facts)), users, *shards_of(settings, users))


def known_facts(settings: RunSettings, users: int) -> dict[str, Any]:
    """What a plan says and what is known before anything is read and fitted, as plain data; data and model follow from it."""
    versions = {"tool": VERSION, "python": python_version()} | package_versions()
    packs = {"deflate": deflate_version()} if _packs(settings, users) else {}
    facts = {
        "inputs": [[file.table, file.name, file.sha256] for file in settings.inputs],
        "settings": plain_settings(settings, users),
        "templates": templates_hash(settings.templates),
        "versions": versions | packs,
        "as_of": iso(settings.as_of),
        "generated_at": settings.generated_at,
        "key_id": key_id(settings.key),
    }
    plain: dict[str, Any] = json.loads(_canonical(facts))
    return plain


def shards_of(settings: RunSettings, users: int) -> tuple[int, bool]:
    """Users per shard, and whether there is one pack per shard."""
    return _size(settings), _packs(settings, users)


def _hash(data: Dataset, names: bool) -> str:
    """Hash of the events, which files and clock together determine; with the tables too where no file was hashed."""
    digest = hashlib.sha256()
    for name in _ARRAYS:
        array = np.ascontiguousarray(getattr(data, name))
        digest.update(f"{name} {array.dtype} {array.size}\n".encode("ascii"))
        digest.update(array.view(np.uint8).data)
    for frame in (data.catalogue, data.users) if names else ():
        for label in frame.columns:
            values = frame[label].to_numpy().tolist()
            digest.update(repr((label, values)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def write_plan(run: Path, plan: Plan) -> None:
    """Write the plan into a run folder, durably.

    Raises
    ------
    OutputError
    """
    with Durable(run) as out:
        out.write(FILE, plan.to_json())


def read_plan(run: Path) -> Plan | None:
    """The plan of a run folder; None when there is none.

    Raises
    ------
    OutputError
        It is damaged, or of another version.
    """
    try:
        with open_inside(run, FILE) as stream:
            plain = json.load(stream)
        shards = plain["shards"]
        plan = Plan(plain["run_id"], plain["facts"], shards["users"], shards["size"], shards["packs"])
        if plan.to_json() != (json.dumps(plain, sort_keys=True, indent=1) + "\n").encode("ascii"):
            raise ValueError("it is not as it was written")
        return plan
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError) as error:
        raise OutputError(f"{run}: {FILE} cannot be used ({error}); start again with --overwrite") from error


def differences(old: Plan, new: Plan) -> str:
    """Name what differs between two plans, the first few of it; empty when nothing does."""
    found = list(_differing(old._plain(), new._plain(), ()))
    more = f" and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    return ", ".join(found[:_MOST_TOLD]) + more


def _differing(old: Any, new: Any, way: tuple[str, ...]) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if name != "run_id":  # it follows from the others
                yield from _differing(old.get(name), new.get(name), (*way, name))
    elif old != new:
        plain = all(isinstance(value, str | int | float | None) and len(str(value)) <= 40 for value in (old, new))
        shown = f" ({old} there, {new} now)" if plain else ""
        yield ".".join(part for part in way if part != "facts") + shown
