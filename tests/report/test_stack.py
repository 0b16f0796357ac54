"""Many users as one table: no figure of a user depends on the company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from crafted import craft, fitted_explanations, random_explanation

from reportgen.explain.explanation import Explanation
from reportgen.explain.privacy import FOLDED, fold_evidence
from reportgen.report.build import build_report, build_reports
from reportgen.report.columns import many_figures
from reportgen.report.stack import Stack


def folded(why: Explanation) -> Explanation:
    """The same explanation as its privacy leaves it: one kind of evidence more."""
    heads = (*why.model.heads, FOLDED)
    model = replace(why.model, heads=heads, live=tuple(range(len(heads))))
    return replace(why, contributions=fold_evidence(why.contributions, why.past.hidden), model=model)


def company() -> list[Explanation]:
    """Long and short histories, one product and many, hidden items, nothing at all."""
    sizes = [(1, 1), (3, 40), (6, 9), (2, 17), (9, 1), (5, 15)]
    whys = [random_explanation(seed, k, j) for seed, (k, j) in enumerate(sizes)]
    whys += [folded(random_explanation(seed, 4, 12, hidden=[2, 5])) for seed in (20, 21)]
    return [*whys, craft(np.zeros((2, 0, 4))), craft(np.zeros((0, 3, 4))), *fitted_explanations()]


def test_the_sums_are_those_of_each_explanation_to_the_last_bit() -> None:
    whys = [why for why in company() if len(why.model.heads) == 4]
    stack = Stack(whys)
    for u, why in enumerate(whys):
        lines = slice(*stack.lines[u : u + 2])
        assert np.array_equal(stack.attention[lines], why.attention.reshape(-1, 4))
        assert np.array_equal(stack.net[lines], why.net.ravel())


def test_a_report_is_the_same_alone_and_in_company() -> None:
    whys = company()
    alone = [build_report(why) for why in whys]
    assert list(build_reports(whys)) == alone
    assert list(build_reports(whys[::-1])) == alone[::-1]


def test_figures_come_in_the_order_of_their_explanations() -> None:
    whys = company()
    made = many_figures(whys)
    assert [figures.shares.shape for figures in made] == [why.contributions.shape[:2] for why in whys]
    assert len(made) == len(whys)
    assert made[-1].total == made[len(made) - 1].total == list(made)[-1].total
    assert list(many_figures([])) == []
