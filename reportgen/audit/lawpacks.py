"""Controls of law packs and their status, decided by facts that are really there.

A control is `PROVIDED` when every field it names was found, `MISSING` otherwise, and `NOT_APPLICABLE` only where the operator declares
so with a reason. Nothing here judges whether a law applies or is kept: it says what stands in the run, and what does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.audit.lawpacks_file import FieldSpec, LawPack, Requirement, Texts, known_fields, load_packs, text_in
from reportgen.audit.probes import DOCUMENT, Facts, facts_of_run, find
from reportgen.audit.probes_facts import at
from reportgen.checks import unknown
from reportgen.config import Config
from reportgen.config_audit import LAW_PACKS
from reportgen.errors import ConfigError
from reportgen.text import clean

__all__ = [
    "MISSING", "NOT_APPLICABLE", "PROVIDED", "STATUSES", "Control", "Facts", "FieldFound", "Gap", "LawPack", "controls",
    "counted", "facts_of_run", "gaps", "load_packs", "pack_hashes", "packs_of", "text_in",
]  # fmt: skip

PROVIDED, MISSING = "provided", "missing"
NOT_APPLICABLE = "not applicable (declared by the operator)"
STATUSES = (PROVIDED, MISSING, NOT_APPLICABLE)
_LONGEST = 500


@dataclass(frozen=True)
class FieldFound:
    """One field of a control: what was found, or None and what would fill it."""

    name: str
    label: Texts
    value: str | None
    remedy: Texts


@dataclass(frozen=True)
class Control:
    """One control with its status.

    Attributes
    ----------
    pack, id : str
    pack_title, applies_if : dict of str to str
    as_of, version, sha256 : str
        Of the pack.
    requirement : dict of str to str
    source : str
        Law, place and official publication.
    secondary : bool
        Taken from a secondary source: needs counsel.
    person : bool
        Also asked when one person wants an answer.
    status : str
        Of `STATUSES`.
    fields : tuple of FieldFound
    reason : str
        The operator's words where the control is declared not applicable.
    """

    pack: str
    pack_title: Texts
    version: str
    as_of: str
    sha256: str
    applies_if: Texts
    id: str
    requirement: Texts
    source: str
    secondary: bool
    person: bool
    status: str
    fields: tuple[FieldFound, ...]
    reason: str = ""

    @property
    def missing(self) -> tuple[FieldFound, ...]:
        """Fields without a value."""
        return tuple(field for field in self.fields if field.value is None)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return vars(self) | {"fields": [vars(field) for field in self.fields]}


@dataclass(frozen=True)
class Gap:
    """A field that is missing, what would fill it, and which controls (``pack/id``) ask for it."""

    field: str
    label: Texts
    remedy: Texts
    controls: tuple[str, ...]


def controls(facts: Facts, packs: Iterable[LawPack] | None = None, person: bool = False) -> tuple[Control, ...]:
    """Every control of the packs with its status.

    Parameters
    ----------
    facts : Facts
    packs : iterable of LawPack, optional
        Those that the run names when None; see `packs_of` for runs with packs of the operator's own.
    person : bool
        Only the controls that are asked when one person wants an answer.

    Raises
    ------
    ConfigError
        A pack cannot be loaded, or the operator declares something about a control or a document that no pack knows.
    """
    chosen = packs_of(facts) if packs is None else tuple(packs)
    declared = at(facts.config, "audit")
    check_declared(declared, chosen)
    return tuple(
        _judged(pack, asked, facts) for pack in chosen for asked in pack.controls if asked.person or not person
    )


def _judged(pack: LawPack, asked: Requirement, facts: Facts) -> Control:
    fields = tuple(_found(name, pack.spec(name), facts) for name in asked.fields)
    status = PROVIDED if all(field.value is not None for field in fields) else MISSING
    reasons = at(facts.config, "audit", "not_applicable")
    reason = next((reasons[key] for key in (f"{pack.id}/{asked.id}", pack.id) if key in (reasons or {})), "")
    return Control(
        pack.id, pack.title, pack.version, pack.as_of.isoformat(), pack.sha256, pack.applies_if, asked.id,
        asked.requirement, pack.said(asked), asked.secondary, asked.person, NOT_APPLICABLE if reason else status, fields,
        clean(reason, _LONGEST),
    )  # fmt: skip


def _found(name: str, spec: FieldSpec, facts: Facts) -> FieldFound:
    return FieldFound(name, spec.label, find(name, facts), spec.remedy)


def gaps(found: Iterable[Control]) -> tuple[Gap, ...]:
    """What is missing, each field once, in the order of the controls; of those that apply or may apply."""
    missing: dict[str, tuple[FieldFound, list[str]]] = {}
    for control in found:
        for field in control.missing if control.status == MISSING else ():
            missing.setdefault(field.name, (field, []))[1].append(f"{control.pack}/{control.id}")
    return tuple(Gap(name, field.label, field.remedy, tuple(ids)) for name, (field, ids) in missing.items())


def counted(found: Iterable[Control]) -> dict[str, int]:
    """How many controls have which status; all three are named."""
    counts = Counter(control.status for control in found)
    return {status: counts[status] for status in STATUSES}


def packs_of(facts: Facts, own: Iterable[Path] = ()) -> tuple[LawPack, ...]:
    """The packs that a run names. A manifest holds no folders, so packs of the operator's own are given again.

    Raises
    ------
    ConfigError
        A pack is not there, or has another content than the run was given.
    """
    given = {path.name: str(path) for path in own}
    named = at(facts.config, "audit", "law_packs")
    names = [str(name) for name in named] if isinstance(named, list | tuple) else list(LAW_PACKS)
    lost = next((name for name in names if name not in LAW_PACKS and name not in given), None)
    if lost is not None:
        raise ConfigError(f"the run asks the law pack {clean(lost)}, which is not built in; name it with --law-pack F")
    packs = load_packs(given.get(name, name) for name in names)
    rows = at(facts.manifest, "law_packs")
    hashes = {at(row, "id"): at(row, "sha256") for row in rows} if isinstance(rows, list | tuple) else {}
    for pack in packs:
        if pack.name in given and hashes.get(pack.id, pack.sha256) != pack.sha256:
            raise ConfigError(f"{given[pack.name]}: is not the law pack that the run was given (another SHA-256)")
    return packs


def check_declared(declared: object, packs: Iterable[LawPack]) -> None:
    """Refuse what the operator declares about nothing: a pack, a control or a document that no pack knows.

    Raises
    ------
    ConfigError
        Names the key and the nearest known one.
    """
    known, documents = dict.fromkeys(LAW_PACKS), dict.fromkeys(known_fields())
    for pack in packs:
        known |= dict.fromkeys([pack.id, *(f"{pack.id}/{control.id}" for control in pack.controls)])
        documents |= dict.fromkeys(pack.fields)
    short = [name.removeprefix(DOCUMENT) for name in documents if name.startswith(DOCUMENT)]
    for name, keys in (("not_applicable", list(known)), ("documents", short)):
        said = at(declared, name)
        wrong = next((key for key in said if key not in keys), None) if isinstance(said, Mapping) else None
        if wrong is not None:
            raise ConfigError(f"[audit] {name}: {unknown(wrong, keys)}")


def pack_hashes(config: Config) -> dict[str, dict[str, str]]:
    """Version, state and hash of each pack that a configuration names, by its id; for the manifest.

    Raises
    ------
    ConfigError
        As `controls`: said before a run begins.
    """
    packs = load_packs(config.audit.law_packs)
    check_declared(vars(config.audit), packs)
    return {
        pack.id: {"version": pack.version, "as_of": pack.as_of.isoformat(), "sha256": pack.sha256} for pack in packs
    }
