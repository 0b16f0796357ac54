"""Attention of several heads and layers made into one matrix: last layer, mean, or attention rollout. NumPy only."""

from __future__ import annotations

import numpy as np

from reportgen.errors import InputError

#: A row of attention sums to 1 within this: half precision over some hundred positions stays below it.
ROW_TOLERANCE = 5e-3
LAYERS = ("last", "mean", "rollout")
HEADS = ("mean", "max")


def aggregate(attention: np.ndarray, layers: str | int = "last", heads: str | int = "mean") -> np.ndarray:
    """One attention matrix out of many.

    Parameters
    ----------
    attention : ndarray of float, shape (L, H, T, T), (H, T, T) or (T, T)
        Rows are queries; each sums to 1, or is zero all along (the query of a padding position).
    layers : str or int
        ``last`` (default), ``mean``, ``rollout`` or the number of one.
    heads : str or int
        ``mean`` (default), ``max`` or the number of one. The largest over heads is divided by its sum, so that rows sum to 1.

    Returns
    -------
    ndarray of float64, shape (T, T)

    Raises
    ------
    InputError
        A shape, a choice or a number that cannot be; names layer, head and row.
    """
    stack = _checked(attention)
    if layers == "rollout":
        return rollout(_heads(stack, heads)[:, None])
    if layers == "mean":
        return np.asarray(_heads(stack, heads).mean(axis=0))
    chosen = -1 if layers == "last" else layers
    if not isinstance(chosen, int) or not -stack.shape[0] <= chosen < stack.shape[0]:
        raise InputError(
            f"layers = {layers!r} is not there; use one of {', '.join(LAYERS)} or 0 to {stack.shape[0] - 1}"
        )
    return np.asarray(_heads(stack, heads)[chosen])


def rollout(attention: np.ndarray, residual: float = 0.5) -> np.ndarray:
    """Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020).

    The heads of a layer are averaged; the residual connection goes past each layer, ``residual * I + (1 - residual) * A``;
    the layers are multiplied, the first one rightmost.

    Parameters
    ----------
    attention : ndarray of float, shape (L, H, T, T) or (H, T, T)
    residual : float
        From 0 to 1, without the 1; one half in the paper.

    Returns
    -------
    ndarray of float64, shape (T, T)
        Rows sum to 1; those of padding queries are zero.

    Raises
    ------
    InputError
    """
    if not 0.0 <= residual < 1.0:
        raise InputError(f"residual = {residual!r}: the share of the residual connection lies from 0 to below 1")
    layers = _checked(attention).mean(axis=1)
    rows = layers.sum(axis=2, keepdims=True)
    layers = np.divide(layers, rows, out=np.zeros_like(layers), where=rows > 0)
    # A query of padding passes nothing on, in no layer.
    there = (rows[:, :, 0] > 0).all(axis=0)
    flow = np.diag(there.astype(np.float64))
    for layer in layers:
        flow = (residual * np.eye(layer.shape[0]) + (1.0 - residual) * layer) @ flow
    flow[~there] = 0.0
    total = flow.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(flow, total, out=np.zeros_like(flow), where=total > 0))


def _heads(stack: np.ndarray, heads: str | int) -> np.ndarray:
    """One matrix per layer: (L, T, T)."""
    if heads == "mean":
        return np.asarray(stack.mean(axis=1))
    if heads == "max":
        most = stack.max(axis=1)
        total = most.sum(axis=2, keepdims=True)
        return np.asarray(np.divide(most, total, out=np.zeros_like(most), where=total > 0))
    if not isinstance(heads, int) or not -stack.shape[1] <= heads < stack.shape[1]:
        raise InputError(f"heads = {heads!r} is not there; use mean, max or 0 to {stack.shape[1] - 1}")
    return np.asarray(stack[:, heads])


def _checked(attention: np.ndarray) -> np.ndarray:
    """As float64 of shape (L, H, T, T), every row looked at."""
    found = np.asarray(attention, dtype=np.float64)
    if found.ndim not in (2, 3, 4) or found.shape[-1] != found.shape[-2] or 0 in found.shape:
        raise InputError(
            f"attention of shape {np.shape(attention)}: expected (layers, heads, T, T), (heads, T, T) or (T, T)"
        )
    stack = found.reshape((1,) * (4 - found.ndim) + found.shape)
    _refuse(~np.isfinite(stack).all(axis=3), "holds NaN or infinity: it was never computed, or overflowed")
    _refuse((stack < 0).any(axis=3), "is negative: these are no attention weights (logits, or signed contributions?)")
    total = stack.sum(axis=3)
    off = (np.abs(total - 1.0) > ROW_TOLERANCE) & (total != 0.0)
    worst = float(total.flat[np.argmax(np.where(off, np.abs(total - 1.0), -1.0))])
    _refuse(off, f"sums to {worst:.4g} and not to 1: take the weights after softmax, and without dropout (eval mode)")
    return stack


def _refuse(bad: np.ndarray | np.bool_, told: str) -> None:
    if bad.any():
        layer, head, row = (int(at) for at in np.argwhere(bad)[0])
        raise InputError(f"attention: layer {layer}, head {head}, row {row} {told}")
