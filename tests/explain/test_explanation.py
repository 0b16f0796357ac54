"""The carrier: its sums, its attention weights, its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.explain.explanation import Explanation, ModelFacts, Past, Picks, Usage

FACTS = ModelFacts("0" * 16, ("together", "brand"), (0, 1), True, 9, 9, 9, 5, 200, (3.0,))


def make(contributions: np.ndarray, base: np.ndarray, scores: np.ndarray | None = None) -> Explanation:
    k, j, _ = contributions.shape
    words = np.array([f"h{place}" for place in range(j)], dtype=object)
    picks = np.array([f"p{place}" for place in range(k)], dtype=object)
    past = Past(words, words, np.arange(j), np.ones(j, dtype=np.int64), words, np.zeros(j, dtype=bool))
    total = base + contributions.sum(axis=(1, 2)) if scores is None else scores
    return Explanation(
        "u",
        0,
        past,
        Picks(picks, picks, np.ones(k, dtype=np.int64), ({},) * k),
        contributions,
        base,
        total,
        np.zeros((k, j), dtype=np.int64),
        Usage(j, j, 0, 0, 0, None, None),
        FACTS,
    )


def tables() -> st.SearchStrategy[np.ndarray]:
    shape = st.tuples(st.integers(0, 4), st.integers(0, 6), st.just(2))
    return hnp.arrays(np.float64, shape, elements=st.floats(-50, 50, allow_subnormal=False))


@settings(max_examples=150)
@given(table=tables())
def test_attention_weights_are_shares_of_what_speaks_for_an_item(table: np.ndarray) -> None:
    why = make(table, np.linspace(0.0, 1.0, len(table)))
    weights = why.attention
    assert weights.shape == table.shape
    assert (weights >= 0).all()
    total, speaks = weights.sum(axis=(1, 2)), (why.net > 0).any(axis=1)
    assert np.allclose(total, speaks, atol=1e-9)
    assert not weights[why.net <= 0].any()
    assert not weights[table <= 0].any()
    for_it = np.maximum(why.net, 0)
    assert np.allclose(weights.sum(axis=2) * for_it.sum(axis=1, keepdims=True), for_it, atol=1e-7)


def test_attention_weights_by_hand() -> None:
    table = np.array([[[3.0, 1.0], [2.0, -1.0], [1.0, -4.0], [0.0, 0.0]]])
    wanted = [[0.6, 0.2], [0.2, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert make(table, np.zeros(1)).attention[0] == pytest.approx(np.array(wanted))


@settings(max_examples=60)
@given(table=tables())
def test_the_table_sums_to_the_scores(table: np.ndarray) -> None:
    why = make(table, np.linspace(0.5, 1.0, len(table)))
    frame = why.to_frame()
    assert len(frame) == np.count_nonzero(table)
    sums = frame.groupby("rank")["contribution"].sum()
    for k in range(len(table)):
        assert why.base[k] + sums.get(k + 1, 0.0) == pytest.approx(why.scores[k], abs=1e-9)
    shares = frame.groupby("rank")["attention_weight"].sum()
    assert ((shares - 1).abs().lt(1e-9) | shares.eq(0)).all()
    for row in frame.itertuples():
        assert (row.user_id, row.item_id) == ("u", f"p{row.rank - 1}")
        place = (row.rank - 1, int(row.history_item_id[1:]), FACTS.heads.index(row.head))
        assert row.contribution == table[place]


@pytest.mark.parametrize("off", [2e-9, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("part", ["base", "scores", "contributions"])
def test_a_broken_sum_is_refused(off: float, part: str) -> None:
    parts: dict[str, Any] = {"contributions": np.ones((2, 3, 2)), "base": np.ones(2), "scores": np.full(2, 7.0)}
    make(**parts)  # control: it is fine before it is broken
    parts[part] = parts[part].copy()
    parts[part].flat[1] += off
    with pytest.raises(AssertionError, match="differ from the score by"):
        make(**parts)


def test_the_gap_of_nothing_is_nought() -> None:
    assert make(np.zeros((0, 0, 2)), np.zeros(0)).sum_gap == 0.0
    assert make(np.zeros((2, 0, 2)), np.ones(2)).sum_gap == 0.0


def test_an_explanation_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        make(np.zeros((1, 1, 2)), np.zeros(1)).user_id = "other"  # type: ignore[misc]
