"""Another system's lists as an engine of runs: our model stands in for it, and the run says how far the two agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import load_model
from reportgen.batch.engine import Scored, refuse_refits
from reportgen.batch.settings import RunSettings, Tools, Why
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.weights import GivenLists
from reportgen.data.weights_store import open_table, save_table
from reportgen.explain.explanation import Explanation
from reportgen.explain.fidelity import Trust
from reportgen.explain.privacy import Privacy
from reportgen.explain.surrogate import TOP, Agreement, Surrogate, explain_given
from reportgen.report.build import Reader
from reportgen.report.document import Report
from reportgen.report.surrogate import build_surrogate_report

SCHEMA, PATH = "reportgen.surrogate/1", "audit/surrogate.json"
_MEASURES = ("tau", "spearman", "in_top")
#: Agreements are counted in this part of one, so that their sum is the same in any order.
_UNIT = 1_000_000
_LISTS = "lists"


@dataclass(frozen=True, eq=False, repr=False)
class GivenExplanation(Explanation):
    """An explanation of a given list, with how far our model agrees with that list."""

    agreement: Agreement = field(kw_only=True)

    @classmethod
    def of(cls, found: Surrogate) -> GivenExplanation:
        """The same explanation with its agreement beside it."""
        own = {one.name: getattr(found.why, one.name) for one in fields(found.why)}
        return cls(**own, agreement=found.agreement)


class Given(Scored):
    """Our model on lists of another system.

    Parameters
    ----------
    scorer : AttentionScorer
        Fitted on the catalogue of the data.
    lists : GivenLists
    """

    kind = "lists"

    def __init__(self, scorer: AttentionScorer, lists: GivenLists) -> None:
        super().__init__(scorer)
        self.lists = lists

    def check(self, settings: RunSettings, data: Dataset) -> None:
        """As for our own model, but for refits."""
        refuse_refits(settings)
        super().check(settings, data)

    def users(self, data: Dataset) -> np.ndarray | None:  # noqa: ARG002
        """Those who have a list."""
        return self.lists.users()

    def facts(self) -> dict[str, Any]:
        """Our model, and the lists by a hash."""
        return super().facts() | {"lists": self.lists.digest()[:16]}

    def shared(self, config: Config, trust: Trust | None) -> dict[str, Any]:
        """As for our own model; that the lists are another's is told in words of their own."""
        return super().shared(config, trust) | {"lists": self.kind}

    def tools(self) -> Tools:
        return Tools(explain=self.explain, report=self.report, count=count_agreement)

    def explain(
        self, scorer: AttentionScorer, data: Dataset, ids: Iterable[str], n: int, as_of: int | None,
        privacy: Privacy | None,
    ) -> list[GivenExplanation]:  # fmt: skip
        """As `reportgen.explain.why.explain_many`, in the order of the lists."""
        return [GivenExplanation.of(found) for found in explain_given(scorer, data, self.lists, ids, n, as_of, privacy)]

    @staticmethod
    def report(
        why: GivenExplanation, locale: str, created: str, config: Config, reader: Reader, synthetic: bool,
        trust: Trust | None, _figures: object,
    ) -> Report:  # fmt: skip
        """As `reportgen.report.build.build_report`."""
        found = Surrogate(why, why.agreement)
        return build_surrogate_report(found, locale, created, config, reader, synthetic, trust)

    def closing(self, counts: Mapping[str, int]) -> dict[str, bytes]:
        """The agreement over everybody with a report."""
        plain: dict[str, Any] = {"schema": SCHEMA, "source": self.lists.source, "top": TOP} | summary(counts)
        return {PATH: (json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode("utf-8")}

    def save(self, folder: Path) -> None:
        super().save(folder)
        save_table(self.lists, folder / _LISTS)

    @classmethod
    def open(cls, folder: Path, verify: bool = True) -> Given:
        return cls(load_model(folder), open_table(GivenLists, folder / _LISTS, verify))


def count_agreement(whys: Sequence[Why]) -> Counter[str]:
    """How many users have each measure of agreement, and its sum in millionths."""
    found = Counter[str]()
    for why in whys:
        if isinstance(why, GivenExplanation):
            found["agreement/users"] += 1
            for name in _MEASURES:
                value = getattr(why.agreement, name)
                if not np.isnan(value):
                    found[f"agreement/{name}/users"] += 1
                    found[f"agreement/{name}/sum"] += round(value * _UNIT)
    return found


def summary(counts: Mapping[str, int]) -> dict[str, float | int]:
    """Means over users of what `count_agreement` counted; a mean over nobody is left out."""
    plain: dict[str, float | int] = {"users": counts.get("agreement/users", 0)}
    for name in _MEASURES:
        if users := counts.get(f"agreement/{name}/users", 0):
            plain[name] = round(counts.get(f"agreement/{name}/sum", 0) / users / _UNIT, 6)
            plain[f"{name}_users"] = users
    return plain


def read_summary(run: Path) -> dict[str, Any]:
    """What `Given.closing` left in a run."""
    plain: dict[str, Any] = json.loads((run / PATH).read_text("utf-8"))
    return plain
