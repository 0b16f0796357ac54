"""What was seen of a model while it ran: attention by layer, as arrays, and from there the long table. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from reportgen.errors import InputError
from reportgen.explain.rollout import aggregate
from reportgen.explain.weights import weights_frame

if TYPE_CHECKING:
    import pandas as pd

#: What to do where nothing was seen; the same words for every library.
NOTHING = (
    "no attention was seen: nothing that computes it ran inside the block, or it ran compiled; run the model itself, "
    "uncompiled, or say at=... and take=..."
)


@dataclass(frozen=True, eq=False)
class Layer:
    """Attention that one layer computed.

    Attributes
    ----------
    name : str
        Where in the model, such as ``encoder.layers.0.self_attn``.
    how : str
        What computed it, such as ``scaled_dot_product_attention``.
    weights : ndarray of float32, shape (B, H, Q, T)
        After softmax, before dropout. B sequences, H heads, Q queries, T positions.
    """

    name: str
    how: str
    weights: np.ndarray


@dataclass(eq=False)
class Watched:
    """Layers in the order in which they ran.

    Attributes
    ----------
    layers : list of Layer
        Of the last call of the model.
    """

    layers: list[Layer] = field(default_factory=list)

    def keep(self, name: str, how: str, weights: np.ndarray) -> None:
        """Take what a layer computed; (B, T) and (B, Q, T) become one head.

        Raises
        ------
        InputError
            Not 2, 3 or 4 axes, or no numbers.
        """
        value = np.asarray(weights)
        if value.dtype.kind != "f" or value.ndim not in (2, 3, 4):
            raise InputError(
                f"{name or 'model'}: attention of shape {value.shape} and type {value.dtype}; expected numbers of shape "
                "(B, T), (B, Q, T) or (B, H, Q, T)"
            )
        shape = {2: (value.shape[0], 1, 1, value.shape[-1]), 3: (value.shape[0], 1, *value.shape[1:])}
        self.layers.append(Layer(name, how, value.reshape(shape.get(value.ndim, value.shape)).astype(np.float32)))

    def under(self, name: str) -> Watched:
        """Only the layers of one part of the model, such as ``encoder``.

        Raises
        ------
        InputError
            There are none.
        """
        kept = [layer for layer in self.layers if layer.name == name or layer.name.startswith(f"{name}.")]
        if not kept:
            there = ", ".join(layer.name or "model" for layer in self.layers[:8])
            raise InputError(f"no attention was seen in {name!r}; it was in {there or 'no part'}")
        return Watched(kept)

    def stack(self, row: int = 0) -> np.ndarray:
        """Attention of one sequence of the batch, for `reportgen.explain.rollout.aggregate`.

        Parameters
        ----------
        row : int
            Which sequence of the batch.

        Returns
        -------
        ndarray of float32, shape (L, H, Q, T)

        Raises
        ------
        InputError
            Nothing was seen; no such row; layers of different shapes.
        """
        batch = self._batch()
        if not -batch.shape[1] <= row < batch.shape[1]:
            raise InputError(f"row = {row}: the model was run on {batch.shape[1]} sequences")
        return np.asarray(batch[:, row])

    def _batch(self) -> np.ndarray:
        """All layers: (L, B, H, Q, T)."""
        if not self.layers:
            raise InputError(NOTHING)
        shapes = {layer.weights.shape for layer in self.layers}
        if len(shapes) > 1:
            found = ", ".join(f"{layer.name or 'model'} {layer.weights.shape}" for layer in self.layers[:6])
            raise InputError(
                f"the layers have different shapes and cannot be put together: {found}; choose with .under(NAME)"
            )
        return np.stack([layer.weights for layer in self.layers])

    def table(
        self,
        user_id: str,
        item_ids: Sequence[str],
        history_item_ids: Sequence[str | None],
        *,
        row: int = 0,
        query: int | str = "last",
        layers: str | int = "last",
        heads: str | int = "mean",
        scores: Sequence[float] | np.ndarray | None = None,
    ) -> pd.DataFrame:
        """The long table of one user's list.

        Parameters
        ----------
        user_id : str
        item_ids : sequence of str, length K
            Recommended items, best first.
        history_item_ids : sequence of str or None, length T
            What the model was shown, oldest first; None or "" at padding positions.
        row : int
            Which sequence of the batch.
        query : int or str
            ``last``: the newest position that is no padding, for models that predict the next item (the weights are then the
            same for all K); the number of one; ``items``: query k is item k; ``rows``: sequence k of the batch is item k.
        layers : str or int
            ``last``, ``mean``, ``rollout``, the number of one, or ``all``: then every layer and head has its own rows.
        heads : str or int
            ``mean``, ``max`` or the number of one; of no account with ``all``.
        scores : sequence of float, length K, optional

        Returns
        -------
        DataFrame
            As of `reportgen.explain.weights.weights_frame`.

        Raises
        ------
        InputError
        """
        batch = self._batch()
        found = np.moveaxis(batch[:, :, :, 0], 1, 2) if query == "rows" else self.stack(row)
        n_layers, n_heads, n_queries, n_positions = found.shape
        if n_positions != len(history_item_ids):
            raise InputError(
                f"user {user_id!r}: {len(history_item_ids)} history items for {n_positions} positions; give None at padding"
            )
        if query in ("rows", "items"):
            if n_queries != len(item_ids):
                raise InputError(
                    f"user {user_id!r}: query = {query!r} needs one for each of {len(item_ids)} items, not {n_queries}"
                )
        else:
            found = self._square(found, layers)
        if layers == "all":
            weights, told = found, ""
        else:
            weights, told = _one(found, layers, heads), _words(layers, heads, n_layers, n_heads)
        if query not in ("rows", "items"):
            weights = weights[..., _place(query, history_item_ids, weights.shape[-2]), :]
            weights = np.repeat(weights[..., None, :], len(item_ids), axis=-2)
        return weights_frame(user_id, item_ids, history_item_ids, weights, scores=scores, aggregation=told)

    def _square(self, found: np.ndarray, layers: str | int) -> np.ndarray:
        n_queries, n_positions = found.shape[-2:]
        if n_queries in (1, n_positions) and not (layers == "rollout" and n_queries != n_positions):
            return found
        raise InputError(
            f"{n_queries} queries over {n_positions} positions are no self-attention; say query='items' or query='rows', "
            "and another choice than rollout"
        )


def _one(found: np.ndarray, layers: str | int, heads: str | int) -> np.ndarray:
    """(L, H, Q, T) to (Q, T). `aggregate` looks at every row; queries that are not positions are looked at as if they were."""
    n_queries, n_positions = found.shape[-2:]
    if n_queries == n_positions:
        return aggregate(found, layers, heads)
    if layers == "rollout":
        raise InputError("rollout needs as many queries as positions: these are no self-attention layers")
    # Blocks of T queries each, filled up with empty rows, are square.
    parts = []
    for at in range(0, n_queries, n_positions):
        block = found[:, :, at : at + n_positions]
        empty = np.zeros((*found.shape[:2], n_positions - block.shape[2], n_positions), dtype=found.dtype)
        parts.append(aggregate(np.concatenate([block, empty], axis=2), layers, heads))
    return np.concatenate(parts)[:n_queries]


def _place(query: int | str, history: Sequence[str | None], n_queries: int) -> int:
    if n_queries == 1:
        return 0
    if isinstance(query, int):
        if -n_queries <= query < n_queries:
            return query
    elif query == "last":
        real = [place for place, name in enumerate(history) if name]
        if real:
            return real[-1]
        raise InputError("every position is padding: the model was shown nothing, so no item has a weight")
    raise InputError(f"query = {query!r} is not there; use last, items, rows or 0 to {n_queries - 1}")


def _words(layers: str | int, heads: str | int, n_layers: int, n_heads: int) -> str:
    """What was put together, in a few words for the page."""
    over = {"last": f"last of {n_layers} layers", "mean": f"mean over {n_layers} layers"}
    chosen = over.get(str(layers), f"rollout over {n_layers} layers" if layers == "rollout" else f"layer {layers}")
    head = f"{heads} over {n_heads} heads" if isinstance(heads, str) else f"head {heads}"
    parts = [chosen if n_layers > 1 else "", head if n_heads > 1 else ""]
    return ", ".join(part for part in parts if part)
