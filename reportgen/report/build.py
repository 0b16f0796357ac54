"""From an ``Explanation`` to a ``Report``: the page in words and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reportgen.config import RECORD_FIELDS, Config, safe_url
from reportgen.explain.explanation import Explanation
from reportgen.report.allowed import tellable, withhold
from reportgen.report.document import SCHEMA, Item, Link, Report, Section
from reportgen.report.ledgers import (
    Figures,
    Told,
    head_label,
    list_heatmaps,
    make_figures,
    make_ledgers,
    many_figures,
    past_details,
    past_labels,
)
from reportgen.report.record import canonical, iso, record_hash, write_record
from reportgen.report.sentences import Teller
from reportgen.report.theme import theme_of
from reportgen.report.words import Words, name, words
from reportgen.text import clean
from reportgen.version import VERSION

if TYPE_CHECKING:  # measuring loads the whole scorer, telling does not
    from reportgen.explain.fidelity import Trust

_LINKS = ("change", "object", "switch_off", "non_personalised", "complaint")
_COLUMN_TITLE = 40
_TEXT = 400
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
    builder = _Builder(why, words(locale), config or Config(), reader or Reader(), synthetic, trust, figures)
    return builder.report(created)


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
    people = readers or [Reader()] * len(whys)
    told = zip(whys, people, many_figures(whys), strict=True)
    for why, reader, figures in told:
        yield build_report(why, locale, created, config, reader, synthetic, trust, figures)


class _Builder:
    """The parts of one page; each method makes one of them."""

    def __init__(
        self,
        why: Explanation,
        words: Words,
        config: Config,
        reader: Reader,
        synthetic: bool,
        trust: Trust | None,
        figures: Figures | None,
    ) -> None:
        self.source, self.words, self.config, self.reader, self.trust = why, words, config, reader, trust
        allowed = config.privacy.fields.page
        why = self.why = tellable(why, allowed)
        self.synthetic = synthetic or config.report.synthetic
        self.feature_labels = _feature_labels(config, words.locale)
        self.figures = figures or make_figures(why)
        self.labels = past_labels(why, words)
        self.details = past_details(why, words, dated="date" in allowed)
        self.titles = [clean(t, config.report.title_length) or words.say("item.no_title") for t in why.picks.title]
        self.teller = Teller(why, self.figures, words, self.labels, self.feature_labels, self.details)
        columns, long_columns = self._columns(short=True), self._columns(short=False)
        self.told = Told(words, self.labels, self.details, columns, long_columns)
        self.ledgers = make_ledgers(why, self.figures, self.told, config.report.reasons)

    def report(self, created: str) -> Report:
        record = write_record(self.source, self.reader.key)
        fields = self.config.privacy.fields.record
        if set(fields) < set(RECORD_FIELDS):
            record = canonical(withhold(json.loads(record), fields))
        return Report(
            SCHEMA,
            self.words.locale,
            self.words.direction,
            self.reader.key,
            self.words.say("page.title"),
            self._meta(),
            self.words.say("page.synthetic") if self.synthetic else "",
            self.teller.lead(),
            tuple(self._item(k) for k in range(len(self.titles))),
            tuple(section for section in (self._overview(), self._data(), self._choices(), self._method()) if section),
            self._footer(record_hash(record)),
            created or iso(self.why.as_of),
            record,
            theme_of(self.config.look, clean(self.config.operator.name, _COLUMN_TITLE)),
        )

    def _columns(self, short: bool) -> tuple[str, ...]:
        heads = [self.why.model.heads[h] for h in self.figures.heads]
        return tuple(head_label(self.words, head, self.feature_labels, short) for head in heads)

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
        texts = [clean(str(known.get(key) or ""), _COLUMN_TITLE) for key in ("brand", "category")]
        facts = [text for text in texts if text]
        price = known.get("price")
        if isinstance(price, float | int) and math.isfinite(price) and abs(price) < _MOST_PRICE:
            facts.append(self.words.price(float(price), str(known.get("currency") or "")))
        return tuple(facts)

    def _overview(self) -> Section | None:
        picks = [clean(title, _COLUMN_TITLE) for title in self.titles]
        maps = list_heatmaps(self.why, self.figures, self.told, picks, self.config.report.reasons)
        return Section("overview", self.words.say("overview.heading"), (), (), maps) if maps else None

    def _data(self) -> Section:
        say, usage, operator = self.words.say, self.why.usage, self.config.operator
        folded = int(self.why.past.hidden.sum())
        lines = [say("data.used", usage.used) if usage.used else say("data.none"), say("data.what")]
        if usage.capped:
            lines.append(say("data.capped", usage.capped, cap=self.words.count(self.why.model.history_cap)))
        if usage.after:
            lines.append(say("data.after", usage.after, date=self.words.date(self.why.as_of)))
        if usage.excluded:
            lines.append(say("data.excluded", usage.excluded))
        if folded:
            lines.append(say("data.folded", folded))
        lines.append(say("data.not_used"))
        for key, text in (("purpose", clean(operator.purpose, _TEXT)), ("retention", clean(operator.retention, _TEXT))):
            if text:
                lines.append(say(f"data.{key}", text=name(text)))
        return Section("data", say("data.heading"), tuple(lines))

    def _choices(self) -> Section:
        say, operator = self.words.say, self.config.operator
        urls = {key: safe_url(getattr(operator.links, key)) for key in _LINKS}
        links = tuple(Link(say(f"choices.{key}"), url) for key, url in urls.items() if url)
        # Cleaned first: a text of blanks and marks is none.
        who, contact, address = (clean(t, _TEXT) for t in (operator.name, operator.contact, operator.address))
        given = (("responsible", "name", who), ("contact", "contact", contact), ("address", "address", address))
        lines = [say(f"choices.{key}", **{field: name(text)}) for key, field, text in given if text]
        needed = (("links", bool(links)), ("name", bool(who)), ("contact", bool(contact)))
        missing = [say(f"choices.missing_{what}") for what, there in needed if not there]
        if missing:
            lines.append(say("choices.missing", what=self.words.list(missing)))
        return Section("choices", say("choices.heading"), tuple(lines), links)

    def _method(self) -> Section:
        say, model = self.words.say, self.why.model
        lines = [
            say("method.sum"),
            say("method.recency" if model.fades else "method.no_recency"),
            say("method.share"),
            say("method.took"),
        ]
        lines.append(say("method.support", model.min_support))
        lines.append(say("method.learnt", model.n_learnt) if model.n_learnt else say("method.not_learnt"))
        idle = [head for at, head in enumerate(model.heads) if at not in model.live]
        if idle:
            heads = [head_label(self.words, head, self.feature_labels, short=False) for head in idle]
            lines.append(say("method.unused_heads", heads=self.words.list(heads)))
        lines += [say("method.limits"), say("method.check"), *self._trust()]
        return Section("method", say("method.heading"), tuple(lines))

    def _trust(self) -> tuple[str, ...]:
        say, trust = self.words.say, self.trust
        if trust is None:
            return (say("method.fidelity"),)
        shares = {name: self._share(getattr(trust, name)) for name in ("lost", "lost_random", "strong", "weak")}
        count = self.words.count
        return (
            say("trust.lost", trust.n_users, top=count(trust.top), **shares),
            say("trust.stays", list=count(trust.n_list), **shares),
        )

    def _share(self, share: float) -> str:
        # Negative evidence can bring a mean a little below nothing or above all.
        return self.words.percent(min(max(round(100 * share), 0), 100))

    def _footer(self, digest: str) -> tuple[str, ...]:
        say, model = self.words.say, self.why.model
        facts = say(
            "method.model",
            model=model.model_id,
            users=self.words.count(model.n_users),
            items=self.words.count(model.n_items),
        )
        made = say("page.footer", tool="reportgen", version=VERSION)
        own = clean(self.config.look.footer, _TEXT)
        return (*((name(own),) if own else ()), facts, say("page.record", hash=digest[:16]), made)


def _feature_labels(config: Config, locale: str) -> dict[str, str]:
    """The operator's names for features of his own, in the reader's language where given."""
    found = {}
    for feature, setting in config.features.items():
        label = setting.label.get(locale) or next(iter(setting.label.values()), feature.replace("_", " "))
        found[feature] = clean(label, _COLUMN_TITLE)
    return found
