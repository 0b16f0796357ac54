"""The fields that a law pack may name: for each a probe, which looks for it in the facts of a run.

A probe is a function of `Facts` to text or None. It may only read. Text is what was found, in a form that needs no language (the
operator's own words, numbers, hashes); None is "not there". Nothing else decides about the status of a control.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from reportgen.audit import probes_counted, probes_operator, probes_run
from reportgen.audit.probes_facts import Facts, facts_of_run
from reportgen.text import clean

__all__ = ["DOCUMENT", "PROBES", "Facts", "facts_of_run", "find"]

DOCUMENT = probes_operator.DOCUMENT
_LONGEST = 300

PROBES: dict[str, Callable[[Facts], str | None]] = {
    **probes_operator.PROBES,
    **probes_run.PROBES,
    **probes_counted.PROBES,
}


def find(name: str, facts: Facts) -> str | None:
    """What the facts have for a field, safe to print; None when it is not there.

    A name that begins with ``documents.`` is looked up among the documents that the operator names.

    Raises
    ------
    KeyError
        No such field.
    """
    probe = (
        partial(probes_operator.document, name.removeprefix(DOCUMENT)) if name.startswith(DOCUMENT) else PROBES[name]
    )
    found = probe(facts)
    return (clean(found, _LONGEST) or None) if found else None
