"""Counting what the reports of a run say, shard by shard, for its statistics: one small file beside the reports of each shard.

The files stay in the run and are listed in its manifest: whoever doubts the statistics adds them up again, and a shard that is made
again brings its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from reportgen.audit.fold import Fold
from reportgen.audit.fold_frame import Frame, make_frame, segment_columns
from reportgen.audit.fold_measures import Case
from reportgen.batch.people import People, Person
from reportgen.batch.sinks import Listed
from reportgen.data.dataset import Dataset
from reportgen.errors import OutputError
from reportgen.explain.explanation import Explanation
from reportgen.explain.foreign import ForeignExplanation
from reportgen.output.durable import open_inside

#: Folder of what each shard counted, and the sum over all of them.
FOLDER, PATH = "statistics", "audit/statistics.json"
MEDIA_TYPE = "application/json"


def fold_path(shard: int) -> str:
    """Where what a shard counted lies in a run folder."""
    return f"{FOLDER}/{shard:06}.json"


def frame_of(run_id: str, n: int, data: Dataset, market: tuple[np.ndarray, np.ndarray], people: People) -> Frame:
    """What all shards of a run count with; `market` as of `reportgen.batch.engine.Engine`."""
    return make_frame(run_id, n, data, *market, people.table["code"])


class Counting:
    """Counts the users of one shard.

    Parameters
    ----------
    frame : Frame
    data : Dataset
    """

    def __init__(self, frame: Frame, data: Dataset) -> None:
        self.fold, self._ids = Fold(frame), data.user_ids
        self._columns = {name: data.users[name].to_numpy(dtype=object) for name in segment_columns(data)}

    def add(self, told: Sequence[tuple[Person, Explanation | ForeignExplanation]], more: Mapping[str, int]) -> None:
        """Count users whose reports were made, and what else was counted of them by name.

        One who cannot be counted is noted as such, and the report stands.
        """
        codes = np.searchsorted(self._ids, [person.user_id for person, _ in told])
        cases = [
            Case(why, person.key, person.locale, {name: column[code] for name, column in self._columns.items()})
            for (person, why), code in zip(told, codes.tolist(), strict=True)
        ]
        try:
            self.fold.add(cases)
        except (ArithmeticError, ValueError):
            for case in cases:
                self._alone(case)
        self.fold.counts.update(more)

    def _alone(self, case: Case) -> None:
        try:
            self.fold.add([case])
        except (ArithmeticError, ValueError):
            self.fold.counts["uncounted"] += 1

    def file(self, shard: int) -> tuple[bytes, Listed]:
        """The file of a shard: its bytes, and how a result lists it."""
        data = self.fold.to_json()
        return data, (fold_path(shard), hashlib.sha256(data).hexdigest(), len(data))


def merged(run: Path, frame: Frame, shards: Iterable[int]) -> Fold:
    """Add up what the shards of a run counted.

    Raises
    ------
    OutputError
        A file is missing or damaged, or of another run.
    """
    total = Fold(frame)
    for shard in shards:
        path = fold_path(shard)
        try:
            with open_inside(run, path) as stream:
                total.merge(Fold.from_json(stream.read()))
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or error
            raise OutputError(f"{run}: {path} cannot be used ({told}); mend the run with --resume") from error
    return total
