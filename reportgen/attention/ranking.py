"""Losses over short lists, and the head weights that make them small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from reportgen.attention.examples import Lists

_CHUNK = 50
Loss = Callable[[np.ndarray, np.ndarray, Lists], tuple[float, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class HeadFit:
    """Learnt head weights.

    Attributes
    ----------
    theta : ndarray of float64, shape (P,)
        Non-negative.
    improved : bool
        False when the optimiser could not better the start, which was then kept.
    loss_start, loss : float
        Before and after, with the ridge.
    """

    theta: np.ndarray
    improved: bool
    loss_start: float
    loss: float


def fit_bpr(lists: Lists, start: np.ndarray, l2: float = 1e-3) -> HeadFit:
    """Bayesian personalised ranking over fixed features (Rendle et al., UAI 2009, eq. 4), with ``theta >= 0``.

    Minimises the mean over users of ``log(1 + exp(-(s_taken - s_other)))`` over all pairs of a list, plus
    ``l2 |theta * scale|^2``. Columns are scaled to unit deviation while solving.

    Parameters
    ----------
    lists : Lists
    start : ndarray of float64, shape (P,)
        Kept when nothing better is found, and for features that are zero in all lists: an example in which a kind of
        evidence is silent does not speak against it.
    l2 : float
        Ridge on the scaled weights.
    """
    return _fit(lists, start, _bpr, l2, 100)


def fit_approx_ndcg(lists: Lists, start: np.ndarray, l2: float = 1e-4) -> HeadFit:
    """ApproxNDCG (Qin, Liu and Li, Information Retrieval 13, 2010, eq. 11 and 13), with ``theta >= 0``.

    The rank of a taken item is ``1 + sum_j w_j sigmoid(s_j - s_taken)`` over the rest of the list, where ``w_j`` is how
    many items of the shop ``j`` stands for. The loss is ``1 - mean NDCG``. It is not convex: a good start matters.

    Parameters as in `fit_bpr`.
    """
    return _fit(lists, start, _approx_ndcg, l2, 60)


def ndcg_of(lists: Lists, theta: np.ndarray, n: int = 10) -> np.ndarray:
    """NDCG@n of each user by true ranks (ties count half): float64, shape (U,)."""
    taken, other = lists.taken @ theta, lists.other @ theta
    taken = np.where(lists.there, taken, -np.inf)
    ahead = (other[:, None, :] > taken[:, :, None]) + 0.5 * (other[:, None, :] == taken[:, :, None])
    rank = 1.0 + (ahead * lists.weight[:, None, :]).sum(axis=2) + (taken[:, None, :] > taken[:, :, None]).sum(axis=2)
    gain = np.where(lists.there & (rank < n + 1), 1.0 / np.log2(1.0 + rank), 0.0)
    ideal = np.cumsum(1.0 / np.log2(2.0 + np.arange(n)))
    return np.asarray(gain.sum(axis=1) / ideal[np.minimum(lists.there.sum(axis=1), n) - 1])


def _fit(lists: Lists, start: np.ndarray, loss: Loss, l2: float, rounds: int) -> HeadFit:
    scale = _scale(lists)
    live = scale > 1e-9
    if not live.any():
        return HeadFit(start.copy(), False, np.nan, np.nan)

    def loss_and_slope(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _over_chunks(lists, _widen(theta / scale[live], live), loss)
        return value + l2 * float(theta @ theta), slope[live] / scale[live] + 2.0 * l2 * theta

    begin = start[live] * scale[live]
    before = loss_and_slope(begin)[0]
    found = optimize.minimize(
        loss_and_slope, begin, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * begin.size,
        options={"maxiter": rounds, "ftol": 1e-7},
    )  # fmt: skip
    if not np.isfinite(found.fun) or found.fun >= before:
        return HeadFit(start.copy(), False, before, before)
    theta = start.copy()
    theta[live] = found.x / scale[live]
    return HeadFit(theta, True, before, float(found.fun))


def _widen(theta: np.ndarray, live: np.ndarray) -> np.ndarray:
    wide = np.zeros(live.size)
    wide[live] = theta
    return wide


def _scale(lists: Lists) -> np.ndarray:
    """Root mean square distance of the taken items from the others, per feature."""
    centre = (lists.other * lists.weight[:, :, None].astype(np.float32)).sum(axis=1, dtype=np.float64)
    centre /= np.maximum(lists.weight.sum(axis=1), 1.0)[:, None]
    gap = (lists.taken - centre[:, None, :])[lists.there]
    return np.sqrt(np.square(gap, dtype=np.float64).mean(axis=0)) if gap.size else np.zeros(lists.taken.shape[2])


def _over_chunks(lists: Lists, theta: np.ndarray, loss: Loss) -> tuple[float, np.ndarray]:
    """Loss and slope in `theta`, some users at a time so that the temporaries stay in the cache."""
    wide = theta.astype(np.float32)
    value, slope = 0.0, np.zeros(theta.size)
    for at in range(0, lists.n_users, _CHUNK):
        part = Lists(*(getattr(lists, name)[at : at + _CHUNK] for name in ("taken", "there", "other", "weight")))
        taken, other = part.taken @ wide, part.other @ wide
        some, by_taken, by_other = loss(taken, other, part)
        value += some / lists.n_users
        slope += np.tensordot(by_taken, part.taken, 2) / lists.n_users
        slope += np.tensordot(by_other, part.other, 2) / lists.n_users
    return value, slope


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def _bpr(taken: np.ndarray, other: np.ndarray, part: Lists) -> tuple[float, np.ndarray, np.ndarray]:
    margin = taken[:, :, None] - other[:, None, :]
    pair = part.there[:, :, None] * np.minimum(part.weight, 1.0)[:, None, :]
    pair = (pair / np.maximum(pair.sum(axis=(1, 2), keepdims=True), 1.0)).astype(np.float32)
    pull = -pair * _sigmoid(-margin)
    return float((pair * np.logaddexp(0.0, -margin)).sum()), pull.sum(axis=2), -pull.sum(axis=1)


def _approx_ndcg(taken: np.ndarray, other: np.ndarray, part: Lists) -> tuple[float, np.ndarray, np.ndarray]:
    weight, there = part.weight.astype(np.float32), part.there
    over = _sigmoid(other[:, None, :] - taken[:, :, None])
    among = _sigmoid(taken[:, None, :] - taken[:, :, None]) * (there[:, None, :] & ~np.eye(there.shape[1], dtype=bool))
    rank = 1.0 + np.einsum("utm,um->ut", over, weight) + among.sum(axis=2)
    log = np.log(1.0 + rank)
    ideal = np.cumsum(1.0 / np.log2(2.0 + np.arange(there.shape[1])))[there.sum(axis=1) - 1]
    each = there / ideal[:, None]
    value = float(there.shape[0] - (each * np.log(2.0) / log).sum())
    steep = (each * np.log(2.0) / ((1.0 + rank) * log**2)).astype(np.float32)  # of the loss in the rank
    bend_other = over * (1.0 - over) * weight[:, None, :] * steep[:, :, None]
    bend_among = among * (1.0 - among) * steep[:, :, None]
    by_taken = bend_among.sum(axis=1) - bend_among.sum(axis=2) - bend_other.sum(axis=2)
    return value, by_taken, bend_other.sum(axis=1)
