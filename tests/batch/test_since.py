"""A run made again with newer data: the same bytes as from scratch, and reports that would be the same are taken over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch import origins
from reportgen.batch.origins import Library, tag_of
from reportgen.batch.people import Person
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings, RunSummary, Tools
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.explain.privacy import pseudonym
from reportgen.explain.why import explain
from reportgen.output.facts import hash_text
from reportgen.output.folder import MANIFEST, MARKER
from reportgen.output.former import Former

Told = Callable[..., RunSettings]
Go = Callable[..., RunSummary]
#: So few users that nothing is measured of their reasons: what was measured stands in every report.
USERS, SHARD = 18, 7
KEY = b"a key for tests, not a secret"


@dataclass(frozen=True)
class Tables:
    """What a shop hands over; edits make others."""

    events: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame

    def data(self) -> Dataset:
        return Dataset.from_frames(self.events, self.items, self.users)

    def inputs(self) -> tuple[Any, ...]:
        return tuple(hash_text(name, name, frame.to_csv(index=False)) for name, frame in vars(self).items())


@pytest.fixture(scope="module")
def tables() -> Tables:
    shop = make_shop(USERS)
    return Tables(shop.events, shop.items, shop.users)


@pytest.fixture(scope="module")
def model(tables: Tables) -> AttentionScorer:
    return AttentionScorer().fit(tables.data())


@pytest.fixture(scope="module")
def go(tables: Tables, model: AttentionScorer, told: Told) -> Go:
    as_of = int(tables.data().timestamps.max())

    def make(out: Path, of: Tables, **given: Any) -> RunSummary:
        known = {"shard": SHARD, "chunk": 4, "as_of": as_of, "inputs": of.inputs()}
        return build_run(told(out, **known | given), of.data(), model)

    return make


@pytest.fixture(scope="module")
def formers(go: Go, tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The same run as files, and as packs."""
    place = tmp_path_factory.mktemp("former")
    for packs in (False, True):
        go(place / str(packs) / "run", tables, packs=packs)
    return {packs: place / str(packs) / "run" for packs in (False, True)}


@pytest.fixture(scope="module")
def former(formers: dict[bool, Path]) -> Path:
    return formers[False]


@pytest.fixture(scope="module")
def stays(tables: Tables) -> int:
    """The row of a user who gets a report."""
    return list(tables.users["opted_out"]).index(False)


@pytest.fixture(scope="module")
def reported(tables: Tables) -> int:
    return int((~tables.users["opted_out"].astype(bool)).sum())


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def user_of(tables: Tables, at: int) -> str:
    return str(sorted(tables.users["user_id"])[at % USERS])


def without_event(tables: Tables, at: int) -> Tables:
    """One event is gone: somebody corrected it."""
    return replace(tables, events=tables.events.drop(tables.events.index[at % len(tables.events)]))


def late_event(tables: Tables, at: int) -> Tables:
    """An event of somebody arrives late, on an item that another user took."""
    event = tables.events.iloc[[at % len(tables.events)]].assign(user_id=user_of(tables, at))
    return replace(tables, events=pd.concat([tables.events, event], ignore_index=True))


def changed(frame: pd.DataFrame, column: str, at: int, value: object) -> pd.DataFrame:
    frame = frame.copy()
    frame.iloc[at % len(frame), list(frame.columns).index(column)] = value
    return frame


def renamed_item(tables: Tables, at: int) -> Tables:
    return replace(tables, items=changed(tables.items, "title", at, f"Renamed {at}"))


def renamed_user(tables: Tables, at: int) -> Tables:
    return replace(tables, users=changed(tables.users, "name", at, f"Somebody {at}"))


def other_language(tables: Tables, at: int) -> Tables:
    return replace(tables, users=changed(tables.users, "locale", at, "zh-CN"))


def opted_out(tables: Tables, at: int) -> Tables:
    return replace(tables, users=changed(tables.users, "opted_out", at, True))


def new_user(tables: Tables, at: int) -> Tables:
    row = tables.users.iloc[[at % len(tables.users)]].assign(user_id=f"new{at:05}")
    return replace(tables, users=pd.concat([tables.users, row], ignore_index=True))


