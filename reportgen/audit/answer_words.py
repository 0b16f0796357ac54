"""The words of the answer pack, in the reader's language."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files

from reportgen.languages import choose_locale


@lru_cache(maxsize=1)
def answer_words() -> dict[str, dict[str, str]]:
    """Every sentence, by language."""
    return tomllib.loads((files("reportgen.audit") / "answer_words.toml").read_text("utf-8"))


class Say:
    """Sentences of one language, filled in.

    Parameters
    ----------
    locale : str
        A tag; English where no sentence is in that language.
    """

    def __init__(self, locale: str) -> None:
        words = answer_words()
        self.locale = next(tag for tag in (locale, choose_locale(locale), "en") if tag in words)
        self._words = words[self.locale]

    def __call__(self, key: str, /, **given: object) -> str:
        return self._words[key].format_map(given)
