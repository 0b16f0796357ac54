"""The facts that decide about controls: what a run folder really holds, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reportgen.errors import OutputError
from reportgen.output.durable import list_inside, open_inside
from reportgen.output.folder import MANIFEST

FIDELITY, STATISTICS, STABILITY = "audit/fidelity.json", "audit/statistics.json", "audit/stability.json"
#: Nothing of ours is larger; whatever is, is not read.
_MOST = 1 << 30


@dataclass(frozen=True)
class Facts:
    """What is known about a run, as plain data.

    Attributes
    ----------
    manifest : mapping
        As `reportgen.output.manifest.Manifest.to_json` writes it.
    config : mapping
        As `reportgen.config.Config.to_dict` makes it, and as the manifest holds it.
    statistics : mapping or None
        As `reportgen.audit.fold.Fold.to_dict` makes it; further tables of an audit may stand beside them under names of their own.
    fidelity : mapping or None
        As `audit/fidelity.json` holds it.
    files : frozenset of str
        Paths in the run folder, relative.
    record : mapping or None
        The record of one person: then the fields of a report are looked for in it, and not in the statistics of all.
    """

    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    statistics: Mapping[str, Any] | None = None
    fidelity: Mapping[str, Any] | None = None
    files: frozenset[str] = field(default_factory=frozenset)
    record: Mapping[str, Any] | None = None


def at(plain: object, *way: str) -> Any:
    """What lies at the end of a way of keys; None where the way ends early."""
    for name in way:
        if not isinstance(plain, Mapping) or name not in plain:
            return None
        plain = plain[name]
    return plain


def number(plain: object, *way: str) -> float:
    """A number at the end of a way of keys; 0 where there is none."""
    found = at(plain, *way)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else 0


def words(plain: object, *way: str) -> str | None:
    """Text at the end of a way of keys; None for blanks, too."""
    found = at(plain, *way)
    return found.strip() or None if isinstance(found, str) else None


def facts_of_run(run: Path, statistics: Mapping[str, Any] | None = None) -> Facts:
    """Read what a finished run folder says about itself.

    Parameters
    ----------
    run : Path
    statistics : mapping, optional
        Further tables of an audit, put beside those of the run's own file.

    Raises
    ------
    OutputError
        No manifest, or one of the files is damaged.
    """
    manifest = read_json(run, MANIFEST)
    if manifest is None:
        raise OutputError(f"{run} has no {MANIFEST}, so its run did not end; finish it with --resume")
    config = at(manifest, "settings", "config")
    names = set(_names(run, "")) | {f"audit/{name}" for name in _names(run, "audit")}
    outputs = at(manifest, "outputs")
    listed = {str(at(output, "path")) for output in outputs} if isinstance(outputs, list) else set()
    counted = {**(statistics or {}), **(read_json(run, STATISTICS) or {})}
    if stability := read_json(run, STABILITY):
        counted["stability"] = stability
    return Facts(
        manifest,
        config if isinstance(config, dict) else {},
        counted or None,
        read_json(run, FIDELITY),
        frozenset(names | listed),
    )


def _names(run: Path, folder: str) -> list[str]:
    try:
        return list_inside(run, folder)
    except OSError as error:
        raise OutputError(f"{run}: {folder or 'the folder'} cannot be read ({error.strerror})") from error


def read_json(run: Path, path: str) -> dict[str, Any] | None:
    """A JSON file of a run, opened without following links; None when it is not there.

    Raises
    ------
    OutputError
        It cannot be read, or it holds no table.
    """
    try:
        with open_inside(run, path) as stream:
            plain = json.loads(stream.read(_MOST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"{run}: {path} is damaged ({error}); make the run again") from error
    if not isinstance(plain, dict):
        raise OutputError(f"{run}: {path} is damaged (it holds no table); make the run again")
    return plain
