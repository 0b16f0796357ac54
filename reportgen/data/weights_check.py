"""What can be wrong with the weights of a product or with a list, for some whole users at a time."""

from __future__ import annotations

import numpy as np

from reportgen.data.ingest_long import EMPTY, FINE, NONE, NOT_FINITE, UNKNOWN, Long

KINDS = ("attention", "contribution")


def check_products(long: Long, kind: str) -> None:
    """Where one weight of a product cannot be used, none can: what is left would be shown as more than it is."""
    flags, weight = long.flags["weight"], long.numbers["weight"]
    bad = {
        "weight_not_finite": flags == NOT_FINITE,
        "weight_missing": flags != FINE,
        "weight_negative": (weight < 0) if kind == KINDS[0] else np.zeros(weight.size, dtype=bool),
        "history_id_broken": long.broken,
    }
    lost = np.zeros(weight.size, dtype=bool)
    for reason, rows in bad.items():
        rows = rows & long.keep & ~lost
        long.set_aside(rows, reason, weight if reason == "weight_negative" else None)
        lost |= rows
    _drop_products(long, lost)


def _drop_products(long: Long, lost: np.ndarray) -> None:
    """Leave out all rows of the products that one of the rows `lost` is about; they were noted with that row."""
    pair = long.codes["user_id"] * (long.codes["item_id"].max(initial=0) + 1) + long.codes["item_id"]
    long.keep &= ~np.isin(pair, pair[lost])


def check_positions(long: Long, positions: bool) -> None:
    """Settle rows that speak of one position, head and layer more than once; name what is no product.

    Parameters
    ----------
    long : Long
    positions : bool
        The table says where in the history each row belongs.
    """
    keys = [long.codes[name] for name in ("user_id", "item_id", "history_item_id")]
    keys += [long.texts[name] for name in ("feature", "head", "layer")]
    if positions:
        _settle_repeated(long, keys)
    rows = np.flatnonzero(long.keep & (keys[2] >= 0))
    first, _ = _repeated([key[rows] for key in keys], long.numbers["weight"][rows])
    again = np.zeros(long.keep.size, dtype=bool)
    again[rows[~first]] = True
    long.set_aside(again, "several_rows", kept=True)
    heavy = long.numbers["weight"] != 0
    long.set_aside((keys[2] == NONE) & heavy, "padding_position", kept=True)
    long.set_aside((keys[2] == UNKNOWN) & heavy, "not_an_item", kept=True)


def _settle_repeated(long: Long, keys: list[np.ndarray]) -> None:
    """Two rows for one place that differ spoil the product; of those that are equal the first counts."""
    position = np.where(np.isnan(long.numbers["position"]), -1.0, long.numbers["position"])
    rows = np.flatnonzero(long.keep)
    first, same = _repeated([key[rows] for key in (*keys, position)], long.numbers["weight"][rows])
    bad, again = np.zeros(long.keep.size, dtype=bool), np.zeros(long.keep.size, dtype=bool)
    bad[rows[~first & ~same]] = True
    long.set_aside(bad, "contradicting_rows")
    _drop_products(long, bad)
    again[rows[~first & same]] = True
    long.set_aside(again, "duplicate_weight")


def _repeated(keys: list[np.ndarray], weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each row is the first of its key, and whether its weight is that of the first."""
    order = np.lexsort((np.arange(weight.size), *keys))
    change = np.ones(weight.size, dtype=bool)
    if weight.size:
        change[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    group = np.maximum.accumulate(np.where(change, np.arange(weight.size), 0)) if weight.size else order
    first, same = np.zeros(weight.size, dtype=bool), np.zeros(weight.size, dtype=bool)
    first[order] = change
    same[order] = weight[order] == weight[order][group]
    return first, same


def check_list(block: Long) -> np.ndarray:
    """Rows in the order of the lists; notes what is no rank and no score, and a product that stands there again."""
    user, item, rank = block.codes["user_id"], block.codes["item_id"], block.numbers["rank"]
    odd = ~np.isin(block.flags["rank"], (FINE, EMPTY)) | (~np.isnan(rank) & ((rank < 1) | (rank != np.floor(rank))))
    block.set_aside(odd, "rank_not_a_rank", kept=True)
    block.set_aside(~np.isin(block.flags["score"], (FINE, EMPTY)), "score_not_a_number", kept=True)
    score = block.numbers["score"]
    place = np.where(odd | np.isnan(rank), np.inf, rank)
    order = np.lexsort((block.row, np.where(np.isnan(score), np.inf, -score), place, user))
    first = np.zeros(user.size, dtype=bool)
    kept = order[block.keep[order]]
    first[kept[np.unique(user[kept] * (item.max(initial=0) + 1) + item[kept], return_index=True)[1]]] = True
    block.set_aside(~first, "duplicate_pick")
    return np.asarray(order[block.keep[order]])
