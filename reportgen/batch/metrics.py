"""A file for Prometheus' textfile collector: counts and times of a run, no user.

The file has to end in ``.prom`` and lie in the folder that the collector reads. It is replaced in one step, because the collector may
read at any moment.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reportgen.errors import ConfigError
from reportgen.output.durable import replace_file
from reportgen.version import VERSION

#: What can become of a user. Each only grows while a run goes on, so they are counters.
STATES = ("reported", "set_aside", "opted_out")
_SUCCESS = "reportgen_last_success_timestamp_seconds"
_LAST = re.compile(rf"^{_SUCCESS} (\S+)$", re.MULTILINE)
_MOST_READ = 1 << 20


@dataclass(frozen=True)
class Metrics:
    """What a run says to Prometheus.

    Attributes
    ----------
    up : bool
        Whether a run is going on.
    planned : int
        Users of the run.
    users : dict of str to int
        By state, of `STATES`.
    seconds : dict of str to float
        By stage, the sum over all workers.
    shards : dict of str to int
        By state.
    rate : float
        Users per second now.
    written : int
        Bytes.
    last_success : float, optional
        Seconds since 1970-01-01 UTC at which a run ended well; of a former run as long as this one goes on (see `last_success`).
    """

    up: bool
    planned: int
    users: Mapping[str, int]
    seconds: Mapping[str, float] = field(default_factory=dict)
    shards: Mapping[str, int] = field(default_factory=dict)
    rate: float = 0.0
    written: int = 0
    last_success: float | None = None


def render_metrics(metrics: Metrics) -> str:
    """The metrics in Prometheus' text format.

    Raises
    ------
    ValueError
        A state that is not known, or a number below 0 or not finite.
    """
    unknown = set(metrics.users) - set(STATES)
    if unknown:
        raise ValueError(f"{sorted(unknown)} are not states of a user; they are {', '.join(STATES)}")
    return "".join(_families(metrics))


def _families(of: Metrics) -> Iterator[str]:
    yield _family("build_info", "gauge", "Version of reportgen.", {VERSION: 1}, "version")
    yield _family("up", "gauge", "Whether a run is going on.", {"": int(of.up)})
    yield _family("users_planned", "gauge", "Users of the run.", {"": of.planned})
    states = {state: of.users.get(state, 0) for state in STATES}
    yield _family("users_total", "counter", "Users of the run by what became of them.", states, "state")
    yield _family("users_per_second", "gauge", "Users finished per second over the last minute.", {"": of.rate})
    if of.seconds:
        yield _family("stage_seconds_total", "counter", "Seconds of work of all workers by stage.", of.seconds, "stage")
    if of.shards:
        yield _family("shards", "gauge", "Shards of the run by state.", of.shards, "state")
    yield _family("written_bytes_total", "counter", "Bytes written.", {"": of.written})
    if of.last_success is not None:
        told = "When a run last ended well, in seconds since 1970."
        yield _family(_SUCCESS.removeprefix("reportgen_"), "gauge", told, {"": of.last_success})


def _family(name: str, kind: str, told: str, values: Mapping[str, float], label: str = "") -> str:
    full = f"reportgen_{name}"
    lines = [f"# HELP {full} {told}\n", f"# TYPE {full} {kind}\n"]
    for value_of, value in values.items():
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"{full}: {value} is not a finite number of at least 0")
        labels = f'{{{label}="{_escaped(value_of)}"}}' if label else ""
        lines.append(f"{full}{labels} {value!r}\n")
    return "".join(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def check_metrics_file(path: Path) -> None:
    """Say before a run whether its metrics can be written there.

    Raises
    ------
    ConfigError
        Another ending than ``.prom``, which no collector reads, or no folder in which a file can be made.
    """
    if path.suffix != ".prom" or path.is_dir():
        raise ConfigError(f"--metrics-file {path}: the collector reads files that end in .prom only; name one")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"--metrics-file {path}: {path.parent} is no folder that can be written; name another")


def write_metrics(path: Path, metrics: Metrics) -> None:
    """Put a metrics file in place of the former one, in one step.

    Raises
    ------
    OutputError
    """
    replace_file(path, render_metrics(metrics).encode("utf-8"))


def last_success(path: Path) -> float | None:
    """When a former run ended well, by the file it left: a run that starts must not wipe that out."""
    try:
        with open(path, encoding="utf-8") as file:
            found = _LAST.search(file.read(_MOST_READ))
        value = float(found[1]) if found else math.nan
    except (OSError, ValueError):
        return None
    return value if math.isfinite(value) and value >= 0 else None
