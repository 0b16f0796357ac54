"""The code of docs/any-model.md runs as it stands there, on tiny models that were really trained, up to the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from reportgen import Dataset, make_shop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "any-model.md"
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


def block(name: str) -> str:
    found = re.search(rf"```python {name}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found, f"no block {name}"
    return found[1]


@pytest.fixture(scope="module", name="shop")
def _shop() -> dict[str, Any]:
    shop = make_shop(60, 40, random_state=2)
    data = Dataset.from_frames(shop.events, shop.items)
    user = int(np.argmax(np.diff(data.indptr)))
    items = [str(name) for name in data.item_ids]
    history = [items[code] for code in data.items[data.history(user)]]
    return {
        "data": data,
        "user_id": str(data.user_ids[user]),
        "history": history,
        "number": {name: at for at, name in enumerate(items, start=1)},
        "recommended": [name for name in items if name not in history][:3],
    }


def check(scope: dict[str, Any], name: str) -> Any:
    code = block(name)
    body = [line for line in code.splitlines() if line and not line.startswith(("import ", "from "))]
    assert len(body) <= 10, "from a trained model to its first page in ten lines"
    exec(compile(code, f"any-model.md, {name}", "exec"), scope)
    why = scope["why"]
    assert scope["html"].startswith("<!DOCTYPE html>")
    assert why.measured_by == "callback"
    assert np.isfinite(why.effects).all()
    assert np.abs(why.effects).max() > 0
    return why


def lessons(shop: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Histories of all users and what came next."""
    from reportgen.extract.sequences import Tokens

    data, tokens, names = shop["data"], Tokens(shop["number"], 50), list(shop["number"])
    given, wanted = [], []
    for user in range(data.user_ids.size):
        mine = [names[code] for code in data.items[data.history(user)]]
        if len(mine) > 1:
            given.append(tokens.codes(mine[:-1])[0])
            wanted.append(shop["number"][mine[-1]])
    return np.array(given), np.array(wanted)


def test_pytorch(library: Callable[[str], ModuleType], shop: dict[str, Any]) -> None:
    torch = library("torch")
    torch.manual_seed(0)

    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, n_items: int) -> None:
            super().__init__()
            self.items, self.places = torch.nn.Embedding(n_items + 1, 16), torch.nn.Embedding(50, 16)
            layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

        def forward(self, codes: Any) -> Any:
            x = self.items(codes) + self.places(torch.arange(50))
            causal = torch.ones(50, 50, dtype=torch.bool).triu(1)
            # A place always sees itself, so that padding alone gives numbers too.
            hidden = (codes == 0)[:, None, :] & ~torch.eye(50, dtype=torch.bool)
            mask = (causal | hidden).repeat_interleave(2, dim=0)
            return self.encoder(x, mask=mask)[:, -1] @ self.items.weight.T

    model, (given, wanted) = Model(len(shop["number"])), lessons(shop)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(given)), torch.from_numpy(wanted))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    scope = shop | {"model": model}
    why = check(scope, "torch")
    assert "rollout over 2 layers" in why.how.aggregation
    state = scope["tokens"].shown(shop["history"])
    assert [name for name in state if name] == shop["history"][-50:]


def test_keras(library: Callable[[str], ModuleType], shop: dict[str, Any]) -> None:
    library("torch")
    keras = library("keras")
    keras.utils.set_random_seed(0)
    given, wanted = lessons(shop)
    codes = keras.Input((50,), dtype="int32")
    x = keras.layers.Embedding(len(shop["number"]) + 1, 16)(codes)
    x = keras.layers.Add()([x, keras.layers.MultiHeadAttention(2, 8)(x, x, use_causal_mask=True)])
    last = keras.layers.Lambda(lambda part: part[:, -1])(x)
    model = keras.Model(codes, keras.layers.Dense(len(shop["number"]) + 1)(last))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(given, wanted, epochs=3, verbose=0)
    why = check(shop | {"model": model}, "keras")
    assert why.kind == "attention"


