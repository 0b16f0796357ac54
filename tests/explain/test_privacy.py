"""Sensitive causes under the three modes, and names that say nothing about a person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.attention.scorer import AttentionScorer
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.explain.privacy import make_privacy, pseudonym
from reportgen.explain.why import explain

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


def test_who_is_sensitive(data: Dataset) -> None:
    def found(**rules: Any) -> list[str]:
        return data.item_ids[make_privacy(data, **rules).sensitive].tolist()

    assert found() == ["S"]
    assert found(categories=["health"]) == ["S", "T"]
    assert found(categories=["Health", "heal"]) == ["S"]
    assert found(title_pattern="sleep.tab") == ["S", "T"]
    assert data.catalogue["sensitive"].sum() == 1  # the data were not written to


def test_fold_counts_but_hides(data: Dataset, scorer: AttentionScorer) -> None:
    why = explain(scorer, data, "me", n=4, privacy=make_privacy(data, "fold"))
    assert why.past.item_id[why.past.hidden].tolist() == ["S"]
    assert (why.net[:, why.past.hidden] > 0).any()
    assert why.usage.excluded == 0
    other = explain(scorer, data, "bare", n=4, privacy=make_privacy(data, "fold"))
    assert "S" not in other.picks.item_id  # nor is it recommended
    assert "T" in other.picks.item_id


def test_exclude_does_not_count_at_all(data: Dataset, scorer: AttentionScorer) -> None:
    why = explain(scorer, data, "me", n=4, privacy=make_privacy(data, "exclude"))
    assert why.past.item_id.tolist() == ["A"]
    assert not why.past.hidden.any()
    assert (why.usage.events, why.usage.used, why.usage.excluded) == (2, 1, 1)
    assert not {"S", "A"} & set(why.picks.item_id)
    shown = explain(scorer, data, "me", n=4, privacy=make_privacy(data, "show"))
    score = dict(zip(shown.picks.item_id, shown.scores, strict=True))
    without = {
        item: score[item] - float(shown.net[k, shown.past.item_id == "S"].sum())
        for k, item in enumerate(shown.picks.item_id)
    }
    assert dict(zip(why.picks.item_id, why.scores, strict=True)) == pytest.approx(without, abs=1e-9)


def test_show_hides_nothing(data: Dataset, scorer: AttentionScorer) -> None:
    privacy = make_privacy(data, "show")
    why = explain(scorer, data, "bare", n=4, privacy=privacy)
    assert not privacy.hidden.any()
    assert privacy.excluded is None
    assert "S" in why.picks.item_id


def test_an_unknown_mode_is_refused(data: Dataset) -> None:
    """A slip must not show what should be hidden."""
    with pytest.raises(ConfigError, match="'hide' is not known; it is one of fold, exclude, show"):
        make_privacy(data, "hide")


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
