"""From ids to codes, with an error that names the id that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from reportgen.errors import InputError


def find_codes(known: np.ndarray, wanted: Iterable[str], what: str) -> np.ndarray:
    """Positions of ids in a sorted list of ids.

    Parameters
    ----------
    known : ndarray of object (str), shape (N,)
        Sorted.
    wanted : iterable of str, length M
    what : str
        ``user`` or ``item``, for the error.

    Returns
    -------
    ndarray of int64, shape (M,)

    Raises
    ------
    InputError
        An id is not text, or not known.
    """
    ids = np.array([wanted] if isinstance(wanted, str) else list(wanted), dtype=object)
    if odd := [one for one in ids if not isinstance(one, str)]:
        raise InputError(f"{what} {odd[0]!r} is not text; ids are text and compared exactly")
    place = np.searchsorted(known, ids)
    bounded = np.minimum(place, max(known.size - 1, 0))
    there = known[bounded] == ids if known.size else np.zeros(ids.size, dtype=bool)
    if not there.all():
        raise InputError(f"unknown {what} {str(ids[~there][0])!r}; ids are text and compared exactly")
    return place.astype(np.int64)


def candidate_codes(known: np.ndarray, lists: Sequence[Iterable[str]], barred: np.ndarray | None = None) -> np.ndarray:
    """Item codes of given candidates: int64, shape (B, K); -1 fills short lists and takes the place of barred items.

    Raises
    ------
    InputError
        An item is not known.
    """
    rows = [np.unique(find_codes(known, items, "item")) for items in lists]
    codes = np.full((len(rows), max((row.size for row in rows), default=0)), -1, dtype=np.int64)
    for at, row in enumerate(rows):
        kept = row if barred is None else row[~barred[row]]
        codes[at, : kept.size] = kept
    return codes


def best_of(codes: np.ndarray, scores: np.ndarray, n: int) -> np.ndarray:
    """The `n` best of each row of candidates, best first, ties by code: int64, shape (B, n), -1 where nothing is left."""
    order = np.lexsort((codes, np.where(codes >= 0, -scores, np.inf)), axis=1)[:, :n]
    best = np.take_along_axis(codes, order, 1)
    return np.pad(best, ((0, 0), (0, n - best.shape[1])), constant_values=-1)
