"""What ``--since`` saves: a run from scratch beside runs that take over what would be the same, with 1, 10 and 100 % of users changed.

    python benchmarks/since.py [--users N] [--rounds R] [--quick]

The change is another name, which stands on a user's pages and in nothing that all reports share. HTML and JSON of everybody, as files
and as packs, one process. Data are read and the model is fitted before; so the figures are of what a run does after that. All ways
take turns in each round, and the least of the rounds counts: processor seconds of a busy machine are only ever more. What is made must be
byte for byte what a run from scratch makes of the same data. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import _one_thread  # noqa: F401  (before NumPy)
from _small_run import hashes

from reportgen import AttentionScorer, Dataset
from reportgen.batch.run import build_run
from reportgen.batch.settings import RunSettings
from reportgen.data.shop import Shop, make_shop
from reportgen.report.record import iso

#: Per cent of users with another name.
CHANGED = (1, 10, 100)
KEY = b"a key for benchmarks, not a secret"


@dataclass
class Ways:
    """Ways to make a run, what each took in each round, and what each made."""

    shop: Shop
    scorer: AttentionScorer
    place: Path
    seconds: dict[str, list[float]] = field(default_factory=dict)
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)

    def data(self, per_cent: int) -> Dataset:
        """The shop in which so many users have another name: every hundredth, every tenth, all."""
        users = self.shop.users.copy()
        if per_cent:
            users.loc[:: 100 // per_cent, "name"] = "Another Name"
        return Dataset.from_frames(self.shop.events, self.shop.items, users)

    def make(self, name: str, data: Dataset, packs: bool, since: Path | None = None) -> Path:
        """A run, timed; what lay there before is taken away outside of the time."""
        out = self.place / name.replace("/", "-")
        shutil.rmtree(out, ignore_errors=True)
        as_of = int(data.timestamps.max())
        settings = RunSettings(out, KEY, as_of, iso(as_of), packs=packs, since=since, synthetic=True)
        start = time.process_time()
        summary = build_run(settings, data, self.scorer)
        self.seconds.setdefault(name, []).append(time.process_time() - start)
        self.outcomes[name] = summary.since.outcomes
        return out


def reports(out: Path) -> dict[str, str]:
    """Hashes of what readers see and packs hold: all but what names the former run or its changes."""
    return {path: digest for path, digest in hashes(out).items() if path.startswith(("reports/", "packs/", "index/"))}


def measure(ways: Ways, rounds: int, say: Callable[[str], None]) -> dict[str, float]:
    """Processor seconds and ratios to a run from scratch of the same data."""
    datas = {per_cent: ways.data(per_cent) for per_cent in (0, *CHANGED)}
    for number in range(rounds):
        for form, packs in (("files", False), ("packs", True)):
            former = ways.make(f"{form}/former", datas[0], packs)
            for per_cent in CHANGED:
                scratch = ways.make(f"{form}/{per_cent}/scratch", datas[per_cent], packs)
                since = ways.make(f"{form}/{per_cent}/since", datas[per_cent], packs, former)
                if reports(scratch) != reports(since):
                    raise SystemExit(f"{form}, {per_cent} %: other bytes than from scratch")
        say(f"round {number + 1} of {rounds}")
    return figures_of(ways)


def figures_of(ways: Ways) -> dict[str, float]:
    """The least of the rounds; ``noise`` is how far rounds of the same way lie apart, which no difference below that outdoes."""
    figures: dict[str, float] = {}
    for form in ("files", "packs"):
        for per_cent in CHANGED:
            scratch, since = (min(ways.seconds[f"{form}/{per_cent}/{way}"]) for way in ("scratch", "since"))
            key = f"{form}/{per_cent}"
            figures |= {f"{key}/scratch_cpu_seconds": scratch, f"{key}/since_cpu_seconds": since}
            figures[f"{key}/ratio"] = since / scratch
            figures[f"{key}/taken"] = ways.outcomes[f"{key}/since"].get("taken", 0)
    figures["noise"] = max(max(took) / min(took) - 1 for took in ways.seconds.values())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="100 users and one round: the figures mean little")
    given = parser.parse_args()
    users, rounds = (100, 1) if given.quick else (given.users, given.rounds)
    shop = make_shop(users)
    scorer = AttentionScorer(random_state=0).fit(Dataset.from_frames(shop.events, shop.items, shop.users))
    with tempfile.TemporaryDirectory() as place:
        figures = measure(Ways(shop, scorer, Path(place)), rounds, print)
    conditions = {
        "users": users, "rounds": rounds, "python": platform.python_version(), "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1), "formats": "html,json",
    }  # fmt: skip
    print(json.dumps({"benchmark": "since", "figures": figures, "conditions": conditions}))


if __name__ == "__main__":
    main()
