"""Do the reasons predict what the model does? Items are removed from histories and everything is scored again.

The measures are those of LXR (Barkan et al., "A Counterfactual Framework for Learning and Evaluating Explanations for
Recommender Systems", WWW 2024), with comprehensiveness and sufficiency (DeYoung et al., ACL 2020). Ages stay frozen and the
items a user has taken stay barred, as in the score that was explained. Nothing here subtracts contributions: every figure
comes out of `AttentionScorer.score_events`, so a wrong explanation is caught.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reportgen.attention.history import Events
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.explain.ranks import Mean, order_of, rank_correlation, top_overlap
from reportgen.explain.removal import BASELINES, LEAST_GAIN, Cases, Rescorer, baseline_strengths, net

OURS = "ours"
METHODS = (OURS, *BASELINES)
#: 0 %, 10 %, ... 100 % of the items of a history.
POINTS = 11
#: Strongest reasons taken away, or kept alone.
TOPS = (1, 3, 5)
_EPS = float(np.finfo(np.float32).eps)
#: Effects closer than this, relative to 1 + |score|, are the same within the accuracy of a score.
_SAME = 16 * _EPS


@dataclass(frozen=True)
class Randomised:
    """What became of the explanations when the model's items were shuffled.

    Attributes
    ----------
    rank : Mean
        Spearman correlation of contributions before and after.
    overlap : Mean
        Share of the three strongest reasons that are among the three strongest afterwards.
    chance : Mean
        The same share for three items drawn blindly.
    """

    rank: Mean
    overlap: Mean
    chance: Mean


@dataclass(frozen=True)
class Trust:
    """The few figures that a report shows; all are means over users, as shares in 0..1.

    Attributes
    ----------
    n_users : int
    top : int
        Reasons taken away.
    lost, lost_random : float
        Share of what spoke for the product that went with the `top` strongest reasons, and with random ones.
    strong, weak : float
        Share of steps at which the product was still among the first `n_list`, removing from the strongest and from the
        weakest reason.
    n_list : int
    """

    n_users: int
    top: int
    lost: float
    lost_random: float
    strong: float
    weak: float
    n_list: int


@dataclass(frozen=True)
class Fidelity:
    """Measured faithfulness of the explanations of one scorer.

    Attributes
    ----------
    n : int
        Length of the list (K).
    seed : int
    n_users, n_left_out : int
        Users measured; users whose first product owes nothing to their history, or who have none.
    methods : dict of str to dict of str to Mean
        By method of `METHODS`, then by measure: ``pos@K`` and ``cdcg`` and ``del`` (lower is better), ``neg@K`` and ``ins``
        (higher), ``comprehensiveness@k`` (higher), ``sufficiency@k`` (lower), ``loo_rank`` (higher, at most 1).
    randomised : Randomised
    """

    n: int
    seed: int
    n_users: int
    n_left_out: int
    methods: dict[str, dict[str, Mean]]
    randomised: Randomised

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        plain = {name: {key: vars(mean) for key, mean in found.items()} for name, found in self.methods.items()}
        shuffled = {name: vars(mean) for name, mean in vars(self.randomised).items()}
        return vars(self) | {"methods": plain, "randomised": shuffled}

    def trust(self) -> Trust:
        """The few figures that a report shows."""
        ours, blind, key = self.methods[OURS], self.methods["random"], "comprehensiveness@3"
        stays = ours[f"pos@{self.n}"].mean, ours[f"neg@{self.n}"].mean
        return Trust(self.n_users, 3, ours[key].mean, blind[key].mean, *stays, self.n)


def measure_fidelity(
    scorer: AttentionScorer,
    data: Dataset,
    users: np.ndarray,
    n: int = 10,
    as_of: int | None = None,
    seed: int = 0,
    barred: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
) -> Fidelity:
    """Measure how well reasons predict the scorer, beside orders of removal that know nothing of it.

    The target of a user is the first recommended item. Per user and method the history items are removed in the order of the
    explanation and in reverse, at `POINTS` points, and the rank and score of the target are found by scoring again.

    Parameters
    ----------
    scorer : AttentionScorer
        Fitted.
    data : Dataset
    users : ndarray of int64, shape (B,)
        User codes.
    n : int
        Length of the list (K).
    as_of : int, optional
        Microseconds since 1970 UTC; later events are not used.
    seed : int
        Of the random order and of the shuffled model.
    barred, left_out : ndarray of bool, shape (I,), optional
        As in `AttentionScorer.recommend_codes`.

    Raises
    ------
    ModelError
        The model belongs to another catalogue.
    """
    data = scorer.check_data(data)
    data = data if as_of is None else data.until(as_of)
    target = scorer.recommend_codes(data, users, 1, barred, left_out)[0][:, 0]
    cases = Cases.make(scorer, data, users, target, left_out)
    strengths = {OURS: net(cases.parts)} | baseline_strengths(scorer, data, cases, seed)
    closed = ~scorer.candidate_ if barred is None else ~scorer.candidate_ | barred
    found: dict[int, dict[str, dict[str, float]]] = {}
    for b in np.flatnonzero(target >= 0):
        shut = closed.copy()
        shut[scorer.seen(data, users[b : b + 1]).indices] = True
        if (figures := _one_user(Rescorer(scorer, cases, int(b), shut), cases, int(b), strengths, n)) is not None:
            found[int(b)] = figures
    randomised = check_randomised(_explainer(scorer), cases, list(found), scorer.base_.size, seed)
    return Fidelity(n, seed, len(found), int(users.size) - len(found), _summary(list(found.values()), n), randomised)


def removal_plan(order: np.ndarray) -> np.ndarray:
    """Which history items are kept at each step of one method.

    Parameters
    ----------
    order : ndarray of int64, shape (m,)
        History items, the strongest reason first.

    Returns
    -------
    ndarray of bool, shape (2 * POINTS + 2 * len(TOPS), m)
        From the strongest, from the weakest (each 0 % to 100 % of the items, rounded half up), without the top k, with the
        top k alone.
    """
    m = order.size
    place = np.empty(m, dtype=np.int64)
    place[order] = np.arange(m)
    cut = np.floor(np.arange(POINTS) * m / (POINTS - 1) + 0.5)[:, None]
    top = np.array(TOPS)[:, None]
    return np.concatenate([place >= cut, place < m - cut, place >= top, place < top])


def _one_user(
    again: Rescorer, cases: Cases, b: int, strengths: dict[str, np.ndarray], n: int
) -> dict[str, dict[str, float]] | None:
    """All measures of one user by method; None where the target owes its history nothing."""
    mine = cases.slices()[b]
    last, m = cases.parts.last_event[mine], mine.stop - mine.start
    if m == 0:
        return None
    plans = [removal_plan(order_of(strength[mine], last)) for strength in strengths.values()]
    score, rank = again.score(np.concatenate([~np.eye(m, dtype=bool), *plans]))
    full, empty = score[m], score[m + POINTS - 1]
    if full - empty <= LEAST_GAIN * (1 + abs(full)):
        return None
    effect = np.round((full - score[:m]) / (_SAME * (1 + abs(full))))
    share, steps, found = (score[m:] - empty) / (full - empty), len(plans[0]), {}
    for k, (method, strength) in enumerate(strengths.items()):
        part = slice(k * steps, (k + 1) * steps)
        figures = _figures(share[part], rank[m:][part], n)
        found[method] = figures | {"loo_rank": rank_correlation(_settle(method, strength[mine], full), effect)}
    return found


def _settle(method: str, strength: np.ndarray, full: float) -> np.ndarray:
    """Contributions in the steps in which effects are counted: differences below the accuracy of a score are ties."""
    return np.round(strength / (_SAME * (1 + abs(full)))) if method == OURS else strength


def _figures(share: np.ndarray, rank: np.ndarray, n: int) -> dict[str, float]:
    """Measures of one user and method, from the steps of `removal_plan`."""
    strong, weak = slice(0, POINTS), slice(POINTS, 2 * POINTS)
    without, alone = share[2 * POINTS : 2 * POINTS + len(TOPS)], share[2 * POINTS + len(TOPS) :]
    return {
        f"pos@{n}": float((rank[strong] <= n).mean()),
        f"neg@{n}": float((rank[weak] <= n).mean()),
        "del": float(share[strong].mean()),
        "ins": float(share[weak].mean()),  # the steps of keeping the top part are those of removing the rest
        "cdcg": float((1.0 / np.log2(1.0 + rank[strong])).mean()),
        **{f"comprehensiveness@{k}": float(1.0 - left) for k, left in zip(TOPS, without, strict=True)},
        **{f"sufficiency@{k}": float(1.0 - left) for k, left in zip(TOPS, alone, strict=True)},
    }


def _summary(found: list[dict[str, dict[str, float]]], n: int) -> dict[str, dict[str, Mean]]:
    steps = 2 * (POINTS + len(TOPS))
    names = [*_figures(np.ones(steps), np.ones(steps), n), "loo_rank"]
    return {method: {name: Mean.of([one[method][name] for one in found]) for name in names} for method in METHODS}


# -- does the explanation depend on the model? ------------------------------------------------------------------------

#: From histories and targets (B,) to how strongly each history item speaks for its target, in the order of `Contributions`.
Explainer = Callable[[Events, np.ndarray], np.ndarray]


def _explainer(scorer: AttentionScorer) -> Explainer:
    return lambda events, target: net(scorer.contributions(events, target[:, None]))


def check_randomised(explainer: Explainer, cases: Cases, kept: Sequence[int], n_items: int, seed: int) -> Randomised:
    """Compare explanations with those of the same model with its items shuffled (Adebayo et al., NeurIPS 2018).

    Exchanging the items of the histories is the same as exchanging the rows of every kernel and feature block, and it does
    not ask how the heads are built. Explanations that stay the same do not come from what the model has learnt.

    Parameters
    ----------
    explainer : callable
    cases : Cases
    kept : sequence of int
        Cases compared; those with fewer than four history items are left out, as their top three are no choice.
    n_items, seed : int
    """
    exchange = np.random.default_rng(seed).permutation(n_items)
    before, parts = explainer(cases.events, cases.target), cases.parts
    moved = replace(cases.events, item=exchange[cases.events.item])
    # History items come sorted by code, so the shuffled ones lie elsewhere.
    key = parts.row * n_items + exchange[parts.item]
    after = explainer(moved, cases.target)[np.argsort(np.argsort(key, kind="stable"), kind="stable")]
    slices = cases.slices()
    pairs = [(before[s], after[s], parts.last_event[s]) for s in (slices[b] for b in kept) if s.stop - s.start > 3]
    return Randomised(
        Mean.of([rank_correlation(new, old) for old, new, _ in pairs]),
        Mean.of([top_overlap(old, new, last) for old, new, last in pairs]),
        Mean.of([min(3.0 / old.size, 1.0) for old, _, _ in pairs]),
    )
