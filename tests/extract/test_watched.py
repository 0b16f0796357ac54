"""From what was seen of a model to the long table; histories as a sequence model reads them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.errors import InputError
from reportgen.explain.rollout import aggregate
from reportgen.extract.sequences import Tokens
from reportgen.extract.watched import Watched


def watched(*shape: int, layers: int = 2) -> Watched:
    rng, seen = np.random.default_rng(0), Watched()
    for number in range(layers):
        weights = rng.random(shape) + 0.01
        seen.keep(f"layer{number}", "test", weights / weights.sum(axis=-1, keepdims=True))
    return seen


@pytest.mark.parametrize("layers", ["last", "mean", "rollout", 0])
def test_the_newest_real_position_asks(layers: str | int) -> None:
    seen = watched(3, 2, 4, 4)
    frame = seen.table("u", ["p", "q"], [None, "a", "b", ""], row=1, layers=layers, heads="mean", scores=[2.0, 1.0])
    want = aggregate(seen.stack(1), layers)[2]
    np.testing.assert_allclose(frame["weight"], np.tile(want, 2))
    assert frame["history_item_id"].tolist() == ["", "a", "b", ""] * 2
    assert frame["score"].tolist() == [2.0] * 4 + [1.0] * 4
    assert "2 heads" in frame["aggregation"][0]


def test_all_layers_and_heads_have_their_rows() -> None:
    seen = watched(1, 2, 3, 3)
    frame = seen.table("u", ["p", "q"], ["a", "b", "c"], layers="all")
    assert len(frame) == 2 * 2 * 2 * 3
    one = frame.query("layer == 1 and head == 0 and item_id == 'q'")["weight"]
    np.testing.assert_allclose(one, seen.stack()[1, 0, 2])


def test_a_query_for_each_item_and_a_row_for_each_item() -> None:
    seen = watched(1, 2, 5, 3, layers=1)
    frame = seen.table("u", list("pqrst"), list("abc"), query="items", heads="max")
    most = seen.stack()[0].max(axis=0)
    np.testing.assert_allclose(frame["weight"].to_numpy().reshape(5, 3), most / most.sum(axis=1, keepdims=True))
    rows = watched(5, 3, layers=1)
    frame = rows.table("u", list("pqrst"), list("abc"), query="rows")
    np.testing.assert_allclose(frame["weight"].to_numpy().reshape(5, 3), rows.layers[0].weights[:, 0, 0])


@pytest.mark.parametrize(
    ("shape", "more", "told"),
    [
        ((1, 2, 3, 3), {"history_item_ids": ["a", "b"]}, "2 history items for 3 positions"),
        ((1, 2, 3, 3), {"history_item_ids": [None, "", None]}, "every position is padding"),
        ((1, 2, 3, 3), {"row": 1}, "run on 1 sequences"),
        ((1, 2, 3, 3), {"query": 3}, "query = 3"),
        ((1, 2, 3, 3), {"query": "first"}, "query = 'first'"),
        ((1, 2, 5, 3), {}, "5 queries over 3 positions"),
        ((1, 2, 5, 3), {"query": "items", "layers": "rollout"}, "needs one for each of 1 items"),
        ((1, 2, 1, 3), {"layers": "rollout"}, "no self-attention"),
        ((1, 2, 3, 3), {"layers": 7}, "layers = 7"),
        ((1, 2, 3, 3), {"heads": 7}, "heads = 7"),
    ],
)
def test_what_does_not_fit_is_named(shape: tuple[int, ...], more: dict[str, object], told: str) -> None:
    given_ = {"user_id": "u", "item_ids": ["p"], "history_item_ids": ["a", "b", "c"]} | more
    with pytest.raises(InputError, match=told):
        watched(*shape).table(**given_)  # type: ignore[arg-type]


def test_weights_that_are_none() -> None:
    with pytest.raises(InputError, match="no attention was seen"):
        Watched().table("u", ["p"], ["a"])
    seen = Watched()
    with pytest.raises(InputError, match="of shape"):
        seen.keep("x", "test", np.zeros(3))
    with pytest.raises(InputError, match="int64"):
        seen.keep("x", "test", np.zeros((1, 3), dtype=np.int64))
    seen.keep("x", "test", np.array([[[0.5, 0.6], [0.5, 0.5]]]))
    with pytest.raises(InputError, match=r"sums to 1\.1"):
        seen.table("u", ["p"], ["a", "b"])
    seen.keep("y", "test", np.ones((1, 3)) / 3)
    with pytest.raises(InputError, match="different shapes"):
        seen.stack()


NUMBER = {name: at for at, name in enumerate("abcdefg", start=1)}


@given(
    history=st.lists(st.sampled_from("abcdefgxyz"), max_size=12),
    left=st.booleans(),
    first=st.sampled_from([None, 20]),
    last=st.sampled_from([None, 21]),
)
def test_what_is_shown_and_its_numbers_stand_at_the_same_places(
    history: list[str], left: bool, first: int | None, last: int | None
) -> None:
    tokens = Tokens(NUMBER, 6, left=left, first=first, last=last)
    shown, codes = tokens.shown(history), tokens.codes(history)
    assert codes.shape == (1, 6)
    assert len(shown) == 6
    for name, code in zip(shown, codes[0].tolist(), strict=True):
        assert (code == NUMBER[name]) if name else code in (0, first, last)
    room = 6 - (first is not None) - (last is not None)
    assert [name for name in shown if name] == [name for name in history if name in NUMBER][-room:]
    assert codes[0, 0 if left else -1] == 0 or len([name for name in history if name in NUMBER]) >= room


def test_the_callback_asks_the_model() -> None:
    tokens = Tokens(NUMBER, 3)
    table = np.arange(8.0)
    score = tokens.score(lambda codes: table + codes.sum())
    np.testing.assert_array_equal(score("u", ["a", "b", "unknown"], ["g", "a"]), [7 + 3, 1 + 3])
    with pytest.raises(InputError, match="no number for item 'unknown'"):
        score("u", ["a"], ["unknown"])
    assert tokens.score(lambda _: table * np.nan, empty=0.5)("u", [], ["a", "b"]).tolist() == [0.5, 0.5]
    with pytest.raises(InputError, match=r"shape \(2, 8\)"):
        tokens.score(lambda _: np.zeros((2, 8)))("u", [], ["a"])
    with pytest.raises(InputError, match="returned 3 scores"):
        tokens.score(lambda _: np.zeros((1, 3)))("u", [], ["g"])


def test_numbers_that_are_padding_or_a_marker_are_refused() -> None:
    with pytest.raises(InputError, match="item 'a' has the number 0"):
        Tokens({"a": 0}, 3)
    with pytest.raises(InputError, match="no place for an item"):
        Tokens({"a": 1}, 1, last=9)


def test_nothing_of_it_is_loaded_with_the_package() -> None:
    code = (
        "import sys, reportgen; from reportgen import *; import reportgen.extract.watched, reportgen.extract.implicit, "
        "reportgen.extract.sequences; assert not {'torch', 'keras', 'implicit', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["torch", "keras"])
def test_a_missing_library_is_named_with_the_remedy(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; import reportgen.extract.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"pip install 'reportgen[{name}]'" in done.stderr.splitlines()[-1]
