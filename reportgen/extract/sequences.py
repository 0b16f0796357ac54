"""Between item ids and the padded numbers that a sequence model reads, and from there a scoring callback. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.errors import InputError


@dataclass(frozen=True)
class Tokens:
    """How a model writes a history.

    Attributes
    ----------
    number : mapping of str to int
        Item id to its number in the model. Items that are not in it are left out, as the model never learnt them.
    length : int
        Positions; of a longer history only the newest are shown.
    pad : int
        The number of padding.
    left : bool
        Padding stands before the history, so that the newest event always has the last place; else after it.
    first, last : int, optional
        Markers before and after the history, such as [CLS] and [MASK]. Markers are no items: in the table they have no id.
    """

    number: Mapping[str, int]
    length: int
    pad: int = 0
    left: bool = True
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.length < 1 + (self.first is not None) + (self.last is not None):
            raise InputError(f"length = {self.length} leaves no place for an item")
        special = {self.pad, self.first, self.last} - {None}
        taken = next((name for name, at in self.number.items() if at in special), None)
        if taken is not None:
            raise InputError(
                f"item {taken!r} has the number {self.number[taken]}, which is padding or a marker; shift the numbers"
            )

    def shown(self, history: Sequence[str]) -> tuple[str | None, ...]:
        """What stands at each position: item ids, the newest `length` of those that the model knows; None elsewhere."""
        return tuple(name for name, _ in self._places(history))

    def codes(self, history: Sequence[str]) -> np.ndarray:
        """The same as numbers: int64, shape (1, length)."""
        return np.array([[at for _, at in self._places(history)]], dtype=np.int64)

    def _places(self, history: Sequence[str]) -> list[tuple[str | None, int]]:
        start, end = ([(None, at)] if at is not None else [] for at in (self.first, self.last))
        room = self.length - len(start) - len(end)
        known = [(name, self.number[name]) for name in history if name in self.number][-room:]
        real: list[tuple[str | None, int]] = [*start, *known, *end]
        padding: list[tuple[str | None, int]] = [(None, self.pad)] * (self.length - len(real))
        return padding + real if self.left else real + padding

    def score(
        self, logits: Callable[[np.ndarray], Any], empty: float | None = None
    ) -> Callable[[str, Sequence[str], Sequence[str]], np.ndarray]:
        """A scoring callback for `reportgen.explain_foreign`.

        Parameters
        ----------
        logits : callable
            From numbers int64 (1, length) to the scores of all numbers, shape (N,) or (1, N), as an array or a tensor without
            gradient. Switch dropout off.
        empty : float, optional
            Score of every product where nothing is left to show, for models that cannot run on padding alone.

        Returns
        -------
        callable
            ``score(user_id, history_item_ids, candidate_item_ids)``, float64 (C,).
        """

        def score(user_id: str, history: Sequence[str], candidates: Sequence[str]) -> np.ndarray:  # noqa: ARG001
            missing = next((name for name in candidates if name not in self.number), None)
            if missing is not None:
                raise InputError(
                    f"score(): the model has no number for item {missing!r}, so it cannot have recommended it"
                )
            if empty is not None and not any(name in self.number for name in history):
                return np.full(len(candidates), float(empty))
            found = np.asarray(logits(self.codes(history)), dtype=np.float64)
            if found.shape[-1:] == () or found.size != found.shape[-1]:
                raise InputError(f"logits() returned shape {found.shape}; expected one score per item number")
            numbers = np.array([self.number[name] for name in candidates], dtype=np.int64)
            if numbers.size and numbers.max() >= found.size:
                raise InputError(f"logits() returned {found.size} scores, but items have numbers up to {numbers.max()}")
            return np.asarray(found.ravel()[numbers])

        return score
