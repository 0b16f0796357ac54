"""Probes of the manifest: hashes, versions, people, proof."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from reportgen.audit.probes_facts import Facts, at, number, words

#: Kinds of evidence that have words of their own in every language; others are features of the operator.
BUILT_IN_KINDS = (
    "together", "next", "via", "again", "category", "brand", "price", "tags", "title", "folded", "popularity",
)  # fmt: skip
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_NAMED = 6


def listed(parts: Iterable[object]) -> str | None:
    told = [str(part) for part in parts]
    more = f" (+{len(told) - _MOST_NAMED})" if len(told) > _MOST_NAMED else ""
    return ", ".join(told[:_MOST_NAMED]) + more or None


def _rows(facts: Facts, name: str) -> list[Any]:
    found = at(facts.manifest, name)
    return list(found) if isinstance(found, list | tuple) else []


def _short(digest: object) -> str:
    return str(digest)[:16]


def _all_hashed(rows: list[Any]) -> bool:
    return bool(rows) and all(_HASH.fullmatch(str(at(row, "sha256"))) for row in rows)


def _inputs(facts: Facts) -> str | None:
    rows = _rows(facts, "inputs")
    told = listed(f"{at(row, 'table')}: {at(row, 'name')} {_short(at(row, 'sha256'))}" for row in rows)
    return told if _all_hashed(rows) else None


def _outputs(facts: Facts) -> str | None:
    rows = _rows(facts, "outputs")
    return f"{len(rows)} x SHA-256" if _all_hashed(rows) else None


def _settings(facts: Facts) -> str | None:
    found = at(facts.manifest, "settings")
    return f"{len(found)} + {len(at(found, 'config') or {})}" if isinstance(found, dict) and found else None


def _model(facts: Facts) -> str | None:
    return words(facts.manifest, "model", "id")


def _learnt(facts: Facts) -> str | None:
    learnt = number(facts.manifest, "model", "users_learnt")
    return f"{learnt:.0f}" if learnt > 0 else None


def _scope(facts: Facts) -> str | None:
    users, items = (number(facts.manifest, "model", name) for name in ("users", "items"))
    return f"{users:.0f} x {items:.0f}" if users and items else None


def _versions(facts: Facts) -> str | None:
    packages = at(facts.manifest, "packages")
    tool, python = words(facts.manifest, "tool", "version"), words(facts.manifest, "python")
    if not (tool and python and isinstance(packages, dict) and packages):
        return None
    return f"reportgen {tool}, Python {python}, {len(packages)} packages"


def _kinds(facts: Facts) -> list[str]:
    found = at(facts.manifest, "model", "heads")
    return [str(kind) for kind in found] if isinstance(found, list | tuple) else []


def _evidence(facts: Facts) -> str | None:
    return listed(_kinds(facts))


def _described(facts: Facts) -> str | None:
    """Every feature that is no built-in one has plain words in the configuration."""
    own = [kind for kind in _kinds(facts) if kind not in BUILT_IN_KINDS]
    told = [any(map(str.strip, map(str, (at(facts.config, "features", kind, "label") or {}).values()))) for kind in own]
    return _evidence(facts) if all(told) else None


def _complete(facts: Facts) -> str | None:
    """Every user of the data is accounted for."""
    parts = [number(facts.manifest, "users", name) for name in ("reported", "set_aside", "opted_out", "not_chosen")]
    total = number(facts.manifest, "users", "total")
    return " + ".join(f"{part:.0f}" for part in parts) + f" = {total:.0f}" if total and sum(parts) == total else None


def _errors(facts: Facts) -> str | None:
    aside = number(facts.manifest, "users", "set_aside")
    return f"{aside:.0f} (errors.jsonl)" if "errors.jsonl" in facts.files else None


def column(facts: Facts, table: str, column: str) -> str | None:
    """What a column is called that was surely read from every file of a table, whatever stands in it; None where one lacks it.

    The manifest lists the columns of each input. Of manifests from before it did, the configuration counts: what it maps must be there.
    """
    rows = _rows(facts, "inputs")
    if not any(isinstance(at(row, "columns"), Mapping) for row in rows):
        return words(facts.config, table, "columns", column)
    found = [at(row, "columns", column) for row in rows if at(row, "table") == table]
    return ", ".join(sorted({str(name) for name in found})) if found and all(found) else None


def _opted_out(facts: Facts) -> str | None:
    """Who opted out is known: somebody did, or the column was read and nobody has."""
    count, read = number(facts.manifest, "users", "opted_out"), column(facts, "users", "opted_out")
    return f"{count:.0f} ({read})" if read else f"{count:.0f}" if count else None


def _pseudonyms(facts: Facts) -> str | None:
    scheme, key = words(facts.manifest, "pseudonym"), words(facts.manifest, "key_id")
    return f"{scheme or 'HMAC-SHA256'}; key {key}" if key else None


def _merkle(facts: Facts) -> str | None:
    root = words(facts.manifest, "merkle", "root")
    return f"{_short(root)}, {number(facts.manifest, 'merkle', 'leaves'):.0f}" if root else None


def _signed(facts: Facts) -> str | None:
    return listed(sorted(name for name in facts.files if "dsse" in name or name.endswith((".sig", ".intoto.json"))))


def _erasure(facts: Facts) -> str | None:
    """A user can be erased while the proof stays: salted leaves are there."""
    return listed(sorted(name for name in facts.files if "salts" in name)) if _merkle(facts) else None


def _law_packs(facts: Facts) -> str | None:
    return listed(f"{at(row, 'id')} {_short(at(row, 'sha256'))}" for row in _rows(facts, "law_packs"))


PROBES = {
    "run.id": lambda facts: words(facts.manifest, "run_id"),
    "run.as_of": lambda facts: words(facts.manifest, "as_of"),
    "run.inputs": _inputs,
    "run.outputs": _outputs,
    "run.settings": _settings,
    "run.versions": _versions,
    "run.templates": lambda facts: _short(words(facts.manifest, "templates") or "") or None,
    "run.complete": _complete,
    "run.errors": _errors,
    "run.merkle": _merkle,
    "run.signature": _signed,
    "run.previous": lambda facts: words(facts.manifest, "previous_run", "run_id"),
    "run.sampling": lambda facts: _short(words(facts.manifest, "sampling", "commitment") or "") or None,
    "run.law_packs": _law_packs,
    "model.id": _model,
    "model.scope": _scope,
    "model.evidence": _evidence,
    "model.learnt": _learnt,
    "model.words": _described,
    "users.opted_out": _opted_out,
    "privacy.pseudonyms": _pseudonyms,
    "privacy.retention_until": lambda facts: words(facts.manifest, "retention_until"),
    "privacy.erasure": _erasure,
}
