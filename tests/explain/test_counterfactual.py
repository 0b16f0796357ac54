"""Counterfactuals: never a false certificate, never a set that scoring again does not confirm, never a hidden name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.attention.history import drop_events, gather_events
from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.explain import counterfactual, race
from reportgen.explain import why as why_module
from reportgen.explain.explanation import Explanation
from reportgen.explain.privacy import make_privacy
from reportgen.explain.race import MAX_REMOVED, TIE, Found, Race, search
from reportgen.explain.why import explain, explain_many

Data = Callable[..., Dataset]
Model = Callable[..., AttentionScorer]


# -- the search, against all subsets ---------------------------------------------------------------------------------


def small_race(seed: int, whole: bool, n_items: int, n_products: int, n: int, hidden: float = 0.0) -> Race:
    """Random contributions; whole numbers make ties."""
    rng = np.random.default_rng(seed)
    net = rng.gamma(0.5, 1.0, (n_items, n_products)) * (rng.random((n_items, n_products)) < 0.7)
    net[rng.random(n_items) < 0.15] *= -1.0
    base = rng.random(n_products)
    if whole:
        net, base = np.round(net), np.round(base)
    code, score = rng.permutation(n_products), base + net.sum(axis=0)
    order = np.lexsort((code, -score))
    named = rng.random(n_items) >= hidden
    return Race(net[:, order], score[order], code[order], min(n, n_products), n, named, -np.inf)


def ahead(race: Race, t: int, items: tuple[int, ...], ties: bool) -> int:
    """Competitors ahead of product `t` without some items: written down from the definition."""
    score = race.score - race.net[list(items)].sum(axis=0)
    lead = score - score[t]
    count = lead > TIE
    if ties:
        count |= (np.abs(lead) <= TIE) & (race.code < race.code[t])
    return int(np.delete(count, t).sum())


def subsets(items: np.ndarray, most: int) -> Iterator[tuple[int, ...]]:
    for size in range(1, most + 1):
        yield from combinations(items.tolist(), size)


def smallest(race: Race, t: int, items: np.ndarray, ties: bool) -> int:
    """Brute force; `MAX_REMOVED` + 1 where no set does it."""
    sets = subsets(items, min(MAX_REMOVED, items.size))
    return next((len(each) for each in sets if ahead(race, t, each, ties) >= race.n), MAX_REMOVED + 1)


def check(race: Race, found: list[Found]) -> tuple[int, int]:
    """What an answer may claim; returns how many were proven, of how many."""
    everything, named = np.arange(len(race.named)), np.flatnonzero(race.named)
    assert len(found) == race.shown
    for t, one in enumerate(found):
        size = len(one.items) or MAX_REMOVED + 1
        assert set(one.items) <= set(named.tolist())
        assert len(set(one.items)) == len(one.items) <= MAX_REMOVED
        if one.items:
            assert ahead(race, t, one.items, ties=False) >= race.n
            assert all(ahead(race, t, less, False) < race.n for less in combinations(one.items, len(one.items) - 1))
        if one.proven:
            assert smallest(race, t, everything, ties=True) >= size
        least = smallest(race, t, named, ties=False)
        assert size >= least
        if least <= 3:  # these are searched in full
            assert size == least
    return sum(one.proven for one in found), len(found)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    whole=st.booleans(),
    n_items=st.integers(0, 8),
    n_products=st.integers(1, 12),
    n=st.integers(1, 5),
    hidden=st.sampled_from([0.0, 0.0, 0.3]),
)
def test_no_claim_is_stronger_than_all_subsets_say(
    seed: int, whole: bool, n_items: int, n_products: int, n: int, hidden: float
) -> None:
    race = small_race(seed, whole, n_items, n_products, n, hidden)
    check(race, search(race))


def check_all(count: int) -> np.ndarray:
    races = [small_race(seed, False, 7, 25, 4) for seed in range(count)]
    return np.array([check(race, search(race)) for race in races])


def test_most_answers_are_proven() -> None:
    proven = check_all(40)
    assert proven[:, 0].sum() / proven[:, 1].sum() > 0.8


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), whole=st.booleans(), near=st.integers(0, 6))
def test_products_that_were_not_looked_at_cannot_break_a_proof(seed: int, whole: bool, near: int) -> None:
    """Only some competitors are given, the rest by a bound; all of them count in the brute force."""
    full = small_race(seed, whole, 6, 14, 3)
    k = full.n + near
    gives_back = -np.minimum(full.net, 0.0).sum(axis=0)
    part = replace(
        full,
        net=full.net[:, :k],
        score=full.score[:k],
        code=full.code[:k],
        outside=float((full.score + gives_back)[k:].max(initial=-np.inf)),
    )
    for t, one in enumerate(search(part)):
        if one.items:
            assert ahead(full, t, one.items, ties=False) >= full.n
        if one.proven:
            assert smallest(full, t, np.arange(6), ties=True) >= (len(one.items) or MAX_REMOVED + 1)


def simple(net: list[list[float]], base: list[float], n: int, code: list[int] | None = None, **more: Any) -> Race:
    parts = np.array(net, dtype=np.float64)
    codes = np.arange(parts.shape[1]) if code is None else np.array(code)
    given = {"named": np.ones(len(parts), dtype=bool), "outside": -np.inf} | more
    return Race(parts, np.array(base) + parts.sum(axis=0), codes, n, n, **given)


def test_known_answers() -> None:
    # the first product leads by 3; items give it 2, 2 and 1, and the other nothing
    alone = simple([[1, 0], [2, 0], [2, 0]], [0, 2], 1)
    assert search(alone) == [Found((1, 2), True)]
    # an item that speaks for both is no use
    shared = simple([[5, 5], [2, 0]], [0, 1], 1)
    assert search(shared) == [Found((1,), True)]
    # popularity alone keeps it there
    assert search(simple([[1, 0], [1, 0]], [9, 1], 1)) == [Found((), True)]
    # six would be needed
    assert search(simple([[1, 0]] * 6, [0, 0.5], 1)) == [Found((), True)]
    # five are enough, the largest number that is looked at
    assert [len(one.items) for one in search(simple([[1, 0]] * 5, [0, 0.5], 1))] == [5]


def test_who_was_ahead_may_fall_too() -> None:
    """Both products of the list rest on item 0: without it two others are ahead of the second, not only one."""
    both = simple([[4, 3, 0, 0]], [0, 0, 2, 1], 2)
    assert search(both) == [Found((0,), True)] * 2


def test_a_tie_is_decided_by_the_code_but_never_printed() -> None:
    for other, proven in ((0, False), (2, True)):  # without both items they are equal
        tie = simple([[1, 0], [1, 0]], [1, 1], 1, code=[1, other])
        assert search(tie) == [Found((), proven)]


def test_a_list_with_room_keeps_everything() -> None:
    race = replace(simple([[1, 1]], [0, 0], 3), shown=2)
    assert search(race) == [Found((), True)] * 2
    assert search(replace(race, outside=0.0)) == [Found((), False)] * 2


def test_what_is_hidden_is_not_used_and_weakens_the_claim() -> None:
    named = np.array([False, True, True])
    race = simple([[3, 0], [2, 0], [2, 0]], [0, 4.5], 1, named=named)
    assert search(replace(race, named=np.ones(3, dtype=bool))) == [Found((0,), True)]
    assert search(race) == [Found((1, 2), False)]
    assert search(replace(race, named=np.zeros(3, dtype=bool))) == [Found((), False)]


def test_outsiders_stop_a_proof() -> None:
    race = simple([[2, 0], [2, 0]], [0, 1], 1)
    assert search(race) == [Found((0, 1), True)]
    assert search(replace(race, outside=2.5)) == [Found((0, 1), False)]


# -- the whole way, with a fitted scorer ------------------------------------------------------------------------------


def scores_without(scorer: AttentionScorer, data: Dataset, user: str, gone: set[str], **more: Any) -> np.ndarray:
    """Scores of all items in float64 without the events on some items, ages as they were; shape (I,)."""
    code = scorer.user_codes(data, [user])
    events = gather_events(data, code, scorer.history_cap, more.get("excluded"))
    keep = ~np.isin(data.item_ids[events.item].astype(str), list(gone))
    parts = {name: getattr(events, name)[keep] for name in ("row", "item", "age", "value", "event")}
    return scorer.contributions(replace(events, **parts), np.arange(data.item_ids.size)[None, :]).score[0]


def eligible(scorer: AttentionScorer, data: Dataset, user: str) -> np.ndarray:
    codes, _ = scorer.recommend_codes(
        data, scorer.user_codes(data, [user]), data.item_ids.size, make_privacy(data).barred
    )
    return np.sort(codes[codes >= 0])


def rank_of(scores: np.ndarray, among: np.ndarray, item: int) -> int:
    lead = scores[among] - scores[item]
    return 1 + int(((lead > TIE) | ((np.abs(lead) <= TIE) & (among < item))).sum())


def verify(scorer: AttentionScorer, data: Dataset, why: Explanation, n: int, subsets_too: bool = False) -> int:
    """Every counterfactual of an explanation, by scoring again here; returns how many sets there were."""
    among, seen = eligible(scorer, data, why.user_id), 0
    for k, found in enumerate(why.counterfactuals):
        if found is None:
            continue
        item = int(np.flatnonzero(data.item_ids == why.picks.item_id[k])[0])
        gone = {str(why.past.item_id[j]) for j in found.items}
        assert found.rank_before == k + 1
        assert not why.past.hidden[list(found.items)].any()
        if found.items:
            scores = scores_without(scorer, data, why.user_id, gone)
            assert int((scores[among] > scores[item] + TIE).sum()) >= n, (why.user_id, k)
            assert found.rank_after == rank_of(scores, among, item) > n
            seen += 1
        else:
            assert found.rank_after == found.rank_before
        if subsets_too and found.minimal == "proven":
            most = len(found.items) - 1 if found.items else MAX_REMOVED
            for fewer in subsets(np.arange(len(why.past.item_id)), most):
                scores = scores_without(scorer, data, why.user_id, {str(why.past.item_id[j]) for j in fewer})
                assert rank_of(scores, among, item) <= n, (why.user_id, k, fewer)
    return seen


def verify_all(scorer: AttentionScorer, data: Dataset, whys: list[Explanation], n: int) -> int:
    return sum(verify(scorer, data, why, n) for why in whys)


@pytest.mark.parametrize("seed", range(4))
def test_proofs_hold_on_random_shops(
    seed: int, random_data: Data, random_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_data(seed)
    scorer = random_model(data, seed)
    seen = 0
    for behind, more in ((30, 10), (2, 0), (0, -2)):
        for module in (counterfactual, why_module):
            monkeypatch.setattr(module, "BEHIND", behind)
        monkeypatch.setattr(counterfactual, "_MORE", more)
        for why in explain_many(scorer, data, data.user_ids[:12], n=2):
            assert len(why.counterfactuals) == len(why.scores)
            assert why.unconfirmed == 0
            if len(why.past.item_id) <= 7:
                seen += verify(scorer, data, why, 2, subsets_too=True)
    assert seen > 0


@pytest.fixture(scope="module")
def shop() -> tuple[Dataset, AttentionScorer]:
    made = make_shop(n_users=150, n_items=80, random_state=4)
    data = Dataset.from_frames(made.events, made.items, made.users)
    return data, AttentionScorer(min_support=2).fit(data)


def test_every_set_is_confirmed_by_scoring_again(shop: tuple[Dataset, AttentionScorer]) -> None:
    data, scorer = shop
    whys = explain_many(scorer, data, data.user_ids)
    assert verify_all(scorer, data, whys, 5) > 300
    assert sum(why.unconfirmed for why in whys) == 0
    sizes = {len(found.items) for why in whys for found in why.counterfactuals if found is not None}
    assert {1, 2} <= sizes <= set(range(MAX_REMOVED + 1))


def test_many_at_once_is_one_by_one(shop: tuple[Dataset, AttentionScorer], monkeypatch: pytest.MonkeyPatch) -> None:
    data, scorer = shop
    users = data.user_ids[::7]
    whole = [why.counterfactuals for why in explain_many(scorer, data, users)]
    assert whole == [explain(scorer, data, user).counterfactuals for user in users]
    monkeypatch.setattr(counterfactual, "_USERS", 3)
    monkeypatch.setattr(race, "_CELLS", 1)
    assert whole == [why.counterfactuals for why in explain_many(scorer, data, users)]


def test_they_may_be_left_out(shop: tuple[Dataset, AttentionScorer]) -> None:
    data, scorer = shop
    plain = explain(scorer, data, data.user_ids[5], counterfactuals=False)
    full = explain(scorer, data, data.user_ids[5])
    assert plain.counterfactuals == ()
    assert len(full.counterfactuals) == 5
    assert plain.picks.item_id.tolist() == full.picks.item_id.tolist()
    assert np.array_equal(plain.contributions, full.contributions)


def test_the_ages_of_the_others_do_not_move(build_data: Data, random_model: Model) -> None:
    """Without the newest item the older one keeps its age; were it made newer, the product would stay first."""
    baskets: dict[str, Any] = {f"a{k:02}": [["A", "P"]] for k in range(20)}
    baskets |= {f"b{k:02}": [["B", "P"]] for k in range(20)} | {f"q{k:02}": [["Q"]] for k in range(40)}
    data = build_data(baskets | {"me": [["A"], ["B"]]}, ["A", "B", "P", "Q"])
    scorer = random_model(data, 0, half_lives=(1.0,))
    scorer.theta_ = np.zeros_like(scorer.theta_)
    scorer.theta_[0] = 1.0
    both = explain(scorer, data, "me", n=1)
    older = float(both.net[0, both.past.item_id == "A"][0])
    code = {item: int(np.flatnonzero(data.item_ids == item)[0]) for item in "APQ"}
    scorer.base_ = scorer.base_ * 0.0
    scorer.base_[code["Q"]] = 1.5 * older  # between the worth of A at its age and as the newest
    why = explain(scorer, data, "me", n=1)
    found = why.counterfactuals[0]
    assert why.picks.item_id.tolist() == ["P"]
    assert found is not None
    assert [str(why.past.item_id[j]) for j in found.items] == ["B"]
    assert (found.minimal, found.rank_before, found.rank_after) == ("proven", 1, 2)
    events = gather_events(data, scorer.user_codes(data, ["me"]), 200)
    moved = drop_events(data, np.isin(np.arange(data.items.size), events.event[events.age == 0]))
    codes, _ = scorer.recommend_codes(moved, scorer.user_codes(moved, ["me"]), 1)
    assert codes.tolist() == [[code["P"]]]


def test_a_removed_item_does_not_come_back(build_data: Data, random_model: Model) -> None:
    """B was taken, so it is no competitor of P, not even where its own event does not count."""
    baskets: dict[str, Any] = {f"u{k:02}": [["B", "P", "A"]] for k in range(20)}
    data = build_data(baskets | {"me": [["B"]]}, ["A", "B", "P"])
    scorer = random_model(data, 0)
    for found in explain(scorer, data, "me", n=2).counterfactuals:
        assert found is not None
        assert (found.items, found.minimal) == ((), "proven")  # only two products are left to list


def test_a_hidden_item_is_never_named(shop: tuple[Dataset, AttentionScorer]) -> None:
    data, scorer = shop
    rng = np.random.default_rng(0)
    privacy = replace(make_privacy(data), sensitive=rng.random(data.item_ids.size) < 0.3)
    used = matter = 0
    for why in explain_many(scorer, data, data.user_ids, privacy=privacy):
        for k, found in enumerate(why.counterfactuals):
            if found is None:
                continue
            assert not why.past.hidden[list(found.items)].any()
            used += len(found.items)
            hidden_first = bool(why.past.hidden[np.argmax(why.net[k])])
            matter += hidden_first
    assert used > 100
    assert matter > 50


# -- negative controls -------------------------------------------------------------------------------------------------


def strongest_only(race: Race) -> list[Found]:
    """A search that guesses."""
    return [
        Found((int(np.argmin(race.net[:, t])),), True) if len(race.named) else Found((), True)
        for t in range(race.shown)
    ]


def test_a_wrong_set_is_dropped_and_counted(
    shop: tuple[Dataset, AttentionScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, scorer = shop
    monkeypatch.setattr(counterfactual, "search", strongest_only)
    whys = explain_many(scorer, data, data.user_ids[:40])
    assert sum(why.unconfirmed for why in whys) > 100
    for why in whys:
        verify(scorer, data, why, 5)
        concerned = int(why.net.any(axis=1).sum())
        assert sum(found is not None for found in why.counterfactuals) + why.unconfirmed == concerned


def test_without_the_check_the_wrong_set_is_seen_here(
    shop: tuple[Dataset, AttentionScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, scorer = shop
    monkeypatch.setattr(counterfactual, "search", strongest_only)
    monkeypatch.setattr(
        counterfactual,
        "confirm",
        lambda _, lists, claims: (np.full(len(claims), lists.n + 1), np.ones(len(claims), dtype=bool)),
    )
    whys = explain_many(scorer, data, data.user_ids[:40])
    with pytest.raises(AssertionError):
        verify_all(scorer, data, whys, 5)


def test_a_search_that_calls_everything_proven_is_seen_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race._Field, "bound", lambda self: np.full(self.own.size, MAX_REMOVED + 1))
    with pytest.raises(AssertionError):
        check_all(40)


def test_float32_that_cannot_decide_is_settled_in_float64(
    shop: tuple[Dataset, AttentionScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a blur so wide that nothing is sure in float32, every rank is the same."""
    data, scorer = shop
    users = data.user_ids[:20]
    sharp = [why.counterfactuals for why in explain_many(scorer, data, users)]
    monkeypatch.setattr(counterfactual, "_BLUR", 10.0)
    assert [why.counterfactuals for why in explain_many(scorer, data, users)] == sharp
