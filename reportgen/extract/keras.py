"""Attention out of a Keras 3 model while it runs eagerly, on any backend; the model and its outputs stay as they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from reportgen.errors import ConfigError, InputError
from reportgen.extract.watched import Watched

try:
    import keras
except ImportError as error:
    raise ConfigError(
        "Keras is not installed; to read its models: pip install 'reportgen[keras]' and a backend"
    ) from error


@contextmanager
def watch_attention(
    model: Any, at: str | None = None, take: Callable[[Any, Any, Any], Any] | None = None
) -> Iterator[Watched]:
    """See every attention that a model computes inside the block.

    Seen are all layers whose call knows ``return_attention_scores``: ``MultiHeadAttention``, ``GroupedQueryAttention``,
    ``Attention``, ``AdditiveAttention``. They run a second time beside their usual call, which is let through untouched. A layer
    of your own is named with `at`: a ``Softmax`` or ``Activation`` gives the weights as its output.

    Parameters
    ----------
    model : keras.Layer
        Call it in the block as ``model(x)``; ``predict`` compiles, and nothing can be seen in there.
    at : str, optional
        Look at this layer alone, by its name.
    take : callable, optional
        With `at`: ``take(layer, inputs, output)`` gives the weights, shape (B, T), (B, Q, T) or (B, H, Q, T), or (B, T, 1) for a
        softmax over time; the output itself when None.

    Yields
    ------
    Watched
        Filled by each call of a layer.

    Raises
    ------
    InputError
        A call with ``training=True``; no such layer; weights that were not computed.
    """
    seen, layers, wrong = Watched(), list(_layers(model)), list[InputError]()
    with ExitStack() as stack:
        if at is not None:
            chosen = [layer for layer in layers if layer.name == at]
            if len(chosen) != 1:
                near = ", ".join(layer.name for layer in layers[:8])
                raise InputError(f"at = {at!r}: {len(chosen)} layers have this name; the model has {near}, ...")
            _replace(chosen[0], _guarded(chosen[0], _taken(chosen[0], seen, take), wrong), stack)
        elif take is not None:
            raise InputError("take = ... needs at = ..., the name of the layer that it is for")
        else:
            for layer in layers:
                if "return_attention_scores" in inspect.signature(layer.call).parameters:
                    _replace(layer, _guarded(layer, _asked(layer, seen), wrong), stack)
        yield seen
    if wrong:
        raise wrong[0]


def _layers(model: Any) -> Iterator[Any]:
    yield model
    if isinstance(model, keras.Layer):
        yield from model._flatten_layers(include_self=False)


def _replace(layer: Any, call: Callable[..., Any], stack: ExitStack) -> None:
    """Put a call before that of the class, on this one layer; past Keras' own bookkeeping, which is for weights and states."""
    object.__setattr__(layer, "call", call)
    stack.callback(object.__delattr__, layer, "call")


def _guarded(layer: Any, look: Callable[..., None], wrong: list[InputError]) -> Callable[..., Any]:
    """The usual call, and a look at it. What is wrong is told at the end of the block: Keras would wrap it in ten lines."""
    usual = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        # The call may take the masks off its inputs: a second one must see them again, and what comes after it must not.
        masks = [(part, part._keras_mask) for part in _tensors(args, kwargs) if hasattr(part, "_keras_mask")]
        output = usual(*args, **kwargs)
        after = [(part, part._keras_mask) for part, _ in masks]
        _put_masks(masks)
        try:
            if kwargs.get("training"):
                told = "dropout changes weights at random; call model(x, training=False)"
                raise InputError(f"{layer.name} runs with training=True: {told}")
            look(args, kwargs, output)
        except InputError as error:
            wrong.append(error)
        finally:
            _put_masks(after)
        return output

    return call


def _asked(layer: Any, seen: Watched) -> Callable[..., None]:
    usual, names = layer.call, inspect.signature(layer.call)

    def look(args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
        given = names.bind(*args, **kwargs).arguments
        weights = usual(**(given | {"return_attention_scores": True}))[1]
        seen.keep(layer.name, type(layer).__name__, _array(layer, weights))

    return look


def _taken(layer: Any, seen: Watched, take: Callable[[Any, Any, Any], Any] | None) -> Callable[..., None]:
    def look(args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG001
        weights = _array(layer, output if take is None else take(layer, args, output))
        if weights.ndim == 3 and weights.shape[2] == 1:
            weights = weights[:, :, 0]
        seen.keep(layer.name, "output", weights)

    return look


def _put_masks(masks: list[tuple[Any, Any]]) -> None:
    for part, mask in masks:
        part._keras_mask = mask


def _tensors(args: Any, kwargs: Any) -> Iterator[Any]:
    for part in (*args, *kwargs.values()):
        yield from part if isinstance(part, list | tuple) else [part]


def _array(layer: Any, weights: Any) -> Any:
    if weights is None:
        raise InputError(f"{layer.name}: attention was never computed; switch flash attention off")
    try:
        return keras.ops.convert_to_numpy(keras.ops.cast(weights, "float32"))
    except Exception as error:  # each backend has its own error for a value that is not there yet
        told = f"{layer.name} gave no numbers ({type(error).__name__}): inside a compiled call there are none"
        raise InputError(f"{told}; call model(x), not model.predict(x)") from error
