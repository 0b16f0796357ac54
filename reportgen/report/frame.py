"""What is the same on many pages of a run: the choices, the method, the names of kinds of evidence. It is put into words once."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from reportgen.config import Config, safe_url
from reportgen.explain.explanation import ModelFacts, Usage
from reportgen.report.document import Link, Section, Theme
from reportgen.report.ledgers import head_label
from reportgen.report.theme import theme_of
from reportgen.report.words import Words, name
from reportgen.text import clean
from reportgen.version import VERSION

if TYPE_CHECKING:  # measuring loads the whole scorer, telling does not
    from reportgen.explain.fidelity import Trust

_LINKS = ("change", "object", "switch_off", "non_personalised", "complaint")
_NAME, _TEXT = 40, 400


class Frame:
    """What follows from language, settings and what was measured, and not from the user.

    Parameters
    ----------
    words : Words
    config : Config
    trust : Trust, optional
        What was measured of the reasons of the run.
    """

    def __init__(self, words: Words, config: Config, trust: Trust | None) -> None:
        self.words, self.config, self.trust = words, config, trust
        self.page_fields, self.record_fields = config.privacy.fields.page, config.privacy.fields.record
        self.title = words.say("page.title")
        self.made = words.say("page.footer", tool="reportgen", version=VERSION)
        own = clean(config.look.footer, _TEXT)
        self.own_footer = (name(own),) if own else ()

    @cached_property
    def theme(self) -> Theme:
        """The operator's look."""
        return theme_of(self.config.look, clean(self.config.operator.name, _NAME))

    @cached_property
    def feature_labels(self) -> dict[str, str]:
        """The operator's names for features of his own, in the reader's language where given."""
        found = {}
        for feature, setting in self.config.features.items():
            label = setting.label.get(self.words.locale)
            label = label or next(iter(setting.label.values()), feature.replace("_", " "))
            found[feature] = clean(label, _NAME)
        return found

    @lru_cache(maxsize=256)  # noqa: B019 - few frames live, and as long as `frame_of` keeps them
    def columns(self, heads: tuple[str, ...], short: bool) -> tuple[str, ...]:
        """The names of kinds of evidence."""
        return tuple([head_label(self.words, head, self.feature_labels, short) for head in heads])

    @lru_cache(maxsize=4096)  # noqa: B019 - so many combinations of counts come again and again
    def data(self, usage: Usage, folded: int, cap: int, as_of: str) -> Section:
        """Which data were used; `usage` without its days, `as_of` the day of the report."""
        say, operator = self.words.say, self.config.operator
        lines = [say("data.used", usage.used) if usage.used else say("data.none"), say("data.what")]
        if usage.capped:
            lines.append(say("data.capped", usage.capped, cap=self.words.count(cap)))
        if usage.after:
            lines.append(say("data.after", usage.after, date=as_of))
        if usage.excluded:
            lines.append(say("data.excluded", usage.excluded))
        if folded:
            lines.append(say("data.folded", folded))
        lines.append(say("data.not_used"))
        for key, text in (("purpose", clean(operator.purpose, _TEXT)), ("retention", clean(operator.retention, _TEXT))):
            if text:
                lines.append(say(f"data.{key}", text=name(text)))
        return Section("data", say("data.heading"), tuple(lines))

    @cached_property
    def choices(self) -> Section:
        """What the reader can do, and whom to ask."""
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

    @lru_cache(maxsize=64)  # noqa: B019 - a run has one model
    def method(self, model: ModelFacts) -> Section:
        """How a score is made, and what was measured of the reasons."""
        say = self.words.say
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
            lines.append(say("method.unused_heads", heads=self.words.list(self.columns(tuple(idle), short=False))))
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

    @lru_cache(maxsize=64)  # noqa: B019 - a run has one model
    def facts(self, model: ModelFacts) -> str:
        """What the model is, for the foot of the page."""
        users, items = self.words.count(model.n_users), self.words.count(model.n_items)
        return self.words.say("method.model", model=model.model_id, users=users, items=items)


class _Itself:
    """A key for a value that cannot be one: equal to that very object only, and keeping it alive."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value


def frame_of(words: Words, config: Config, trust: Trust | None) -> Frame:
    """The frame of a run: made once for the same objects."""
    return _frame(words, _Itself(config), trust)


@lru_cache(maxsize=16)
def _frame(words: Words, config: _Itself, trust: Trust | None) -> Frame:
    assert isinstance(config.value, Config)
    return Frame(words, config.value, trust)
