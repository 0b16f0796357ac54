"""Tables of another model's weights: read, put together, measured; every bad input is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reportgen.data.dataset import Dataset
from reportgen.data.weights import read_lists, read_weights
from reportgen.errors import ConfigError, InputError
from reportgen.explain.foreign import ForeignModel, Reading
from reportgen.explain.foreign_effects import kendall, softmax_effects, top_shared
from reportgen.explain.foreign_measure import explain_foreign
from reportgen.explain.rollout import aggregate, rollout
from reportgen.explain.weights import weights_frame

EVENTS = pd.DataFrame(
    {
        "user_id": ["u"] * 4 + ["v"],
        "item_id": ["a", "b", "c", "s", "a"],
        "timestamp": ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"],
    }
)
ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b", "c", "s", "p", "q"],
        "title": ["Ant", "Bee", "Cat", "Secret", "Pick", "Quill"],
        "category": ["x", "y", "x", "z", "x", "y"],
        "sensitive": [False, False, False, True, False, False],
    }
)


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return Dataset.from_frames(EVENTS, ITEMS)


def table(*rows: tuple[Any, ...], columns: str = "history_item_id weight", **more: Any) -> pd.DataFrame:
    """Rows of user u and product p."""
    frame = pd.DataFrame(list(rows), columns=columns.split())
    base = {"user_id": "u", "item_id": "p"} | more
    return frame.assign(**{name: value for name, value in base.items() if name not in frame})


def reasons(frame: pd.DataFrame, shop: Dataset) -> dict[str, tuple[int, bool]]:
    """Reason -> rows concerned, kept. A sound product stands beside the bad one."""
    sound = table(("a", 1.0), item_id="q")
    found = read_weights(pd.concat([frame, sound], ignore_index=True), shop)
    return {problem.reason: (problem.count, problem.kept) for problem in found.problems}


# -- the table, and what can be wrong with it

GOOD = (("a", 0.5), ("b", 0.3), ("c", 0.2))


@pytest.mark.parametrize(
    ("rows", "reason", "count", "kept"),
    [
        ((("a", np.nan), ("b", 0.5)), "weight_missing", 1, False),
        ((("a", np.inf), ("b", 0.5)), "weight_not_finite", 1, False),
        ((("a", -0.1), ("b", 1.1)), "weight_negative", 1, False),
        ((("a", 0.5), (None, 0.5)), "padding_position", 1, True),
        ((("a", 0.5), ("", 0.5)), "padding_position", 1, True),
        ((("a", 0.5), ("[CLS]", 0.5)), "not_an_item", 1, True),
        ((("a", 0.5), ("a", 0.5)), "several_rows", 1, True),
    ],
)
def test_every_bad_weight_is_named(
    rows: tuple[tuple[Any, ...], ...], reason: str, count: int, kept: bool, shop: Dataset
) -> None:
    assert reasons(table(*rows), shop) == {reason: (count, kept)}
    users = explain_foreign(pd.concat([table(*rows), table(("a", 1.0), item_id="q")]), shop)
    assert set(users[0].picks.item_id) == ({"p", "q"} if kept else {"q"})  # the good rest goes on


def test_who_and_what_is_not_known(shop: Dataset) -> None:
    assert reasons(table(*GOOD, user_id="ghost"), shop) == {"unknown_user": (3, False)}
    assert reasons(table(*GOOD, item_id="ghost"), shop) == {"unknown_pick": (3, False)}
    assert reasons(table(*GOOD, user_id=""), shop) == {"empty_user_id": (3, False)}


def test_positions_that_repeat(shop: Dataset) -> None:
    columns = "history_item_id weight position"
    assert reasons(table(("a", 0.5, 0), ("a", 0.5, 0), ("b", 0.5, 1), columns=columns), shop) == {
        "duplicate_weight": (1, False)
    }
    assert reasons(table(("a", 0.5, 0), ("a", 0.4, 0), columns=columns), shop) == {"contradicting_rows": (1, False)}
    why = explain_foreign(table(("a", 0.3, 0), ("b", 0.3, 1), ("a", 0.4, 2), columns=columns), shop)[0]
    assert dict(zip(why.past.item_id, why.weights[0], strict=True)) == {"a": pytest.approx(0.7), "b": 0.3}


def test_a_kind_that_is_not_known_or_mixed_names_the_row(shop: Dataset) -> None:
    columns = "history_item_id weight kind"
    with pytest.raises(InputError, match='row 2: kind "shap" is not known'):
        read_weights(table(("a", 0.5, "attention"), ("b", 0.5, "shap"), columns=columns), shop)
    with pytest.raises(InputError, match="row 2: the rows before are of another kind"):
        read_weights(table(("a", 0.5, "attention"), ("b", 0.5, "contribution"), columns=columns), shop)
    with pytest.raises(InputError, match="row 2: the rows before are of another kind"):
        read_weights(table(("a", 0.5, "contribution"), ("b", 0.5, None), columns=columns), shop)
    signed = read_weights(table(("a", -0.5, "contribution"), columns=columns), shop)
    assert (signed.kind, signed.problems) == ("contribution", ())


def test_a_missing_column_and_an_empty_table(shop: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("user_id,item_id,history_item_id,attention\nu,p,a,1\n")
    with pytest.raises(
        InputError,
        match=r'w\.csv: the weights have no column "weight"; the nearest is "attention": write weight = "attention" under',
    ):
        read_weights(path, shop)
    path.write_text("user_id,item_id,history_item_id,weight\n")
    with pytest.raises(InputError, match="no rows after the header"):
        read_weights(path, shop)
    with pytest.raises(InputError, match=r"no usable row \(unknown_user"):
        read_weights(table(*GOOD, user_id="ghost"), shop)


@pytest.mark.parametrize("form", ["csv", "tsv", "csv.gz", "parquet"])
def test_every_form_of_file_says_the_same(form: str, shop: Dataset, tmp_path: Path) -> None:
    frame = table(("a", 0.5, 1.5), ("b", 0.25, 1.5), ("[MASK]", 0.25, 1.5), columns="history_item_id weight score")
    path = tmp_path / f"w.{form}"
    if form == "parquet":
        import duckdb

        duckdb.from_df(frame).write_parquet(str(path))
    else:
        frame.to_csv(path, index=False, sep="\t" if form == "tsv" else ",")
    for name in ("user", "item", "history", "weight", "score", "indptr"):
        assert np.array_equal(getattr(read_weights(path, shop), name), getattr(read_weights(frame, shop), name)), name


# -- heads, layers, shares


def test_heads_and_layers_by_hand(shop: Dataset) -> None:
    weights = np.array([[[0.2, 0.8]], [[0.6, 0.4]]]), np.array([[[1.0, 0.0]], [[0.5, 0.5]]])  # heads of two layers
    frame = weights_frame("u", ["p"], ["a", "b"], np.stack(weights))

    def share(how: Reading) -> list[float]:
        why = explain_foreign(frame, shop, how=how)[0]
        return [round(float(x), 6) for x in why.weights[0][np.argsort(why.past.item_id)]]

    assert share(Reading()) == [0.75, 0.25]  # the last layer, mean over heads
    assert share(Reading("mean", "mean")) == [0.575, 0.425]
    assert share(Reading("max", "last")) == [1.0, 0.5]
    assert share(Reading("1", "0")) == [0.6, 0.4]
    with pytest.raises(ConfigError, match="rollout needs whole matrices"):
        share(Reading(layers="rollout"))
    with pytest.raises(ConfigError, match="heads '2' is not in the weights; use one of mean, max, 0, 1"):
        share(Reading(heads="2"))


def test_a_row_that_a_head_leaves_out_is_a_weight_of_zero(shop: Dataset) -> None:
    frame = table(("a", 1.0, 0), ("a", 0.5, 1), ("b", 0.5, 1), columns="history_item_id weight head")
    why = explain_foreign(frame, shop)[0]
    assert dict(zip(why.past.item_id, why.weights[0], strict=True)) == {"a": 0.75, "b": 0.25}


def test_layers_go_by_number(shop: Dataset) -> None:
    rows = [("a", 1.0, "9"), ("b", 1.0, "10")]
    why = explain_foreign(table(*rows, columns="history_item_id weight layer"), shop)[0]
    assert why.past.item_id[np.argmax(why.weights[0])] == "b"


def test_contributions_are_added_up_over_heads(shop: Dataset) -> None:
    rows = [("a", 0.5, 0), ("a", -0.2, 1), ("b", 0.7, 1)]
    frame = table(*rows, columns="history_item_id weight head", kind="contribution", score=1.25, base=0.25)
    why = explain_foreign(frame, shop)[0]
    assert why.sums.tolist() == [True]
    assert why.gap[0] == pytest.approx(0)
    assert explain_foreign(frame.assign(score=1.3), shop)[0].sums.tolist() == [False]
    assert explain_foreign(frame.drop(columns="score"), shop)[0].sums.tolist() == [False]


def test_shares_count_positions_that_are_no_items_and_truncated_histories(shop: Dataset) -> None:
    why = explain_foreign(table(("a", 0.4), ("[CLS]", 0.2), (None, 0.2)), shop)[0]
    assert why.shares[0].tolist() == [0.5]
    assert why.rest_share.tolist() == [0.5]
    assert (why.whole.tolist(), why.outside) == ([False], 3)  # b, c and s were cut off
    assert explain_foreign(table(*GOOD), shop)[0].whole.tolist() == [True]


def test_an_item_that_the_user_never_had_is_said_to_be_so(shop: Dataset) -> None:
    why = explain_foreign(table(("q", 0.5), ("a", 0.5)), shop)[0]
    assert dict(zip(why.past.item_id, why.past.n_events.tolist(), strict=True)) == {"a": 1, "q": 0}


def test_sensitive_items_are_folded_and_never_picked(shop: Dataset) -> None:
    why = explain_foreign(table(("s", 0.5), ("a", 0.5)), shop)[0]
    assert dict(zip(why.past.item_id, why.past.hidden.tolist(), strict=True)) == {"s": True, "a": False}
    assert why.features["category"][list(why.past.item_id).index("s")] == ""
    with pytest.raises(InputError, match="of a kind that is not shown"):
        explain_foreign(table(*GOOD, item_id="s"), shop)


def test_the_order_of_the_list(shop: Dataset) -> None:
    both = pd.concat([table(*GOOD, score=1.0), table(*GOOD, item_id="q", score=2.0)])
    assert explain_foreign(both, shop)[0].picks.item_id.tolist() == ["q", "p"]
    ranked = pd.concat([table(*GOOD, score=1.0, rank=1), table(*GOOD, item_id="q", score=2.0, rank=2)])
    assert explain_foreign(ranked, shop)[0].picks.item_id.tolist() == ["p", "q"]
    assert explain_foreign(ranked, shop, n=1)[0].picks.item_id.tolist() == ["p"]


# -- matrices

rows_of_attention = arrays(np.float64, st.tuples(*[st.integers(1, 4)] * 2, *[st.shared(st.integers(1, 6), key="t")] * 2),
                           elements=st.floats(0, 1))  # fmt: skip


def softened(raw: np.ndarray) -> np.ndarray:
    return (raw + 0.01) / (raw + 0.01).sum(axis=-1, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(rows_of_attention)
def test_rows_of_every_aggregation_sum_to_one(raw: np.ndarray) -> None:
    attention = softened(raw)
    for layers in ("last", "mean", "rollout", 0):
        for heads in ("mean", "max", 0):
            found = aggregate(attention, layers, heads)
            assert np.allclose(found.sum(axis=1), 1.0)
            assert (found >= 0).all()


@settings(max_examples=40, deadline=None)
@given(rows_of_attention)
def test_the_order_of_heads_does_not_matter(raw: np.ndarray) -> None:
    attention = softened(raw)
    for layers in ("last", "mean", "rollout"):
        assert np.allclose(aggregate(attention, layers), aggregate(attention[:, ::-1], layers))


def test_rollout_by_hand() -> None:
    first, second = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    # half residual: [[1, 0], [.25, .75]], then [[1, 0], [.5, .5]] in front of it
    assert rollout(np.stack([first, second])[:, None]).tolist() == [[1.0, 0.0], [0.625, 0.375]]
    assert np.allclose(rollout(first[None, None], residual=0.0), first)
    assert np.allclose(rollout(np.eye(3)[None, None]), np.eye(3))


def test_padding_queries_pass_nothing_on() -> None:
    attention = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]])
    found = rollout(np.stack([attention, attention])[:, None])
    assert not found[0].any()
    assert not found[:, 0].any()
    assert np.allclose(found[1:].sum(axis=1), 1)


@pytest.mark.parametrize(
    ("attention", "told"),
    [
        (np.full((2, 2), np.nan), "layer 0, head 0, row 0 holds NaN or infinity"),
        (np.array([[1.0, 0.0], [1.5, -0.5]]), "row 1 is negative"),
        (np.array([[1.0, 0.0], [0.9, 0.9]]), "row 1 sums to 1.8 and not to 1"),
        (np.ones((2, 3)), "attention of shape"),
    ],
)
def test_a_matrix_that_is_no_attention(attention: np.ndarray, told: str) -> None:
    with pytest.raises(InputError, match=told):
        aggregate(attention)


def test_half_precision_passes_and_dropout_does_not() -> None:
    raw = softened(np.random.default_rng(0).random((1, 2, 64, 64)))
    assert np.allclose(aggregate(raw.astype(np.float16)), aggregate(raw), atol=1e-3)
    dropped = np.where(np.random.default_rng(1).random(raw.shape) < 0.1, 0.0, raw / 0.9)
    with pytest.raises(InputError, match="without dropout"):
        aggregate(dropped)


@pytest.mark.parametrize(
    ("weights", "told"),
    [([np.nan, 1.0], "never computed"), ([1.0, 0.0, 0.0], "do not go with 1 items and 2 positions")],
)
def test_a_frame_refuses(weights: list[float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        weights_frame("u", ["p"], ["a", "b"], np.array(weights))


# -- effects


def test_the_closed_form_is_what_scoring_again_gives() -> None:
    rng = np.random.default_rng(0)
    alpha, value = rng.dirichlet(np.ones(6)), rng.normal(size=6)
    score = alpha @ value
    for j, effect in enumerate(softmax_effects(alpha, value)):
        keep = np.arange(6) != j
        assert effect == pytest.approx(score - alpha[keep] @ value[keep] / alpha[keep].sum())
    assert np.isnan(softmax_effects(np.array([1.0, 0.0]), np.array([2.0, 1.0]))[0])


def test_a_softmax_pooled_table_needs_its_values(shop: Dataset) -> None:
    pooled = ForeignModel(softmax_pooled=True)
    with pytest.raises(InputError, match="a column value in every row"):
        explain_foreign(table(*GOOD), shop, model=pooled)
    frame = table(*[(*row, c) for row, c in zip(GOOD, (1.0, 2.0, 5.0), strict=True)],
                  columns="history_item_id weight value", score=2.1)  # fmt: skip
    why = explain_foreign(frame, shop, model=pooled)[0]
    effects = dict(zip(why.past.item_id, why.effects[0], strict=True))
    assert effects["a"] == pytest.approx(0.5 * (1.0 - 2.1) / 0.5)
    assert (why.measured_by, why.faithfulness.tau) == ("closed_form", (pytest.approx(-1.0),))
    with pytest.raises(InputError, match=r"weights times values give 2\.1"):
        explain_foreign(frame.assign(score=9.0), shop, model=pooled)


def test_effects_of_a_callback_by_hand(shop: Dataset) -> None:
    worth = {"a": 0.1, "b": 0.2, "c": 0.7}

    def score(user: str, history: Any, candidates: Any) -> list[float]:
        assert user == "u"
        return [sum(worth[item] for item in history) + 1.0 for _ in candidates]

    why = explain_foreign(table(*GOOD), shop, score=score)[0]
    assert why.past.item_id.tolist() == ["c", "b", "a"]
    assert np.allclose(why.effects, [[0.7, 0.2, 0.1]])
    assert why.faithfulness.tau == (-1.0,)
    assert why.faithfulness.top3 == (1.0,)
    measures = why.faithfulness.measures
    assert measures["effects"]["comprehensiveness@1"] == pytest.approx(0.7)
    assert measures["weights"]["comprehensiveness@1"] == pytest.approx(0.1)
    assert measures["effects"]["del"] < measures["random"]["del"] + 1e-12 < measures["weights"]["del"] + 1e-9
    assert why.scores.tolist() == [2.0]


def test_a_callback_that_answers_with_nonsense(shop: Dataset) -> None:
    rng = np.random.default_rng(0)
    for score, told in (
        (lambda *_: [1.0, 2.0], "returned shape"),
        (lambda *_: [float("nan")], "returned NaN or infinity"),
        (lambda *_: rng.random(1), "switch dropout off"),
    ):
        with pytest.raises(InputError, match=told):
            explain_foreign(table(*GOOD), shop, score=score)


def test_an_ablation_table_may_be_partial(shop: Dataset) -> None:
    ablation = pd.DataFrame(
        {"user_id": "u", "item_id": "p", "removed_item_id": ["", "a", "zzz"], "score": [3.0, 2.5, 0.0]}
    )
    why = explain_foreign(table(*GOOD), shop, ablation=ablation)[0]
    effects = dict(zip(why.past.item_id, why.effects[0].tolist(), strict=True))
    assert effects.pop("a") == pytest.approx(0.5)
    assert np.isnan(list(effects.values())).all()
    assert why.faithfulness.measures == {}


def test_without_a_callback_nothing_is_measured(shop: Dataset) -> None:
    why = explain_foreign(table(*GOOD), shop)[0]
    assert (why.effects, why.measured_by, why.faithfulness) == (None, "", None)


def test_kendall_and_top_three_by_hand() -> None:
    assert kendall(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])) == pytest.approx(4 / 6)
    assert kendall(np.array([1.0, 1, 2]), np.array([1.0, 2, 3])) == pytest.approx(2 / np.sqrt(6))
    assert np.isnan(kendall(np.ones(3), np.arange(3.0)))
    newer = -np.arange(4)
    assert top_shared(np.array([4.0, 3, 2, 1]), np.array([0.0, 1, 2, 3]), newer) == pytest.approx(2 / 3)
    assert np.isnan(top_shared(np.ones(4), np.zeros(4), newer))


# -- given lists


def test_lists_are_ordered_and_cleaned(shop: Dataset) -> None:
    frame = pd.DataFrame(
        {"user_id": "u", "item_id": ["p", "q", "a", "q", "ghost"], "rank": [2, 1, 0.5, 3, 4], "source": "Engine"}
    )
    found = read_lists(frame, shop)
    assert shop.item_ids[found.item].tolist() == ["q", "p", "a"]
    assert found.source == "Engine"
    assert {p.reason: p.count for p in found.problems} == {"unknown_pick": 1, "rank_not_a_rank": 1, "duplicate_pick": 1}
