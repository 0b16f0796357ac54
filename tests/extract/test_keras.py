"""Attention out of real Keras layers, run by the PyTorch backend."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from reportgen.errors import InputError

# Keras 3.15 hands tensors to NumPy in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


@pytest.fixture(scope="module", name="keras")
def _keras(library: Callable[[str], ModuleType]) -> Any:
    library("torch")
    keras = library("keras")
    keras.utils.set_random_seed(0)
    return keras


@pytest.fixture(scope="module", name="extract")
def _extract(keras: Any) -> Any:  # noqa: ARG001
    from reportgen.extract import keras as extract

    return extract


def encoder(keras: Any, heads: int = 2, mask: bool = False) -> Any:
    codes = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(11, 8, mask_zero=mask)(codes)
    for number in range(2):
        y = keras.layers.MultiHeadAttention(heads, 4, dropout=0.2, name=f"attention_{number}")(
            x, x, use_causal_mask=True
        )
        x = keras.layers.Add()([x, y])
    return keras.Model(codes, keras.layers.Dense(11)(x))


CODES = np.array([[0, 0, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]], dtype="int32")


def numbers(keras: Any, tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("mask", [True, False])
def test_every_layer_is_seen_and_nothing_changes(keras: Any, extract: Any, mask: bool) -> None:
    model = encoder(keras, mask=mask)
    plain = numbers(keras, model(CODES))
    with extract.watch_attention(model) as seen:
        watched = numbers(keras, model(CODES))
    again = numbers(keras, model(CODES))
    np.testing.assert_allclose(watched, plain, atol=0, rtol=0)
    np.testing.assert_array_equal(again, plain)
    assert [layer.name for layer in seen.layers] == ["attention_0", "attention_1"]
    weights = seen.stack(1)
    assert weights.shape == (2, 2, 6, 6)
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-5)
    assert not np.triu(weights[0, 0], 1).any(), "causal"
    if mask:
        # Keras takes the mask off in the first layer, for the second one too: what is seen is what the model did.
        assert not seen.stack(0)[0, :, 2:, :2].any(), "padding has no weight"
    assert not any("call" in layer.__dict__ for layer in model._flatten_layers())
    assert len(seen.layers) == 2


def test_the_weights_are_those_the_layer_gives_itself(keras: Any, extract: Any) -> None:
    layer = keras.layers.MultiHeadAttention(3, 4)
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    _, want = layer(x, x, return_attention_scores=True)
    with extract.watch_attention(layer) as seen:
        layer(x, x)
    np.testing.assert_array_equal(seen.layers[0].weights, numbers(keras, want))


def test_attention_without_heads(keras: Any, extract: Any) -> None:
    x = np.random.default_rng(0).normal(size=(1, 4, 3)).astype("float32")
    layer = keras.layers.Attention(name="dot")
    with extract.watch_attention(layer) as seen:
        layer([x, x])
    logits = x[0].astype(float) @ x[0].T.astype(float)
    want = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(seen.stack()[0, 0], want, atol=1e-6)


def textbook(keras: Any, name: str = "weights") -> Any:
    """Softmax over time of one number per event, and the weighted sum of the events."""
    history = keras.Input((5,), dtype="int32")
    events = keras.layers.Embedding(9, 4)(history)
    weights = keras.layers.Softmax(axis=1, name=name)(keras.layers.Dense(1)(keras.layers.Dense(4, "tanh")(events)))
    pooled = keras.layers.Dot(axes=1)([weights, events])
    return keras.Model(history, keras.layers.Dense(9)(keras.layers.Flatten()(pooled)))


def test_the_plain_softmax_layer_of_the_textbooks(keras: Any, extract: Any) -> None:
    model, codes = textbook(keras), np.array([[1, 2, 3, 4, 5]], dtype="int32")
    inner = keras.Model(model.input, model.get_layer("weights").output)
    want = numbers(keras, inner(codes))[0, :, 0]
    with extract.watch_attention(model, at="weights") as seen:
        model(codes)
    frame = seen.table("u", ["p", "q"], list("abcde"))
    np.testing.assert_allclose(frame["weight"], np.tile(want, 2), rtol=1e-6)
    assert want.sum() == pytest.approx(1.0)
    assert want.std() > 0


def test_half_precision(keras: Any, extract: Any) -> None:
    layer = keras.layers.MultiHeadAttention(2, 4, dtype="float16")
    x = np.random.default_rng(0).normal(size=(1, 5, 8)).astype("float16")
    with extract.watch_attention(layer) as seen:
        layer(x, x)
    frame = seen.table("u", ["p"], list("abcde"))
    assert frame["weight"].sum() == pytest.approx(1.0, abs=5e-3)


def test_training_and_wrong_names_are_refused(keras: Any, extract: Any) -> None:
    model = encoder(keras)
    with pytest.raises(InputError, match="training=True"), extract.watch_attention(model):
        model(CODES, training=True)
    assert not any("call" in layer.__dict__ for layer in model._flatten_layers())
    with pytest.raises(InputError, match="0 layers have this name"), extract.watch_attention(model, at="wrong"):
        pass
    with pytest.raises(InputError, match="needs at"), extract.watch_attention(model, take=lambda *parts: parts):
        pass


def test_a_model_without_attention(keras: Any, extract: Any) -> None:
    model = keras.Sequential([keras.layers.Dense(3)])
    with extract.watch_attention(model) as seen:
        model(np.zeros((1, 2), dtype="float32"))
    with pytest.raises(InputError, match="no attention was seen"):
        seen.stack()


def test_a_look_at_one_layer_leaves_the_masks_as_they_were(keras: Any, extract: Any) -> None:
    model = encoder(keras, mask=True)
    plain = numbers(keras, model(CODES))
    with extract.watch_attention(model, at="attention_0", take=lambda *_: np.ones((2, 6), "float32") / 6) as seen:
        watched = numbers(keras, model(CODES))
    np.testing.assert_array_equal(watched, plain)
    assert seen.stack().shape == (1, 1, 1, 6)