def test_implicit(library: Callable[[str], ModuleType], shop: dict[str, Any]) -> None:
    library("implicit")
    from implicit.cpu.als import AlternatingLeastSquares

    data = shop["data"]
    user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))
    matrix = sparse.csr_matrix((np.ones(user.size, dtype=np.float32), (user, data.items)))
    matrix.resize(data.user_ids.size, data.item_ids.size)
    model = AlternatingLeastSquares(factors=8, iterations=5, num_threads=1, random_state=0)
    model.fit(matrix, show_progress=False)
    scope = shop | {"model": model, "user_items": matrix, "item_ids": data.item_ids.tolist()}
    why = check(scope | {"user_ids": data.user_ids.tolist()}, "implicit")
    assert why.sums.all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of a library that was written for others' older versions
def test_recbole(library: Callable[[str], ModuleType], shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    library("torch")
    monkeypatch.syspath_prepend(PAGE.parents[1] / "benchmarks")
    helper = import_module("_recbole")
    helper.with_aliases()
    library("recbole")
    trained = helper.train(shop["data"], 50, 1, 0)
    tokens = {"[PAD]": 0} | {name: int(at) for name, at in zip(shop["number"], trained.number, strict=True) if at}
    history = [name for name in shop["history"] if name in tokens]
    recommended = [name for name in tokens if name not in {*history, "[PAD]"}][:3]
    scope = shop | {"model": trained.model, "dataset": SimpleNamespace(field2token_id={"item_id": tokens})}
    why = check(scope | {"history": history, "recommended": recommended}, "recbole")
    assert "rollout over 2 layers, mean over 2 heads" in why.how.aggregation


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_transformers(
    library: Callable[[str], ModuleType], shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    library("torch")
    monkeypatch.syspath_prepend(PAGE.parents[1] / "benchmarks")
    helper = import_module("_bert4rec")
    library("transformers")
    trained = helper.train(shop["data"], 50, 20, 0)
    number = {name: at + 1 for name, at in shop["number"].items()}
    why = check(shop | {"model": trained.model, "number": number}, "transformers")
    assert "rollout over 2 layers, mean over 2 heads" in why.how.aggregation


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rectools(library: Callable[[str], ModuleType], shop: dict[str, Any]) -> None:
    library("torch")
    if find_spec("rectools") is None:
        pytest.skip(
            "RecTools wants pandas below 3, the lock has 3; to run this test: pip install 'rectools[torch]', on Python 3.13"
        )
    rectools, models = import_module("rectools.dataset"), import_module("rectools.models")
    data, names = shop["data"], np.array(list(shop["number"]), dtype=object)
    events = pd.DataFrame(
        {
            "user_id": np.repeat(data.user_ids.astype(object), np.diff(data.indptr)),
            "item_id": names[data.items],
            "weight": 1.0,
            "datetime": pd.to_datetime(np.arange(data.items.size), unit="s"),
        }
    )
    model = models.SASRecModel(n_factors=16, n_blocks=2, n_heads=2, session_max_len=50, epochs=3, deterministic=True)
    model.fit(rectools.Dataset.construct(events))
    known = set(model.data_preparator.item_id_map.to_internal.index)
    recommended = [name for name in names if name in known and name not in shop["history"]][:3]
    why = check(shop | {"model": model, "recommended": recommended}, "rectools")
    assert "rollout over 2 layers, mean over 2 heads" in why.how.aggregation


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightfm(library: Callable[[str], ModuleType], shop: dict[str, Any]) -> None:
    library("lightfm")
    data = shop["data"]
    user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))
    shape = (data.user_ids.size, data.item_ids.size)
    matrix = sparse.csr_matrix((np.ones(user.size, dtype=np.float32), (user, data.items)), shape)
    matrix.data[:] = 1.0  # an item that was taken twice is one feature
    model = import_module("lightfm").LightFM(no_components=8, loss="warp", random_state=0)
    model.fit(matrix, user_features=matrix, epochs=10, num_threads=1)
    why = check(shop | {"model": model, "item_ids": data.item_ids.tolist()}, "lightfm")
    assert why.sums.all()
    assert np.allclose(why.faithfulness.tau, 1.0), "what an item adds is what the score loses without it"
