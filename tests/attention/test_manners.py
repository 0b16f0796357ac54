"""The manners of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import model_id
from reportgen.data.dataset import Dataset


def test_parameters_are_stored_untouched() -> None:
    half_lives = [5.0, 1.0]
    scorer = AttentionScorer(half_lives=half_lives, l2=7.0)
    assert scorer.half_lives is half_lives
    assert scorer.get_params()["l2"] == 7.0
    assert scorer.set_params(l2=8.0) is scorer
    assert scorer.l2 == 8.0
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        scorer.set_params(colour="red")


def test_a_clone_is_unfitted_and_fits_to_the_same_model(ab_world: Dataset) -> None:
    scorer = AttentionScorer(min_support=3, half_lives=(4.0,))
    assert scorer.fit(ab_world) is scorer
    other = clone(scorer)
    assert other.get_params() == scorer.get_params()
    with pytest.raises(NotFittedError):
        other.recommend(["only-a"], data=ab_world)
    assert model_id(other.fit(ab_world)) == model_id(scorer)


def test_fit_does_not_change_parameters(ab_world: Dataset) -> None:
    scorer = AttentionScorer()
    before = dict(scorer.get_params())
    scorer.fit(ab_world)
    assert scorer.get_params() == before


def test_nothing_works_before_fit(ab_world: Dataset) -> None:
    for act in (lambda s: s.recommend(["a"]), lambda s: s.check_data(ab_world), lambda s: model_id(s)):
        with pytest.raises(NotFittedError):
            act(AttentionScorer())


def test_fitting_again_makes_a_new_model_with_a_new_name(ab_world: Dataset) -> None:
    scorer = AttentionScorer().fit(ab_world)
    first = model_id(scorer)
    scorer.set_params(l2=300.0).fit(ab_world)
    assert model_id(scorer) != first
    assert model_id(scorer) == model_id(AttentionScorer(l2=300.0).fit(ab_world))
    assert np.isfinite(scorer.theta_).all()
