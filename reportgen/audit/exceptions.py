"""What an auditor should look at first: numbered rules, how often each was met, and users of whom it is so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reportgen.audit.fold import Fold
from reportgen.audit.fold_foreign import SHIFTED_TAU, kind_of

HIGH, MEDIUM, NOTE = "high", "medium", "note"
#: Users named as examples.
EXAMPLES = 3
#: Number, rule, severity. The numbers stay what they are: a new rule gets a new one.
RULES = (
    (1, "set_aside", HIGH), (2, "unconfirmed", HIGH), (3, "uncounted", HIGH), (4, "fidelity", HIGH), (5, "empty", MEDIUM),
    (6, "short", MEDIUM), (7, "without_reason", MEDIUM), (8, "untitled", MEDIUM), (9, "mostly_folded", MEDIUM),
    (10, "sponsored_first", MEDIUM), (11, "priced", MEDIUM), (12, "negative", MEDIUM), (13, "rows", MEDIUM),
    (14, "carried", NOTE), (15, "popular", NOTE), (16, "against", NOTE), (17, "without_history", NOTE),
    (18, "excluded", NOTE), (19, "capped", NOTE), (20, "unmeasured", HIGH), (21, "not_adding", HIGH), (22, "disagrees", MEDIUM),
    (23, "without_weight", MEDIUM), (24, "hidden_weight", MEDIUM), (25, "not_whole", NOTE), (26, "elsewhere", NOTE),
    (27, "one_item", NOTE), (28, "no_events", NOTE),
)  # fmt: skip
#: Rules about pages on another model; they are asked of no other run, and the rules about our own model not of these.
FOREIGN = frozenset(rule for number, rule, _ in RULES if number >= 20)
_OWN = frozenset(
    ("unconfirmed", "fidelity", "empty", "without_reason", "mostly_folded", "negative", "carried", "popular",
     "without_history", "excluded", "capped")
)  # fmt: skip
_ORDER = (HIGH, MEDIUM, NOTE)


@dataclass(frozen=True)
class Exceptional:
    """One rule and what was met.

    Attributes
    ----------
    number : int
    rule, severity : str
    count : int
    examples : tuple of str
        Keys of users.
    """

    number: int
    rule: str
    severity: str
    count: int
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return dict(vars(self)) | {"examples": list(self.examples)}


def exceptions(
    fold: Fold, manifest: Mapping[str, Any], fidelity: Mapping[str, Any] | None, failures: Sequence[Mapping[str, Any]]
) -> list[Exceptional]:
    """Every rule that can be asked of such a run, those that were met first, the gravest before."""
    aside = tuple(sorted({str(failed["user"]) for failed in failures})[:EXAMPLES])
    rows = sum(int(problem["count"]) for problem in manifest.get("problems", ()) if not problem.get("kept"))
    beside = _not_asked(fold)
    counted = {
        "set_aside": (len({failed["user"] for failed in failures}), aside),
        "uncounted": (fold.counts["uncounted"], ()),
        "fidelity": (0 if fidelity and fidelity.get("measured") else 1, ()),
        "rows": (rows, ()),
    }
    found = [
        Exceptional(number, rule, severity, *(counted[rule] if rule in counted else _marked(fold, rule)))
        for number, rule, severity in RULES
        if rule not in beside
    ]
    return sorted(found, key=lambda one: (not one.count, _ORDER.index(one.severity), one.number))


def _not_asked(fold: Fold) -> frozenset[str]:
    """Rules that such a run cannot meet: that they were not is no finding."""
    kind = kind_of(fold.counts)
    if not kind:
        return FOREIGN
    measured, scored = (("", "", measure) in fold.sums for measure in (SHIFTED_TAU, "adds_up"))
    about_attention, about_parts = {"disagrees", "not_whole"}, {"not_adding", "against"}
    beside = _OWN | (about_parts if kind == "attention" else about_attention)
    return beside | (set() if measured else {"disagrees"}) | (set() if scored else {"not_adding"})


def _marked(fold: Fold, rule: str) -> tuple[int, tuple[str, ...]]:
    mark = fold.marks.get(rule)
    return (mark.users, tuple(mark.keys[:EXAMPLES])) if mark else (0, ())
