"""Law packs as files: read, checked, hashed. A pack is data, so that a lawyer can review and replace it without touching code."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from reportgen.audit.probes import DOCUMENT, PROBES
from reportgen.checks import checked, nearest, table, unknown, unlike
from reportgen.config_audit import LAW_PACKS
from reportgen.errors import ConfigError
from reportgen.languages import LOCALES

SCHEMA = "reportgen.lawpack/1"
_FOLDER = "packs_law"
_ID = r"[a-z0-9]+(-[a-z0-9]+)*"
_MOST = 1 << 20
Texts = dict[str, str]


def _no_texts(texts: Texts) -> str | None:
    wrong = next((tag for tag in texts if tag not in LOCALES), None)
    if wrong is not None:
        return unknown(wrong, LOCALES)
    return None if any(text.strip() for text in texts.values()) else f"needs words in one of {', '.join(LOCALES)}"


_TEXTS = {"check": _no_texts}
_NAMED = {"check": unlike(_ID, "a name of small letters, digits and hyphens, such as main-parameters")}
_SAID = {"check": unlike(r".*\S.*", "some words")}


def text_in(texts: Texts, locale: str) -> str:
    """A text in a language, or in the first there is."""
    return texts.get(locale) or next(filter(None, texts.values()), "")


@dataclass(frozen=True, kw_only=True)
class FieldSpec:
    """A field that controls can name: what it is called, and which input or setting would fill it."""

    label: Texts = field(metadata=_TEXTS)
    remedy: Texts = field(metadata=_TEXTS)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A law or a framework, with its official publication."""

    id: str = field(metadata=_NAMED)
    name: str = field(metadata=_SAID)
    publication: str = field(metadata=_SAID)


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One control as a pack asks it.

    Attributes
    ----------
    id : str
    requirement : dict of str to str
        In words of the pack's author, by language.
    source : str
        Id of one of the pack's sources.
    place : str
        Where in it: an article, a section.
    fields : tuple of str
        All of them must be there.
    secondary : bool
        The author did not read the official publication itself: counsel must check it.
    person : bool
        Also asked when one person wants an answer.
    """

    id: str = field(metadata=_NAMED)
    requirement: Texts = field(metadata=_TEXTS)
    source: str
    place: str = field(metadata=_SAID)
    fields: tuple[str, ...]
    secondary: bool = False
    person: bool = False


@dataclass(frozen=True, kw_only=True)
class _Head:
    schema: str = checked(SCHEMA, unlike(re.escape(SCHEMA), f'"{SCHEMA}", the one that this version reads'))
    id: str = field(metadata=_NAMED)
    version: str = field(metadata=_SAID)
    as_of: date
    title: Texts = field(metadata=_TEXTS)
    applies_if: Texts = field(metadata=_TEXTS)
    note: Texts = field(metadata=_TEXTS)
    sources: tuple[Source, ...]
    fields: dict[str, FieldSpec] = field(default_factory=dict)


@dataclass(frozen=True)
class LawPack:
    """One law pack.

    Attributes
    ----------
    id, version : str
    as_of : date
        State of the sources that the author had in view; what changed later is not in it.
    title, applies_if, note : dict of str to str
        By language; `applies_if` is a question that the operator answers, never this tool.
    sources : tuple of Source
    controls : tuple of Requirement
    fields : dict of str to FieldSpec
        Documents that only this pack knows.
    name, sha256 : str
        File name without folder, and hash of the file.
    """

    id: str
    version: str
    as_of: date
    title: Texts
    applies_if: Texts
    note: Texts
    sources: tuple[Source, ...]
    controls: tuple[Requirement, ...]
    fields: dict[str, FieldSpec]
    name: str
    sha256: str

    def spec(self, name: str) -> FieldSpec:
        """What a field of this pack is called."""
        return self.fields.get(name) or known_fields()[name]

    def said(self, control: Requirement) -> str:
        """Source and place of a control, in one line."""
        source = next(source for source in self.sources if source.id == control.source)
        return f"{source.name}, {control.place} ({source.publication})"


@lru_cache(maxsize=1)
def known_fields() -> Mapping[str, FieldSpec]:
    """Every field that comes with the package: one per probe, and the usual documents."""
    raw = tomllib.loads(_built_in("fields").decode("utf-8"))
    return {name: table(FieldSpec, spec, "fields.toml", name) for name, spec in raw.items()}


def _built_in(name: str) -> bytes:
    return (files("reportgen.audit") / _FOLDER / f"{name}.toml").read_bytes()


def load_packs(names: Iterable[str]) -> tuple[LawPack, ...]:
    """Load packs, built-in ones by name and own ones by path.

    Raises
    ------
    ConfigError
        One cannot be read or breaks the schema: names file, key and the nearest known one. Or two have one id.
    """
    packs = tuple(read_pack(name) for name in names)
    for at, pack in enumerate(packs):
        if pack.id in {other.id for other in packs[:at]}:
            raise ConfigError(
                f'[audit] law_packs: "{pack.id}" is there twice; a pack of your own takes the place of one'
            )
    return packs


def read_pack(name: str) -> LawPack:
    """Load one pack.

    Raises
    ------
    ConfigError
    """
    if name in LAW_PACKS:
        return parse_pack(_built_in(name), f"{name}.toml")
    path = Path(name)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        near = nearest(name, LAW_PACKS)
        raise ConfigError(
            f'{name}: cannot be read ({error.strerror}); give the path of a file, or a built-in pack such as "{near}"'
        ) from error
    return parse_pack(data, str(path))


def parse_pack(data: bytes, source: str) -> LawPack:
    """Check the bytes of a pack; `source` is named in errors.

    Raises
    ------
    ConfigError
    """
    if len(data) > _MOST:
        raise ConfigError(f"{source}: is larger than {_MOST} bytes; a law pack is a few pages of text")
    try:
        raw = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # both TOML and UTF-8 raise a ValueError
        raise ConfigError(f"{source}: is not valid TOML ({error})") from error
    asked = raw.pop("controls", None)
    head: _Head = table(_Head, {"schema": ""} | raw, source, "")
    if not isinstance(asked, list) or not asked:
        raise ConfigError(f"{source}: needs at least one [[controls]]")
    controls = tuple(_control(plain, source, at) for at, plain in enumerate(asked, 1))
    digest = hashlib.sha256(data).hexdigest()
    pack = LawPack(
        head.id, head.version, head.as_of, head.title, head.applies_if, head.note, head.sources, controls, head.fields,
        Path(source).name, digest,
    )  # fmt: skip
    _check(pack, source)
    return pack


def _control(plain: Any, source: str, place: int) -> Requirement:
    name = plain.get("id") if isinstance(plain, dict) else None
    made: Requirement = table(Requirement, plain, source, f"controls {name if isinstance(name, str) else place}")
    return made


def _check(pack: LawPack, source: str) -> None:
    """What one key alone cannot tell."""
    sources, seen = [one.id for one in pack.sources], set()
    wrong = next((name for name in pack.fields if not name.startswith(DOCUMENT) or name == DOCUMENT), None)
    if wrong is not None:
        raise ConfigError(f'{source}: [fields] {wrong}: a pack can add documents only; write "{DOCUMENT}{wrong}"')
    known = [*known_fields(), *pack.fields]
    for control in pack.controls:
        where = f"{source}: [controls {control.id}]"
        if control.id in seen:
            raise ConfigError(f"{where} is there twice; give each control a name of its own")
        seen.add(control.id)
        if control.source not in sources:
            raise ConfigError(f"{where} source: {unknown(control.source, sources)}")
        if not control.fields:
            raise ConfigError(f"{where} fields: needs at least one field; all fields: docs/law-packs.md")
        lost = next((name for name in control.fields if name not in known), None)
        if lost is not None:
            raise ConfigError(f'{where} fields: unknown field "{lost}"; did you mean "{nearest(lost, known)}"?')


def fields_without_probe() -> list[str]:
    """Names in the list of fields that nothing looks for; none, or the package is wrong."""
    return [name for name in known_fields() if not name.startswith(DOCUMENT) and name not in PROBES]
