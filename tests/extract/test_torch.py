"""Attention out of real PyTorch modules: known weights, nothing changed behind, and every way in which it can be missing."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reportgen.errors import InputError
from reportgen.explain.rollout import aggregate


@pytest.fixture(scope="module", name="torch")
def _torch(library: Callable[[str], ModuleType]) -> Any:
    torch = library("torch")
    torch.manual_seed(0)
    return torch


@pytest.fixture(scope="module", name="extract")
def _extract(torch: Any) -> Any:  # noqa: ARG001
    from reportgen.extract import torch as extract

    return extract


def identity_attention(torch: Any, width: int, heads: int = 1, **more: Any) -> Any:
    """Queries, keys and values are the input itself, so that the weights are known from the input."""
    part = torch.nn.MultiheadAttention(width, heads, batch_first=True, **more).eval()
    with torch.no_grad():
        part.in_proj_weight.copy_(torch.eye(width).repeat(3, 1))
        part.in_proj_bias.zero_()
        part.out_proj.weight.copy_(torch.eye(width))
        part.out_proj.bias.zero_()
    return part


def known(x: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """Softmax of X X' / sqrt(d) in plain NumPy."""
    logits = x @ x.T / np.sqrt(x.shape[1])
    if allowed is not None:
        logits = np.where(allowed, logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("need_weights", [True, False])
def test_known_weights_of_multihead_attention(torch: Any, extract: Any, need_weights: bool) -> None:
    x = torch.randn(2, 5, 4)
    part = identity_attention(torch, 4)
    with torch.no_grad(), extract.watch_attention(part) as seen:  # without gradients it has a fast path of its own
        part(x, x, x, need_weights=need_weights)
    assert [layer.how for layer in seen.layers] == ["multi_head_attention_forward"]
    for row in range(2):
        np.testing.assert_allclose(seen.stack(row)[0, 0], known(x[row].double().numpy()), atol=1e-6)


def test_each_head_has_its_own_weights(torch: Any, extract: Any) -> None:
    x = torch.randn(1, 6, 8)
    part = identity_attention(torch, 8, heads=2)
    with extract.watch_attention(part) as seen:
        part(x, x, x, need_weights=False)
    for head in range(2):
        mine = x[0, :, 4 * head : 4 * head + 4].double().numpy()
        np.testing.assert_allclose(seen.stack()[0, head], known(mine), atol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_weights_of_a_fused_kernel_are_computed_beside_it(
    torch: Any, extract: Any, causal: bool, dtype: str
) -> None:
    class Own(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=causal)

    x = torch.randn(1, 1, 6, 4).to(getattr(torch, dtype))
    model = Own().eval()
    with extract.watch_attention(model) as seen:
        output = model(x)
    allowed = np.tril(np.ones((6, 6), dtype=bool)) if causal else None
    np.testing.assert_allclose(seen.stack()[0, 0], known(x[0, 0].double().numpy(), allowed), atol=1e-6)
    assert seen.layers[0].weights.dtype == np.float32
    # They are the weights that made this output.
    tolerance = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}[dtype]
    np.testing.assert_allclose(
        seen.stack()[0, 0] @ x[0, 0].float().numpy(), output[0, 0].float().numpy(), atol=tolerance
    )


def test_masks_scale_and_grouped_heads_of_the_fused_kernel(torch: Any, extract: Any) -> None:
    query, key = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8)
    value = torch.randn(2, 2, 5, 8)
    mask = torch.rand(2, 1, 5, 5) > 0.4
    mask[0, 0, 0] = False  # a query that may see nothing
    mask[:, :, range(1, 5), range(1, 5)] = True
    bias = torch.randn(2, 1, 5, 5)
    for attn_mask in (mask, bias):

        class Own(torch.nn.Module):
            def forward(self, q: Any, k: Any, v: Any, given: Any = attn_mask) -> Any:
                return torch.nn.functional.scaled_dot_product_attention(
                    q, k, v, attn_mask=given, scale=0.3, enable_gqa=True
                )

        model = Own().eval()
        with extract.watch_attention(model) as seen:
            output = model(query, key, value)
        wide = value.repeat_interleave(2, dim=1)
        mine = torch.from_numpy(seen.layers[0].weights) @ wide
        there = ~torch.isnan(output).any(-1, keepdim=True) & (mine != 0).any(-1, keepdim=True)
        torch.testing.assert_close(mine * there, torch.nan_to_num(output) * there, atol=1e-5, rtol=1e-5)
    assert aggregate(seen.stack(0)).shape == (5, 5)