EDITS = (without_event, late_event, renamed_item, renamed_user, other_language, opted_out, new_user)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    edits=st.lists(st.tuples(st.sampled_from(EDITS), st.integers(0, 5000)), min_size=1, max_size=4),
    before=st.booleans(), now=st.booleans(),
)  # fmt: skip
def test_since_gives_the_bytes_of_a_run_from_scratch(
    edits: list[tuple[Callable[[Tables, int], Tables], int]], before: bool, now: bool, go: Go, tables: Tables,
    formers: dict[bool, Path], tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """Whatever was edited, and whether the reports lay in files or packs then and now."""
    for edit, at in edits:
        tables = edit(tables, at)
    place = tmp_path_factory.mktemp("edited")
    summary = go(place / "since", tables, packs=now, since=formers[before])
    go(place / "scratch", tables, packs=now)
    assert files_of(place / "since") == files_of(place / "scratch")
    assert summary.since.changed == ()
    assert sum(summary.since.outcomes.values()) == summary.users.reported
    assert summary.since.outcomes["taken"] > 0
    shutil.rmtree(place)


@pytest.mark.parametrize(
    ("edit", "taken", "rest"),
    [
        (None, 0, {}),
        (renamed_user, -1, {"changed": 1}),
        (other_language, -1, {"changed": 1}),
        (late_event, -1, {"changed": 1}),
        (opted_out, -1, {}),
        (new_user, 0, {"new": 1}),
    ],
)
def test_only_who_would_get_another_report_is_made_again(
    edit: Any, taken: int, rest: dict[str, int], go: Go, tables: Tables, former: Path, stays: int, reported: int,
    tmp_path: Path,
) -> None:  # fmt: skip
    edited = edit(tables, stays) if edit else tables
    summary = go(tmp_path / "out", edited, packs=False, since=former)
    assert (summary.since.run, summary.since.changed) == ("run", ())
    assert summary.since.outcomes == {"taken": reported + taken} | rest
    assert summary.made == {"html": summary.users.reported, "json": summary.users.reported}


def test_what_was_measured_counts_as_far_as_a_report_says_it(
    data: Dataset, scorer: AttentionScorer, told: Told, tmp_path: Path
) -> None:
    """With more users something is measured. The same sentences come of other digits; other sentences stand on every page."""
    build_run(told(tmp_path / "former"), data, scorer)
    plan = build_run(told(tmp_path / "out", since=tmp_path / "former", limit=9), data, scorer)
    assert plan.since.outcomes == {"taken": 9}
    opted_out = data.users.assign(opted_out=[*data.users["opted_out"][:-30], *[True] * 30])
    fewer = replace(data, users=opted_out)
    assert build_run(told(tmp_path / "fewer", since=tmp_path / "former"), fewer, scorer).since.changed == ("measured",)


def test_fewer_formats_are_taken_over_and_more_are_made(
    go: Go, tables: Tables, former: Path, reported: int, tmp_path: Path
) -> None:
    assert go(tmp_path / "less", tables, packs=False, since=former, formats=("json",)).since.outcomes == {
        "taken": reported
    }
    more = go(tmp_path / "more", tables, packs=False, since=tmp_path / "less")
    assert more.since.outcomes == {"lost": reported}
    assert files_of(tmp_path / "more") == files_of(former)


def test_other_processes_take_over_too(
    go: Go, tables: Tables, former: Path, stays: int, reported: int, tmp_path: Path
) -> None:
    edited = renamed_user(tables, stays)
    summary = go(tmp_path / "out", edited, packs=False, since=former, workers=2)
    assert summary.since.outcomes == {"taken": reported - 1, "changed": 1}
    go(tmp_path / "whole", edited, packs=False)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.parametrize("packs", [False, True])
def test_a_damaged_report_is_not_taken_over(
    packs: bool, go: Go, tables: Tables, formers: dict[bool, Path], reported: int, tmp_path: Path
) -> None:
    shutil.copytree(formers[packs], tmp_path / "former")
    victim = sorted((tmp_path / "former" / ("packs" if packs else "reports")).rglob("*.*"))[0]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    summary = go(tmp_path / "out", tables, packs=packs, since=tmp_path / "former")
    lost = SHARD if packs else 1  # of a pack of which one byte is wrong nothing is taken over
    assert summary.since.outcomes == {"taken": reported - lost, "lost": lost}
    assert files_of(tmp_path / "out") == files_of(formers[packs])


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"n": 4}, "settings"),
        ({"as_of": 1_700_000_000_000_000}, "as_of"),
        ({"generated_at": "2030-01-01T00:00:00Z"}, "generated_at"),
        ({"config": Config.from_dict({"operator": {"name": "Another shop"}})}, "settings"),
        ({"key": b"another key, as long as one has to be"}, "key"),
    ],
)
def test_what_all_reports_share_is_named_when_it_changed(
    given: dict[str, Any], part: str, tables: Tables, former: Path, told: Told,
    model: AttentionScorer, tmp_path: Path,
) -> None:  # fmt: skip
    as_of = int(tables.data().timestamps.max())
    known = told(tmp_path / "out", shard=SHARD, packs=False, as_of=as_of, inputs=tables.inputs(), since=former)
    summary = build_run(replace(known, **given), tables.data(), model)
    assert part in summary.since.changed
    assert summary.since.outcomes == {}


