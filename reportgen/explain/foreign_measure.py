"""``explain_foreign``: another model's weights as explanations, and where it can be measured, what its reasons are worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from reportgen.attention.history import looking_takes
from reportgen.attention.lookup import find_codes
from reportgen.attention.similarity import cosine_pairs, taken_matrix
from reportgen.data.dataset import Dataset
from reportgen.data.weights import PADDING, Ablation, WeightTable, read_ablation, read_weights
from reportgen.errors import InputError
from reportgen.explain.foreign import ForeignExplanation, ForeignModel, Reading
from reportgen.explain.foreign_effects import (
    Asked,
    Faithfulness,
    Score,
    ask_effects,
    kendall,
    removal_measures,
    softmax_effects,
    top_shared,
)
from reportgen.explain.foreign_read import ForeignReader
from reportgen.explain.privacy import Privacy, make_privacy
from reportgen.explain.ranks import order_of

if TYPE_CHECKING:
    import pandas as pd


def explain_foreign(
    weights: pd.DataFrame | str | PathLike[str] | WeightTable,
    data: Dataset,
    user_ids: Iterable[str] | None = None,
    n: int = 5,
    as_of: int | None = None,
    privacy: Privacy | None = None,
    *,
    how: Reading | None = None,
    model: ForeignModel | None = None,
    score: Score | None = None,
    ablation: pd.DataFrame | str | PathLike[str] | Ablation | None = None,
    seed: int = 0,
) -> list[ForeignExplanation]:
    """Read another model's weights as explanations of the lists it made.

    Parameters
    ----------
    weights : DataFrame, str, path or WeightTable
        The long table (see `reportgen.data.weights.read_weights`).
    data : Dataset
        Names, histories and catalogue.
    user_ids : iterable of str, optional
        All users of the table when None.
    n : int
        Products per user, the best by the table's rank, else by its score, else by its order.
    as_of : int, optional
        Microseconds since 1970 UTC; the newest event when None.
    privacy : Privacy, optional
        `make_privacy(data)` when None. An item that is sensitive is never named and never a product here; since the model is
        not ours, it cannot be left out of what the model has counted.
    how : Reading, optional
        How heads and layers are put together.
    model : ForeignModel, optional
    score : callable, optional
        ``score(user_id, history_item_ids, candidate_item_ids)``: measures what single items and sets of them are worth. About
        J + 140 calls per user.
    ablation : DataFrame, str, path or Ablation, optional
        Columns ``user_id, item_id, removed_item_id, score``, where an empty `removed_item_id` is the whole history; in place
        of a callback.
    seed : int
        Of the random order that the others are measured beside.

    Raises
    ------
    InputError
        A table that cannot be used, a user without a row, a callback that answers with nonsense.
    ConfigError
        A head or layer that is not there.
    """
    table = weights if isinstance(weights, WeightTable) else read_weights(weights, data)
    reading, privacy = how or Reading(), privacy or make_privacy(data)
    reading.check(table.heads, table.layers)
    removed = ablation if isinstance(ablation, Ablation | None) else read_ablation(ablation, data)
    users = table.users() if user_ids is None else find_codes(data.user_ids, user_ids, "user")
    as_of = as_of if as_of is not None else int(data.timestamps.max(initial=0))
    reader = ForeignReader(table, data, as_of, privacy, reading, model or ForeignModel())
    return [measured(reader, int(user), n, score, removed, seed) for user in users]


def measured(
    reader: ForeignReader, user: int, n: int, score: Score | None, removed: Ablation | None, seed: int
) -> ForeignExplanation:
    why = reader.one(user, n)
    if score is not None:
        return _asked(reader, why, user, score, seed)
    if removed is not None:
        return _with_effects(why, _ablated(reader, why, user, removed), "ablation", {})
    if reader.model.softmax_pooled:
        return _with_effects(why, _closed_form(reader, why, user, n), "closed_form", {})
    return why


def _newer(why: ForeignExplanation) -> np.ndarray:
    return -np.arange(why.past.item_id.size)


def _with_effects(
    why: ForeignExplanation, effects: np.ndarray, by: str, measures: dict[str, dict[str, float]]
) -> ForeignExplanation:
    if np.isnan(effects).all():
        return why
    newer, pairs = _newer(why), list(zip(why.weights, effects, strict=True))
    tau = tuple(kendall(weight, effect) for weight, effect in pairs)
    top3 = tuple(top_shared(weight, effect, newer) for weight, effect in pairs)
    return replace(why, effects=effects, measured_by=by, faithfulness=Faithfulness(tau, top3, measures))


def _asked(reader: ForeignReader, why: ForeignExplanation, user: int, score: Score, seed: int) -> ForeignExplanation:
    shown = reader.shown(why, user)
    if not shown.history or set(shown.slot.tolist()) != set(range(why.past.item_id.size)):
        raise InputError(
            "score(): the weights name history items that are not in this user's events; give positions too"
        )
    asked = Asked(score, shown)
    effects, full = ask_effects(asked, why.past.item_id.size)
    newer = _newer(why)
    codes = np.searchsorted(reader.data.item_ids, why.past.item_id)
    target = np.full(codes.size, np.searchsorted(reader.data.item_ids, why.picks.item_id[0]))
    taken = taken_matrix(reader.before, looking_takes(reader.data))
    orders = {
        "weights": order_of(why.weights[0], newer),
        "effects": order_of(effects[0], newer),
        "random": np.random.default_rng([seed, user]).permutation(codes.size),
        "recency": order_of(newer.astype(np.float64), newer),
        "similarity": order_of(cosine_pairs(taken, codes, target), newer),
    }
    found = _with_effects(why, effects, "callback", removal_measures(asked, orders))
    return replace(found, scores=np.where(np.isnan(found.scores), full, found.scores))


def _ablated(reader: ForeignReader, why: ForeignExplanation, user: int, removed: Ablation) -> np.ndarray:
    """Effects from a table of scores; the whole history's from its own row, else from the weights."""
    effects, items = np.full(why.weights.shape, np.nan), reader.data.item_ids
    mine = removed.rows(user)
    pick = {str(item): k for k, item in enumerate(why.picks.item_id)}
    place = {str(item): j for j, item in enumerate(why.past.item_id)}
    full = why.scores.copy()
    rows = list(zip(removed.item[mine], removed.removed[mine], removed.score[mine], strict=True))
    for item, gone, value in rows:
        if gone == PADDING and str(items[item]) in pick:
            full[pick[str(items[item])]] = value
    for item, gone, value in rows:
        k = pick.get(str(items[item]))
        if gone >= 0 and k is not None and (j := place.get(str(items[gone]))) is not None:
            effects[k, j] = full[k] - value
    return effects


