"""Would the reasons be the same had other people been in the data? A bootstrap over users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.explain.ranks import Mean, top_overlap, top_reasons
from reportgen.explain.removal import Cases, choose_sample, net

#: Users explained when none are named.
_SAMPLE = 100


@dataclass(frozen=True)
class Stability:
    """How much of an explanation stays when the model is fitted on users drawn anew; means over the users explained.

    Attributes
    ----------
    n_boot : int
        Refits.
    random_state : int
    top3 : Mean
        Share of the three strongest reasons of a user's first product that are again among the three strongest for it.
    first_reason : Mean
        Share of refits with the same first reason for it.
    first_item : Mean
        Share of refits with the same first product.
    same_sign : Mean
        Share of the history items with a part in that product's score whose part has the same sign.
    flipped : Mean
        Share whose part has the opposite sign; the rest has become 0.
    spread : dict of str to float
        Standard deviation of each mean between refits.
    """

    n_boot: int
    random_state: int
    top3: Mean
    first_reason: Mean
    first_item: Mean
    same_sign: Mean
    flipped: Mean
    spread: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        return {name: vars(value) if isinstance(value, Mean) else value for name, value in vars(self).items()}


_MEASURES = ("top3", "first_reason", "first_item", "same_sign", "flipped")


def stability_report(
    data: Dataset,
    scorer: AttentionScorer | None = None,
    n_boot: int = 20,
    users: np.ndarray | None = None,
    random_state: int = 0,
) -> Stability:
    """Refit on users drawn with replacement and explain the same products to the same users again.

    A person drawn several times counts as several, so a pair of items can pass the support floor with fewer different people
    than usual: refits are for this measurement only and are never shown.

    Parameters
    ----------
    data : Dataset
    scorer : AttentionScorer, optional
        Fitted on `data`, or not: then it is fitted here, with its parameters. The usual ones when None.
    n_boot : int
    users : ndarray of int64, shape (B,), optional
        User codes; 100 drawn at random among those who have a reason when None.
    random_state : int

    Raises
    ------
    ModelError
        A fitted scorer belongs to another catalogue.
    """
    scorer = scorer if scorer is not None else AttentionScorer()
    model = scorer if hasattr(scorer, "theta_") else refit(scorer, data)
    rng = np.random.default_rng(random_state)
    order = rng.permutation(model.check_data(data).user_ids.size)
    users = users if users is not None else np.sort(choose_sample(model, data, order, _SAMPLE))
    target = model.recommend_codes(data, users, 1)[0][:, 0]
    before = Cases.make(model, data, users, target)
    drawn = [_one_refit(refit(model, resample_users(data, rng)), data, before) for _ in range(n_boot)]
    shape = (n_boot, users.size)
    per_user = {name: np.array([one[name] for one in drawn]).reshape(shape) for name in _MEASURES}
    means = {name: Mean.of(values.mean(axis=0) if n_boot else []) for name, values in per_user.items()}
    return Stability(n_boot, random_state, **means, spread={name: _spread(v) for name, v in per_user.items()})


def refit(scorer: AttentionScorer, data: Dataset) -> AttentionScorer:
    """A new scorer with the same parameters, fitted on other data."""
    return type(scorer)(**scorer.get_params(deep=False)).fit(data)


def resample_users(data: Dataset, rng: np.random.Generator) -> Dataset:
    """As many users as there are, drawn with replacement, each under a name of its own."""
    draw = np.sort(rng.integers(0, data.user_ids.size, data.user_ids.size))
    length = np.diff(data.indptr)[draw]
    stop = np.cumsum(length)
    event = np.arange(int(length.sum())) + np.repeat(data.indptr[draw] - (stop - length), length)
    width = len(str(draw.size))
    names = np.array([f"{k:0{width}}" for k in range(draw.size)], dtype=object)
    parts = {name: getattr(data, name)[event] for name in ("items", "timestamps", "types", "values", "orders")}
    indptr = np.concatenate([[0], stop]).astype(np.int64)
    return replace(data, user_ids=names, indptr=indptr, users=data.users.iloc[draw].reset_index(drop=True), **parts)


def _one_refit(model: AttentionScorer, data: Dataset, before: Cases) -> dict[str, list[float]]:
    """All measures of one refit, by user; NaN where the first product has no reason to lose."""
    after = net(model.contributions(before.events, before.target[:, None]))
    old, parts = net(before.parts), before.parts
    pairs = [(old[mine], after[mine], parts.last_event[mine]) for mine in before.slices()]
    first = model.recommend_codes(data, before.users, 1)[0][:, 0]
    there = before.target >= 0
    return {
        "top3": [top_overlap(a, b, last) for a, b, last in pairs],
        "first_reason": [_same_first(a, b, last) for a, b, last in pairs],
        "first_item": np.where(there, first == before.target, np.nan).tolist(),
        "same_sign": [_signs(a, b, 1) for a, b, _ in pairs],
        "flipped": [_signs(a, b, -1) for a, b, _ in pairs],
    }


def _same_first(old: np.ndarray, new: np.ndarray, last_event: np.ndarray) -> float:
    was, now = top_reasons(old, last_event, 1), top_reasons(new, last_event, 1)
    return float(np.array_equal(was, now)) if was.size else float("nan")


def _signs(old: np.ndarray, new: np.ndarray, wanted: int) -> float:
    """Share of the items with a part in the score whose signs multiply to `wanted`."""
    there = old != 0
    return float((np.sign(old[there]) * np.sign(new[there]) == wanted).mean()) if there.any() else float("nan")


def _spread(per_user: np.ndarray) -> float:
    """Standard deviation between refits of the mean over users; 0 for fewer than two refits."""
    means = [Mean.of(row).mean for row in per_user]
    return float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