def test_another_model_is_named(tables: Tables, former: Path, told: Told, tmp_path: Path) -> None:
    data = tables.data()
    as_of = int(data.timestamps.max())
    known = told(tmp_path / "out", shard=SHARD, packs=False, as_of=as_of, inputs=tables.inputs(), since=former)
    summary = build_run(known, data, AttentionScorer(lately=3).fit(data))
    assert summary.since.changed[0] == "model"


def test_what_cannot_be_a_former_run_is_refused_before_any_work(
    go: Go, tables: Tables, former: Path, told: Told, model: AttentionScorer, tmp_path: Path
) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    for where, error, words in (
        (tmp_path / "nothing", InputError, "is not a run folder"),
        (former.parent, InputError, "is not a run folder"),
    ):
        with pytest.raises(error, match=words):
            go(out, tables, since=where)
    shutil.copytree(former, copy)
    with pytest.raises(ConfigError, match="the folder of this very run"):
        go(copy, tables, since=copy, overwrite=True)
    assert (copy / MANIFEST).exists()
    with pytest.raises(ConfigError, match="tools of your own"):
        build_run(told(out, since=former), tables.data(), model, tools=Tools())
    (copy / MANIFEST).unlink()
    with pytest.raises(InputError, match="did not end; finish it with --resume"):
        go(out, tables, since=copy)
    assert not out.exists()
    (copy / MANIFEST).write_bytes(b"{")
    assert (copy / MARKER).exists()
    with pytest.raises(OutputError, match="damaged"):
        go(out, tables, since=copy)


def test_a_run_that_does_not_say_what_it_was_made_from(go: Go, tables: Tables, former: Path, tmp_path: Path) -> None:
    shutil.copytree(former, tmp_path / "old")
    for path in (tmp_path / "old" / "origins").iterdir():
        path.write_bytes(b"{}")
    with pytest.raises(OutputError, match=r"does not say what its reports were made from .*leave --since out"):
        go(tmp_path / "out", tables, since=tmp_path / "old")


def test_the_tags_name_nobody(former: Path, tables: Tables) -> None:
    keys = [pseudonym(KEY, str(user)) for user in tables.users["user_id"]]
    listed = {output["path"] for output in json.loads((former / MANIFEST).read_bytes())["outputs"]}
    for path in sorted((former / "origins").iterdir()):
        text = path.read_text("ascii")
        assert not [word for word in (*keys, *tables.users["user_id"], *tables.users["name"]) if word in text]
        assert f"origins/{path.name}" in listed
    assert Library(Former(former)).knows(b"\0" * 16) is False


def test_a_tag_sees_every_part_of_an_explanation(tables: Tables, model: AttentionScorer) -> None:
    """Negative control: whatever is changed in an explanation gives another tag, down to the last bit of a number."""
    data = tables.data()
    why = explain(model, data, user_of(tables, 1))
    person = Person("u", "k" * 24, "A name", "", "en")
    tag = tag_of(b"s" * 32, b"c", person, why)
    other = why.contributions.copy()
    other.flat[0] = np.nextafter(other.flat[0], 9)
    seen = {tag}
    for one in (
        replace(why, contributions=other),
        replace(why, as_of=why.as_of + 1),
        replace(why, usage=replace(why.usage, after=why.usage.after + 1)),
        replace(why, past=replace(why.past, title=np.array([*why.past.title[:-1], "x"], dtype=object))),
        replace(why, picks=replace(why.picks, details=({}, *why.picks.details[1:]))),
        replace(why, model=replace(why.model, n_users=1)),
        replace(why, unconfirmed=why.unconfirmed + 1),
    ):
        seen.add(tag_of(b"s" * 32, b"c", person, one))
    seen |= {tag_of(b"s" * 32, b"c", replace(person, **change), why) for change in
             ({"key": "l" * 24}, {"name": "B"}, {"locale": "zh-CN"})}  # fmt: skip
    seen |= {tag_of(b"t" * 32, b"c", person, why), tag_of(b"s" * 32, b"d", person, why)}
    assert len(seen) == 13
    assert tag_of(b"s" * 32, b"c", person, explain(model, data, user_of(tables, 1))) == tag
    assert origins.OUTCOMES[0] == "taken"
