"""Head weights and half-lives: chosen by what ranks best for users that did not teach them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reportgen.attention.examples import ExampleSettings, Lists, choose_users, make_lists
from reportgen.attention.fitting import Fitted
from reportgen.attention.ranking import fit_approx_ndcg, fit_bpr, ndcg_of
from reportgen.data.dataset import Dataset

#: Fewer users than this with a held-out order cannot teach head weights.
_MIN_USERS = 20
#: Users that teach the start; it only has to be good enough to find the hard examples.
_START_USERS = 300


@dataclass(frozen=True)
class Learnt:
    """What was learnt.

    Attributes
    ----------
    theta : ndarray of float64, shape (F, R)
    theta_base : ndarray of float64, shape (2,)
        For popularity over all time and lately.
    half_lives : tuple of float, length R
    learnt : bool
        False where `theta` is the even start.
    n_users : int
    chosen : str
        ``start``, ``bpr`` or ``approx_ndcg``.
    ndcg : float
        Cross-fitted NDCG@10 on the lists, NaN where nothing was learnt.
    """

    theta: np.ndarray
    theta_base: np.ndarray
    half_lives: tuple[float, ...]
    learnt: bool
    n_users: int
    chosen: str
    ndcg: float


def learn(
    train: Dataset,
    targets: list[np.ndarray],
    seen: sparse.csr_matrix,
    fitted: Fitted,
    settings: ExampleSettings,
    choices: tuple[tuple[float, ...], ...],
    rng: np.random.Generator,
) -> Learnt:
    """Learn head weights, and choose among sets of half-lives.

    For each set the weights are started by BPR and polished by ApproxNDCG. Half of the users teach, the other half
    judge by NDCG@10, and the other way round; the best pair of set and loss is then learnt again from all of them.

    Parameters
    ----------
    train, targets, seen, settings, rng
        See `reportgen.attention.examples.make_lists`; `settings.half_lives` holds every half-life of `choices`.
    fitted : Fitted
        Heads fitted on `train`.
    choices : tuple of tuples of float
    """
    users = choose_users(targets, settings.max_users, rng)
    shape = (len(fitted.heads.names), len(choices[0]))
    if users.size < _MIN_USERS:
        return _unlearnt(shape, choices[0], users.size)
    given = (seen, fitted.heads, fitted.base, settings, rng)
    few = users if users.size <= _START_USERS else np.sort(rng.choice(users, _START_USERS, replace=False))
    rough = make_lists(train, few, targets, *given)
    start = fit_bpr(rough, _even(len(fitted.heads.names), len(settings.half_lives))).theta
    lists = make_lists(train, users, targets, *given, theta=start)
    halves = np.array_split(rng.permutation(users.size), 2)
    best = max((_judge(lists, halves, settings, choice, shape[0]) for choice in choices), key=lambda found: found[0])
    ndcg, chosen, choice = best
    theta = _train(lists.of(np.arange(users.size), _columns(settings, choice, shape[0])), shape[0], len(choice))[chosen]
    return Learnt(theta[:-2].reshape(shape[0], -1), theta[-2:], choice, chosen != "start", users.size, chosen, ndcg)


def _unlearnt(shape: tuple[int, int], half_lives: tuple[float, ...], n_users: int) -> Learnt:
    even = _even(*shape)
    return Learnt(even[:-2].reshape(shape), even[-2:], half_lives, False, n_users, "start", float("nan"))


def _even(n_heads: int, n_half_lives: int) -> np.ndarray:
    """Every head alike, every half-life alike, and popularity a little."""
    return np.append(np.full(n_heads * n_half_lives, 1.0 / n_half_lives), [0.1, 0.0])


def _columns(settings: ExampleSettings, choice: tuple[float, ...], n_heads: int) -> np.ndarray:
    """Features of one set of half-lives."""
    where = [settings.half_lives.index(half_life) for half_life in choice]
    width = len(settings.half_lives)
    return np.append([head * width + r for head in range(n_heads) for r in where], n_heads * width + np.arange(2))


def _train(lists: Lists, n_heads: int, n_half_lives: int) -> dict[str, np.ndarray]:
    """Head weights by every way of learning them; a polish that finds nothing better is the start again."""
    start = _even(n_heads, n_half_lives)
    bpr = fit_bpr(lists, start).theta
    return {"start": start, "bpr": bpr, "approx_ndcg": fit_approx_ndcg(lists, bpr).theta}


def _judge(
    lists: Lists, halves: list[np.ndarray], settings: ExampleSettings, choice: tuple[float, ...], n_heads: int
) -> tuple[float, str, tuple[float, ...]]:
    """The best way to learn with one set of half-lives: (NDCG@10, way, set)."""
    columns = _columns(settings, choice, n_heads)
    scores: dict[str, list[np.ndarray]] = {}
    for teachers, judges in (halves, halves[::-1]):
        ways = _train(lists.of(teachers, columns), n_heads, len(choice))
        for way, theta in ways.items():
            scores.setdefault(way, []).append(ndcg_of(lists.of(judges, columns), theta))
    every = {way: np.concatenate(parts) for way, parts in scores.items()}
    way = "bpr" if every["bpr"].mean() >= every["start"].mean() else "start"
    gain = every["approx_ndcg"] - every[way]
    if gain.mean() > gain.std() / np.sqrt(gain.size):
        way = "approx_ndcg"  # its loss has many optima, so it must be better by more than one standard error
    return float(every[way].mean()), way, choice
