"""``evaluate``: how well recommenders find again what was hidden from them, on one's own data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from reportgen.attention.measures import MEASURES, Mean, measure
from reportgen.attention.splits import Split, split_cold, split_last_order
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError, ModelError

__all__ = [
    "MEASURES", "Evaluation", "Mean", "Quality", "Recommender", "Split", "TooLargeError", "evaluate", "evaluate_cold",
    "split_cold", "split_last_order",
]  # fmt: skip


class Recommender(Protocol):
    """Anything that can be fitted and recommends. `AttentionScorer` and all of `reportgen.attention.peers` are such."""

    def fit(self, data: Dataset) -> Any:
        """Learn from everything in `data`."""
        ...

    def recommend_codes(self, data: Dataset, users: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes int64 and scores, shape (B, n), best first, ties by code; -1 where nothing is left.

        Never an item that the user took, nor one outside the catalogue. To be judged on cold items it also takes
        ``barred=``, a mask of shape (I,) of items that must not be recommended.
        """
        ...


class TooLargeError(InputError):
    """The data are too large for this recommender, not for others: it is left out of a comparison."""


@dataclass(frozen=True)
class Quality:
    """How good one recommender is.

    Attributes
    ----------
    ndcg, recall, hit, mrr : Mean
        At `Evaluation.n`; defined in `reportgen.attention.measures.measure`.
    coverage : float
        Share of the competing items that at least one judged user was shown.
    n_users : int
        Judged users.
    seconds_fit, seconds_recommend : float, optional
        By the clock that was given; None without one.
    """

    ndcg: Mean
    recall: Mean
    hit: Mean
    mrr: Mean
    coverage: float
    n_users: int
    seconds_fit: float | None = None
    seconds_recommend: float | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Recommenders beside each other, judged on the same users and targets.

    Attributes
    ----------
    n : int
        Length of the lists.
    n_items : int
        Items that compete.
    qualities : dict of str to Quality
        In the order given.
    per_user : dict of str to (dict of str to ndarray of float64, shape (T,))
        Name -> measure -> one value per user of the split.
    left_out : dict of str to str
        Recommenders that could not be judged on these data, and why.
    """

    n: int
    n_items: int
    qualities: dict[str, Quality]
    per_user: dict[str, dict[str, np.ndarray]] = field(repr=False)
    left_out: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Quality:
        return self.qualities[name]

    @property
    def quality(self) -> Quality:
        """The only recommender's; an error where there are several."""
        if len(self.qualities) != 1:
            raise ConfigError(f"there are {len(self.qualities)} recommenders; name one: {', '.join(self.qualities)}")
        return next(iter(self.qualities.values()))

    def difference(self, name: str, other: str, measure: str = "ndcg") -> Mean:
        """How much better `name` is than `other`, user by user: sharper than the two errors side by side."""
        return Mean.of(self.per_user[name][measure] - self.per_user[other][measure])

    def figures(self) -> dict[str, float]:
        """Flat and in plain numbers: ``NAME/ndcg@10``, ``NAME/ndcg@10/se``, ``NAME/coverage@10``, ``NAME/fit_seconds``."""
        out: dict[str, float] = {}
        for name, quality in self.qualities.items():
            for what in MEASURES:
                mean: Mean = getattr(quality, what)
                out |= {f"{name}/{what}@{self.n}": mean.mean, f"{name}/{what}@{self.n}/se": mean.se}
            out[f"{name}/coverage@{self.n}"] = quality.coverage
            if quality.seconds_fit is not None and quality.seconds_recommend is not None:
                out[f"{name}/fit_seconds"] = quality.seconds_fit
                out[f"{name}/recommend_seconds"] = quality.seconds_recommend
        return out

    def to_dict(self, seconds: bool = True) -> dict[str, Any]:
        """Everything but the values per user, ready for JSON: NaN is None, seconds where they were measured and wanted."""
        return {
            "n": self.n,
            "n_items": self.n_items,
            "recommenders": {name: _plain(quality, seconds) for name, quality in self.qualities.items()},
            "left_out": dict(self.left_out),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per recommender; columns ``ndcg, ndcg_se, recall, recall_se, ..., coverage, n_users``, then seconds."""
        rows = {}
        for name, quality in self.qualities.items():
            row: dict[str, Any] = {}
            for what in MEASURES:
                row |= {what: getattr(quality, what).mean, f"{what}_se": getattr(quality, what).se}
            rows[name] = row | {"coverage": quality.coverage, "n_users": quality.n_users}
            if quality.seconds_fit is not None:
                rows[name] |= {"seconds_fit": quality.seconds_fit, "seconds_recommend": quality.seconds_recommend}
        return pd.DataFrame.from_dict(rows, orient="index")


def _plain(quality: Quality, seconds: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for what in MEASURES:
        mean: Mean = getattr(quality, what)
        out[what] = {"mean": mean.mean, "se": None if np.isnan(mean.se) else mean.se}
    out |= {"coverage": quality.coverage, "n_users": quality.n_users}
    if seconds and quality.seconds_fit is not None:
        out |= {"seconds_fit": quality.seconds_fit, "seconds_recommend": quality.seconds_recommend}
    return out


def evaluate(
    recommenders: Mapping[str, Recommender] | Recommender,
    data: Dataset | Split,
    n: int = 10,
    clock: Callable[[], float] | None = None,
) -> Evaluation:
    """Fit recommenders on what is not hidden, and count what they find again of what is.

    Every item of the catalogue competes that the user has not taken yet; nothing is sampled (Krichene and Rendle, KDD
    2020, show what sampled measures do). Users without anything to find are not counted.

    Parameters
    ----------
    recommenders : Recommender, or mapping of name -> Recommender
        Each is fitted here, whatever it learnt before. A single one is named after its class.
    data : Dataset or Split
        A data set is split by `split_last_order`.
    n : int
        Length of the lists.
    clock : callable, optional
        Returns seconds; with it the seconds of fitting and recommending are told.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        Nobody has anything to find, or the data suit none of the recommenders.
    ModelError
        A recommender breaks the rules of `Recommender`.

    Examples
    --------
    As in a grid search, choosing by the users' last orders::

        for params in ParameterGrid({"l2": [10.0, 30.0, 100.0]}):
            quality = evaluate(clone(scorer).set_params(**params), data).quality
    """
    if n < 1:
        raise ConfigError(f"n: {n!r} is too small; it must be at least 1")
    split = data if isinstance(data, Split) else split_last_order(data)
    named = recommenders if isinstance(recommenders, Mapping) else {type(recommenders).__name__: recommenders}
    qualities, per_user, left_out = {}, {}, {}
    for name, recommender in named.items():
        try:
            qualities[name], per_user[name] = _judge(name, recommender, split, n, clock)
        except TooLargeError as error:
            if len(named) == 1:
                raise
            left_out[name] = str(error)
    return Evaluation(n, split.n_candidates, qualities, per_user, left_out)


def evaluate_cold(
    recommenders: Mapping[str, Recommender] | Recommender,
    data: Dataset,
    n: int = 10,
    clock: Callable[[], float] | None = None,
    share: float = 0.15,
    random_state: int = 0,
    max_users: int | None = None,
) -> Evaluation:
    """As `evaluate`, for items nobody knows yet: some items are hidden altogether and ranked among themselves.

    See `split_cold` for who is judged, and on what. What rests on joint purchases alone has nothing to say here and
    ranks by item code; compare with content and with chance.

    Parameters
    ----------
    recommenders, n, clock
        As in `evaluate`; ``recommend_codes`` must take ``barred=``.
    data : Dataset
    share, random_state, max_users
        As in `split_cold`.
    """
    return evaluate(recommenders, split_cold(data, share, max_users, random_state), n, clock)


def _judge(
    name: str, recommender: Recommender, split: Split, n: int, clock: Callable[[], float] | None
) -> tuple[Quality, dict[str, np.ndarray]]:
    more = _restriction(name, recommender, split)
    start = clock() if clock else 0.0
    recommender.fit(split.train)
    fitted = clock() if clock else 0.0
    codes, _ = recommender.recommend_codes(split.train, split.users, n, **more)
    done = clock() if clock else 0.0
    codes = np.asarray(codes)
    _check_codes(name, codes, split, n)
    values = measure(codes, split.targets)
    coverage = np.unique(codes[codes >= 0]).size / max(split.n_candidates, 1)
    seconds = (fitted - start, done - fitted) if clock else (None, None)
    means = {what: Mean.of(values[what]) for what in MEASURES}
    return Quality(**means, coverage=coverage, n_users=split.users.size, seconds_fit=seconds[0],
                   seconds_recommend=seconds[1]), values  # fmt: skip


def _restriction(name: str, recommender: Recommender, split: Split) -> dict[str, Any]:
    if split.barred is None:
        return {}
    if "barred" not in inspect.signature(recommender.recommend_codes).parameters:
        raise ModelError(f"{name}: recommend_codes does not take barred=, so it cannot rank cold items; leave it out")
    return {"barred": split.barred}


def _check_codes(name: str, codes: np.ndarray, split: Split, n: int) -> None:
    """Refuse lists that would be counted wrongly: a hit twice, or items that do not compete."""
    n_items = split.train.item_ids.size
    if codes.shape != (split.users.size, n) or codes.dtype.kind not in "iu":
        raise ModelError(f"{name}: recommend_codes must return whole numbers of shape {(split.users.size, n)}")
    if codes.size and (codes.min() < -1 or codes.max() >= n_items):
        raise ModelError(f"{name}: recommend_codes returned an item code outside -1..{n_items - 1}")
    ordered = np.sort(codes, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise ModelError(f"{name}: recommend_codes returned an item twice in one list")
    if split.barred is not None and split.barred[codes[codes >= 0]].any():
        raise ModelError(f"{name}: recommend_codes returned an item that was barred")
