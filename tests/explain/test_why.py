"""From a scorer to explanations: the right items, the right numbers, at the right time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import load_model, model_id, save_model
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.errors import InputError, ModelError
from reportgen.explain import why as why_module
from reportgen.explain.explanation import Explanation
from reportgen.explain.why import explain, explain_many

Data = Callable[..., Dataset]
Model = Callable[..., AttentionScorer]


@pytest.fixture(scope="module")
def data() -> Dataset:
    shop = make_shop(n_users=120, n_items=60, random_state=2)
    return Dataset.from_frames(shop.events, shop.items, shop.users)


@pytest.fixture(scope="module")
def scorer(data: Dataset) -> AttentionScorer:
    return AttentionScorer(history_cap=40).fit(data)


def same(one: Explanation, two: Explanation) -> None:
    assert one.picks.item_id.tolist() == two.picks.item_id.tolist()
    assert one.past.item_id.tolist() == two.past.item_id.tolist()
    assert np.abs(one.contributions - two.contributions).max(initial=0) <= 1e-12
    assert np.abs(one.scores - two.scores).max(initial=0) <= 1e-12
    assert one.usage == two.usage


def test_because_of_a(ab_world: Dataset) -> None:
    why = explain(AttentionScorer().fit(ab_world), ab_world, "only-a", n=2)
    assert why.picks.item_id[0] == "B"
    assert why.past.item_id.tolist() == ["A"]
    assert why.net[0, 0] > 0
    assert why.attention[0].sum() == pytest.approx(1.0)
    assert why.support.tolist() == [[30], [0]]
    assert why.picks.popularity.tolist()[0] == 30
    assert why.past.event_type.tolist() == ["purchase"]


def test_many_at_once_is_one_by_one(data: Dataset, scorer: AttentionScorer) -> None:
    users = data.user_ids[::9]
    for one, user in zip(explain_many(scorer, data, users, n=4), users, strict=True):
        assert one.user_id == user
        same(one, explain(scorer, data, user, n=4))


def test_the_list_is_the_recommended_list(data: Dataset, scorer: AttentionScorer) -> None:
    barred = data.catalogue["sensitive"].to_numpy(dtype=bool)
    ids, scores = scorer.recommend(data.user_ids, n=5, exclude=barred)
    for user, why in enumerate(explain_many(scorer, data, data.user_ids, n=5)):
        assert sorted(why.picks.item_id) == sorted(ids[user])
        assert np.allclose(why.scores, scores[user], atol=1e-4)
        assert (np.diff(why.scores) <= 0).all()
        assert why.scores.dtype == why.contributions.dtype == np.float64
        assert why.sum_gap <= 1e-9


def test_the_past_is_newest_first_and_counts_add_up(data: Dataset, scorer: AttentionScorer) -> None:
    capped = 0
    for user, why in enumerate(explain_many(scorer, data, data.user_ids)):
        mine, use = data.history(user), why.usage
        assert use.used == why.past.n_events.sum()
        assert use.events == mine.stop - mine.start == use.used + use.capped + use.excluded
        assert (use.excluded, use.after) == (0, 0)
        assert (use.first is None) == bool(why.past.hidden.all())  # the day of a hidden item is not told
        capped += use.capped
        items = data.items[mine][::-1][:40]
        assert why.past.item_id.tolist() == list(dict.fromkeys(data.item_ids[items]))
        for item, date, kind in zip(why.past.item_id, why.past.date, why.past.event_type, strict=True):
            newest = mine.start + np.flatnonzero(data.item_ids[data.items[mine]] == item)[-1]
            assert date == data.timestamps[newest]
            assert kind == data.event_types[data.types[newest]]
    assert capped > 0


def test_later_events_are_not_used(data: Dataset, scorer: AttentionScorer) -> None:
    """As of a day, the explanation is that of data which end on that day, whatever comes later."""
    as_of = int(np.median(data.timestamps))
    users = data.user_ids[:40]
    cut = data.until(as_of)
    later = np.diff(data.indptr)[:40] - np.diff(cut.indptr)[:40]
    assert (later > 0).sum() > 20
    for k, (one, two) in enumerate(
        zip(explain_many(scorer, data, users, as_of=as_of), explain_many(scorer, cut, users, as_of=as_of), strict=True)
    ):
        assert one.as_of == as_of
        assert one.usage.after == later[k]
        assert (one.past.date <= as_of).all()
        same(one, replace(two, usage=replace(two.usage, after=int(later[k]))))


def test_an_item_taken_later_may_still_be_shown(build_data: Data) -> None:
    data = build_data({f"u{k}": [["A"], ["B"]] for k in range(30)})
    scorer = AttentionScorer().fit(data)
    assert explain(scorer, data, "u0").picks.item_id.tolist() == []
    assert explain(scorer, data, "u0", as_of=int(data.timestamps.min())).picks.item_id.tolist() == ["B"]


def test_before_everything_there_is_no_reason(data: Dataset, scorer: AttentionScorer) -> None:
    why = explain(scorer, data, data.user_ids[0], as_of=0)
    assert len(why.past.item_id) == why.usage.used == 0
    assert len(why.picks.item_id) == 5
    assert np.array_equal(why.scores, why.base)
    assert not why.attention.any()
    assert why.to_frame().empty


def test_a_user_without_events_gets_what_is_popular(build_data: Data) -> None:
    baskets: dict[str, Any] = {f"u{k}": [["A"], ["B"]] if k < 9 else [["B"]] for k in range(12)}
    data = build_data(baskets, ["A", "B", "C"], users=[*baskets, "new"])
    scorer = AttentionScorer().fit(data)
    why = explain(scorer, data, "new", n=9)
    assert why.picks.item_id.tolist() == ["B", "A", "C"]
    assert why.contributions.shape == (3, 0, len(scorer.heads_))
    assert why.counterfactuals == (None, None, None)


def test_a_return_is_negative_and_has_no_weight(build_data: Data, random_model: Model) -> None:
    baskets: dict[str, Any] = {f"u{k}": [["A", "B"], ["C", "B"]] for k in range(9)}
    data = build_data(baskets | {"me": [[("A", "return")], ["C"]]}, ["A", "B", "C"])
    why = explain(random_model(data, 1), data, "me", n=1)
    assert why.picks.item_id.tolist() == ["B"]
    net = dict(zip(why.past.item_id, why.net[0], strict=True))
    assert net["A"] < 0 < net["C"]
    weight = dict(zip(why.past.item_id, why.attention[0].sum(axis=1), strict=True))
    assert weight == {"A": 0.0, "C": pytest.approx(1.0)}


def test_details_leave_out_what_is_not_known(build_data: Data) -> None:
    facts: dict[str, Any] = {"A": {"brand": "x", "price": 2.5}, "B": {"brand": None, "price": None}}
    data = build_data({"u": [["Z"]]}, facts | {"Z": {}})
    found = dict(zip(["A", "B"], explain(AttentionScorer().fit(data), data, "u").picks.details, strict=True))
    assert found["A"]["brand"] == "x"
    assert found["A"]["price"] == 2.5
    assert not {"brand", "price"} & found["B"].keys()


def test_the_facts_of_the_model(data: Dataset, scorer: AttentionScorer) -> None:
    facts = explain(scorer, data, data.user_ids[0]).model
    assert facts.model_id == model_id(scorer)
    assert facts.heads == (*scorer.heads_, "folded")  # this user has a hidden item
    assert (facts.n_items, facts.n_users, facts.history_cap) == (60, scorer.n_users_, 40)
    assert facts.live == (*np.flatnonzero(scorer.theta_.sum(axis=1)), len(scorer.heads_))


def test_a_loaded_model_explains_alike(data: Dataset, scorer: AttentionScorer, tmp_path: Any) -> None:
    save_model(scorer, tmp_path)
    same(explain(load_model(tmp_path), data, data.user_ids[3]), explain(scorer, data, data.user_ids[3]))


def test_a_ranking_that_belongs_to_other_numbers_is_refused(
    data: Dataset, scorer: AttentionScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control for the check of float32 against float64."""
    honest = scorer.recommend_codes
    monkeypatch.setattr(scorer, "recommend_codes", lambda *a: (honest(*a)[0], honest(*a)[1] + np.float32(0.01)))
    with pytest.raises(ModelError, match="differs from the ranking score"):
        explain(scorer, data, data.user_ids[0])
    assert why_module._BULK_TOLERANCE < 1e-3


def test_nobody_asked_nothing_told(data: Dataset, scorer: AttentionScorer) -> None:
    assert explain_many(scorer, data, []) == []
    with pytest.raises(InputError, match="unknown user 'nobody'"):
        explain(scorer, data, "nobody")


def test_given_candidates_alone_are_scored(scorer: AttentionScorer, data: Dataset) -> None:
    user = str(data.user_ids[0])
    ids = [str(item) for item in data.item_ids[[3, 1, 4, 1]]]
    (why,) = explain_many(scorer, data, [user], n=2, candidates=[ids])
    assert set(why.picks.item_id) <= set(ids)
    assert len(why.scores) == 2
    assert why.scores[0] >= why.scores[1]
    (every,) = explain_many(scorer, data, [user], n=data.item_ids.size, candidates=[data.item_ids])
    best = [item for item in every.picks.item_id if item in ids]
    assert list(why.picks.item_id) == best[:2]
    with pytest.raises(InputError, match="unknown item 'nothing'"):
        explain_many(scorer, data, [user], candidates=[["nothing"]])