def encoder(torch: Any, layers: int = 2, **more: Any) -> Any:
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.1, **more)
    return torch.nn.TransformerEncoder(layer, layers).eval()


# The fast path of padded batches says so itself; nobody here chose it.
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_the_fast_path_of_an_encoder_is_seen_too(torch: Any, extract: Any) -> None:
    model, x = encoder(torch), torch.randn(3, 7, 8)
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[1, 4:] = True
    with torch.no_grad():
        fast = model(x, src_key_padding_mask=padding)
        with extract.watch_attention(model) as seen:
            slow = model(x, src_key_padding_mask=padding)
        again = model(x, src_key_padding_mask=padding)
    assert [layer.name for layer in seen.layers] == ["layers.0.self_attn", "layers.1.self_attn"]
    assert seen.stack(1).shape == (2, 2, 7, 7)
    assert not seen.stack(1)[..., 4:].any(), "padding has no weight"
    np.testing.assert_allclose(seen.stack(1).sum(-1), 1.0, atol=1e-5)
    torch.testing.assert_close(slow[~padding], fast[~padding], atol=1e-5, rtol=1e-4)
    assert torch.equal(fast, again), "the fast path is back, to the bit"


def test_queries_that_may_see_nothing_are_zero_and_not_nan(torch: Any, extract: Any) -> None:
    model, x = encoder(torch, 1), torch.randn(1, 4, 8)
    padding = torch.tensor([[True, True, False, False]])
    causal = torch.ones(4, 4).triu(1).bool()
    with extract.watch_attention(model) as seen:
        model(x, mask=causal, src_key_padding_mask=padding)
    weights = seen.stack()[0]
    assert not weights[:, :2].any()
    np.testing.assert_allclose(weights[:, 2:].sum(-1), 1.0, atol=1e-6)
    frame = seen.table("u", ["p"], [None, None, "a", "b"])
    assert frame["weight"].tolist() == pytest.approx([0, 0, *aggregate(weights[None])[3, 2:]])


def test_nothing_is_left_behind(torch: Any, extract: Any) -> None:
    model, x = encoder(torch), torch.randn(2, 5, 8, requires_grad=True)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    plain = model(x)
    plain.sum().backward()
    gradient = x.grad.clone()
    x.grad = None
    with extract.watch_attention(model) as seen:
        watched = model(x)
        watched.sum().backward()
    assert torch.equal(plain, watched), "with gradients no fast path is taken, so the outputs are the same to the bit"
    assert torch.equal(gradient, x.grad)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    hooks = [part for part in model.modules() if part._forward_hooks or part._forward_pre_hooks]
    assert hooks == []
    n_seen = len(seen.layers)
    model(x)
    assert len(seen.layers) == n_seen == 2


def test_an_error_inside_leaves_nothing_behind(torch: Any, extract: Any) -> None:
    model = encoder(torch)
    with pytest.raises(AssertionError, match="embedding dimension"), extract.watch_attention(model):
        model(torch.randn(2, 5, 3))
    assert not [part for part in model.modules() if part._forward_hooks or part._forward_pre_hooks]


def test_of_several_calls_the_last_one_counts(torch: Any, extract: Any) -> None:
    model = encoder(torch)
    with extract.watch_attention(model) as seen:
        model(torch.randn(1, 5, 8))
        model(torch.randn(1, 3, 8))
    assert seen.stack().shape == (2, 2, 3, 3)


