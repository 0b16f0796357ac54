"""Would the reasons be the same had other people been in the data? A bootstrap over users (Efron, Annals of Statistics 1979).

Each refit is a function of model, data, seed and its own number, and of nothing else: refits may be made one by one, in any order, today
and tomorrow, and twenty of them begin with the ten of a shorter measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.explain.ranks import Mean, top_overlap, top_reasons
from reportgen.explain.removal import Cases, choose_sample, net

#: Users explained when none are named.
_SAMPLE = 100
#: Of each user, averaged over refits; `Stability` says what each is.
MEASURES = ("top3", "first_reason", "first_item", "same_sign", "flipped")
#: Bins of the shares of single users, each from its edge to before the next; the last holds 1.
EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Stability:
    """How much of an explanation stays when the model is fitted on users drawn anew; means over the users explained.

    Attributes
    ----------
    n_boot : int
        Refits on users drawn anew.
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
        Standard deviation of each mean between refits; 0 for fewer than two.
    unchanged : dict of str to float
        The means for one fit on all users as they are, nobody drawn: all 1 (`flipped` 0) for a model that was learnt from these data. Else
        the model is of other data, and what is lost here is lost in every refit. Empty without refits.
    by_user : dict of str to tuple of int
        Users by their share of refits, in the bins of `EDGES`.
    """

    n_boot: int
    random_state: int
    top3: Mean
    first_reason: Mean
    first_item: Mean
    same_sign: Mean
    flipped: Mean
    spread: dict[str, float]
    unchanged: dict[str, float]
    by_user: dict[str, tuple[int, ...]]

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        return {name: vars(value) if isinstance(value, Mean) else value for name, value in vars(self).items()}


class Bootstrap:
    """One measurement: what was explained at first, and how it is explained again.

    A person drawn several times counts as several, so a pair of items can pass the support floor with fewer different people
    than usual: refits are for this measurement only and are never shown.

    Parameters
    ----------
    scorer : AttentionScorer
        Fitted; a refit takes its parameters.
    data : Dataset
        What refits are fitted on, and the histories that are explained.
    users : ndarray of int64, shape (B,)
        Codes of the users who are explained.
    random_state : int
    barred, left_out : ndarray of bool, shape (I,), optional
        As in `AttentionScorer.recommend_codes`.

    Raises
    ------
    ModelError
        The scorer belongs to another catalogue.
    """

    def __init__(
        self, scorer: AttentionScorer, data: Dataset, users: np.ndarray, random_state: int = 0,
        barred: np.ndarray | None = None, left_out: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.scorer, self.data, self.random_state = scorer, scorer.check_data(data), random_state
        self._barred, self._left_out = barred, left_out
        target = scorer.recommend_codes(data, users, 1, barred, left_out)[0][:, 0]
        self.before = Cases.make(scorer, data, users, target, left_out)

    def refit(self, number: int) -> np.ndarray:
        """Fit again and explain the same products to the same users.

        Parameters
        ----------
        number : int
            From 1: users are drawn by the seed and this number. 0 draws nobody and takes all users once.

        Returns
        -------
        ndarray of float64, shape (len(MEASURES), B)
            NaN where the first product has no reason to lose.
        """
        drawn = resample_users(self.data, np.random.default_rng([self.random_state, number])) if number else self.data
        return self._measured(refit(self.scorer, drawn))

    def _measured(self, model: AttentionScorer) -> np.ndarray:
        before = self.before
        after = net(model.contributions(before.events, before.target[:, None]))
        old, last = net(before.parts), before.parts.last_event
        pairs = [(old[mine], after[mine], last[mine]) for mine in before.slices()]
        first = model.recommend_codes(self.data, before.users, 1, self._barred, self._left_out)[0][:, 0]
        found = {
            "top3": [top_overlap(a, b, newest) for a, b, newest in pairs],
            "first_reason": [_same_first(a, b, newest) for a, b, newest in pairs],
            "first_item": np.where(before.target >= 0, first == before.target, np.nan),
            "same_sign": [_signs(a, b, 1) for a, b, _ in pairs],
            "flipped": [_signs(a, b, -1) for a, b, _ in pairs],
        }
        return np.array([found[name] for name in MEASURES], dtype=np.float64).reshape(len(MEASURES), before.users.size)

    def summary(self, drawn: Sequence[np.ndarray]) -> Stability:
        """Means of what `refit` found for 0, 1, ... in this order; nothing at all is no refit."""
        n_boot, n_users = max(len(drawn) - 1, 0), self.before.users.size
        values = np.array(drawn[1:], dtype=np.float64).reshape(n_boot, len(MEASURES), n_users)
        by_name = dict(zip(MEASURES, values.swapaxes(0, 1), strict=True))
        nobody = np.full(n_users, np.nan)
        per_user = {name: found.mean(axis=0) if n_boot else nobody for name, found in by_name.items()}
        same = {name: Mean.of(row).mean for name, row in zip(MEASURES, drawn[0], strict=True)} if drawn else {}
        return Stability(
            n_boot, self.random_state,
            **{name: Mean.of(shares) for name, shares in per_user.items()},
            spread={name: _spread(found) for name, found in by_name.items()},
            unchanged=same, by_user={name: _binned(shares) for name, shares in per_user.items()},
        )  # fmt: skip


def stability_report(
    data: Dataset,
    scorer: AttentionScorer | None = None,
    n_boot: int = 20,
    users: np.ndarray | None = None,
    random_state: int = 0,
) -> Stability:
    """Refit on users drawn with replacement and explain the same products to the same users again.

    Parameters
    ----------
    data : Dataset
    scorer : AttentionScorer, optional
        Fitted on `data`, or not: then it is fitted here, with its parameters. The usual ones when None.
    n_boot : int
        Refits on users drawn anew; one more is made on the users as they are. 0 makes none.
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
    order = np.random.default_rng(random_state).permutation(model.check_data(data).user_ids.size)
    users = users if users is not None else np.sort(choose_sample(model, data, order, _SAMPLE))
    boot = Bootstrap(model, data, users, random_state)
    return boot.summary([boot.refit(number) for number in range(n_boot + 1)] if n_boot else [])


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


def _binned(shares: np.ndarray) -> tuple[int, ...]:
    """Users per bin; those without a share are in none. Whole quotients fall where they belong: .6 is not below .6."""
    there = np.round(shares[~np.isnan(shares)], 9)
    return tuple(int(count) for count in np.histogram(there, EDGES)[0])
