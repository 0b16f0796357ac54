"""Head weights: how much each kind of evidence, at each age, counts for the ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize


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
        Mean pairwise logistic loss before and after.
    """

    theta: np.ndarray
    improved: bool
    loss_start: float
    loss: float


def fit_bpr(difference: np.ndarray, weight: np.ndarray, start: np.ndarray, l2: float = 1e-3) -> HeadFit:
    """Bayesian personalised ranking over fixed features (Rendle et al., UAI 2009, eq. 4), with ``theta >= 0``.

    Minimises ``sum_n weight_n log(1 + exp(-theta . d_n)) + l2 |theta * scale|^2`` where ``d_n`` is the feature vector
    of an item that was taken minus that of one that was not. Columns are scaled to unit deviation while solving.

    Parameters
    ----------
    difference : ndarray of float32, shape (N, P)
    weight : ndarray of float64, shape (N,)
        Sums to 1; lets every user count alike.
    start : ndarray of float64, shape (P,)
        Kept when nothing better is found, and for features that are zero in all of `difference`: an example in which a
        kind of evidence is silent does not speak against it.
    l2 : float
        Ridge on the scaled weights.
    """
    scale = np.sqrt(np.maximum(weight @ np.square(difference, dtype=np.float64), 0.0))
    live = scale > 1e-12
    if not live.any():
        return HeadFit(start.copy(), False, float(np.log(2.0)), float(np.log(2.0)))
    scaled = difference[:, live].astype(np.float64) / scale[live]

    def loss_and_slope(theta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = scaled @ theta
        loss = float(weight @ np.logaddexp(0.0, -margin)) + l2 * float(theta @ theta)
        pull = -weight * np.exp(-np.logaddexp(0.0, margin))
        return loss, scaled.T @ pull + 2.0 * l2 * theta

    begin = start[live] * scale[live]
    loss_start = loss_and_slope(begin)[0]
    bounds = [(0.0, None)] * begin.size
    found = optimize.minimize(
        loss_and_slope, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200}
    )
    if not np.isfinite(found.fun) or found.fun >= loss_start:
        return HeadFit(start.copy(), False, loss_start, loss_start)
    theta = start.copy()
    theta[live] = found.x / scale[live]
    return HeadFit(theta, True, loss_start, float(found.fun))
