"""From a ``ForeignExplanation`` to a ``Report``: what another model looked at, or counted, as a page."""

from __future__ import annotations

import math

from reportgen.config import Config
from reportgen.explain.foreign import ForeignExplanation
from reportgen.report.allowed import tellable
from reportgen.report.build import Reader
from reportgen.report.document import FOREIGN_SCHEMA, Item, Report, Section
from reportgen.report.foreign_record import write_foreign
from reportgen.report.foreign_tables import Tables, foreign_figures
from reportgen.report.foreign_words import ForeignTeller
from reportgen.report.frame import frame_of
from reportgen.report.record import iso, record_hash
from reportgen.report.words import name, words
from reportgen.text import clean

_TITLE, _TEXT = 40, 400
_MOST_PRICE = 1e15
_BUILT_IN = Config()


def build_foreign_report(
    why: ForeignExplanation,
    locale: str = "en",
    created: str = "",
    config: Config | None = None,
    reader: Reader | None = None,
    synthetic: bool = False,
) -> Report:
    """Tell what another model looked at, or counted, in one language.

    Parameters
    ----------
    why : ForeignExplanation
    locale, created, config, reader, synthetic
        As of `reportgen.report.build.build_report`.

    Returns
    -------
    Report
        Its schema is `FOREIGN_SCHEMA`, its record that of `reportgen.report.foreign_record`.

    Raises
    ------
    ConfigError
        Unknown locale.
    """
    return _Builder(why, locale, config or _BUILT_IN, reader or Reader(), synthetic).report(created)


class _Builder:
    """The parts of one page."""

    def __init__(self, why: ForeignExplanation, locale: str, config: Config, reader: Reader, synthetic: bool) -> None:
        self.words, self.config, self.reader = words(locale), config, reader
        self.frame = frame_of(self.words, config, None)
        self.record = write_foreign(why, reader.key, self.frame.record_fields)
        figures = foreign_figures(why)
        self.why: ForeignExplanation = tellable(why, self.frame.page_fields)  # type: ignore[arg-type,assignment]
        self.synthetic = synthetic or config.report.synthetic
        self.tables = Tables(self.why, figures, self.words, config, self.frame.page_fields)
        self.teller = ForeignTeller(self.why, figures, self.words, self.tables.labels)
        limit = config.report.title_length
        self.titles = [clean(title, limit) or self.words.say("item.no_title") for title in why.picks.title]

    def report(self, created: str) -> Report:
        say, why, frame = self.words.say, self.why, self.frame
        ledgers = self.tables.weighings()
        items = tuple(self._item(k, ledgers[k]) for k in range(len(self.titles)))
        heading = say("foreign.title_contribution" if why.kind == "contribution" else "foreign.title_attention")
        return Report(
            FOREIGN_SCHEMA,
            self.words.locale,
            self.words.direction,
            self.reader.key,
            heading,
            self._meta(),
            say("page.synthetic") if self.synthetic else "",
            self.teller.lead(),
            items,
            (*self._overview(), self._data(), frame.choices, self._method()),
            (*frame.own_footer, self._model(), say("page.record", hash=record_hash(self.record)[:16]), frame.made),
            created or iso(why.as_of),
            self.record,
            frame.theme,
        )

    def _model(self) -> str:
        return self.teller.named("foreign.model", "foreign.model_unnamed")

    def _meta(self) -> tuple[str, ...]:
        say, usage = self.words.say, self.why.usage
        who: tuple[str, ...] = ()
        if self.reader.name and self.config.privacy.show_name:
            who = (say("page.for_name", name=name(clean(self.reader.name, 60))),)
        elif self.reader.key:
            who = (say("page.for_key", key=name(self.reader.key)),)
        told = (*who, say("page.as_of", date=self.words.date(self.why.as_of)))
        if usage.first is None or usage.last is None:
            return told if usage.used else (*told, say("page.period_none"))
        first, last = self.words.date(usage.first), self.words.date(usage.last)
        return (*told, say("page.period_day" if first == last else "page.period", first=first, last=last))

    def _item(self, k: int, ledger: object) -> Item:
        tell, known = self.teller, self.why.picks.details[k]
        flags = (("sponsored", "item.sponsored"), ("price_personalised", "item.priced"))
        notices = tuple(self.words.say(key) for flag, key in flags if known.get(flag))
        return Item(k + 1, self.titles[k], self._facts(k), tell.sentence(k), tell.notes(k), notices, ledger)  # type: ignore[arg-type]

    def _facts(self, k: int) -> tuple[str, ...]:
        known = self.why.picks.details[k]
        texts = [clean(str(known.get(key) or ""), _TITLE) for key in ("brand", "category")]
        facts, price = [text for text in texts if text], known.get("price")
        if isinstance(price, float | int) and math.isfinite(price) and abs(price) < _MOST_PRICE:
            facts.append(self.words.price(float(price), str(known.get("currency") or "")))
        return tuple(facts)

    def _overview(self) -> tuple[Section, ...]:
        maps = self.tables.heatmaps([clean(title, _TITLE) for title in self.titles])
        return (Section("overview", self.words.say("overview.heading"), (), (), maps),) if maps else ()

    def _data(self) -> Section:
        say, operator = self.words.say, self.config.operator
        lines = self.teller.data()
        for key, text in (("purpose", clean(operator.purpose, _TEXT)), ("retention", clean(operator.retention, _TEXT))):
            if text:
                lines.append(say(f"data.{key}", text=name(text)))
        return Section("data", say("data.heading"), tuple(lines))

    def _method(self) -> Section:
        return Section("method", self.words.say("method.heading"), tuple(self.teller.method()))
