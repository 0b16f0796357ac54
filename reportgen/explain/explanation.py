"""The carrier ``Explanation``: one user, the recommended items, every number of the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

#: Largest allowed gap between a score and the sum of its parts.
SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Past:
    """The items of a user's history, newest first (J of them).

    Attributes
    ----------
    item_id, title : ndarray of object (str), shape (J,)
    date : ndarray of int64, shape (J,)
        Newest event on the item, microseconds since 1970 UTC.
    n_events : ndarray of int64, shape (J,)
    event_type : ndarray of object (str), shape (J,)
        Of the newest event.
    hidden : ndarray of bool, shape (J,)
        True where the name must not be shown (see `reportgen.explain.privacy`). Of what such items add, only the sum is told:
        an explanation with hidden items has one kind of evidence more, ``folded``, which holds all of theirs.
    """

    item_id: np.ndarray
    title: np.ndarray
    date: np.ndarray
    n_events: np.ndarray
    event_type: np.ndarray
    hidden: np.ndarray


@dataclass(frozen=True, eq=False)
class Picks:
    """The recommended items, best first (K of them).

    Attributes
    ----------
    item_id, title : ndarray of object (str), shape (K,)
    popularity : ndarray of int64, shape (K,)
        Users who took the item.
    details : tuple of dict, length K
        What the catalogue says: ``category, brand, price, currency, url, sponsored, price_personalised`` where known.
    """

    item_id: np.ndarray
    title: np.ndarray
    popularity: np.ndarray
    details: tuple[dict[str, object], ...]


@dataclass(frozen=True)
class Usage:
    """Which of a user's events counted.

    Attributes
    ----------
    events : int
        All usable events up to the reference time.
    used : int
        Those that were scored.
    capped : int
        Older ones beyond the cap.
    excluded : int
        Left out as sensitive.
    after : int
        Later than the reference time.
    first, last : int or None
        Oldest and newest scored event on an item that may be named, microseconds since 1970 UTC.
    """

    events: int
    used: int
    capped: int
    excluded: int
    after: int
    first: int | None
    last: int | None


@dataclass(frozen=True)
class ModelFacts:
    """What a reader may ask about the model.

    Attributes
    ----------
    model_id : str
        Hash of every learnt number.
    heads : tuple of str
    live : tuple of int
        Positions of the heads that have any weight.
    fades : bool
        True when older events count less.
    n_users, n_items : int
        What it was fitted on.
    n_learnt : int
        Users whose last order taught the head weights; 0 where these are the even start.
    min_support, history_cap : int
    half_lives : tuple of float
        In orders.
    """

    model_id: str
    heads: tuple[str, ...]
    live: tuple[int, ...]
    fades: bool
    n_users: int
    n_items: int
    n_learnt: int
    min_support: int
    history_cap: int
    half_lives: tuple[float, ...]


@dataclass(frozen=True)
class Counterfactual:
    """The smallest found set of history items without which a product would leave the list.

    All events of an item count as one; the ages of the others stay as they are, and what was seen stays seen.

    Attributes
    ----------
    items : tuple of int
        Positions in `Past`, strongest first; never a hidden one. Empty where no set of at most `none_up_to` was found.
    minimal : str
        ``proven``: no smaller set of any items does this (or, without items, no set up to that size does);
        ``best found``: a smaller one was not found.
    rank_before, rank_after : int
        Among all products that could be listed, 1 is the best. `rank_after` is from scoring again without the items.
    none_up_to : int
        The largest size that was looked at.
    """

    items: tuple[int, ...]
    minimal: str
    rank_before: int
    rank_after: int
    none_up_to: int


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why one user sees these items: numbers only, no words. In a notebook it shows itself as a report.

    Attributes
    ----------
    user_id : str
    as_of : int
        Reference time, microseconds since 1970 UTC.
    past : Past
    picks : Picks
    contributions : ndarray of float64, shape (K, J, F)
        Signed. ``base + contributions.sum((1, 2)) == scores`` within 1e-9: checked when made.
    base, scores : ndarray of float64, shape (K,)
    support : ndarray of int64, shape (K, J)
        Users who took both items, 0 where no such pair was used.
    usage : Usage
    model : ModelFacts
    counterfactuals : tuple of Counterfactual or None
        One per recommended item, None where nothing in the history concerns it; empty where they were not asked for.
    unconfirmed : int
        Counterfactuals that were found but not confirmed by scoring again, and are left out for that reason.
    """

    user_id: str
    as_of: int
    past: Past
    picks: Picks
    contributions: np.ndarray
    base: np.ndarray
    scores: np.ndarray
    support: np.ndarray
    usage: Usage
    model: ModelFacts
    counterfactuals: tuple[Counterfactual | None, ...] = ()
    unconfirmed: int = 0

    def __post_init__(self) -> None:
        gap = self.sum_gap
        if not gap <= SUM_TOLERANCE:  # written so that NaN fails too
            raise AssertionError(f"contributions and base differ from the score by {gap:.3g}")

    @property
    def sum_gap(self) -> float:
        """Largest distance between a score and the sum of its parts."""
        return float(np.abs(self.base + self.contributions.sum(axis=(1, 2)) - self.scores).max(initial=0.0))

    @cached_property
    def net(self) -> np.ndarray:
        """Contribution of each history item, all heads together: float64, shape (K, J)."""
        return np.asarray(self.contributions.sum(axis=2))

    @cached_property
    def attention(self) -> np.ndarray:
        """Attention weights: what share of all that spoke *for* an item came from each history item and head.

        float64, shape (K, J, F), >= 0; each item's weights sum to 1, or to 0 where nothing speaks for it.
        History items whose net contribution is negative count against and have weight 0.
        """
        for_it = np.maximum(self.net, 0.0)
        return attention_weights(self.contributions, for_it, for_it.sum(axis=1, keepdims=True))

    def plot_attention(self, ax: Any = None, k: int = 0, locale: str = "en") -> Any:
        """Bars of attention over the history for recommended item `k`, 0 the best.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A figure of its own when None, without pyplot.
        k : int
        locale : str

        Returns
        -------
        reportgen.report.displays.AttentionDisplay
            With ``ax_``, ``figure_``, ``bars_``, ``text_``, ``to_png()``, ``to_svg()``, ``save(path)``; a notebook shows it.

        Raises
        ------
        IndexError
            There is no item `k`.
        RenderError
            A text that no font can draw.
        """
        return import_module("reportgen.report.displays").AttentionDisplay.from_explanation(self, k, locale).plot(ax)

    def plot_heatmap(self, ax: Any = None, k: int | None = None, locale: str = "en") -> Any:
        """Heatmap of history x recommended items; with `k`, of history x kind of evidence for that item.

        Parameters and errors as of `plot_attention`.

        Returns
        -------
        reportgen.report.displays.HeatmapDisplay
            With ``im_`` in place of ``bars_``.
        """
        return import_module("reportgen.report.displays").HeatmapDisplay.from_explanation(self, k, locale).plot(ax)

    def _repr_html_(self) -> str:
        return str(import_module("reportgen.report.notebook").show_explanation(self))

    # A notebook stores this beside the page: no id and no title stands in it.
    def __repr__(self) -> str:
        hidden = f", {int(self.past.hidden.sum())} of them not shown" if self.past.hidden.any() else ""
        return f"<Explanation of {len(self.scores)} items from {self.past.hidden.size} in the history{hidden}>"

    def to_frame(self) -> pd.DataFrame:
        """The weight table in long form: one row per recommended item, history item and head with a contribution.

        It is for the operator, not for a page: it holds the user id and the ids of hidden items.
        """
        k, j, f = np.nonzero(self.contributions)
        return pd.DataFrame(
            {
                "user_id": self.user_id,
                "rank": k + 1,
                "item_id": self.picks.item_id[k],
                "history_item_id": self.past.item_id[j],
                "head": np.array(self.model.heads, dtype=object)[f],
                "contribution": self.contributions[k, j, f],
                "attention_weight": self.attention[k, j, f],
                "base": self.base[k],
                "score": self.scores[k],
            }
        )


def attention_weights(contributions: np.ndarray, for_it: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Split what speaks for a product over history items and heads; see `Explanation.attention`.

    Parameters
    ----------
    contributions : ndarray of float64, shape (..., F)
    for_it : ndarray of float64, shape (...)
        What each history item adds, 0 where it takes something away.
    total : ndarray of float64
        The sum of `for_it` over the history of each product; one that goes with its shape.

    Returns
    -------
    ndarray of float64, shape (..., F)
    """
    share = np.divide(for_it, total, out=np.zeros_like(for_it), where=total > 0)
    positive = np.maximum(contributions, 0.0)
    part = positive.sum(axis=-1, keepdims=True)
    within = np.divide(positive, part, out=np.zeros_like(positive), where=part > 0)
    return np.asarray(share[..., None] * within)
