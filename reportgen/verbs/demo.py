"""The demo: a made-up shop, said to be made up on every page."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from reportgen.batch.settings import RunSettings
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop
from reportgen.output.facts import InputFile, hash_text
from reportgen.output.folder import check_folder, is_made_up
from reportgen.report.record import iso
from reportgen.verbs.build import make_run
from reportgen.verbs.door import Door
from reportgen.verbs.keys import DEMO_KEY
from reportgen.verbs.model import fit_scorer

#: PDFs take longest, so a demo shows a few.
PDFS = 8
_LINKS = {
    "change": "https://example.org/interests",
    "object": "https://example.org/object",
    "switch_off": "https://example.org/personalisation",
    "non_personalised": "https://example.org/bestsellers",
    "complaint": "https://example.org/complaint",
}
_OPERATOR = {
    "name": "The made-up shop",
    "contact": "privacy@example.org",
    "purpose": "to show what such a report looks like",
    "links": _LINKS,
}


def demo_data(n_users: int) -> tuple[Dataset, Config, tuple[InputFile, ...]]:
    """Make the shop up; the same for the same number of users."""
    config = Config.from_dict({"report": {"synthetic": True}, "operator": _OPERATOR}, "demo")
    shop = make_shop(n_users)
    frames = {"events": shop.events, "items": shop.items, "users": shop.users}
    inputs = tuple(hash_text(name, f"made-up {name}", frame.to_csv(index=False)) for name, frame in frames.items())
    return Dataset.from_frames(shop.events, shop.items, shop.users, config), config, inputs


def demo_settings(out: Path, config: Config, as_of: int, inputs: tuple[InputFile, ...]) -> RunSettings:
    """Pages and records for all, PDFs for a few, with a key that everybody knows."""
    return RunSettings(
        out,
        DEMO_KEY,
        as_of,
        iso(as_of),
        config=config,
        formats=("html", "pdf", "json"),
        pdf_limit=PDFS,
        synthetic=True,
        inputs=inputs,
    )


def run(given: argparse.Namespace, door: Door) -> int:
    """Make reports from a made-up shop."""
    overwrite = given.overwrite or is_made_up(given.out)
    check_folder(given.out, overwrite)
    with door.console.stage("read"):
        data, config, inputs = demo_data(given.users)
    as_of = int(data.timestamps.max())
    with door.console.stage("fit"):
        scorer = fit_scorer(data, config, as_of)
    written, source = door.generated(as_of)
    settings = replace(
        demo_settings(given.out, config, as_of, inputs),
        overwrite=overwrite, generated_at=written, generated_at_source=source,
    )  # fmt: skip
    return make_run(settings, data, scorer, door)