class _Library:
    """Scores by methods of its own, one by way of ``forward`` and one past it, as recommender libraries do."""

    def make(self, torch: Any) -> Any:
        class Model(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.encoder = encoder(torch)

            def forward(self, x: Any) -> Any:
                return self.encoder(x)[:, -1]

            def predict(self, x: Any) -> Any:
                return self.forward(x).sum(-1)

            def encode(self, x: Any) -> Any:
                return self.encoder(x)

        return Model().eval()


def test_a_method_that_passes_by_the_hooks_of_the_model_is_one_call(torch: Any, extract: Any) -> None:
    model, x = _Library().make(torch), torch.randn(1, 3, 8)
    with extract.watch_attention(model) as seen:
        model.predict(torch.randn(1, 5, 8))
        model.predict(x)
    by_method = seen.stack()
    with extract.watch_attention(model) as seen:
        model(x)
    assert by_method.shape == (2, 2, 3, 3)
    np.testing.assert_array_equal(by_method, seen.stack())
    assert "forward" not in vars(model), "the method is the class's again"


def test_two_runs_that_cannot_be_told_from_layers_are_refused(torch: Any, extract: Any) -> None:
    model, x = _Library().make(torch), torch.randn(1, 3, 8)
    with extract.watch_attention(model) as seen:
        model.encode(x)
    assert seen.stack().shape == (2, 2, 3, 3)
    told = r"encoder\.layers\.0\.self_attn ran twice.*once in each block"
    with extract.watch_attention(model):
        model.encode(x)
        with pytest.raises(InputError, match=told):
            model.encode(x)
    # The part by itself is called as a whole.
    with extract.watch_attention(model.encoder) as seen:
        model.encode(x)
        model.encode(x)
    assert seen.stack().shape == (2, 2, 3, 3)


def test_a_forward_that_somebody_put_on_the_model_is_put_back(torch: Any, extract: Any) -> None:
    model, x = encoder(torch, 1), torch.randn(1, 3, 8)
    usual = model.forward

    def doubled(given: Any) -> Any:
        return 2 * usual(given)

    model.forward = doubled
    plain = model(x)
    with extract.watch_attention(model) as seen:
        watched = model(x)
    assert vars(model)["forward"] is doubled
    assert torch.equal(plain, watched)
    assert len(seen.layers) == 1


def test_a_softmax_written_out_is_attention_and_one_over_classes_is_not(torch: Any, extract: Any) -> None:
    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.softmax = torch.nn.Softmax(dim=-1)

        def forward(self, x: Any) -> Any:
            weights = self.softmax(x @ x.transpose(1, 2) / x.shape[-1] ** 0.5)
            return torch.softmax((weights @ x)[:, -1], dim=-1)

    model, x = Own().eval(), torch.randn(2, 5, 4)
    with extract.watch_attention(model) as seen:
        model(x)
    assert [layer.name for layer in seen.layers] == ["softmax"]
    np.testing.assert_allclose(seen.stack(1)[0, 0], known(x[1].double().numpy()), atol=1e-6)


class _Pooled:
    """A score pooled by a softmax over the history, one row per candidate."""

    def make(self, torch: Any) -> Any:
        class Model(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attention = torch.nn.Softmax(dim=1)

            def forward(self, candidates: Any, history: Any) -> Any:
                each = candidates @ history.T
                return (self.attention(each) * each).sum(1)

        return Model().eval()


def test_a_part_named_by_the_user(torch: Any, extract: Any) -> None:
    model, candidates, history = _Pooled().make(torch), torch.randn(3, 4), torch.randn(5, 4)
    with extract.watch_attention(model, at="attention") as seen:
        scores = model(candidates, history)
    frame = seen.table("u", list("pqr"), list("abcde"), query="rows", scores=scores.numpy())
    want = torch.softmax(candidates @ history.T, 1).numpy()
    np.testing.assert_allclose(frame["weight"].to_numpy().reshape(3, 5), want, atol=1e-6)
    assert frame["score"].to_numpy()[::5] == pytest.approx(scores.numpy())
    with (
        pytest.raises(InputError, match=r"no such part; it has attention"),
        extract.watch_attention(model, at="atention"),
    ):
        pass
    with pytest.raises(InputError, match="needs at"), extract.watch_attention(model, take=lambda *parts: parts):
        pass
    with pytest.raises(InputError, match="tuple is no tensor"):  # noqa: SIM117
        with extract.watch_attention(model, at="attention", take=lambda *parts: parts):
            model(candidates, history)


def test_training_mode_and_dropout_are_refused(torch: Any, extract: Any) -> None:
    model = encoder(torch)
    model.layers[1].train()
    with pytest.raises(InputError, match=r"layers\.1 is in training mode.*model\.eval"), extract.watch_attention(model):
        pass

    class Careless(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1)

    careless = Careless().eval()
    with pytest.raises(InputError, match="dropout"), extract.watch_attention(careless):
        careless(torch.randn(1, 1, 4, 4))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_model_without_attention_and_a_compiled_one_are_refused(torch: Any, extract: Any) -> None:
    model = torch.nn.Linear(4, 4).eval()
    with extract.watch_attention(model) as seen:
        model(torch.randn(2, 4))
    with pytest.raises(InputError, match="no attention was seen"):
        seen.stack()
    compiled = torch.compile(encoder(torch), backend="eager")
    with pytest.raises(InputError, match="_orig_mod"), extract.watch_attention(compiled):
        pass
    traced = torch.jit.trace(model, torch.randn(2, 4))
    with pytest.raises(InputError, match="TorchScript"), extract.watch_attention(traced):
        pass


def test_weights_that_overflowed_are_refused(torch: Any, extract: Any) -> None:
    x = torch.full((1, 3, 4), float("nan"))
    part = identity_attention(torch, 4)
    with extract.watch_attention(part) as seen:
        part(x, x, x)
    with pytest.raises(InputError, match="NaN"):
        seen.table("u", ["p"], list("abc"))


def test_attentions_that_the_model_returns(torch: Any, extract: Any) -> None:
    layers = tuple(torch.softmax(torch.randn(2, 3, 5, 5), -1).half() for _ in range(4))
    for output in (SimpleNamespace(attentions=layers), {"attentions": layers}):
        seen = extract.read_attentions(output)
        assert seen.stack(1).shape == (4, 3, 5, 5)
        np.testing.assert_array_equal(seen.stack(1)[2], layers[2][1].float().numpy())
    for bad in (SimpleNamespace(attentions=None), {}, SimpleNamespace(attentions=(None, None))):
        with pytest.raises(InputError, match="output_attentions=True"):
            extract.read_attentions(bad)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_parts_of_an_encoder_and_decoder_are_told_apart(torch: Any, extract: Any) -> None:
    model, x = torch.nn.Transformer(8, 2, 2, 1, 16, batch_first=True).eval(), torch.randn(1, 5, 8)
    with extract.watch_attention(model) as seen:
        model(x, x[:, :3])
    with pytest.raises(InputError, match=r"different shapes.*\.under"):
        seen.stack()
    assert seen.under("encoder").stack().shape == (2, 2, 5, 5)
    assert seen.under("decoder.layers.0.multihead_attn").stack().shape == (1, 2, 3, 5)
    with pytest.raises(InputError, match=r"no attention was seen in 'dec'; it was in encoder\.layers\.0"):
        seen.under("dec")


def test_a_single_sequence_without_a_batch(torch: Any, extract: Any) -> None:
    x, part = torch.randn(5, 4), identity_attention(torch, 4)
    forbidden = torch.ones(5, 5).triu(1).bool()
    with extract.watch_attention(part) as seen:
        part(x, x, x, need_weights=False, attn_mask=forbidden, is_causal=True)
    np.testing.assert_allclose(seen.stack()[0, 0], known(x.double().numpy(), ~forbidden.numpy()), atol=1e-6)
