"""From an ``Explanation`` to a ``Report``: the page in words and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from reportgen.config import RECORD_FIELDS, Config
from reportgen.explain.explanation import Explanation
from reportgen.report.allowed import tellable, withhold
from reportgen.report.columns import Figures, make_figures, many_figures
from reportgen.report.document import SCHEMA, Item, Report, Section
from reportgen.report.frame import Frame, frame_of
from reportgen.report.ledgers import Told, list_heatmaps, make_ledgers, past_details, past_labels
from reportgen.report.record import canonical, iso, record_hash
from reportgen.report.sentences import Teller
from reportgen.report.words import name, words
from reportgen.text import clean

if TYPE_CHECKING:  # measuring loads the whole scorer, telling does not
    from reportgen.explain.fidelity import Trust

_COLUMN_TITLE = 40
#: Beyond it a number in a column of prices is a mistake, and the formatter of currencies fails.
_MOST_PRICE = 1e15


@dataclass(frozen=True)
class Reader:
    """Who the report is for.

    Attributes
    ----------
    key : str
        Pseudonym; "" leaves the line out.
    name : str
        Shown instead of the pseudonym where given.
    """

    key: str = ""
    name: str = ""


_BUILT_IN = Config()
_NOBODY = Reader()


def build_report(
    why: Explanation,
    locale: str = "en",
    created: str = "",
    config: Config | None = None,
    reader: Reader | None = None,
    synthetic: bool = False,
    trust: Trust | None = None,
    figures: Figures | None = None,
) -> Report:
    """Tell an explanation in one language.

    Parameters
    ----------
    why : Explanation
    locale : str
        ``en`` or ``zh-CN``.
    created : str, optional
        ISO 8601 time for documents; the explanation's reference time when empty, so that the same input gives the same bytes.
    config : Config, optional
    reader : Reader, optional
    synthetic : bool
        Say on the page that the data are made up.
    trust : Trust, optional
        What was measured of the reasons of the run; the page says so where nothing was.
    figures : Figures, optional
        The explanation's own, where they were rounded together with those of others (`many_figures`).

    Returns
    -------
    Report

    Raises
    ------
    ConfigError
        Unknown locale.
    """
    frame = frame_of(words(locale), config or _BUILT_IN, trust)
    return tell(why, frame, created, reader or _NOBODY, synthetic, figures)


def tell(
    why: Explanation, frame: Frame, created: str, reader: Reader, synthetic: bool, figures: Figures | None = None
) -> Report:
    """As `build_report`, in the words of a frame that is there already."""
    return _Builder(why, frame, reader, synthetic, figures).report(created)


def build_reports(
    whys: Sequence[Explanation],
    locale: str = "en",
    created: str = "",
    config: Config | None = None,
    readers: Sequence[Reader] = (),
    synthetic: bool = False,
    trust: Trust | None = None,
) -> Iterator[Report]:
    """Tell many explanations: the same reports as `build_report` one by one, in less time. Each is made when it is asked for.

    Parameters
    ----------
    whys : sequence of Explanation
    readers : sequence of Reader, optional
        One per explanation, or none.
    locale, created, config, synthetic, trust
        As in `build_report`, for all.

    Yields
    ------
    Report
    """
    people = readers or [_NOBODY] * len(whys)
    told = zip(whys, people, many_figures(whys), strict=True)
    for why, reader, figures in told:
        yield build_report(why, locale, created, config, reader, synthetic, trust, figures)


class _Builder:
    """The parts of one page that are the user's own; each method makes one of them."""

    def __init__(
        self, why: Explanation, frame: Frame, reader: Reader, synthetic: bool, figures: Figures | None
    ) -> None:
        self.frame, self.words, self.config, self.reader = frame, frame.words, frame.config, reader
        self.figures = figures or make_figures(why)
        why = self.why = tellable(why, frame.page_fields)
        self.synthetic = synthetic or frame.config.report.synthetic
        self.hidden: list[bool] = why.past.hidden.tolist()
        heads = tuple([why.model.heads[h] for h in self.figures.heads])
        labels = past_labels(why, self.words)
        details = past_details(why, self.words, dated="date" in frame.page_fields)
        self.told = Told(self.words, labels, details, frame.columns(heads, True), frame.columns(heads, False))
        limit = frame.config.report.title_length
        self.titles = [_cleaned(title, limit) or self.words.say("item.no_title") for title in why.picks.title]
        self.teller = Teller(why, self.figures, self.told, self.hidden, frame.feature_labels)
        self.ledgers = make_ledgers(self.figures, self.told, self.hidden, frame.config.report.reasons)

    def report(self, created: str) -> Report:
        frame, record = self.frame, self.figures.records.write(self.figures.place, self.reader.key)
        if set(frame.record_fields) < set(RECORD_FIELDS):
            record = canonical(withhold(json.loads(record), frame.record_fields))
        texts = (self._data(), frame.choices, frame.method(self.why.model))
        return Report(
            SCHEMA,
            self.words.locale,
            self.words.direction,
            self.reader.key,
            frame.title,
            self._meta(),
            self.words.say("page.synthetic") if self.synthetic else "",
            self.teller.lead(),
            tuple([self._item(k) for k in range(len(self.titles))]),
            (*self._overview(), *texts),
            self._footer(record_hash(record)),
            created or iso(self.why.as_of),
            record,
            frame.theme,
        )

    def _meta(self) -> tuple[str, ...]:
        say, usage = self.words.say, self.why.usage
        who = []
        if self.reader.name and self.config.privacy.show_name:
            who = [say("page.for_name", name=name(clean(self.reader.name, 60)))]
        elif self.reader.key:
            who = [say("page.for_key", key=name(self.reader.key))]
        period = say("page.period_none")
        if usage.first is not None and usage.last is not None:
            first, last = self.words.date(usage.first), self.words.date(usage.last)
            period = say("page.period_day" if first == last else "page.period", first=first, last=last)
        elif usage.used:  # there is a history, but its days are not told
            return (*who, say("page.as_of", date=self.words.date(self.why.as_of)))
        return (*who, say("page.as_of", date=self.words.date(self.why.as_of)), period)

    def _item(self, k: int) -> Item:
        tell, ledger = self.teller, self.ledgers[k]
        return Item(k + 1, self.titles[k], self._facts(k), tell.sentence(k), tell.notes(k), tell.notices(k), ledger)

    def _facts(self, k: int) -> tuple[str, ...]:
        known = self.why.picks.details[k]
        texts = [_cleaned(str(known.get(key) or ""), _COLUMN_TITLE) for key in ("brand", "category")]
        facts = [text for text in texts if text]
        price = known.get("price")
        if isinstance(price, float | int) and math.isfinite(price) and abs(price) < _MOST_PRICE:
            facts.append(self.words.price(float(price), str(known.get("currency") or "")))
        return tuple(facts)

    def _overview(self) -> tuple[Section, ...]:
        picks = [_cleaned(title, _COLUMN_TITLE) for title in self.titles]
        maps = list_heatmaps(self.figures, self.told, picks, self.hidden, self.config.report.reasons)
        return (Section("overview", self.words.say("overview.heading"), (), (), maps),) if maps else ()

    def _data(self) -> Section:
        usage = replace(self.why.usage, first=None, last=None)
        as_of = self.words.date(self.why.as_of) if usage.after else ""
        return self.frame.data(usage, sum(self.hidden), self.why.model.history_cap, as_of)

    def _footer(self, digest: str) -> tuple[str, ...]:
        frame = self.frame
        recorded = self.words.say("page.record", hash=digest[:16])
        return (*frame.own_footer, frame.facts(self.why.model), recorded, frame.made)


@lru_cache(maxsize=65_536)
def _cleaned(text: str, limit: int) -> str:
    """A text of the catalogue, which comes on page after page."""
    return clean(text, limit)