def _closed_form(reader: ForeignReader, why: ForeignExplanation, user: int, n: int) -> np.ndarray:
    """Exact effects where the score is pooled by the softmax itself; positions that are no items keep their part."""
    rows, table = reader.rows(user, n), reader.table
    value = table.value[rows.at]
    if np.isnan(value).any() or reader.n_heads > 1 or reader.n_layers > 1 or table.kind != "attention":
        raise InputError(
            "softmax_pooled: the table needs one head and layer of attention, and a column value in every row"
        )
    brought = reader.together(rows, table.weight[rows.at] * value, rows.past.size, True)
    if not why.whole.all():
        raise InputError("softmax_pooled: the weights of a product do not sum to 1, so its score is not pooled by them")
    alpha = np.column_stack([why.weights, why.markers, why.padding])
    mean = np.divide(brought, alpha, out=np.zeros_like(brought), where=alpha > 0)
    score = brought.sum(axis=1) + np.nan_to_num(why.base)
    off = np.abs(score - why.scores) > 1e-4 * (1 + np.abs(score))
    if off.any():
        k = int(np.flatnonzero(off)[0])
        told = f"product {k + 1} has the score {why.scores[k]:.6g}, its weights times values give {score[k]:.6g}"
        raise InputError(f"softmax_pooled: {told}; leave it out if the score is more than that sum")
    return np.asarray(softmax_effects(alpha, mean)[:, : rows.past.size])
