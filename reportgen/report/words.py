"""Whole sentences in the reader's language, and its numbers, dates and lists."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, get_decimal_symbol, get_minus_sign_symbol

from reportgen.errors import ConfigError

#: BCP 47 tag -> name that Babel knows.
LOCALES = {"en": "en", "zh-CN": "zh_Hans_CN"}

# Names inside a sentence stand between these marks (Unicode isolates), so that a title in another script cannot reorder the
# words around it. In plain text they work as they are; a page turns them into <bdi>. `clean()` takes them out of foreign text,
# so they can only come from here.
ISOLATE, END_ISOLATE = "\u2068", "\u2069"


def name(text: str) -> str:
    """A title or a person's name, set apart inside a sentence."""
    return f"{ISOLATE}{text}{END_ISOLATE}"


class Words:
    """One language.

    Parameters
    ----------
    locale : str
        BCP 47: ``en`` or ``zh-CN``.

    Raises
    ------
    ConfigError
        A language that reports are not written in; names those that are.
    """

    def __init__(self, locale: str) -> None:
        if locale not in LOCALES:
            raise ConfigError(f"locale {locale!r} is not available; use one of {', '.join(LOCALES)}")
        self.locale = locale
        self._babel = Locale.parse(LOCALES[locale])
        self._messages = _flatten(
            tomllib.loads((files("reportgen.report") / "locales" / f"{locale}.toml").read_text("utf-8"))
        )
        self.direction = "rtl" if self._babel.text_direction == "rtl" else "ltr"
        self._point = get_decimal_symbol(self._babel)
        self._minus = get_minus_sign_symbol(self._babel)
        self.percents = tuple(format_decimal(k, locale=self._babel) for k in range(101))
        self._percent = {k: self._format_percent(k) for k in range(101)}

    def __contains__(self, key: str) -> bool:
        return key in self._messages or f"{key}.other" in self._messages

    def say(self, key: str, n: int | None = None, /, **given: object) -> str:
        """The sentence `key`, filled in; its plural form by `n`, which is also there as ``{n}``."""
        if n is not None:
            forms = (f"{key}.{self._babel.plural_form(n)}", f"{key}.other", key)
            key = next(form for form in forms if form in self._messages)
            given["n"] = self.count(n)
        return self._messages[key].format_map(given)

    def _format_percent(self, share: int) -> str:
        pattern: str = self._babel.percent_formats[None].pattern
        return pattern.replace("#,##0", self.percents[share])

    def percent(self, share: int) -> str:
        """A whole percentage from 0 to 100."""
        return self._percent[share]

    def number(self, value: float, decimals: int) -> str:
        """A figure with a fixed number of decimals and no grouping, as in a column of sums."""
        text = f"{abs(value):.{decimals}f}".replace(".", self._point)
        return f"{self._minus_sign}{text}" if value < 0 and float(f"{value:.{decimals}f}") != 0 else text

    @property
    def _minus_sign(self) -> str:
        # CLDR gives the hyphen for most languages; in a column of figures the minus sign has the width of a digit.
        return "\u2212" if self._minus == "-" else self._minus

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
        return str(format_list(list(parts), locale=self._babel))

    @lru_cache(maxsize=4096)  # noqa: B019
    def price(self, amount: float, currency: str) -> str:
        """An amount in the currency that the data name; without one, a plain number."""
        if len(currency) == 3 and currency.isalpha() and currency.isascii():
            return str(format_currency(amount, currency.upper(), locale=self._babel))
        return str(format_decimal(round(amount, 2), locale=self._babel, format="#,##0.00"))


@lru_cache(maxsize=8)
def words(locale: str) -> Words:
    """The language of that tag, loaded once."""
    return Words(locale)


def message_keys(locale: str) -> dict[str, str]:
    """Every sentence of a language by its key, plural forms apart; for tests and translators."""
    return dict(words(locale)._messages)


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flatten(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
