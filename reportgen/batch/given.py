"""A run on another system's lists: the usual run with other steps, and one file more that says how far our model agrees."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.settings import Tools
from reportgen.config import Config
from reportgen.data.dataset import Dataset
from reportgen.data.weights import GivenLists
from reportgen.errors import InputError
from reportgen.explain.explanation import Explanation
from reportgen.explain.fidelity import Trust
from reportgen.explain.privacy import Privacy, make_privacy
from reportgen.explain.surrogate import TOP, Agreement, Surrogate, explain_given, summary
from reportgen.report.build import Reader
from reportgen.report.document import Report
from reportgen.report.surrogate import build_surrogate_report

SCHEMA, PATH = "reportgen.surrogate/1", "audit/surrogate.json"
_CHUNK = 250


class GivenRun:
    """The steps of a run on given lists.

    Parameters
    ----------
    scorer : AttentionScorer
    data : Dataset
    lists : GivenLists
    config : Config
    as_of : int
    users : sequence of str
        Ids of everybody in the run.
    """

    def __init__(
        self,
        scorer: AttentionScorer,
        data: Dataset,
        lists: GivenLists,
        config: Config,
        as_of: int,
        users: Iterable[str],
    ) -> None:
        self.scorer, self.data, self.lists, self.config, self.as_of = scorer, data, lists, config, as_of
        self.users = tuple(users)
        self.agreements: dict[str, Agreement] = {}

    def tools(self) -> Tools:
        """The steps, for `build_run`."""
        return Tools(explain=self.explain, report=self.report, closing=self.closing)

    def explain(
        self, scorer: AttentionScorer, data: Dataset, ids: Iterable[str], n: int, as_of: int | None,
        privacy: Privacy | None,
    ) -> list[Explanation]:  # fmt: skip
        """As `reportgen.explain.why.explain_many`; keeps what the reports will say of the agreement."""
        found = explain_given(scorer, data, self.lists, ids, n, as_of, privacy)
        self.agreements |= {one.why.user_id: one.agreement for one in found}
        return [one.why for one in found]

    def report(
        self, why: Explanation, locale: str, created: str, config: Config, reader: Reader, synthetic: bool,
        trust: Trust | None, _figures: object,
    ) -> Report:  # fmt: skip
        """As `reportgen.report.build.build_report`."""
        found = Surrogate(why, self.agreements[why.user_id])
        return build_surrogate_report(found, locale, created, config, reader, synthetic, trust)

    def closing(self) -> dict[str, bytes]:
        """The agreement over everybody of the run; reports that a former attempt made are counted too."""
        privacy = make_privacy(self.data, self.config.privacy)
        rest = [user for user in self.users if user not in self.agreements]
        for at in range(0, len(rest), _CHUNK):
            try:
                self.explain(self.scorer, self.data, rest[at : at + _CHUNK], 1, self.as_of, privacy)
            except InputError:  # such a user was set aside
                continue
        found = [self.agreements[user] for user in self.users if user in self.agreements]
        plain: dict[str, Any] = {"schema": SCHEMA, "source": self.lists.source, "top": TOP} | summary(found)
        return {PATH: (json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode("utf-8")}


def read_summary(run: Path) -> dict[str, Any]:
    """What `GivenRun.closing` left in a run."""
    plain: dict[str, Any] = json.loads((run / PATH).read_text("utf-8"))
    return plain
