"""The carrier ``Manifest``: what went into a run, what came out, and how to make the same again."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from reportgen.config import Config
from reportgen.data.schema import Problem
from reportgen.explain.explanation import ModelFacts
from reportgen.explain.privacy import pseudonym
from reportgen.output.facts import InputFile, catalogue_hashes, package_versions, python_version
from reportgen.report.record import iso
from reportgen.version import VERSION

SCHEMA = "reportgen.manifest/1"
_KEY_LABEL = b"reportgen/v1/key-id"


@dataclass(frozen=True)
class Output:
    """One file of a run folder, by its path inside that folder."""

    path: str
    sha256: str
    bytes: int
    media_type: str


def reports_by_format(paths: Iterable[str]) -> Counter[str]:
    """How many of the files of a run are reports that lie by themselves, by format."""
    return Counter(path.rpartition(".")[2] for path in paths if path.startswith("reports/"))


@dataclass(frozen=True)
class Users:
    """Where all users of the data went; the parts sum to `total`."""

    total: int
    reported: int
    set_aside: int
    opted_out: int
    not_chosen: int


@dataclass(frozen=True)
class Manifest:
    """Everything that `manifest.json` says.

    Attributes
    ----------
    run_id : str
        The first 16 digits of a SHA-256 over inputs, settings, templates, model and versions.
    generated_at, generated_at_source : str
        ISO 8601; ``SOURCE_DATE_EPOCH`` or ``as_of``. Never the wall clock, so that a run can be
        made again byte by byte.
    as_of : str
        In whole seconds.
    as_of_microseconds : int or None
        The reference time exactly, since 1970-01-01 UTC; None in manifests of before this field.
    settings : dict
        ``config`` and ``options``. Users named one by one stand there as pseudonyms.
    key_id : str
        Tells whether a key is the one of this run; says nothing about the key.
    catalogues : dict of str to str
        Message file -> SHA-256.
    native_libraries, fonts
        What drew the PDFs, see `reportgen.output.natives`; empty in a run without PDFs.
    law_packs : tuple of dict
        Id, version and SHA-256 of each law pack that the run was given.
    sampling : dict
        ``commitment``: SHA-256 of the seed that samples are drawn with, so that nobody chooses the cases afterwards.
    merkle : dict
        ``root`` and number of ``leaves`` over all reports, see `reportgen.audit.leaves`; empty before the run is sealed.
    previous_run : dict or None
        ``run_id`` and ``statement_sha256`` of the run before this one.
    retention_until : str or None
        The day from which on the reports may be purged.
    """

    run_id: str
    generated_at: str
    generated_at_source: str
    as_of: str
    synthetic: bool
    key_id: str
    templates: str
    settings: dict[str, Any]
    model: dict[str, Any]
    users: Users
    tables: dict[str, dict[str, int]]
    problems: tuple[dict[str, Any], ...]
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[Output, ...] = ()
    schema: str = SCHEMA
    tool: dict[str, str] = field(default_factory=lambda: {"name": "reportgen", "version": VERSION})
    python: str = field(default_factory=python_version)
    packages: dict[str, str] = field(default_factory=package_versions)
    catalogues: dict[str, str] = field(default_factory=catalogue_hashes)
    native_libraries: dict[str, str] = field(default_factory=dict)
    fonts: tuple[dict[str, Any], ...] = ()
    law_packs: tuple[dict[str, Any], ...] = ()
    sampling: dict[str, str] = field(default_factory=dict)
    pseudonym: str = "base32(HMAC-SHA256(key, 'reportgen/v1|' + user_id)[:15])"
    merkle: dict[str, Any] = field(default_factory=dict)
    previous_run: dict[str, str] | None = None
    retention_until: str | None = None
    as_of_microseconds: int | None = None

    def to_json(self) -> str:
        """Canonical for machines (sorted keys, no NaN), indented for people."""
        plain = asdict(self)
        plain["outputs"] = sorted(plain["outputs"], key=lambda output: str(output["path"]))
        return json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def run_id(inputs: Iterable[InputFile], settings: dict[str, Any], templates: str, model: dict[str, Any]) -> str:
    """Name a run by what determines its bytes."""
    versions = {"tool": VERSION, "python": python_version(), "packages": package_versions()}
    hashes = [[file.table, file.name, file.sha256] for file in inputs]
    facts = {"inputs": hashes, "settings": settings, "templates": templates, "model": model, "versions": versions}
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def key_id(key: bytes) -> str:
    """Sixteen digits that are the same for the same key."""
    return hmac.new(key, _KEY_LABEL, hashlib.sha256).hexdigest()[:16]


def plain_config(config: Config, key: bytes) -> dict[str, Any]:
    """Settings for a manifest: no folder names, and user ids that a rule names only as pseudonyms."""
    plain = config.to_dict()
    plain["look"]["logo"] = plain["look"]["logo"].replace("\\", "/").rpartition("/")[2]
    column = config.events.columns.get("user_id", "user_id")
    for rule in plain["events"]["exclude"]:
        if rule["column"] in (column, "user_id"):
            rule["values"] = sorted(pseudonym(key, value) for value in rule["values"])
            rule["pattern"] = rule["pattern"] and pseudonym(key, rule["pattern"])
    return plain


def plain_model(facts: ModelFacts) -> dict[str, Any]:
    """What a manifest says about the model."""
    return {
        "id": facts.model_id,
        "heads": list(facts.heads),
        "half_lives": [str(half_life) for half_life in facts.half_lives],
        "users": facts.n_users,
        "items": facts.n_items,
        "users_learnt": facts.n_learnt,
        "min_support": facts.min_support,
        "history_cap": facts.history_cap,
    }


def plain_problems(problems: Iterable[Problem]) -> tuple[dict[str, Any], ...]:
    """Problems without their example, which may be an id."""
    names = ("table", "reason", "count", "rows", "remedy", "kept", "file")
    return tuple({name: getattr(problem, name) for name in names} for problem in problems)


def plain_tables(problems: Sequence[Problem], rows_read: dict[str, int]) -> dict[str, dict[str, int]]:
    """Rows read and set aside, per table."""
    aside = dict.fromkeys(rows_read, 0)
    for problem in problems:
        if not problem.kept and problem.reason != "after_as_of":
            aside[problem.table] = aside.get(problem.table, 0) + problem.count
    return {table: {"rows": rows, "set_aside": aside[table]} for table, rows in rows_read.items()}


def plain_inputs(
    inputs: Sequence[InputFile],
    rows_read: dict[str, int],
    columns: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    time_range: tuple[int, int] | None = None,
) -> tuple[dict[str, Any], ...]:
    """Inputs with their rows, their columns and the time of their events.

    Rows and time are None where a table came in several files, because only those of all together are known.

    Parameters
    ----------
    inputs : sequence of InputFile
    rows_read : dict of str to int
        By table.
    columns : mapping, optional
        By table: for each of its files in the same order, our names of columns -> the file's
        (`reportgen.data.dataset.Dataset.columns_read`). Columns that nothing was read from are not named: their names are the
        operator's affair, and in a wide table they can be ids.
    time_range : tuple of int, optional
        Oldest and newest usable event, in microseconds.
    """
    tables, told = [file.table for file in inputs], list[dict[str, Any]]()
    place: Counter[str] = Counter()
    for file in inputs:
        alone, found = tables.count(file.table) == 1, (columns or {}).get(file.table, ())
        whole = len(found) == tables.count(file.table)  # else what was hashed is not what was read
        plain = asdict(file) | {"rows": rows_read.get(file.table) if alone else None}
        plain["columns"] = dict(found[place[file.table]]) if whole else None
        if file.table == "events":
            plain["time_range"] = [iso(time) for time in time_range] if alone and time_range else None
        told.append(plain)
        place[file.table] += 1
    return tuple(told)
