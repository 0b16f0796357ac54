"""From a model's attention or contributions to the long table of weights, for whoever writes an extractor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reportgen.data.weights_check import KINDS
from reportgen.errors import InputError


def weights_frame(
    user_id: str,
    item_ids: Sequence[str],
    history_item_ids: Sequence[str | None],
    weights: np.ndarray,
    *,
    scores: Sequence[float] | np.ndarray | None = None,
    base: Sequence[float] | np.ndarray | None = None,
    kind: str = "attention",
    aggregation: str = "",
) -> pd.DataFrame:
    """The weights of one user as rows of the table that `reportgen.data.weights.read_weights` takes.

    Parameters
    ----------
    user_id : str
    item_ids : sequence of str, length K
        Recommended items, best first.
    history_item_ids : sequence of str or None, length T
        What the model was shown, oldest first; None or "" at padding positions.
    weights : ndarray of float, shape (T,), (K, T), (H, K, T) or (L, H, K, T)
        (T,): the same for all items, as of the last query of a sequence model.
    scores, base : sequence of float, length K, optional
    kind : str
        ``attention`` or ``contribution``.
    aggregation : str
        What was put together already, such as ``rollout``; the page says so.

    Returns
    -------
    DataFrame
        Columns ``user_id, item_id, history_item_id, weight, rank, position``, and ``score, base, kind, head, layer,
        aggregation`` where they say something. ``pandas.concat`` of many users is one table.

    Raises
    ------
    InputError
        Shapes that do not fit, NaN or infinity.
    """
    value = np.asarray(weights)
    value = value.astype(np.float32 if value.dtype == np.float16 else np.float64).astype(np.float64)
    k, t = len(item_ids), len(history_item_ids)
    if value.ndim == 1:
        value = np.broadcast_to(value, (k, value.shape[0]))
    if value.ndim not in (2, 3, 4) or value.shape[-2:] != (k, t):
        raise InputError(f"weights of shape {np.shape(weights)} do not go with {k} items and {t} positions")
    if not np.isfinite(value).all():
        raise InputError("weights hold NaN or infinity: attention was never computed (fused kernel?), or it overflowed")
    if kind not in KINDS:
        raise InputError(f"kind {kind!r} is not known; it is one of {', '.join(KINDS)}")
    at = np.indices(value.shape).reshape(value.ndim, -1)
    names = np.array([name or "" for name in history_item_ids], dtype=object)
    columns: dict[str, object] = {
        "user_id": user_id,
        "item_id": np.array(list(item_ids), dtype=object)[at[-2]],
        "history_item_id": names[at[-1]],
        "weight": value.ravel(),
        "rank": at[-2] + 1,
        "position": at[-1],
        "kind": kind,
    }
    for name, numbers in (("score", scores), ("base", base)):
        if numbers is not None:
            columns[name] = np.asarray(numbers, dtype=np.float64)[at[-2]]
    for name, axis in (("head", -3), ("layer", -4)):
        if value.ndim >= -axis:
            columns[name] = at[axis]
    return pd.DataFrame(columns | ({"aggregation": aggregation} if aggregation else {}))
