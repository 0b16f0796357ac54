"""Another model's weights as an engine of runs: its table is shown as it is, and no scorer of ours has a part in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.attention.lookup import find_codes
from reportgen.batch.engine import refuse_refits
from reportgen.batch.settings import RunSettings, Tools
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.weights import Ablation, WeightTable
from reportgen.data.weights_store import open_table, save_table
from reportgen.explain.fidelity import Trust
from reportgen.explain.foreign import ForeignExplanation, ForeignModel, Reading
from reportgen.explain.foreign_measure import measured
from reportgen.explain.foreign_read import ForeignReader, takers
from reportgen.explain.privacy import Privacy
from reportgen.report.build import Reader
from reportgen.report.document import Report
from reportgen.report.foreign import build_foreign_report

_MODEL, _WEIGHTS, _ABLATION = "foreign.json", "weights", "ablation"


class Foreign:
    """The weights of another model.

    Parameters
    ----------
    table : WeightTable
    how : Reading, optional
    model : ForeignModel, optional
    ablation : Ablation, optional
    """

    kind = "weights"

    def __init__(
        self, table: WeightTable, how: Reading | None = None, model: ForeignModel | None = None,
        ablation: Ablation | None = None,
    ) -> None:  # fmt: skip
        self.table, self.ablation = table, ablation
        self.how, self.model = how or Reading(), model or ForeignModel()
        self._reader: ForeignReader | None = None

    @property
    def explainer(self) -> Foreign:
        return self

    def check(self, settings: RunSettings, data: Dataset) -> None:  # noqa: ARG002
        """Refuse heads and layers that the table does not have, and refits.

        Raises
        ------
        ConfigError
        """
        refuse_refits(settings)
        self.how.check(self.table.heads, self.table.layers)

    def users(self, data: Dataset) -> np.ndarray | None:  # noqa: ARG002
        """Those who have a row."""
        return self.table.users()

    def facts(self) -> dict[str, Any]:
        """What is known of the model: its name, and a hash of the weights that were read."""
        digest = self.table.digest() if self.ablation is None else f"{self.table.digest()}{self.ablation.digest()}"
        return {"id": f"foreign-{digest[:12]}", "kind": self.table.kind} | self._told()

    def _told(self) -> dict[str, Any]:
        return asdict(self.model) | asdict(self.how)

    def shared(self, config: Config, trust: Trust | None) -> dict[str, Any]:  # noqa: ARG002
        """Name of the model and how it is read. Every number of a page is the user's own, and stands in the explanation."""
        return {"model": self._told() | {"kind": self.table.kind}, "lists": self.kind}

    def tools(self) -> Tools:
        return Tools(explain=self.explain, report=self.report, figures=lambda whys: [None] * len(whys))

    def explain(
        self, _engine: object, data: Dataset, ids: Iterable[str], n: int, as_of: int | None, privacy: Privacy | None
    ) -> list[ForeignExplanation]:
        """As `reportgen.explain.foreign_measure.explain_foreign`, with what a run of many users keeps between them."""
        reader = self._reader_of(data, as_of, privacy)
        codes = find_codes(data.user_ids, ids, "user").tolist()
        return [measured(reader, code, n, None, self.ablation, 0) for code in codes]

    def _reader_of(self, data: Dataset, as_of: int | None, privacy: Privacy | None) -> ForeignReader:
        assert as_of is not None  # a run knows its time
        assert privacy is not None  # and its rules
        held = self._reader
        if held is None or held.data is not data or held.as_of != as_of or held.privacy is not privacy:
            held = self._reader = ForeignReader(self.table, data, as_of, privacy, self.how, self.model)
        return held

    @staticmethod
    def report(
        why: ForeignExplanation, locale: str, created: str, config: Config, reader: Reader, synthetic: bool,
        _trust: object, _figures: object,
    ) -> Report:  # fmt: skip
        """As `reportgen.report.build.build_report`; nothing was measured of a model of which there is only a table."""
        return build_foreign_report(why, locale, created, config, reader, synthetic)

    def market(self, data: Dataset, as_of: int) -> tuple[np.ndarray, np.ndarray]:
        """People with an event on each item until then; whoever stands in the catalogue can be recommended."""
        return takers(data.until(as_of)), data.catalogue["in_catalogue"].to_numpy(dtype=bool)

    def measure(self, *_: object) -> tuple[dict[str, bytes], Trust | None]:
        """Nothing: each page says of its own list what an ablation or the closed form showed."""
        return {}, None

    def closing(self, counts: Mapping[str, int]) -> dict[str, bytes]:  # noqa: ARG002
        return {}

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_table(self.table, folder / _WEIGHTS)
        if self.ablation is not None:
            save_table(self.ablation, folder / _ABLATION)
        told = {"how": asdict(self.how), "model": asdict(self.model), "ablation": self.ablation is not None}
        (folder / _MODEL).write_text(json.dumps(told), "utf-8")

    @classmethod
    def open(cls, folder: Path, verify: bool = True) -> Foreign:
        """Open what `save` wrote, memory-mapped.

        Raises
        ------
        InputError
            It is not there, or damaged.
        """
        table = open_table(WeightTable, folder / _WEIGHTS, verify)
        told = json.loads((folder / _MODEL).read_text("utf-8"))
        ablation = open_table(Ablation, folder / _ABLATION, verify) if told["ablation"] else None
        return cls(table, Reading(**told["how"]), ForeignModel(**told["model"]), ablation)
