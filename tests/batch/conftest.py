"""A small shop, read and fitted once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Test modules are imported by path, and workers import the poison by name.
sys.path.insert(0, str(Path(__file__).parent))

import poison_for_shards
from disturbed import finish, make_tables

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.settings import RunSettings
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.report.record import iso

KEY = b"a key for tests, not a secret"


@pytest.fixture(scope="session")
def data() -> Dataset:
    shop = make_shop(60)
    return Dataset.from_frames(shop.events, shop.items, shop.users)


@pytest.fixture(scope="session")
def scorer(data: Dataset) -> AttentionScorer:
    return AttentionScorer().fit(data)


@pytest.fixture(scope="session")
def shop(scorer: AttentionScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, a model and an undisturbed run for processes of their own."""
    folder = tmp_path_factory.mktemp("shop")
    make_tables(folder, scorer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", KEY.decode())
        assert finish(folder, folder / "whole") == 0
    return folder


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of this process, and of workers that it starts, do what ``poison.json`` beside the run says."""
    for name in ("make_shard", "probe_user"):
        monkeypatch.setattr("reportgen.batch.crew." + name, getattr(poison_for_shards, name))


@pytest.fixture(scope="session")
def told(data: Dataset) -> Callable[..., RunSettings]:
    """Make settings for a run into a folder; anything can be given by name."""

    def make(out: Path, **given: Any) -> RunSettings:
        as_of = given.pop("as_of", int(data.timestamps.max()))
        return RunSettings(out, KEY, as_of, iso(as_of), **given)

    return make


@pytest.fixture(scope="module")
def whole(go: Callable[..., object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of the module's own ``go``."""
    out = tmp_path_factory.mktemp("whole") / "out"
    go(out)
    return out


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    """A copy of a complete run, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "out"))
