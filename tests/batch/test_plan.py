"""The plan of a run: what it holds, what it does not, and that it is the same for the same run alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.people import People, choose
from reportgen.batch.plan import FILE, MOST_FILES, Plan, differences, make_plan, read_plan, write_plan
from reportgen.batch.settings import RunSettings
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError
from reportgen.output.facts import InputFile

Told = Callable[..., RunSettings]


@pytest.fixture(scope="module")
def planned(data: Dataset, scorer: AttentionScorer, told: Told) -> Callable[..., Plan]:
    def make(data: Dataset = data, **given: Any) -> Plan:
        settings = told(Path("out"), **given)
        choice = choose(data, settings.key, settings.locale, settings.users, settings.limit)
        return make_plan(settings, data, scorer, choice)

    return make


@given(users=st.integers(0, 5000), size=st.integers(1, 700))
def test_every_user_is_in_exactly_one_shard(users: int, size: int) -> None:
    plan = Plan("r", {}, users, size, False)
    places = [place for shard in range(plan.shards) for place in range(*plan.span(shard))]
    assert places == list(range(users))


def test_it_comes_back_as_it_was(planned: Callable[..., Plan], tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None
    plan = planned()
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan
    write_plan(tmp_path, plan)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("spoil", [lambda text: text[:-20], lambda text: text.replace('"size": 1000', '"size": 0'),
                                   lambda text: text.replace('"users": 59', '"users": 58'), lambda _: "[]"])  # fmt: skip
def test_a_damaged_plan_is_named(spoil: Callable[[str], str], planned: Callable[..., Plan], tmp_path: Path) -> None:
    write_plan(tmp_path, planned())
    (tmp_path / FILE).write_text(spoil((tmp_path / FILE).read_text()))
    with pytest.raises(OutputError, match=r"run_plan.json cannot be used .*--overwrite"):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        ({"n": 4}, "settings.options.n (5 there, 4 now)"),
        ({"formats": ("json",)}, "settings.options.formats"),
        ({"shard": 7}, "shards.size (1000 there, 7 now)"),
        ({"limit": 5}, "people"),
        ({"key": b"another key, no secret"}, "key_id"),
        ({"inputs": (InputFile("events", "events.csv", "1" * 64, 1),)}, "inputs"),
        ({"config": Config.from_dict({"report": {"history_cap": 7}})}, "history_cap"),
        ({"packs": True}, "shards.packs (False there, True now)"),
        ({"generated_at": "2030-01-01T00:00:00Z"}, "generated_at"),
    ],
)
def test_what_changes_a_byte_changes_the_plan_and_is_named(
    change: dict[str, Any],
    told_of: str,
    planned: Callable[..., Plan],
    told: Told,
    data: Dataset,
    scorer: AttentionScorer,
) -> None:
    settings = replace(told(Path("out")), **change)
    choice = choose(data, settings.key, settings.locale, settings.users, settings.limit)
    other = make_plan(settings, data, scorer, choice)
    assert other.plan_id != planned().plan_id
    assert told_of in differences(planned(), other)


@pytest.mark.parametrize(
    "same", [{"chunk": 3}, {"workers": 9}, {"resume": True}, {"overwrite": True}, {"user_seconds": 3.0}]
)
def test_what_changes_no_byte_does_not(same: dict[str, Any], planned: Callable[..., Plan]) -> None:
    assert planned(**same) == planned()
    assert differences(planned(**same), planned()) == ""


def test_other_events_and_other_names_are_seen(planned: Callable[..., Plan], data: Dataset) -> None:
    later = data.timestamps.copy()
    later[3] += 1
    renamed = replace(data, catalogue=data.catalogue.assign(title=data.catalogue["title"].str.upper()))
    for other in (replace(data, timestamps=later), renamed):
        assert differences(planned(), planned(data=other)).startswith("histories")


def test_the_plan_names_no_user_and_no_folder(planned: Callable[..., Plan], tmp_path: Path) -> None:
    text = planned(users=("u00001",), templates=tmp_path).to_json().decode()
    assert "u00001" not in text
    assert str(tmp_path) not in text
    assert json.loads(text)["facts"]["settings"]["options"]["own_templates"] is True


def test_the_form_follows_from_the_number_of_users(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_FILES == 50_000
    assert not planned().packs
    monkeypatch.setattr("reportgen.batch.plan.MOST_FILES", 58)
    assert planned().packs
    assert not planned(packs=False).packs
    assert planned().facts["settings"]["options"]["users_per_pack"] == 1000
    assert planned(formats=("pdf",)).size == 100
    assert planned(formats=("pdf",), pdf_limit=3).size == 1000


def test_people_come_back_from_a_file(data: Dataset, tmp_path: Path) -> None:
    people = choose(data, b"k" * 16, "en").people
    people.save(tmp_path / "people.npy")
    again = People.load(data, tmp_path / "people.npy")
    assert list(again) == list(people)
    assert again.part(57, 99) == list(people)[57:]
    assert len(again) == 59
