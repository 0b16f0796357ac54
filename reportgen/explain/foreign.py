"""The carrier ``ForeignExplanation``: what another model looked at, or what it says each history item adds.

It is no `Explanation`: attention weights do not sum to a score, so nothing here has a sum unless it was checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

import numpy as np

from reportgen.errors import ConfigError
from reportgen.explain.explanation import Past, Picks, Usage
from reportgen.explain.foreign_effects import Faithfulness

#: Weights of a product may differ from 1 by this and still be called a whole (half precision).
WHOLE = 5e-3
#: Base and contributions may differ from the score by this, relative to 1 + |score| (single precision).
SUMS = 1e-4
HEADS, LAYERS = ("mean", "max"), ("last", "mean")


@dataclass(frozen=True)
class Reading:
    """How several heads and layers of a table are made one weight. Contributions are always added up.

    Attributes
    ----------
    heads : str
        ``mean``, ``max``, or the name of one head of the table.
    layers : str
        ``last``, ``mean``, or the name of one layer of the table.
    """

    heads: str = "mean"
    layers: str = "last"

    def check(self, heads: tuple[str, ...], layers: tuple[str, ...]) -> None:
        """Refuse a choice that the table does not have.

        Raises
        ------
        ConfigError
        """
        for what, chosen, usual, there in (
            ("heads", self.heads, HEADS, heads),
            ("layers", self.layers, LAYERS, layers),
        ):
            if chosen not in (*usual, *there):
                known = ", ".join((*usual, *there[:20]))
                hint = "; rollout needs whole matrices: see reportgen.explain.rollout" if chosen == "rollout" else ""
                raise ConfigError(f"{what} {chosen!r} is not in the weights; use one of {known}{hint}")


@dataclass(frozen=True)
class ForeignModel:
    """What is known of a model that is not ours.

    Attributes
    ----------
    name, version : str
        In the words of whoever runs it; "" where not told.
    softmax_pooled : bool
        Its score is the sum of its attention weights times the `value` of each position, and nothing else.
    """

    name: str = ""
    version: str = ""
    softmax_pooled: bool = False


@dataclass(frozen=True)
class HowRead:
    """What was done to the table before it is shown.

    Attributes
    ----------
    heads, layers : str
        As of `Reading`; "" where the table has none, or only one.
    n_heads, n_layers : int
    aggregation : str
        What the maker of the table had put together before.
    """

    heads: str
    layers: str
    n_heads: int
    n_layers: int
    aggregation: str


@dataclass(frozen=True, eq=False, repr=False)
class ForeignExplanation:
    """What a model that is not ours says of one user's list: numbers only, no words.

    Attributes
    ----------
    user_id : str
    as_of : int
        Microseconds since 1970 UTC.
    kind : str
        ``attention`` or ``contribution``.
    past : Past
        The J history items that the weights name, newest first. ``n_events`` is 0 where the user's events do not hold the item.
    picks : Picks
    weights : ndarray of float64, shape (K, J)
        As read and put together, before any division: attention >= 0, contributions signed.
    markers, padding : ndarray of float64, shape (K,)
        The same on positions that are no items.
    scores, base : ndarray of float64, shape (K,)
        NaN where the table has none.
    usage : Usage
        ``used`` are the user's events on the J items.
    outside : int
        Items of the user's history that no weight names: cut off, or without a part.
    model : ForeignModel
    how : HowRead
    features : dict of str to tuple of str
        Text of a block of the catalogue (category, brand, ...) by history item, "" where unknown; length J.
    pick_features : dict of str to tuple of str
        The same by recommended item; length K.
    by_feature : dict of str to ndarray of float64, shape (K, J)
        The weights by feature where the table splits them; sums to `weights`.
    effects : ndarray of float64, shape (K, J), optional
        What the score loses when the events on an item do not count, measured; NaN where it was not.
    measured_by : str
        ``callback``, ``ablation``, ``closed_form`` or "".
    faithfulness : Faithfulness, optional
        Of this user's list.
    """

    user_id: str
    as_of: int
    kind: str
    past: Past
    picks: Picks
    weights: np.ndarray
    markers: np.ndarray
    padding: np.ndarray
    scores: np.ndarray
    base: np.ndarray
    usage: Usage
    outside: int
    model: ForeignModel
    how: HowRead
    features: dict[str, tuple[str, ...]]
    pick_features: dict[str, tuple[str, ...]]
    by_feature: dict[str, np.ndarray]
    effects: np.ndarray | None = None
    measured_by: str = ""
    faithfulness: Faithfulness | None = None

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of all weights of each product, items or not: float64, shape (K,)."""
        return np.asarray(self.weights.sum(axis=1) + self.markers + self.padding)

    @cached_property
    def shares(self) -> np.ndarray:
        """What part of all the weight lies on each item: float64, shape (K, J), rows sum to 1 with `rest_share`.

        Of contributions only those that speak for the product have a share.
        """
        positive = np.maximum(self.weights, 0.0)
        return _parts(positive, positive.sum(axis=1) + self._rest)

    @cached_property
    def rest_share(self) -> np.ndarray:
        """The same for positions that are no items: float64, shape (K,)."""
        return np.asarray(_parts(self._rest[:, None], np.maximum(self.weights, 0.0).sum(axis=1) + self._rest)[:, 0])

    @property
    def _rest(self) -> np.ndarray:
        return np.asarray(np.maximum(self.markers, 0.0) + np.maximum(self.padding, 0.0))

    @cached_property
    def whole(self) -> np.ndarray:
        """Whether the weights of each product sum to 1, as those of one softmax do: bool, shape (K,)."""
        return np.abs(self.total - 1.0) <= WHOLE

    @cached_property
    def gap(self) -> np.ndarray:
        """Score less base less contributions: float64, shape (K,), NaN where the table has no score. A missing base is 0."""
        return np.asarray(self.scores - np.nan_to_num(self.base) - self.total)

    @cached_property
    def sums(self) -> np.ndarray:
        """Whether base and contributions really sum to the score: bool, shape (K,); never for attention."""
        near = np.abs(self.gap) <= SUMS * (1.0 + np.abs(self.scores))
        return np.asarray(near & (self.kind == "contribution"))

    def _repr_html_(self) -> str:
        return str(import_module("reportgen.report.notebook").show_foreign(self))

    # A notebook stores this beside the page: no id and no title stands in it.
    def __repr__(self) -> str:
        k, j = self.weights.shape
        return f"<ForeignExplanation ({self.kind}) of {k} items from {j} in the history>"


def _parts(values: np.ndarray, total: np.ndarray) -> np.ndarray:
    whole = np.broadcast_to(total[:, None], values.shape)
    return np.asarray(np.divide(values, whole, out=np.zeros_like(values), where=whole > 0))
