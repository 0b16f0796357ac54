"""``reportgen lawpack``: check a law pack and print what it would ask."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from reportgen.audit.lawpacks_file import LawPack, read_pack, text_in
from reportgen.text import clean
from reportgen.verbs.door import DONE, Door

_LONGEST = 1000


def run(given: argparse.Namespace, door: Door) -> int:
    """Read a pack of the operator's own, or a built-in one, and print it; an error names file, key and the nearest known one."""
    pack = read_pack(given.file)
    for line in [_head(pack)] if given.quiet else [*_lines(pack, given.locale)]:
        door.console.print(clean(line.strip(), _LONGEST) if line == line.lstrip() else "  " + clean(line, _LONGEST))
    return DONE


def _head(pack: LawPack) -> str:
    return f"{pack.id} {pack.version}, as of {pack.as_of.isoformat()}: {len(pack.controls)} controls, SHA-256 {pack.sha256}"


def _lines(pack: LawPack, locale: str) -> Iterator[str]:
    yield _head(pack)
    for texts in (pack.title, pack.applies_if, pack.note):
        yield text_in(texts, locale)
    for control in pack.controls:
        second = " [secondary source: needs counsel]" if control.secondary else ""
        yield f"{control.id}: {text_in(control.requirement, locale)}{second}"
        yield f"  {pack.said(control)}"
        for name in control.fields:
            spec = pack.spec(name)
            yield f"  {name}: {text_in(spec.label, locale)} | {text_in(spec.remedy, locale)}"
