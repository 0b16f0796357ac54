"""``reportgen evaluate``: quality on one's own data, as a table, a JSON file and a page."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reportgen.attention.comparison import Comparison, compare
from reportgen.attention.evaluation import Evaluation
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError
from reportgen.report.evaluation_page import render_evaluation, table_lines, verdict
from reportgen.report.record import iso
from reportgen.verbs.door import DONE, Door
from reportgen.verbs.inputs import read_config, read_data
from reportgen.verbs.model import make_scorer
from reportgen.version import VERSION

JSON, PAGE = "evaluation.json", "evaluation.html"
SCHEMA = 1


def run_evaluation(
    data: Dataset, config: Config, as_of: int, n: int, max_users: int | None,
    clock: Callable[[], float] | None = None, say: Callable[[str], None] = lambda _: None,
) -> Comparison:  # fmt: skip
    """Judge a scorer as the configuration wants it, beside its peers, on what was known at the reference time."""
    return compare(make_scorer(data, config), data.until(as_of), n, max_users, clock=clock, say=say)


def tell_evaluation(found: Comparison) -> Iterator[str]:
    """The result as lines for a terminal."""
    yield verdict(found.everything)
    yield ""
    yield f"All items: the last order of {_people(found.everything)} hidden, {found.everything.n_items:,} items"
    yield from table_lines(found.everything)
    yield ""
    if found.cold is None:
        yield f"New items were not judged: {found.cold_reason}"
        return
    yield f"New items, among themselves: {_people(found.cold)}, {found.cold.n_items:,} items hidden altogether"
    yield from table_lines(found.cold)


def _people(found: Evaluation) -> str:
    users = next(iter(found.qualities.values())).n_users
    return f"{users:,} user" if users == 1 else f"{users:,} users"


def check_evaluation_folder(out: Path, overwrite: bool) -> None:
    """Say before any work whether the result may be written there. Changes nothing.

    Raises
    ------
    OutputError
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder with --out")
    there = next((name for name in (JSON, PAGE) if os.path.lexists(out / name)), None)
    if there is not None and not overwrite:
        raise OutputError(f"{out} holds {there}; name another folder with --out, or replace it with --overwrite")


def write_evaluation(
    found: Comparison, data: Dataset, as_of: int, generated: tuple[str, str], out: Path, overwrite: bool,
    locale: str = "en",
) -> Path:  # fmt: skip
    """Write ``evaluation.json`` and ``evaluation.html``, and return the path of the page.

    No seconds stand in them: the same inputs, settings and versions give the same bytes.

    Parameters
    ----------
    generated : (str, str)
        The time written into the files, and where it comes from.
    locale : str
        Of the page.

    Raises
    ------
    OutputError
    """
    check_evaluation_folder(out, overwrite)
    facts = _facts(data.until(as_of), as_of, generated)
    texts = {
        JSON: json.dumps(_record(found, facts), indent=1, allow_nan=False) + "\n",
        PAGE: render_evaluation(found, facts, locale),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            part = out / f".{name}.part"
            part.unlink(missing_ok=True)  # never through a link that somebody put there
            part.write_text(text, encoding="utf-8", newline="\n")
            part.replace(out / name)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another folder with --out") from error
    return out / PAGE


def _facts(data: Dataset, as_of: int, generated: tuple[str, str]) -> dict[str, Any]:
    return {
        "users": data.user_ids.size,
        "items": data.item_ids.size,
        "events": data.items.size,
        "synthetic": data.synthetic,
        "as_of": iso(as_of),
        "generated_at": generated[0],
        "generated_at_source": generated[1],
        "version": VERSION,
    }


def _record(found: Comparison, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        **facts,
        "all": found.everything.to_dict(seconds=False),
        "cold": found.cold.to_dict(seconds=False) if found.cold is not None else None,
        "cold_reason": found.cold_reason,
        "settings": {name: {**chosen, "chosen": found.tuned[name]} for name, chosen in found.chosen.items()},
    }


def run(given: argparse.Namespace, door: Door) -> int:
    """Measure how well it recommends on the given data, beside known recommenders."""
    if given.out is not None:
        check_evaluation_folder(given.out, given.overwrite)
    config, console = read_config(given), door.console
    data, as_of = read_data(given, config, door)
    found = run_evaluation(data, config, as_of, given.n, given.max_users, door.exact, console.note)
    if given.out is not None:
        generated, locale = door.generated(as_of), given.locale or config.report.locale
        console.print(str(write_evaluation(found, data, as_of, generated, given.out, given.overwrite, locale)))
    if given.out is None or not console.quiet:
        for line in tell_evaluation(found):
            console.print(line)
    return DONE
