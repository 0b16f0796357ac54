"""Figures by group, with groups left out that are so small that a figure would tell of single people.

A group is left out when fewer than `SMALL_CELL` people stand behind the figure. Since the figure of everybody is told too, one group
left out alone could be found by subtraction; so the next smallest is left out with it, until at least two groups and `SMALL_CELL`
people are hidden together (complementary suppression, as official statistics do it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reportgen.audit.fold import UNIT, Fold, Sums
from reportgen.audit.fold_frame import SMALL_CELL
from reportgen.audit.statistics_intervals import Estimate, mean_of, ratio_of, share_of

#: What is compared between groups: measure -> (units of one, largest value).
OUTCOMES: dict[str, tuple[float, float | None]] = {
    "reasoned": (UNIT, 1.0), "popularity": (UNIT, 1.0), "tail": (UNIT, 1.0), "contestable": (UNIT, 1.0),
    "sponsored": (UNIT, 1.0), "priced": (UNIT, 1.0), "length": (UNIT, None), "price": (100.0, None),
}  # fmt: skip
#: The same of pages about another model; told only where a run has them.
FOREIGN_OUTCOMES = dict.fromkeys(("weighted", "first_agrees", "top3"), (UNIT, 1.0))
#: Largest values of measures that are no shares; None for none. All are counted in millionths.
_MOST: dict[str, float | None] = {"effective": None, "effect_effective": None, "tau_plus_1": 2.0}
#: Parts of a whole count everybody who has a reason at all.
BASE = "strongest"


def hidden_groups(people: Mapping[str, int], least: int = SMALL_CELL) -> set[str]:
    """The groups that must not be told, by the number of people behind the figure of each."""
    rising = sorted(people, key=lambda group: (people[group], group))
    hidden = {group for group in rising if people[group] < least}
    for group in rising:
        if not hidden or (len(hidden) > 1 and sum(people[name] for name in hidden) >= least):
            break
        hidden.add(group)
    return hidden


def estimate(fold: Fold, dimension: str, group: str, measure: str) -> Estimate | None:
    """One measure of one group; a part of a whole is 0 for those who have a reason but not this part."""
    unit, most = OUTCOMES.get(measure, (UNIT, _MOST.get(measure, 1.0)))
    n, total, squares = fold.sums.get((dimension, group, measure), (0, 0, 0))
    return mean_of(total, squares, people_behind(fold, dimension, group, measure) if "/" in measure else n, unit, most)


def told(fold: Fold, measure: str) -> dict[str, Any] | None:
    """One measure of everybody as plain data."""
    found = estimate(fold, "", "", measure)
    return None if found is None else found.to_dict()


def people_marked(fold: Fold, mark: str) -> dict[str, Any] | None:
    """Share of people of whom something is so, and how many they are."""
    count = fold.marks[mark].users if mark in fold.marks else 0
    found = share_of(count, fold.users)
    return None if found is None else found.to_dict() | {"count": count}


def people_behind(fold: Fold, dimension: str, group: str, measure: str) -> int:
    """How many people a figure rests on."""
    none: Sums = (0, 0, 0)
    return fold.sums.get((dimension, group, BASE if "/" in measure else measure), none)[0]


def dimensions(fold: Fold) -> dict[str, list[str]]:
    """The groups of each dimension, as they were met."""
    found: dict[str, set[str]] = {}
    for dimension, group, _ in fold.sums:
        if dimension:
            found.setdefault(dimension, set()).add(group)
    return {dimension: sorted(groups) for dimension, groups in sorted(found.items())}


def kinds_of(fold: Fold) -> list[str]:
    """The kinds of evidence that were met, the weightiest first."""
    weight = {m.removeprefix("kind/"): s[1] for (d, _, m), s in fold.sums.items() if not d and m.startswith("kind/")}
    return sorted(weight, key=lambda kind: (-weight[kind], kind))


def by_group(fold: Fold, dimension: str, groups: list[str]) -> dict[str, Any]:
    """The table of one dimension: people, outcomes with intervals and ratios, and what drives the lists, by group.

    Returns
    -------
    dict
        ``reference`` is the group with the most people; figures that are left out are None, and so is the number of people of a small
        group.
    """
    people = {group: people_behind(fold, dimension, group, "length") for group in groups}
    small = hidden_groups(people)
    shown = [group for group in groups if group not in small]
    reference = min(shown, key=lambda group: (-people[group], group), default=None)
    more = [measure for measure in FOREIGN_OUTCOMES if ("", "", measure) in fold.sums]
    measures = [*OUTCOMES, *more, *(f"kind/{kind}" for kind in kinds_of(fold))]
    table = {measure: _column(fold, dimension, groups, small, measure) for measure in measures}
    rows = []
    for group in groups:
        figures = {measure: _figure(column[group], column.get(reference or "")) for measure, column in table.items()}
        rows.append({"group": group, "people": None if group in small else people[group], "figures": figures})
    return {"dimension": dimension, "reference": reference, "hidden": len(small), "rows": rows}


def _column(fold: Fold, dimension: str, groups: list[str], small: set[str], measure: str) -> dict[str, Estimate | None]:
    """A measure of all groups; None where it must not be told. Who has nothing to measure is missing from it, which counts too."""
    behind = {group: people_behind(fold, dimension, group, measure) for group in groups}
    missing = {group: 0 < behind[group] < SMALL_CELL for group in groups}
    hidden = small | (hidden_groups(behind) if any(missing.values()) or small else set())
    return {group: None if group in hidden else estimate(fold, dimension, group, measure) for group in groups}


def _figure(found: Estimate | None, reference: Estimate | None) -> dict[str, Any] | None:
    if found is None:
        return None
    ratio = ratio_of(found, reference) if reference is not None and found is not reference else None
    return found.to_dict() | {"ratio": ratio and ratio.to_dict()}
