"""What the reports of a run are told from: the seam between the machinery of runs and whoever explains.

Plan, shards, resume, packs and statistics know nothing of scorers and of tables. They ask an `Engine`, which answers for one user as for
a million, writes itself into the private folder of the run, and is opened there by every process that makes shards. Our own model is
one (`Scored`); another system's lists (`reportgen.batch.given`) and another model's weights (`reportgen.batch.foreign`) are others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import load_model, save_model
from reportgen.batch.settings import RunSettings, Tools
from reportgen.batch.trust import PATH as TRUST_FILE
from reportgen.batch.trust import measure_run
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.explain.fidelity import Trust
from reportgen.explain.privacy import Privacy
from reportgen.explain.why import model_facts
from reportgen.output.manifest import plain_model
from reportgen.report.frame import frame_of
from reportgen.report.words import LOCALES, words


class Engine(Protocol):
    """Explains the users of one run."""

    @property
    def kind(self) -> str:
        """By what name the files of `save` are opened again, see `reportgen.batch.engines`."""

    def check(self, settings: RunSettings, data: Dataset) -> None:
        """Refuse, before any work, what cannot become a run.

        Raises
        ------
        ConfigError, InputError, ModelError
        """

    def users(self, data: Dataset) -> np.ndarray | None:
        """Codes of those whom it can say something of, int64, sorted; None for everybody of the data."""

    def facts(self) -> dict[str, Any]:
        """What plan and manifest say of the model, as plain data. Its ``id`` is another where any number is another."""

    def shared(self, config: Config, trust: Trust | None) -> dict[str, Any]:
        """What stands in every report of the run and follows from neither user nor settings, by the parts ``--since`` names."""

    def tools(self) -> Tools:
        """The steps from a user to bytes."""

    @property
    def explainer(self) -> Any:
        """What `Tools.explain` is given first."""

    def market(self, data: Dataset, as_of: int) -> tuple[np.ndarray, np.ndarray]:
        """People who took each item, int64, and whether it can be recommended, bool; both of shape (I,)."""

    def measure(self, settings: RunSettings, data: Dataset, privacy: Privacy) -> tuple[dict[str, bytes], Trust | None]:
        """What is measured once, before the reports: files of JSON by path, and what the reports say of it."""

    def closing(self, counts: Mapping[str, int]) -> dict[str, bytes]:
        """Files of JSON that only the end of the run knows, by path, from what `Tools.count` counted over all shards."""

    def save(self, folder: Path) -> None:
        """Write everything that other processes need, as plain arrays and JSON."""


class Scored:
    """Our own model.

    Parameters
    ----------
    scorer : AttentionScorer
        Fitted on the catalogue of the data.
    """

    kind = "scorer"

    def __init__(self, scorer: AttentionScorer) -> None:
        self.scorer = scorer

    @property
    def explainer(self) -> AttentionScorer:
        return self.scorer

    def check(self, settings: RunSettings, data: Dataset) -> None:
        """A model may come from elsewhere: of another catalogue, or naming reasons that rest on fewer shoppers than is allowed."""
        self.scorer.check_data(data)
        floor = settings.config.privacy.support_floor
        if self.scorer.min_support < floor:
            raise ConfigError(
                f"[privacy] support_floor = {floor}, but the model names reasons from {self.scorer.min_support} "
                "shoppers on; fit it again with this configuration"
            )

    def users(self, data: Dataset) -> np.ndarray | None:  # noqa: ARG002
        return None

    def facts(self) -> dict[str, Any]:
        return plain_model(model_facts(self.scorer))

    def shared(self, config: Config, trust: Trust | None) -> dict[str, Any]:
        """The model, and the sentences about how it works and what was measured of it."""
        facts = model_facts(self.scorer)
        method = [frame_of(words(locale), config, trust).method(facts).paragraphs for locale in LOCALES]
        return {"model": plain_model(facts), "measured": method}

    def tools(self) -> Tools:
        return Tools()

    def market(self, data: Dataset, as_of: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        return self.scorer.popularity_, self.scorer.candidate_

    def measure(self, settings: RunSettings, data: Dataset, privacy: Privacy) -> tuple[dict[str, bytes], Trust | None]:
        """How far the reasons can be trusted."""
        content, trust = measure_run(settings, data, self.scorer, privacy)
        return {TRUST_FILE: content}, trust

    def closing(self, counts: Mapping[str, int]) -> dict[str, bytes]:  # noqa: ARG002
        return {}

    def save(self, folder: Path) -> None:
        save_model(self.scorer, folder)

    @classmethod
    def open(cls, folder: Path, verify: bool = True) -> Scored:  # noqa: ARG003 - a model always checks its hash
        """Open what `save` wrote, memory-mapped."""
        return cls(load_model(folder))


def refuse_refits(settings: RunSettings) -> None:
    """For engines whose lists our own model does not make: to fit it again says nothing about them.

    Raises
    ------
    ConfigError
    """
    if settings.stability:
        told = "it is measured by fitting our own model again, which does not make these lists; leave it out"
        raise ConfigError(f"stability: {told}")


def engine_of(given: AttentionScorer | Engine) -> Engine:
    """Whoever has a fitted scorer need not know of engines."""
    return Scored(given) if isinstance(given, AttentionScorer) else given
