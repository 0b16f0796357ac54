"""From a data set to heads: all kernels fitted on one counting of who took what, in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from reportgen.attention.features import AGAIN, NEXT, TOGETHER, VIA, FeatureBlock
from reportgen.attention.heads import Heads
from reportgen.attention.history import event_users, took_mask
from reportgen.attention.kernels import Kernel, count_pairs, fit_together, user_item
from reportgen.attention.sequence import fit_again, fit_next, order_item
from reportgen.attention.via import fit_via
from reportgen.data.dataset import Dataset


@dataclass(frozen=True)
class KernelSettings:
    """See the parameters of `AttentionScorer`."""

    neighbours: int
    l2: float
    min_support: int
    repeat: bool
    lately: float


@dataclass(frozen=True)
class Fitted:
    """Heads and what they were counted on.

    Attributes
    ----------
    heads : Heads
    popularity : ndarray of int64, shape (I,)
        Users who took the item.
    lately : ndarray of float64, shape (I,)
        How often the item was taken, half as much for each `KernelSettings.lately` days before the newest event.
    n_users : int
        Users who took anything.
    """

    heads: Heads
    popularity: np.ndarray
    lately: np.ndarray
    n_users: int

    @property
    def base(self) -> np.ndarray:
        """The features that are the same for every user: float64, shape (2, I)."""
        return np.asarray(np.log1p(np.stack([self.popularity, self.lately])), dtype=np.float64)


def fit_heads(
    data: Dataset, looking: bool, blocks: tuple[FeatureBlock, ...], settings: KernelSettings,
    hide: np.ndarray | None = None,
) -> Fitted:  # fmt: skip
    """Fit every kernel.

    Parameters
    ----------
    data : Dataset
    looking : bool
        See `reportgen.attention.history.looking_takes`.
    blocks : tuple of FeatureBlock
    settings : KernelSettings
    hide : ndarray of bool, shape (I,), optional
        Items treated as if nobody had taken them yet, as candidates: so head weights can learn how far to trust what
        is borrowed for new items.
    """
    strong = took_mask(data, looking)
    user, item = event_users(data)[strong], data.items[strong]
    taken = user_item(user, item, data.values[strong], (data.user_ids.size, data.item_ids.size))
    pairs = count_pairs(taken, settings.min_support)
    popularity = np.asarray(taken.getnnz(axis=0)).astype(np.int64)
    lately = _lately(data, strong, settings.lately)
    orders, owner = order_item(user, data.orders[strong], item, data.item_ids.size)
    kernels = {
        TOGETHER: fit_together(taken, settings.neighbours, settings.l2, settings.min_support, pairs),
        NEXT: fit_next(orders, owner, pairs, settings.neighbours, settings.l2),
    }
    if hide is not None:
        kernels = {name: _without_columns(kernel, hide) for name, kernel in kernels.items()}
        popularity, lately = np.where(hide, 0, popularity), np.where(hide, 0.0, lately)
    kernels[VIA] = fit_via(kernels[TOGETHER].weights, blocks, popularity, settings.neighbours)
    if settings.repeat:
        kernels[AGAIN] = fit_again(orders, owner, settings.min_support)
    return Fitted(Heads(kernels, blocks), popularity, lately, int((np.diff(taken.indptr) > 0).sum()))


def _lately(data: Dataset, strong: np.ndarray, half_life: float) -> np.ndarray:
    when = data.timestamps[strong]
    days = (when.max(initial=0) - when) / 86_400e6
    return np.bincount(data.items[strong], np.exp2(-days / half_life), minlength=data.item_ids.size)


def _without_columns(kernel: Kernel, hide: np.ndarray) -> Kernel:
    keep = ~hide[kernel.weights.indices]
    row = np.repeat(np.arange(hide.size), np.diff(kernel.weights.indptr))[keep]
    place = (row, kernel.weights.indices[keep])
    parts = [
        sparse.csr_matrix((matrix.data[keep], place), shape=matrix.shape) for matrix in (kernel.weights, kernel.support)
    ]
    return replace(kernel, weights=parts[0], support=parts[1])
