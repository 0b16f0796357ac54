"""A small shop, read and fitted once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
def told(data: Dataset) -> Callable[..., RunSettings]:
    """Make settings for a run into a folder; anything can be given by name."""

    def make(out: Path, **given: Any) -> RunSettings:
        as_of = given.pop("as_of", int(data.timestamps.max()))
        return RunSettings(out, KEY, as_of, iso(as_of), **given)

    return make
