"""Two runs side by side: which files differ, and what in their manifests may be why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Parts of a manifest that determine bytes, in the words that are shown.
CAUSES = {
    "inputs": "input", "settings": "setting", "templates": "templates", "catalogues": "message file", "model": "model",
    "tool": "version of reportgen", "python": "version of Python", "packages": "package", "native_libraries": "native library",
    "fonts": "font", "law_packs": "law pack", "as_of": "reference time", "generated_at": "time written into documents",
    "key_id": "secret key", "retention_until": "retention", "previous_run": "previous run", "tables": "rows read",
}  # fmt: skip
_LONG = 60


@dataclass(frozen=True)
class Cause:
    """One difference between two manifests."""

    kind: str
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.kind}{self.name and f' {self.name}'}: {self.before} there, {self.after} here"


def find_causes(before: dict[str, Any], after: dict[str, Any]) -> list[Cause]:
    """What differs between two manifests of all that determines the bytes of a run."""
    found = []
    for part, kind in CAUSES.items():
        for name, old, new in _differing(_named(before.get(part)), _named(after.get(part)), ""):
            found.append(Cause(kind, name, _short(old), _short(new)))
    exact = [side.get("as_of_microseconds") for side in (before, after)]  # which older manifests do not tell
    if None not in exact and exact[0] != exact[1] and before.get("as_of") == after.get("as_of"):
        found.append(Cause(CAUSES["as_of"], "in microseconds", *map(str, exact)))
    return found


def _named(part: Any) -> Any:
    """Lists of inputs, fonts and packs by the name of each row, so that one more does not shift all others."""
    if not isinstance(part, list | tuple) or not all(isinstance(row, dict) for row in part):
        return part
    names = ("table", "name", "family", "language", "weight", "id")
    return {" ".join(str(row[name]) for name in names if name in row): row.get("sha256") for row in part}


def _differing(old: Any, new: Any, way: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differing(old.get(name), new.get(name), f"{way}.{name}".lstrip("."))
    elif old != new:
        yield way, old, new


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def differing_files(before: dict[str, Any], after: dict[str, Any], left_out: set[str]) -> list[tuple[str, str]]:
    """Files that are not the same in two runs: path, and how.

    Parameters
    ----------
    before, after : dict
        Manifests.
    left_out : set of str
        Paths that may differ.
    """
    old, new = ({out["path"]: out["sha256"] for out in side["outputs"]} for side in (before, after))
    found = []
    for path in sorted((old.keys() | new.keys()) - left_out):
        if old.get(path) != new.get(path):
            found.append(
                (path, "differs" if path in old and path in new else "only there" if path in old else "only here")
            )
    return found
