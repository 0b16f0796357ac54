"""Two sampling explainers for any score, as a yardstick: one-permutation SHAP and LIME. Vectorised, and given every help.

Both ask the score about parts of one history. Players are the items of the history, so their answers can be laid beside the
exact contributions. The score is asked in whichever of its two ways is quicker for the case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reportgen import AttentionScorer
from reportgen.attention.history import Events

#: Perturbed histories that LIME asks for each user.
SAMPLES = 500


@dataclass(frozen=True)
class Case:
    """One user and the items to explain.

    Attributes
    ----------
    events : Events
        The history of one user.
    player : ndarray of int64, shape (E,)
        Which history item each event is on; players are numbered by item code.
    candidates : ndarray of int64, shape (K,)
    """

    events: Events
    player: np.ndarray
    candidates: np.ndarray

    @property
    def n_players(self) -> int:
        return int(self.player.max()) + 1


def ask(scorer: AttentionScorer, cases: list[Case], masks: list[np.ndarray], bulk: bool) -> list[np.ndarray]:
    """Scores of the candidates for parts of histories, all cases in one call: for each case shape (M, K).

    Parameters
    ----------
    masks : list of ndarray of bool, shape (M, P)
        One for each case; True for the history items that stay.
    bulk : bool
        True asks the product over all items (float32), False the sum over the candidates alone (float64).
    """
    start = np.cumsum([0, *(len(mask) for mask in masks)])
    found = [np.nonzero(mask[:, case.player]) for case, mask in zip(cases, masks, strict=True)]
    row = np.concatenate([part + at for (part, _), at in zip(found, start, strict=False)])

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(case.events, name)[e] for case, (_, e) in zip(cases, found, strict=True)])

    events = Events(row, column("item"), column("age"), column("value"), column("event"), int(start[-1]))
    wanted = np.repeat([case.candidates for case in cases], np.diff(start), axis=0)
    if bulk:
        answers = np.take_along_axis(scorer.score_events(events), wanted, axis=1).astype(np.float64)
    else:
        answers = scorer.contributions(events, wanted).score
    return np.split(answers, start[1:-1])


def permutation_shap(
    scorer: AttentionScorer, cases: list[Case], rng: np.random.Generator, bulk: bool
) -> list[np.ndarray]:
    """Marginal gains along one random order of the players (Castro et al., 2009; Lundberg and Lee, 2017): (P, K)."""
    places = [rng.permutation(case.n_players) for case in cases]
    masks = [place[None, :] < np.arange(place.size + 1)[:, None] for place in places]
    answers = ask(scorer, cases, masks, bulk)
    return [np.diff(answer, axis=0)[place] for answer, place in zip(answers, places, strict=True)]


def lime(scorer: AttentionScorer, cases: list[Case], rng: np.random.Generator, bulk: bool) -> list[np.ndarray]:
    """A local linear model (Ribeiro, Singh and Guestrin, KDD 2016) from 500 samples: (P, K).

    As for texts there: each sample leaves out a random number of random players, the first none; nearness is
    ``exp(-d^2 / 25^2)`` with ``d`` a hundred times the cosine distance to the whole; then weighted ridge regression.
    """
    masks = [_samples(case.n_players, rng) for case in cases]
    answers = ask(scorer, cases, masks, bulk)
    return [_regress(mask, answer) for mask, answer in zip(masks, answers, strict=True)]


def _samples(players: int, rng: np.random.Generator) -> np.ndarray:
    gone = rng.integers(1, players + 1, SAMPLES)
    gone[0] = 0
    rank = np.argsort(np.argsort(rng.random((SAMPLES, players)), axis=1), axis=1)
    return np.asarray(rank >= gone[:, None])


def _regress(masks: np.ndarray, answers: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    distance = 100.0 * (1.0 - np.sqrt(masks.mean(axis=1)))
    weight = np.exp(-((distance / 25.0) ** 2))
    x = masks - np.average(masks, axis=0, weights=weight)
    y = answers - np.average(answers, axis=0, weights=weight)
    normal = (x * weight[:, None]).T @ x + ridge * np.eye(masks.shape[1])
    return np.asarray(np.linalg.solve(normal, (x * weight[:, None]).T @ y))
