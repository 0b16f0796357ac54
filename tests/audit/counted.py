"""Explanations of a small shop as cases to count, and runs to report on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.attention.scorer import AttentionScorer
from reportgen.audit.fold import Fold
from reportgen.audit.fold_frame import make_frame, segment_columns
from reportgen.audit.fold_measures import Case
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.explain.privacy import pseudonym
from reportgen.explain.why import explain_many
from reportgen.report.record import iso

KEY = b"a key for tests, not a secret"
HOSTILE = "<script>alert('x')</script>"
#: Values of the column "region" with how many of 96 people have them.
REGIONS = {"华东": 40, HOSTILE: 25, "\u202ewrong way": 20, "alone": 1}
CONFIG = {"users": {"segments": ["segment", "region"]}, "operator": {"name": "店", "purpose": "<b>purpose</b>"}}
#: Runs to report on: with segments, one of them hostile and one of a single member, in packs of 20; the same people with another length
#: of list; one user, no segments, nothing sponsored.
AUDITED: dict[str, dict[str, Any]] = {
    "full": {"packs": True, "shard": 20, "stability": 3}, "before": {"n": 3, "stability": 2},
    "bare": {"segments": False, "limit": 1},
}  # fmt: skip


def regions(people: int) -> np.ndarray:
    """A region for each; the rest has none."""
    named = [name for name, count in REGIONS.items() for _ in range(count)]
    return np.array((named + [None] * people)[:people], dtype=object)


@lru_cache(maxsize=4)
def shop(people: int = 96, segments: bool = True) -> tuple[Dataset, AttentionScorer, Config]:
    """A shop, read and fitted; some prices are personalised, and nothing is sponsored when there are no segments."""
    made = make_shop(people)
    users, items = made.users.copy(), made.items.copy()
    users["region"] = regions(people)
    items["price_personalised"] = np.arange(len(items)) % 7 == 0
    if not segments:
        items["sponsored"] = False
    config = Config.from_dict(CONFIG if segments else {})
    data = Dataset.from_frames(made.events, items, users, config)
    return data, AttentionScorer().fit(data), config


@lru_cache(maxsize=2)
def counted() -> tuple[Fold, tuple[Case, ...]]:
    """An empty fold, and the cases of the shop."""
    data, scorer, _ = shop()
    ids = [str(user) for user in data.user_ids]
    whys = explain_many(scorer, data, ids, 5)
    columns = segment_columns(data)
    rows = [dict(zip(columns, row, strict=True)) for row in data.users[columns].itertuples(index=False)]
    frame = make_frame("0123", 5, data, scorer.popularity_, scorer.candidate_, np.arange(len(ids)))
    locales = ["zh-CN" if place % 4 == 0 else "en" for place in range(len(ids))]
    cases = tuple(
        Case(why, pseudonym(KEY, why.user_id), locale, row)
        for why, locale, row in zip(whys, locales, rows, strict=True)
    )
    return Fold(frame), cases


def run(out: Path, people: int = 96, segments: bool = True, **given: Any) -> Path:
    """Make a run folder."""
    data, scorer, config = shop(people, segments)
    as_of = int(data.timestamps.max())
    usual: dict[str, Any] = {"config": config, "formats": ("json",)}
    build_run(RunSettings(out, KEY, as_of, iso(as_of), **usual | given), data, scorer)
    return out
