"""Whole sentences in the reader's language, and its numbers, dates and lists."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import (
    format_currency,
    format_decimal,
    format_percent,
    get_currency_symbol,
    get_decimal_symbol,
    get_minus_sign_symbol,
)

from reportgen.errors import ConfigError
from reportgen.languages import LOCALES, choose_locale, unavailable

__all__ = ["LOCALES", "Words", "add_language", "message_keys", "name", "read_messages", "words"]

# Names inside a sentence stand between these marks (Unicode isolates), so that a title in another script cannot reorder the
# words around it. In plain text they work as they are; a page turns them into <bdi>. `clean()` takes them out of foreign text,
# so they can only come from here.
ISOLATE, END_ISOLATE = "\u2068", "\u2069"
_LEFT_TO_RIGHT = "\u200e"


def name(text: str) -> str:
    """A title, a person's name or an operator's text, set apart inside a sentence."""
    return f"{ISOLATE}{text}{END_ISOLATE}"


class Words:
    """One language.

    Parameters
    ----------
    locale : str
        BCP 47 tag, written into the page.
    messages : mapping of str to str
        Sentences by key, plural forms apart: ``{"data.used.one": ..., "data.used.other": ...}``; see `read_messages`.
    babel : str, optional
        Name under which Babel knows the language; made from the tag when empty.
    """

    def __init__(self, locale: str, messages: Mapping[str, str], babel: str = "") -> None:
        self.locale = locale
        self._babel = Locale.parse(babel or locale.replace("-", "_"))
        self._messages = dict(messages)
        self.direction = "rtl" if self._babel.text_direction == "rtl" else "ltr"
        self._point = get_decimal_symbol(self._babel)
        self._minus = self._minus_sign()
        # CLDR's patterns of a list, kept: looking them up took ten times as long as filling them.
        patterns = self._babel.list_patterns["standard"]
        self._two, self._start, self._middle, self._end = (str(patterns[at]) for at in ("2", "start", "middle", "end"))
        self._quotes = self._messages["page.quoted"].split("{title}")
        #: What stands between two sentences: a space, or nothing in Chinese.
        self.gap = self._messages["page.sentences"].removeprefix("{first}").removesuffix("{second}")
        self._percent = tuple(str(format_percent(k / 100, locale=self._babel)) for k in range(101))

    def __contains__(self, key: str) -> bool:
        return key in self._messages or f"{key}.other" in self._messages

    @property
    def messages(self) -> Mapping[str, str]:
        """Every sentence by its key, plural forms apart."""
        return dict(self._messages)

    @property
    def plural_categories(self) -> frozenset[str]:
        """The plural forms that the language tells apart (CLDR), ``other`` among them."""
        return frozenset({*self._babel.plural_form.tags, "other"})

    def say(self, key: str, n: int | None = None, /, **given: object) -> str:
        """The sentence `key`, filled in; its plural form by `n`, which is also there as ``{n}``."""
        if n is not None:
            key = self._form(key, n)
            given["n"] = self.count(n)
        return self._messages[key].format_map(given)

    @lru_cache(maxsize=8192)  # noqa: B019 - a Words lives as long as the process: see `words()`
    def _form(self, key: str, n: int) -> str:
        forms = (f"{key}.{self._babel.plural_form(n)}", f"{key}.other", key)
        return next(form for form in forms if form in self._messages)

    def join(self, sentences: Sequence[str]) -> str:
        """Sentences one after another: with a space between them only where the language has one."""
        return self.gap.join(sentences)

    def title(self, text: str) -> str:
        """A product's title inside a sentence: isolated, and in quotation marks where the language uses them."""
        return f"{self._quotes[0]}{ISOLATE}{text}{END_ISOLATE}{self._quotes[1]}"

    def percent(self, share: int) -> str:
        """A whole percentage from 0 to 100."""
        return self._percent[share]

    def number(self, value: float, decimals: int) -> str:
        """A figure with a fixed number of decimals and no grouping, as in a column of sums."""
        text = f"{abs(value):.{decimals}f}".replace(".", self._point)
        return f"{self._minus}{text}" if value < 0 and float(f"{value:.{decimals}f}") != 0 else text

    def _minus_sign(self) -> str:
        # CLDR gives the hyphen for most languages; in a column of figures the minus sign has the width of a digit. On a page
        # from right to left a sign without a mark before it would move behind its number.
        sign = get_minus_sign_symbol(self._babel).replace("-", "\u2212").strip("\u200e\u200f\u061c")
        return f"{_LEFT_TO_RIGHT}{sign}" if self.direction == "rtl" else sign

    @lru_cache(maxsize=4096)  # noqa: B019 - a Words lives as long as the process: see `words()`
    def count(self, n: int) -> str:
        """A whole number with grouping."""
        return str(format_decimal(n, locale=self._babel))

    @lru_cache(maxsize=8192)  # noqa: B019
    def _day(self, day: int) -> str:
        when = datetime.fromtimestamp(day * 86_400, UTC)
        return str(format_date(when.date(), format="medium", locale=self._babel))

    def date(self, microseconds: int) -> str:
        """The day (UTC) of a time in microseconds since 1970."""
        return self._day(microseconds // 86_400_000_000)

    def list(self, parts: Sequence[str]) -> str:
        """ "A, B and C" in this language."""
        if len(parts) < 3:
            return self._two.format(*parts) if len(parts) == 2 else "".join(parts)
        said = self._start.format(parts[0], parts[1])
        for part in parts[2:-1]:
            said = self._middle.format(said, part)
        return self._end.format(said, parts[-1])

    def _pattern(self, code: str) -> str:
        # CLDR sets letters apart from the digits ("KWD 1.234"); Babel does not.
        pattern = str(self._babel.currency_formats["standard"].pattern)
        letters = get_currency_symbol(code, locale=self._babel)[-1:].isalpha()
        return pattern.replace("¤#", "¤\xa0#") if letters else pattern

    @lru_cache(maxsize=4096)  # noqa: B019
    def price(self, amount: float, currency: str) -> str:
        """An amount in the currency that the data name, with as many decimals as it has; without one, a number called a price."""
        if len(currency) == 3 and currency.isalpha() and currency.isascii():
            return str(format_currency(amount, code := currency.upper(), self._pattern(code), locale=self._babel))
        number = format_decimal(round(amount, 2), locale=self._babel, format="#,##0.00")
        return self.say("item.price_plain", amount=number)


#: Languages of this process that do not come with the package, by tag.
_ADDED: dict[str, Words] = {}


def add_language(language: Words) -> None:
    """Make a language known to this process under its tag, in front of the built-in ones.

    It is asked for by exactly that tag. Worker processes need the same call.
    """
    _ADDED[language.locale] = language


def words(locale: str) -> Words:
    """The language that serves a tag, loaded once.

    Parameters
    ----------
    locale : str
        BCP 47; see `reportgen.languages.choose_locale`.

    Raises
    ------
    ConfigError
        No report is written in that language; names those that are there.
    """
    if locale in _ADDED:
        return _ADDED[locale]
    found = choose_locale(locale)
    if found is None:
        raise ConfigError(f"locale {locale!r} {unavailable(locale)}")
    return _built_in(found)


@lru_cache(maxsize=len(LOCALES))
def _built_in(locale: str) -> Words:
    text = (files("reportgen.report") / "locales" / f"{locale}.toml").read_text("utf-8")
    return Words(locale, read_messages(text), LOCALES[locale])


def read_messages(toml: str) -> dict[str, str]:
    """The sentences of a language file by their keys."""
    return _flatten(tomllib.loads(toml))


def message_keys(locale: str) -> dict[str, str]:
    """Every sentence of a language by its key, plural forms apart; for tests and translators."""
    return dict(words(locale).messages)


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flatten(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
