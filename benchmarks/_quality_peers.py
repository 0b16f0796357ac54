"""The peers of the quality benchmark, their grids, and the settings that validation chose.

Settings are chosen by NDCG@10 on a validation split that is cut from the training part in the way the test split was cut from the
whole: the test targets play no part. ``quality.py --tune`` does the search again; ``TUNED`` keeps what it found.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

from sklearn.model_selection import ParameterGrid

from reportgen.attention.evaluation import Evaluation, Split, evaluate
from reportgen.attention.peers import ALS, EASE, Content, ItemKNN, Popularity, Random

Settings = dict[str, Any]

_L2 = [50.0, 100.0, 200.0, 500.0, 1000.0]
_HALF_LIVES = [1.5, 3.0, 5.0, 10.0, 20.0, 50.0]
GRIDS: dict[str, dict[str, list[Any]]] = {
    "itemknn": {"neighbours": [20, 50, 100, 200, 500], "shrinkage": [0.0, 10.0, 50.0, 100.0]},
    "ease": {"l2": _L2},
    "ease-recency": {"l2": _L2, "half_life": _HALF_LIVES},
    "als": {"factors": [32, 64, 128, 256], "l2": [1.0, 10.0, 20.0], "alpha": [1.0, 5.0], "iterations": [15]},
    "bpr": {"factors": [64, 128], "l2": [0.01, 0.05], "rate": [0.05], "iterations": [100, 200]},
}
#: SASRec takes minutes for each setting: the share left out is searched, the number of epochs is read off on the way.
SASREC_GRID = {"dropout": [0.3, 0.5]}
SASREC_MOST_EPOCHS = 60

#: Data -> peer -> settings found by ``--tune``; of several draws, on the first. `implicit` and `torch` are as pinned in pyproject.toml.
TUNED: dict[str, dict[str, Settings]] = {
    "ml-100k": {
        "itemknn": {"neighbours": 500, "shrinkage": 0.0},
        "ease": {"l2": 100.0},
        "ease-recency": {"l2": 500.0, "half_life": 5.0},
        "als": {"factors": 256, "l2": 10.0, "alpha": 1.0, "iterations": 15},
        "bpr": {"factors": 128, "l2": 0.05, "rate": 0.05, "iterations": 200},
        "sasrec": {"dropout": 0.3, "epochs": 40},
    },
    "strong": {
        "itemknn": {"neighbours": 200, "shrinkage": 10.0},
        "ease": {"l2": 500.0},
        "als": {"factors": 128, "l2": 10.0, "alpha": 1.0, "iterations": 15},
    },
    "uci": {
        "ease": {"l2": 500.0},
        "ease-recency": {"l2": 500.0, "half_life": 3.0},
        "als": {"factors": 128, "l2": 10.0, "alpha": 1.0, "iterations": 15},
    },
    "shop": {},
}

#: Which peers can say something in which protocol. Factors of BPR and an order of events need a known user, in order.
PEERS: dict[str, tuple[str, ...]] = {
    "ml-100k": ("popularity", "itemknn", "ease", "ease-recency", "als", "bpr", "sasrec"),
    "uci": ("popularity", "itemknn", "ease", "ease-recency", "als"),
    "shop": ("popularity", "itemknn", "ease", "ease-recency", "als", "bpr"),
    "strong": ("popularity", "itemknn", "ease", "als"),
    "cold": ("random", "tags", "title", "content"),
}


def missing(name: str) -> str:
    """The optional package that a peer needs and that is not installed, or ""."""
    package = {"als": "implicit", "bpr": "implicit", "sasrec": "torch"}.get(name, "")
    return package if package and importlib.util.find_spec(package) is None else ""


def make(name: str, settings: Settings) -> Any:
    """A peer, not fitted."""
    if name == "bpr":
        from _implicit import BPR

        return BPR(**settings)
    if name == "sasrec":
        from _sasrec import SASRec

        return SASRec(**settings)
    kinds: dict[str, Callable[..., Any]] = {
        "popularity": Popularity, "itemknn": ItemKNN, "ease": EASE, "ease-recency": EASE, "als": ALS,
        "random": Random, "content": Content,
        "tags": lambda: Content({"tags": ("tags", "tags")}), "title": lambda: Content({"title": ("title", "text")}),
    }  # fmt: skip
    return kinds[name](**settings)


def tune(name: str, split: Split, wrap: Callable[[Any], Any]) -> Settings:
    """The best settings of a peer on a validation split, told on stderr.

    Parameters
    ----------
    name : str
    split : Split
        Of the training part.
    wrap : callable
        What the protocol puts around a recommender.
    """
    if name == "sasrec":
        return _tune_sasrec(split)
    if name not in GRIDS:
        return {}
    early = {key: values for key, values in GRIDS[name].items() if key != "half_life"}
    tried = []
    for one in ParameterGrid(early):
        model = make(name, one)
        fitted = _Fitted(wrap(model).fit(split.train))
        for half_life in GRIDS[name].get("half_life", [float("inf")]):  # it matters for scoring alone
            model.half_life = half_life
            late = {"half_life": half_life} if "half_life" in GRIDS[name] else {}
            tried.append((quality(evaluate(fitted, split)), one | late))
    best, settings = max(tried, key=lambda pair: pair[0])  # the first of equals
    print(f"{name}: validation ndcg@10 {best:.4f} with {settings}, {len(tried)} tried", file=sys.stderr, flush=True)
    return dict(settings)


def quality(found: Evaluation) -> float:
    """NDCG@10 of the only recommender."""
    return found.quality.ndcg.mean


def _tune_sasrec(split: Split) -> Settings:
    """Number of epochs by early stopping, for each share left out."""
    tried = []
    for one in ParameterGrid(SASREC_GRID):
        seen: list[float] = []

        def watch(model: Any, seen: list[float] = seen) -> float:
            seen.append(quality(evaluate(_Fitted(model), split)))
            return seen[-1]

        model = make("sasrec", {"watch": watch, "epochs": SASREC_MOST_EPOCHS, **one}).fit(split.train)
        tried.append((max(seen), {"epochs": model.best_epochs_, **one}))
        print(f"sasrec: validation ndcg@10 {tried[-1][0]:.4f} with {tried[-1][1]}", file=sys.stderr, flush=True)
    return max(tried, key=lambda pair: pair[0])[1]


class _Fitted:
    """A recommender in the middle of its training: `evaluate` must not begin it again."""

    def __init__(self, model: Any) -> None:
        self.model, self.recommend_codes = model, model.recommend_codes

    def fit(self, data: Any) -> _Fitted:  # noqa: ARG002
        return self
