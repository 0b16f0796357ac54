"""Sensitive causes under the three modes, and names that say nothing about a person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.attention.scorer import AttentionScorer
from reportgen.config import Config
from reportgen.config import Privacy as Policy
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.errors import ConfigError, InputError
from reportgen.explain.explanation import Explanation
from reportgen.explain.privacy import Privacy, fold_evidence, make_privacy, pseudonym
from reportgen.explain.why import explain, explain_many

Data = Callable[..., Dataset]
KEY = b"k" * 32
TRICKY = [
    "", " ", ".", "..", "../", "../../etc/passwd", "/", "\\", "a/b", "a\\b", "CON", "con", "Con", "NUL", "aux.txt",
    "a", "A", "a ", " a", "a\n", "a\x00", "a\u200b", "1", "01", "1.0", "１", "é", "e\u0301", "ﬁ", "fi", "ß", "ss",
    "İ", "i̇", "\u202ea", "👩", "👩\u200d👧", "\ud800", "\udc80", "用户", "用戶", "-rf", "~", "%2e%2e",
    "a" * 300, "a" * 301,
]  # fmt: skip


@pytest.fixture(scope="module")
def data(build_data: Data) -> Dataset:
    """Everybody took A, S, T and B together; S is sensitive by its mark, T by its category or title."""
    facts: dict[str, dict[str, Any]] = {name: {"category": "plain", "sensitive": False} for name in ("A", "B", "C")}
    facts |= {"S": {"category": "plain", "sensitive": True}, "T": {"category": "health", "sensitive": False}}
    facts["T"]["title"] = "Sleep Tablets"
    baskets: dict[str, Any] = {f"u{k:02}": [["A", "S", "T"], ["B", "C"]] for k in range(30)}
    return build_data(baskets | {"me": [["A"], ["S"]], "bare": [["A"]]}, facts)


@pytest.fixture(scope="module")
def scorer(data: Dataset) -> AttentionScorer:
    return AttentionScorer(features={}).fit(data)


def policy(mode: str = "fold", **rules: Any) -> Policy:
    return Config.from_dict({"privacy": {"sensitive": mode, "rules": rules}}).privacy


def test_who_is_sensitive(data: Dataset) -> None:
    def found(**rules: Any) -> list[str]:
        return data.item_ids[make_privacy(data, policy(**rules)).sensitive].tolist()

    assert found() == ["S"]
    assert found(category=["health"]) == ["S", "T"]
    assert found(category=["heal"]) == ["S"]
    assert found(title_pattern="sleep.tab") == ["S", "T"]
    assert data.catalogue["sensitive"].sum() == 1  # the data were not written to


@pytest.mark.parametrize("category", ["Health", " health ", "HEALTH", "ｈｅａｌｔｈ", "hea\u200blth"])
def test_a_category_is_known_in_any_spelling(data: Dataset, category: str) -> None:
    assert data.item_ids[make_privacy(data, policy(category=[category])).sensitive].tolist() == ["S", "T"]


@pytest.mark.parametrize(
    ("title", "pattern"),
    [
        ("验孕棒 2 支装", "验孕"), ("Ｐｒｅｇｎａｎｃｙ Ｔｅｓｔ", "pregnancy test"), ("Preg\u200bnancy Test", "pregnancy"),
        ("Preg\u00adnancy\nTest", "pregnancy test"), ("早孕\u200b试纸", "早孕试纸"), ("ÉTUDE", "étude"),
    ],
)  # fmt: skip
def test_a_title_is_searched_as_a_reader_sees_it(build_data: Data, title: str, pattern: str) -> None:
    data = build_data(
        {"u": [["X"]]}, {"X": {"title": title, "category": "类别"}, "Y": {"title": "Lamp", "category": "灯"}}
    )
    assert data.item_ids[make_privacy(data, policy(title_pattern=pattern)).sensitive].tolist() == ["X"]
    assert data.item_ids[make_privacy(data, policy(category=["类别"])).sensitive].tolist() == ["X"]


def test_a_rule_that_cannot_be_followed_is_an_error(build_data: Data) -> None:
    bare = build_data({"u": [["X"]]}, {"X": {"title": "Lamp"}})
    assert "category" not in bare.catalogue
    with pytest.raises(ConfigError, match=r"\[privacy.rules\] category: the items have no category"):
        make_privacy(bare, policy(category=["Health"]))
    with pytest.raises(ConfigError, match="the data were read without this rule"):
        make_privacy(bare, policy(source=["gift"]))


def test_fold_counts_but_hides(data: Dataset, scorer: AttentionScorer) -> None:
    why = explain(scorer, data, "me", n=4, privacy=make_privacy(data, policy("fold")))
    assert why.past.item_id[why.past.hidden].tolist() == ["S"]
    assert (why.net[:, why.past.hidden] > 0).any()
    assert why.usage.excluded == 0
    other = explain(scorer, data, "bare", n=4, privacy=make_privacy(data, policy("fold")))
    assert "S" not in other.picks.item_id  # nor is it recommended
    assert "T" in other.picks.item_id


def test_exclude_does_not_count_at_all(data: Dataset, scorer: AttentionScorer) -> None:
    why = explain(scorer, data, "me", n=4, privacy=make_privacy(data, policy("exclude")))
    assert why.past.item_id.tolist() == ["A"]
    assert not why.past.hidden.any()
    assert (why.usage.events, why.usage.used, why.usage.excluded) == (2, 1, 1)
    assert not {"S", "A"} & set(why.picks.item_id)
    shown = explain(scorer, data, "me", n=4, privacy=make_privacy(data, policy("show")))
    score = dict(zip(shown.picks.item_id, shown.scores, strict=True))
    without = {
        item: score[item] - float(shown.net[k, shown.past.item_id == "S"].sum())
        for k, item in enumerate(shown.picks.item_id)
    }
    assert dict(zip(why.picks.item_id, why.scores, strict=True)) == pytest.approx(without, abs=1e-9)


def test_show_hides_nothing(data: Dataset, scorer: AttentionScorer) -> None:
    privacy = make_privacy(data, policy("show"))
    why = explain(scorer, data, "bare", n=4, privacy=privacy)
    assert not privacy.hidden.any()
    assert privacy.excluded is None
    assert "S" in why.picks.item_id


def test_an_unknown_mode_is_refused(data: Dataset) -> None:
    """A slip must not show what should be hidden."""
    with pytest.raises(ConfigError, match="'hide' is not known; it is one of fold, exclude, show"):
        Privacy("hide", np.zeros(data.item_ids.size, dtype=bool))


# -- what the data were read with is what an explanation does ---------------------------------------------------------


EVENTS = pd.DataFrame(
    [
        (f"u{k:02}", item, f"2026-0{month}-01", "purchase", "web")
        for k in range(30)
        for month, basket in enumerate((("A", "S", "T"), ("B", "C")), start=1)
        for item in basket
    ]
    + [("me", "A", "2026-01-01", "purchase", "web"), ("me", "S", "2026-02-01", "purchase", "web")]
    + [("giver", "A", "2026-01-01", "purchase", "web"), ("giver", "T", "2026-01-03", "view", "web")]
    + [("giver", "T", "2026-01-04", "purchase", " Gift"), ("giver", "B", "2026-01-05", "view", "gift")],
    columns=["user_id", "item_id", "timestamp", "event_type", "source"],
)
ITEMS = pd.DataFrame(
    [
        ("A", "Lamp", "plain", False),
        ("B", "Chair", "plain", False),
        ("C", "Rug", "plain", False),
        ("S", "Secret", "plain", True),
        ("T", "Tablets", "health", False),
    ],
    columns=["item_id", "title", "category", "sensitive"],
)


def read(mode: str = "fold", **rules: Any) -> Dataset:
    config = Config.from_dict({"privacy": {"sensitive": mode, "rules": rules}})
    return Dataset.from_frames(EVENTS, ITEMS, config=config)


def told(data: Dataset, user: str, **more: Any) -> Explanation:
    return explain(AttentionScorer(features={}).fit(data), data, user, n=4, **more)


def test_a_python_user_gets_the_rules_of_the_configuration_without_asking() -> None:
    plain = told(Dataset.from_frames(EVENTS, ITEMS), "me")
    assert plain.past.item_id[plain.past.hidden].tolist() == ["S"]
    ruled = told(read(category=["health"]), "u00")
    assert sorted(ruled.past.item_id[ruled.past.hidden]) == ["S", "T"]
    excluded = told(read("exclude"), "me")
    assert excluded.past.item_id.tolist() == ["A"]
    assert excluded.usage.excluded == 1
    assert not told(read("show"), "me").past.hidden.any()


def test_a_gift_is_folded_for_the_giver_alone_with_every_look_at_it() -> None:
    data = read(source=["GIFT"])
    why = told(data, "giver")
    assert sorted(why.past.item_id[why.past.hidden]) == ["B", "T"]
    assert why.past.n_events[why.past.item_id == "T"].tolist() == [2]
    assert why.net[:, why.past.hidden].any()
    assert "B" not in why.picks.item_id  # only looked at so far, but listing it would show it
    assert "B" in told(read(), "giver").picks.item_id
    other = told(data, "u00")
    assert other.past.item_id[other.past.hidden].tolist() == ["S"]
    given = explain_many(AttentionScorer(features={}).fit(data), data, ["giver"], candidates=[["B", "C"]])[0]
    assert given.picks.item_id.tolist() == ["C"]


def test_an_excluded_gift_does_not_count_and_is_not_listed() -> None:
    why, without = told(read("exclude", source=["gift"]), "giver"), told(read("exclude"), "giver")
    assert why.past.item_id.tolist() == ["A"]
    assert (why.usage.events, why.usage.used, why.usage.excluded) == (4, 1, 3)
    assert not {"B", "T"} & set(why.picks.item_id)
    kept = without.past.item_id == "A"
    for k, item in enumerate(why.picks.item_id):
        place = without.picks.item_id.tolist().index(item)
        assert why.net[k] == pytest.approx(without.net[place, kept], abs=1e-12)  # the others keep their age


def test_a_gift_rule_needs_its_column() -> None:
    config = Config.from_dict({"privacy": {"rules": {"source": ["gift"]}}})
    with pytest.raises(InputError, match="source"):
        Dataset.from_frames(EVENTS.drop(columns="source"), ITEMS, config=config)


def test_a_counterfactual_never_names_a_gift() -> None:
    shop = make_shop(120, 60, random_state=2)
    rng = np.random.default_rng(0)
    events = shop.events.assign(source=np.where(rng.random(len(shop.events)) < 0.3, "gift", "web"))
    data = Dataset.from_frames(
        events, shop.items, config=Config.from_dict({"privacy": {"rules": {"source": ["gift"]}}})
    )
    scorer = AttentionScorer(min_support=2).fit(data)
    gifts = set(
        zip(events["user_id"][events["source"] == "gift"], events["item_id"][events["source"] == "gift"], strict=True)
    )
    named = 0
    for why in explain_many(scorer, data, data.user_ids, n=4):
        pairs = {(why.user_id, item) for item in why.past.item_id[why.past.hidden]}
        assert {pair for pair in gifts if pair[0] == why.user_id and pair[1] in why.past.item_id} <= pairs
        for found in (one for one in why.counterfactuals if one is not None):
            assert not why.past.hidden[list(found.items)].any()
            named += len(found.items)
        assert why.sum_gap <= 1e-9
    assert named > 20


# -- folded evidence ----------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), j=st.integers(1, 6), f=st.integers(1, 4))
def test_folding_keeps_every_sum_and_tells_no_kind(seed: int, j: int, f: int) -> None:
    rng = np.random.default_rng(seed)
    parts, hidden = rng.normal(size=(3, j, f)), rng.random(j) < 0.5
    found = fold_evidence(parts, hidden)
    assert found.shape == (3, j, f + 1)
    assert found.sum(axis=2) == pytest.approx(parts.sum(axis=2), abs=1e-12)
    assert not found[:, hidden, :-1].any()
    assert not found[:, ~hidden, -1].any()
    assert np.array_equal(found[:, ~hidden, :-1], parts[:, ~hidden])


def test_an_explanation_tells_no_kind_and_no_day_of_what_it_hides(data: Dataset, scorer: AttentionScorer) -> None:
    why = explain(scorer, data, "me", n=4)
    assert why.model.heads == (*scorer.heads_, "folded")
    assert not why.contributions[:, why.past.hidden, :-1].any()
    assert not why.support[:, why.past.hidden].any()
    assert why.usage.used == 2
    assert why.usage.first == why.usage.last == why.past.date[~why.past.hidden][0]


def test_an_explanation_says_little_of_itself(data: Dataset, scorer: AttentionScorer) -> None:
    why = explain(scorer, data, "me", n=4)
    assert repr(why) == f"<Explanation of {len(why.scores)} items from 2 in the history, 1 of them not shown>"


def test_pseudonyms_tell_tricky_ids_apart() -> None:
    names = [pseudonym(KEY, user) for user in TRICKY]
    assert len(set(TRICKY)) == len(set(names)) == len(TRICKY)
    assert all(re.fullmatch("[a-z2-7]{24}", name) for name in names)
    assert len({name.casefold() for name in names}) == len(names)  # also on a disk that ignores case


@given(one=st.text(st.characters(), max_size=20), two=st.text(st.characters(), max_size=20))
def test_pseudonyms_are_stable_and_distinct(one: str, two: str) -> None:
    assert re.fullmatch("[a-z2-7]{24}", pseudonym(KEY, one))
    assert (pseudonym(KEY, one) == pseudonym(KEY, two)) == (one == two)
    assert pseudonym(KEY, one) != pseudonym(KEY + b"x", one)
    composed = unicodedata.normalize("NFD", one)
    assert (pseudonym(KEY, composed) == pseudonym(KEY, one)) == (composed == one)


def test_a_pseudonym_never_changes() -> None:
    """Files of earlier runs are found by it."""
    expected = {"u1": "xws4y6aoryz53u5x2xetuly2", "用户": "3mw5x4uuuzblfc4jcx5mpcza"}
    assert {user: pseudonym(b"secret", user) for user in expected} == expected


def test_hidden_is_per_item(data: Dataset) -> None:
    assert np.array_equal(make_privacy(data).hidden, data.item_ids == "S")
