"""Probes of what the operator has filled in: who answers, where a reader can act, what documents there are."""

from __future__ import annotations

from functools import partial

from reportgen.audit.probes_facts import Facts, at, words

#: Field of a pack -> key of the configuration, as its way.
_FILLED = {
    f"operator.{name}": ("operator", name) for name in ("name", "purpose", "contact", "address", "retention")
} | {
    f"links.{name}": ("operator", "links", name)
    for name in ("change", "object", "switch_off", "non_personalised", "complaint")
}
DOCUMENT = "documents."


def filled(way: tuple[str, ...], facts: Facts) -> str | None:
    """A text of the configuration that is not blank."""
    return words(facts.config, *way)


def document(name: str, facts: Facts) -> str | None:
    """Where the operator says that a document is kept; the document itself is not looked at."""
    return words(facts.config, "audit", "documents", name)


def _unsubscribe(facts: Facts) -> str | None:
    return words(facts.config, "mail", "unsubscribe") or words(facts.config, "mail", "unsubscribe_address")


def _sensitive(facts: Facts) -> str | None:
    """How sensitive items are kept off the pages; shown in full is none."""
    said = words(facts.config, "privacy", "sensitive")
    return said if said in ("fold", "exclude") else None


def _allowed(facts: Facts) -> str | None:
    lists = {name: at(facts.config, "privacy", "fields", name) for name in ("page", "record")}
    if not all(isinstance(names, list | tuple) for names in lists.values()):
        return None
    return "; ".join(f"{name}: {', '.join(map(str, names)) or '-'}" for name, names in lists.items())


def _floor(facts: Facts) -> str | None:
    floor = at(facts.config, "privacy", "support_floor")
    return str(floor) if isinstance(floor, int) and floor > 1 else None


PROBES = {name: partial(filled, way) for name, way in _FILLED.items()} | {
    "mail.unsubscribe": _unsubscribe,
    "privacy.sensitive": _sensitive,
    "privacy.fields": _allowed,
    "privacy.support_floor": _floor,
}
