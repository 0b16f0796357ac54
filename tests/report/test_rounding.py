"""Rounded figures: they add up, and stay near what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reportgen.report.rounding import apportion, closing_points, decimals_for, whole_percents

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 9))
WEIGHTS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 5)),
    elements=st.one_of(st.just(0.0), st.floats(1e-6, 1.0)),
)
AMOUNT = st.one_of(st.just(0.0), st.floats(-50, 50).filter(lambda v: abs(v) > 1e-6))


def normalised(weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=(1, 2), keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def test_three_equal_parts() -> None:
    thirds = np.full((1, 3), 100 * 0.333333)
    assert apportion(thirds, np.array([100])).tolist() == [[34, 33, 33]]
    assert whole_percents(np.full((1, 3, 1), 0.333333)).tolist() == [[[34], [33], [33]]]


def test_ties_go_to_the_left_and_zero_gets_nothing() -> None:
    assert apportion(np.array([[0.0, 0.5, 0.5, 0.5, 0.5]]), np.array([2])).tolist() == [[0, 1, 1, 0, 0]]


def test_a_surplus_never_goes_to_a_zero() -> None:
    assert apportion(np.array([[0.0, 1.0, 0.0]]), np.array([2])).tolist() == [[0, 2, 0]]


def test_a_row_of_zeros_takes_no_total() -> None:
    assert apportion(np.zeros((1, 4)), np.array([100])).tolist() == [[0, 0, 0, 0]]


def test_a_float_just_below_a_whole_number_is_that_number() -> None:
    assert apportion(np.array([[0.1 + 0.2, 0.7]]) * 10, np.array([10])).tolist() == [[3, 7]]
    assert apportion(np.array([[2.9999999999, 1.0]]), np.array([4])).tolist() == [[3, 1]]


@given(parts=hnp.arrays(np.float64, SIZES, elements=AMOUNT))
def test_apportioned_rows_sum_exactly_and_stay_within_one(parts: np.ndarray) -> None:
    total = np.rint(parts.sum(axis=1)).astype(np.int64)
    rounded = apportion(parts, total)
    assert np.where((parts != 0).any(axis=1), rounded.sum(axis=1) - total, 0).tolist() == [0] * len(parts)
    assert np.abs(rounded - parts).max() < 1 + 1e-6
    assert not rounded[parts == 0].any()


@given(weights=WEIGHTS)
def test_percentages_of_rows_columns_and_the_whole_agree(weights: np.ndarray) -> None:
    attention = normalised(weights)
    cells = whole_percents(attention)
    spoke = attention.any(axis=(1, 2))
    assert cells.sum(axis=(1, 2)).tolist() == np.where(spoke, 100, 0).tolist()
    shares = cells.sum(axis=2)
    assert np.abs(shares - 100 * attention.sum(axis=2)).max() < 1 + 1e-6
    assert np.abs(cells - 100 * attention).max() < 2 + 1e-6  # within 1 of its row, which is within 1 itself
    assert (cells >= 0).all()
    assert not cells[attention == 0].any()
    # columns: the foot of a table is the sum of its cells, whichever way it is taken
    assert (cells.sum(axis=1).sum(axis=1) == shares.sum(axis=1)).all()


@given(weights=WEIGHTS)
def test_rounding_never_turns_an_order_round(weights: np.ndarray) -> None:
    attention = normalised(weights)
    shares, exact = whole_percents(attention).sum(axis=2), attention.sum(axis=2)
    for row, true in zip(shares, exact, strict=True):
        for a in range(row.size):
            for b in range(row.size):
                assert not (true[a] > true[b] + 1e-9 and row[a] < row[b])


@given(base=AMOUNT, parts=hnp.arrays(np.float64, st.integers(0, 12), elements=AMOUNT), places=st.integers(2, 6))
def test_points_close_to_the_score_also_with_negative_ones(base: float, parts: np.ndarray, places: int) -> None:
    score = np.array([base + parts.sum()])
    b, p, total = closing_points(np.array([base]), parts[None, :], score, places)
    assert total[0] == np.rint(score[0] * 10**places)
    if base or parts.any():
        assert b[0] + p[0].sum() == total[0]
    assert np.abs(p[0] - parts * 10**places).max(initial=0.0) < 1 + 1e-3
    assert not p[0][parts == 0].any()


@pytest.mark.parametrize(
    ("score", "decimals"), [(0.0, 2), (250.0, 2), (3.2, 2), (0.52, 3), (0.0123, 4), (-0.0123, 4), (1e-12, 8), (1.0, 2)]
)
def test_a_score_keeps_three_significant_digits(score: float, decimals: int) -> None:
    assert decimals_for(np.array([score])) == decimals


def test_no_score_at_all() -> None:
    assert decimals_for(np.array([])) == 2
    assert whole_percents(np.zeros((2, 0, 3))).shape == (2, 0, 3)
