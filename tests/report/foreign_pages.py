"""Explanations of made-up models that are not ours, with known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from crafted import craft

from reportgen.explain.explanation import Usage
from reportgen.explain.foreign import ForeignExplanation, ForeignModel, HowRead
from reportgen.explain.foreign_effects import Faithfulness, kendall, top_shared
from reportgen.report.build import Reader
from reportgen.report.document import Report
from reportgen.report.foreign import build_foreign_report


def foreign(
    weights: Any, *, kind: str = "attention", effects: Any = None, scores: Any = None, base: Any = None,
    hidden: tuple[int, ...] = (), markers: float = 0.0, titles: list[str] | None = None, heads: str = "",
    split: dict[str, Any] | None = None, known: Any = None,
) -> ForeignExplanation:  # fmt: skip
    """Weights (K, J) of a made-up model."""
    value = np.asarray(weights, dtype=np.float64)
    k, j = value.shape
    shell = craft(np.zeros((k, j, 1)), hidden=hidden, titles=titles)
    nan = np.full(k, np.nan)
    past = shell.past if known is None else replace(shell.past, n_events=np.asarray(known))
    faith = None
    if effects is not None:
        effects = np.asarray(effects, dtype=np.float64)
        pairs = list(zip(value, effects, strict=True))
        newer = -np.arange(j)
        faith = Faithfulness(
            tuple(kendall(a, b) for a, b in pairs), tuple(top_shared(a, b, newer) for a, b in pairs), {}
        )
    category = tuple("xyz"[n % 3] for n in range(j))
    return ForeignExplanation(
        shell.user_id, shell.as_of, kind, past, shell.picks, value, np.full(k, markers), np.zeros(k),
        nan if scores is None else np.asarray(scores, dtype=np.float64), nan if base is None else np.asarray(base, float),
        Usage(j, j, 0, 0, 0, shell.usage.first, shell.usage.last), 2, ForeignModel("SASRec", "7"),
        HowRead(heads, "", 4 if heads else 1, 1, ""), {"category": category}, {"category": ("x",) * k},
        {} if split is None else {name: np.asarray(part, float) for name, part in split.items()},
        effects, "callback" if effects is not None else "", faith,
    )  # fmt: skip


ATTENTION = {
    "plain": lambda: foreign([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]),
    "even": lambda: foreign([[0.25] * 4]),
    "nothing": lambda: foreign([[0.0, 0.0]]),
    "elsewhere": lambda: foreign([[0.0, 0.0]], markers=1.0),
    "not one": lambda: foreign([[0.5, 0.2]], markers=0.1),
    "folded": lambda: foreign([[0.7, 0.2, 0.1]], hidden=(0,)),
    "max": lambda: foreign([[0.9, 0.9]], heads="max"),
    "measured": lambda: foreign([[0.5, 0.3, 0.2]], effects=[[0.1, 0.2, 0.9]], scores=[3.0]),
    "measured in part": lambda: foreign([[0.5, 0.3, 0.2]], effects=[[np.nan, 0.2, np.nan]], scores=[3.0]),
    "no effect": lambda: foreign([[0.5, 0.3, 0.2]], effects=[[0.0, -0.2, 0.0]], scores=[3.0]),
    "alien": lambda: foreign([[0.5, 0.5]], known=[1, 0]),
    "split": lambda: foreign([[0.6, 0.4]], split={"colour": [[0.6, 0.1]], "size": [[0.0, 0.3]]}),
    "no history": lambda: foreign(np.zeros((1, 0)), markers=1.0),
    "hostile": lambda: foreign([[0.6, 0.4]], titles=["<script>alert(1)</script>", "\u202ex"]),
    "long": lambda: foreign(np.random.default_rng(0).dirichlet(np.ones(80), 3)),
}  # fmt: skip
CONTRIBUTION = {
    "sums": lambda: foreign([[1.0, -0.25]], kind="contribution", scores=[1.25], base=[0.5]),
    "differs": lambda: foreign([[1.0, -0.25]], kind="contribution", scores=[1.5], base=[0.5]),
    "no score": lambda: foreign([[1.0, -0.25]], kind="contribution"),
    "only against": lambda: foreign([[-1.0, -0.25]], kind="contribution", scores=[-1.25]),
    "markers": lambda: foreign([[1.0, 0.25]], kind="contribution", scores=[1.5], markers=0.25),
}


def foreign_reports() -> dict[str, Report]:
    """For the judges of pages and PDFs."""
    chosen = ("folded", "measured", "alien", "split", "hostile", "long", "differs", "no score", "markers")
    cases: dict[str, Callable[[], ForeignExplanation]] = ATTENTION | CONTRIBUTION
    return {
        f"foreign, {name}, {locale}": build_foreign_report(cases[name](), locale, reader=Reader("key"))
        for name in chosen
        for locale in ("en", "zh-CN")
    }
