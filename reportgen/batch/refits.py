"""How stable the reasons of a run are: the model is fitted again on people drawn anew, and the same products are explained again.

That costs as much as fitting so many times, so it is done only where it is asked for (``build --stability``), after the reports, and each
refit is brought to the disk when it is made. A run that is interrupted goes on with the next one. What a refit finds follows from the
plan of the run and its number, so neither an interruption nor who makes the reports changes a byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.audit.statistics_intervals import crossed_mean
from reportgen.batch.crew import Around
from reportgen.batch.engine import Scored
from reportgen.batch.resume import is_whole
from reportgen.batch.shard import Maker
from reportgen.batch.signals import at_once
from reportgen.batch.sinks import Listed
from reportgen.batch.trust import LEAST, json_file, sample_of
from reportgen.explain.ranks import Mean
from reportgen.explain.stability import EDGES, MEASURES, Bootstrap, Stability
from reportgen.output.durable import Durable, open_inside
from reportgen.output.entries import open_line, sealed_line
from reportgen.output.folder import WORK
from reportgen.report.record import iso

SCHEMA, PATH = "reportgen.stability/1", "audit/stability.json"
#: Of the draws. It is fixed: nobody can look for one that pleases.
SEED = 0
#: What a complete run that is mended keeps of its measurement.
_KEPT = f"{WORK}/stability.json"


def refit_path(number: int) -> str:
    """Where a refit lies in a run folder until the run is complete."""
    return f"{WORK}/refit-{number:06}.json"


def measure_stability(maker: Maker, around: Around) -> bytes:
    """Measure how stable the reasons of a run are, going on with what an interrupted run has left.

    The sample is that of the faithfulness: users who did not opt out, in the order of their pseudonyms.

    Parameters
    ----------
    maker : Maker
        Its settings say how many refits are made, with the parameters of its own model.
    around : Around
        Hears of every refit, and is asked between them whether to stop.

    Returns
    -------
    bytes
        JSON with all figures, or with the reason why there are none. Holds no user.

    Raises
    ------
    OutputError
    KeyboardInterrupt
        It was stopped; what was made lies on the disk.
    """
    if (kept := _read(maker, _KEPT)) is not None:
        return str(kept).encode("ascii")
    assert isinstance(maker.engine, Scored)
    settings, before, scorer = maker.settings, maker.data.until(maker.settings.as_of), maker.engine.scorer
    wanted, sample = sample_of(settings, maker.data, before, scorer, maker.privacy)
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "as_of": iso(settings.as_of),
        "wanted": wanted,
        "n_users": int(sample.size),
    }
    if sample.size < LEAST:
        told = f"only {sample.size} users have a product that their history speaks for; {LEAST} are needed"
        return json_file(head | {"measured": False, "needed": LEAST, "reason": told})
    boot = Bootstrap(scorer, before, sample, SEED, maker.privacy.barred, maker.privacy.excluded)
    found = boot.summary(_refits(boot, maker, around))
    return json_file(head | {"measured": True, "n_drawn": int(before.user_ids.size)} | _plain(found))


def _refits(boot: Bootstrap, maker: Maker, around: Around) -> list[np.ndarray]:
    """All refits, from the disk where they are there; number 0 draws nobody."""
    total, people = maker.settings.stability + 1, boot.before.users.size
    found = {number: values for number in range(total) if (values := _values(maker, number, people)) is not None}
    around.hear("refits", done=len(found), total=total)
    for number in range(total):
        if number in found:
            continue
        if around.stop():
            raise KeyboardInterrupt
        with at_once():
            found[number] = boot.refit(number)
        _write(maker, refit_path(number), [[_none(value) for value in row] for row in found[number].tolist()])
        around.hear("refits", done=len(found), total=total)
    return [found[number] for number in range(total)]


def _values(maker: Maker, number: int, people: int) -> np.ndarray | None:
    """A refit that an interrupted run left; None where there is none, or it is damaged."""
    kept = _read(maker, refit_path(number))
    if kept is None:
        return None
    values = np.array(kept, dtype=np.float64)  # null becomes NaN
    return values if values.shape == (len(MEASURES), people) else None


def _none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _write(maker: Maker, path: str, content: Any) -> None:
    with Durable(maker.run) as out:
        out.write(path, sealed_line({"plan_id": maker.plan.plan_id, "content": content}))


def _read(maker: Maker, path: str) -> Any:
    """What was kept under a path by a run of the same plan; None where that is nothing, or damaged."""
    try:
        with open_inside(maker.run, path) as stream:
            line = open_line(stream.read())
        return line["content"] if line["plan_id"] == maker.plan.plan_id else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _plain(found: Stability) -> dict[str, Any]:
    """All figures; the measures with their intervals at 95 %."""
    plain = found.to_dict()
    for name in MEASURES:
        mean: Mean = getattr(found, name)
        estimate = crossed_mean(mean.mean, mean.se, mean.n, found.spread[name], found.n_boot)
        low, high = (None, None) if estimate is None else (estimate.low, estimate.high)
        plain[name] = {"mean": mean.mean, "se": mean.se, "n": mean.n, "low": low, "high": high}
    plain["by_user"] = {name: list(counts) for name, counts in found.by_user.items()}
    return plain | {"edges": list(EDGES)}


def keep_measured(maker: Maker, outputs: Iterable[Listed]) -> None:
    """Before a complete run is opened again to be mended: keep what was measured, if it is as the manifest lists it.

    Raises
    ------
    OutputError
    """
    listed = next((output for output in outputs if output[0] == PATH), None)
    if listed is None or not is_whole(maker.run, listed):
        return
    (maker.run / WORK).mkdir(mode=0o700, exist_ok=True)
    _write(maker, _KEPT, _text(maker.run))


def _text(run: Path) -> str:
    with open_inside(run, PATH) as stream:
        return stream.read().decode("ascii")
