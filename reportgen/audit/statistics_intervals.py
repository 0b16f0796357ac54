"""Estimates with intervals at 95 %, from counts and sums alone.

The people of a run are taken as a draw from all who could have come: an interval says how far a figure could be off for them. Of the run
itself every figure is exact. Means use Student's t (Student, "The Probable Error of a Mean", Biometrika 1908), shares of people Wilson's
interval (Wilson, JASA 1927), which stays within 0 and 1 and is never empty. A ratio of two means is taken on the scale of its logarithm,
with the variance by the delta method (Katz et al., Biometrics 1978, for two shares).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.special import stdtrit

#: Two-sided 95 %.
_UPPER, Z = 0.975, 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Attributes
    ----------
    mean : float
    low, high : float or None
        At 95 %; None with fewer than two people.
    se : float or None
        Standard error of the mean.
    n : int
        People behind it.
    """

    mean: float
    low: float | None
    high: float | None
    se: float | None
    n: int

    def to_dict(self) -> dict[str, Any]:
        """As plain data, to six decimals: more would say nothing."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in vars(self).items()}


def mean_of(total: int, squares: int, n: int, unit: float, most: float | None = 1.0) -> Estimate | None:
    """A mean over people with Student's interval, or Wilson's where a share is 0 or 1 for all of them; None for nobody.

    Parameters
    ----------
    total, squares : int
        Sum and sum of squares, in units of `unit`.
    n : int
    unit : float
        How many units make one.
    most : float, optional
        The largest possible value, 0 being the smallest: an interval ends there. None where there is none.
    """
    if not n:
        return None
    mean = total / n / unit
    if n < 2:
        return Estimate(mean, None, None, None, n)
    if most == 1.0 and mean in (0.0, 1.0):  # all alike: the spread says 0, and knows nothing of those who did not come
        return share_of(round(mean) * n, n)
    # Whole numbers up to here: the difference of two large sums loses nothing.
    variance = (n * squares - total * total) / (n * (n - 1)) / unit**2
    se = math.sqrt(max(variance, 0.0) / n)
    half = float(stdtrit(n - 1, _UPPER)) * se
    high = mean + half if most is None else min(mean + half, most)
    return Estimate(mean, max(mean - half, 0.0), high, se, n)


def share_of(count: int, n: int) -> Estimate | None:
    """A share of people with Wilson's interval; None for nobody."""
    if not n:
        return None
    share, square = count / n, Z * Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    low, high = (0.0 if not count else middle - half), (1.0 if count == n else middle + half)
    return Estimate(share, low, high, math.sqrt(share * (1 - share) / n), n)


def ratio_of(part: Estimate, reference: Estimate) -> Estimate | None:
    """How many times the mean of a reference group another group's mean is; None where the reference is 0."""
    if not reference.mean:
        return None
    ratio = part.mean / reference.mean
    if not ratio or part.se is None or reference.se is None:
        return Estimate(ratio, None, None, None, part.n)
    spread = math.sqrt((part.se / part.mean) ** 2 + (reference.se / reference.mean) ** 2)
    return Estimate(ratio, ratio * math.exp(-Z * spread), ratio * math.exp(Z * spread), ratio * spread, part.n)


def change_of(now: Estimate, before: Estimate) -> Estimate:
    """A difference of two means, as if the people of both runs were others: where they are the same, the true interval is narrower."""
    change = now.mean - before.mean
    if now.se is None or before.se is None:
        return Estimate(change, None, None, None, now.n)
    se = math.hypot(now.se, before.se)
    return Estimate(change, change - Z * se, change + Z * se, se, now.n)


def crossed_mean(mean: float, se: float, n: int, spread: float, rounds: int) -> Estimate | None:
    """A share averaged over people and over rounds that all of these people went through, such as refits; None for nobody.

    With N people, R rounds and variances p of people, r of rounds and e of what is left, the mean has the variance ``p/N + r/R + e/NR``.
    ``se**2`` estimates ``p/N + e/NR`` and ``spread**2 / R`` estimates ``r/R + e/NR``: their sum is too large by ``e/NR``, never too small.

    Parameters
    ----------
    mean : float
        From 0 to 1.
    se : float
        Standard error over people of each one's mean over rounds.
    n : int
        People.
    spread : float
        Standard deviation between rounds of each one's mean over people.
    rounds : int

    Returns
    -------
    Estimate or None
        Student's interval with the degrees of freedom of the smaller number; where the share is 0 or 1 throughout, Wilson's for so many
        cases. Without interval for fewer than two people or rounds.
    """
    least = min(n, rounds)
    if not n or not rounds:
        return None
    if least < 2:
        return Estimate(mean, None, None, None, n)
    if not se and not spread and mean in (0.0, 1.0):
        alike = share_of(round(mean) * least, least)
        return alike and Estimate(mean, alike.low, alike.high, 0.0, n)
    both = math.hypot(se, spread / math.sqrt(rounds))
    half = float(stdtrit(least - 1, _UPPER)) * both
    return Estimate(mean, max(mean - half, 0.0), min(mean + half, 1.0), both, n)


def zero_defect_size(share: float, confidence: float = 0.95) -> int:
    """How many cases must be free of a defect to say, with this confidence, that fewer than `share` of all have it.

    ``ceil(ln(1 - confidence) / ln(1 - share))``: 59 for one in twenty, 299 for one in a hundred (discovery sampling).
    """
    return math.ceil(math.log(1 - confidence) / math.log(1 - share))
