"""Attention out of a PyTorch model while it runs, whatever computes it; the model, its outputs and its gradients stay as they are.

Fused kernels never form the weights. Here each call of attention is let through untouched, and its weights are computed a
second time beside it from the same queries, keys and masks: ``softmax(Q K' scale + mask)`` (Vaswani et al. 2017, eq. 1).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

import numpy as np

from reportgen.errors import ConfigError, InputError
from reportgen.extract.watched import Watched

try:
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode
except ImportError as error:
    raise ConfigError("PyTorch is not installed; to read its models: pip install 'reportgen[torch]'") from error

_MANY = inspect.signature(functional.multi_head_attention_forward)
_DOT = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")


@contextmanager
def watch_attention(
    model: torch.nn.Module, at: str | None = None, take: Callable[[Any, Any, Any], Any] | None = None
) -> Iterator[Watched]:
    """See every attention that a model computes inside the block.

    Seen are ``nn.MultiheadAttention`` (also inside ``nn.TransformerEncoder``, whose fast path is off inside the block),
    ``scaled_dot_product_attention``, and a softmax over the last of 3 or 4 axes of which the last two are equal. Any other is
    named with `at`.

    Parameters
    ----------
    model : torch.nn.Module
        In eval mode; not compiled.
    at : str, optional
        Look at this submodule alone, by its name in ``model.named_modules()``.
    take : callable, optional
        With `at`: ``take(module, inputs, output)`` gives the weights, shape (B, T), (B, Q, T) or (B, H, Q, T); the output
        itself when None.

    Yields
    ------
    Watched
        Filled by each call of the model, also by methods of its own that end in ``forward``; of several calls the last one.

    Raises
    ------
    InputError
        Training mode, dropout inside attention, a compiled model, no such submodule, weights that were not computed; a part that
        ran twice where the model was not called as a whole.
    """
    _refuse(model)
    seen = Watched()
    with ExitStack() as stack:
        place = _follow(model, seen, stack)
        if at is not None:
            part = dict(model.named_modules()).get(at)
            if part is None:
                near = ", ".join(name for name, _ in list(model.named_modules())[1:9])
                raise InputError(f"at = {at!r}: the model has no such part; it has {near}, ...")
            stack.callback(part.register_forward_hook(_taker(seen, at, take)).remove)
        else:
            if take is not None:
                raise InputError("take = ... needs at = ..., the name of the part that it is for")
            # A module that sees such a mode at work takes none of its fast paths, which would pass by every function below.
            stack.enter_context(_Spy(seen, place))
        yield seen


def read_attentions(output: Any) -> Watched:
    """Attention that a model returned by itself, as those of Hugging Face do with ``output_attentions=True``.

    Parameters
    ----------
    output : object
        With an attribute, or for a dict an entry, `attentions`: one tensor (B, H, T, T) per layer.

    Raises
    ------
    InputError
        There are none.
    """
    found = output.get("attentions") if isinstance(output, dict) else getattr(output, "attentions", None)
    if not isinstance(found, list | tuple) or not found or any(layer is None for layer in found):
        raise InputError(
            "the model returned no attentions: call it with output_attentions=True and load it with "
            "attn_implementation='eager' (fused kernels never form them), or use watch_attention"
        )
    seen = Watched()
    for number, layer in enumerate(found):
        seen.keep(f"attentions.{number}", "attentions", _array(layer))
    return seen


def _refuse(model: torch.nn.Module) -> None:
    if hasattr(model, "_orig_mod"):
        raise InputError("the model is compiled, so what it computes inside cannot be seen; give model._orig_mod")
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            "the model is TorchScript, so what it computes inside cannot be seen; give the model it was made from"
        )
    training = next((name for name, part in model.named_modules() if part.training), None)
    if training is not None:
        raise InputError(
            f"{training or 'the model'} is in training mode: dropout would change weights and scores at random; call model.eval()"
        )


def _follow(model: torch.nn.Module, seen: Watched, stack: ExitStack) -> _Place:
    """Keep the name of the part that runs; a new call of the whole model forgets the one before.

    Some libraries score by a method that calls ``self.forward`` and passes by every hook, so the method itself is stood in for.
    """
    place, usual = _Place(), model.forward

    @wraps(usual)
    def forward(*args: Any, **kwargs: Any) -> Any:
        seen.layers.clear()
        place.whole = True
        return usual(*args, **kwargs)

    own = model.__dict__.get("forward")
    model.forward = forward
    stack.callback(partial(setattr, model, "forward", own) if own is not None else partial(delattr, model, "forward"))
    for name, part in model.named_modules():

        def enter(module: Any, inputs: Any, name: str = name) -> None:  # noqa: ARG001
            place.path.append(name)

        def leave(module: Any, inputs: Any, output: Any) -> None:  # noqa: ARG001
            place.path.pop()

        stack.callback(part.register_forward_pre_hook(enter, prepend=True).remove)
        stack.callback(part.register_forward_hook(leave).remove)
    return place


@dataclass(eq=False)
class _Place:
    """Where in the model the work is: names of the parts that run, the innermost last, and whether the model was called as a whole."""

    path: list[str] = field(default_factory=list)
    whole: bool = False

    def keep(self, seen: Watched, how: str, weights: np.ndarray) -> None:
        """One layer at work. Without a call of the whole model two runs of it cannot be told from layers that share a part."""
        name = self.path[-1] if self.path else ""
        if not self.whole and any(layer.name == name and layer.how == how for layer in seen.layers):
            raise InputError(
                f"{name or 'attention'} ran twice in the block, and not by a call of the model: run it once in each block, or "
                "watch the part of the model whose forward holds all of its layers"
            )
        seen.keep(name, how, weights)


def _taker(seen: Watched, at: str, take: Callable[[Any, Any, Any], Any] | None) -> Callable[[Any, Any, Any], None]:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        weights = output if take is None else take(module, inputs, output)
        if not isinstance(weights, torch.Tensor):
            raise InputError(
                f"{at}: {type(weights).__name__} is no tensor of weights: they were never computed, or take=... must pick them"
            )
        seen.keep(at, "output", _array(weights))

    return hook


class _Spy(TorchFunctionMode):  # type: ignore[misc]  # torch is not read by the type checker
    """Lets every function of torch through, and looks at those that compute attention."""

    def __init__(self, seen: Watched, place: _Place) -> None:
        super().__init__()
        self.seen, self.place = seen, place

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        read = _READERS.get(func)
        if read is not None:
            with torch.no_grad():
                weights = read(func, args, kwargs or {}, output)
            if weights is not None:
                self.place.keep(self.seen, func.__name__, _array(weights))
        return output


def _multi_head(func: Any, args: Any, kwargs: Any, output: Any) -> torch.Tensor:  # noqa: ARG001
    """The same call once more, asked for the weights of each head."""
    given = _MANY.bind(*args, **kwargs)
    given.apply_defaults()
    named = given.arguments
    if named["training"] and named["dropout_p"] > 0:
        raise InputError("attention was computed with dropout: call model.eval()")
    wanted = {"need_weights": True, "average_attn_weights": False, "is_causal": False}
    weights = func(**(dict(named) | wanted))[1]
    weights = weights if weights.ndim == 4 else weights[None]
    blocked = _blocked(named["key_padding_mask"], named["attn_mask"], weights)
    return weights if blocked is None else weights.masked_fill(blocked.all(-1, keepdim=True), 0.0)


def _blocked(padding: Any, mask: Any, weights: torch.Tensor) -> torch.Tensor | None:
    """What no query may see: bool (B or 1, H or 1, Q or 1, T). Bool masks of this module forbid, numbers forbid by -inf."""
    batch, heads, _, wide = weights.shape
    parts = []
    for one in (padding, mask):
        if one is None:
            continue
        shut = one if one.dtype == torch.bool else torch.isneginf(one)
        if one is padding:
            shut = shut.reshape(-1, 1, 1, shut.shape[-1])
        else:
            shut = shut.reshape(batch, heads, *shut.shape[1:]) if shut.ndim == 3 else shut[None, None]
        # bias_k and add_zero_attn put keys behind the last position, which are always seen.
        parts.append(functional.pad(shut, (0, wide - shut.shape[-1])))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else parts[0] | parts[1]


def _dot_product(func: Any, args: Any, kwargs: Any, output: Any) -> torch.Tensor:  # noqa: ARG001
    """What the fused kernel does not give out, in single precision."""
    named = dict(zip(_DOT, args, strict=False)) | kwargs
    if named.get("dropout_p", 0.0) > 0:
        raise InputError(
            "attention was computed with dropout (dropout_p above 0): a model in eval mode must pass 0, or its weights are chance"
        )
    query, key, mask = named["query"].float(), named["key"].float(), named.get("attn_mask")
    if named.get("enable_gqa"):
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scale = named.get("scale") or query.shape[-1] ** -0.5
    logits = query @ key.transpose(-2, -1) * scale
    if named.get("is_causal"):
        logits = logits.masked_fill(
            ~torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril(), -torch.inf
        )
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
    # A query that may see nothing, as that of a padding position, has no weights.
    nothing = torch.isneginf(logits).all(-1, keepdim=True)
    weights = torch.softmax(logits.masked_fill(nothing, 0.0), dim=-1).masked_fill(nothing, 0.0)
    return weights[None] if weights.ndim == 2 else weights


def _softmax(func: Any, args: Any, kwargs: Any, output: Any) -> torch.Tensor | None:  # noqa: ARG001
    """Only what has the form of self-attention: other softmaxes, as over classes, are passed over."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    square = output.ndim in (3, 4) and output.shape[-1] == output.shape[-2]
    return output if square and dim in (-1, output.ndim - 1) else None


_READERS: dict[Any, Callable[..., Any]] = {
    functional.multi_head_attention_forward: _multi_head,
    functional.scaled_dot_product_attention: _dot_product,
    functional.softmax: _softmax,
    torch.softmax: _softmax,
    torch.Tensor.softmax: _softmax,
}


def _array(weights: torch.Tensor) -> np.ndarray:
    """On the CPU, in single precision, which half precision and bfloat16 fit into."""
    return np.asarray(weights.detach().float().cpu().numpy())
