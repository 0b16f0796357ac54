"""Everything that an audit report says, as plain data: `collect` reads it from a run folder, and from nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.audit.exceptions import exceptions
from reportgen.audit.fold import ALL, Fold
from reportgen.audit.lawpacks import controls, counted, facts_of_run, packs_of
from reportgen.audit.logo import find_logo
from reportgen.audit.place import read_manifest, read_small
from reportgen.audit.sampling import Read, draw
from reportgen.audit.statistics import changes, summarise
from reportgen.audit.statistics_intervals import zero_defect_size
from reportgen.errors import ConfigError, OutputError
from reportgen.output.folder import MANIFEST

SCHEMA = "reportgen.audit/1"
STATISTICS, FIDELITY, STABILITY, ERRORS = (
    "audit/statistics.json",
    "audit/fidelity.json",
    "audit/stability.json",
    "errors.jsonl",
)
SEAL = "audit/seal.dsse.json"
#: Of the manifest, what the report repeats; the rest stands there.
_REPEATED = (
    "run_id", "as_of", "generated_at", "generated_at_source", "synthetic", "key_id", "templates", "model", "users", "tables",
    "problems", "inputs", "tool", "python", "packages", "merkle", "previous_run", "retention_until", "law_packs",
)  # fmt: skip


@dataclass(frozen=True)
class Audit:
    """An audit report as data.

    Attributes
    ----------
    plain : dict
        What ``audit.json`` holds.
    settings : dict
        Of the run, for the look and the names of features.
    logo : str
        The operator's logo as a ``data:`` address, "" for none.
    """

    plain: dict[str, Any]
    settings: dict[str, Any]
    logo: str = ""

    def to_json(self) -> str:
        """Sorted keys, no NaN, the same bytes for the same run."""
        return json.dumps(self.plain, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def collect(run: Path, read: Read, against: Path | None = None, own: Iterable[Path] = ()) -> Audit:
    """Read what there is to say about a finished run.

    Parameters
    ----------
    run : Path
    read : callable
        The JSON record of a user by key; ReportgenError where there is none. Asked for the cases that are shown only.
    against : Path, optional
        The run before this one.
    own : iterable of Path
        Law packs of the operator that the run names.

    Raises
    ------
    InputError
        No finished run.
    OutputError
        A file of it is missing or damaged, or not the one that its manifest lists.
    ConfigError
        `against` is the same run, or a law pack of the run is not at hand.
    """
    manifest = read_manifest(run)
    fold = read_statistics(run, manifest)
    statistics, fidelity = summarise(fold), _listed_json(run, manifest, FIDELITY)
    failures = [json.loads(line) for line in (_listed(run, manifest, ERRORS) or b"").splitlines()]
    plain: dict[str, Any] = {
        "schema": SCHEMA,
        "run": {name: manifest.get(name) for name in _REPEATED},
        "sources": {path: _digest(run, path) for path in (MANIFEST, STATISTICS)},
        "signed": read_small(run, SEAL) is not None,
        "sampling": _sampling(fold),
        "statistics": statistics,
        "fidelity": fidelity,
        "stability": _listed_json(run, manifest, STABILITY),
        "exceptions": [one.to_dict() for one in exceptions(fold, manifest, fidelity, failures)],
        "cases": [case.to_dict() for case in draw(fold, read)],
        "against": None if against is None else _against(run, manifest, fold, against),
        "controls": _controls(run, statistics, own),
    }
    return Audit(plain, manifest["settings"], find_logo(run, manifest))


def read_statistics(run: Path, manifest: Mapping[str, Any]) -> Fold:
    """What the shards of a run counted, added up.

    Raises
    ------
    OutputError
        The file is missing, damaged, or not the one that the manifest lists.
    """
    data = _listed(run, manifest, STATISTICS)
    if data is None:
        raise OutputError(f"{run} has no {STATISTICS}: it was made by a version without audit; make the run again")
    return Fold.from_json(data)


def _listed(run: Path, manifest: Mapping[str, Any], path: str) -> bytes | None:
    """A file that the manifest lists, byte for byte as it was sealed; None where it lists none of that name."""
    output = next((output for output in manifest["outputs"] if output["path"] == path), None)
    if output is None:
        return None
    data = read_small(run, path)
    if data is None or hashlib.sha256(data).hexdigest() != output["sha256"]:
        raise OutputError(f"{run}: {path} is {'missing' if data is None else 'damaged'}; mend the run with --resume")
    return data


def _listed_json(run: Path, manifest: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    data = _listed(run, manifest, path)
    if data is None:
        return None
    found: dict[str, Any] = json.loads(data)
    return found


def _digest(run: Path, path: str) -> str:
    return hashlib.sha256(read_small(run, path) or b"").hexdigest()


def _sampling(fold: Fold) -> dict[str, Any]:
    """How cases are drawn, and who is first of all: enough for the sizes that zero defects need."""
    sizes = {"0.05": zero_defect_size(0.05), "0.01": zero_defect_size(0.01)}
    keys = fold.marks[ALL].keys if ALL in fold.marks else []
    return {"seed": fold.frame.seed, "rule": "smallest HMAC-SHA256(seed, key)", "sizes": sizes, "keys": keys}


def _against(run: Path, manifest: Mapping[str, Any], fold: Fold, against: Path) -> dict[str, Any]:
    before = read_manifest(against)
    if before["run_id"] == manifest["run_id"]:
        raise ConfigError(f"--against {against} is the same run as {run}; name the one before it")
    told = {"run_id": before["run_id"], "as_of": before.get("as_of"), "model": (before.get("model") or {}).get("id")}
    measured = {"stability": _listed_json(against, before, STABILITY)}
    return told | measured | {"changes": changes(fold, read_statistics(against, before))}


def _controls(run: Path, statistics: Mapping[str, Any], own: Iterable[Path]) -> dict[str, Any]:
    facts = facts_of_run(run, statistics=statistics)
    found = controls(facts, packs_of(facts, own))
    return {"counts": counted(found), "controls": [control.to_dict() for control in found]}
