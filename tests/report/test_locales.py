"""Languages: complete, alike in their gaps, used, and an unknown one is an error with a remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reportgen.errors import ConfigError
from reportgen.report.build import build_report
from reportgen.report.words import END_ISOLATE, ISOLATE, LOCALES, message_keys, name, words

GAP = re.compile(r"\{(\w*)\}")
#: Keys that code puts together, as patterns over what it is put together from.
BUILT = (
    r"because\.(together|next|via|again|category|brand|price|tags|title)(_one)?", r"because\.other",
    r"head(_short)?\.(together|next|via|again|category|brand|price|tags|title)", r"head\.other",
    r"reason\.(purchase|view|cart|rating|mixed)\.(one|two)",
    r"event\.(purchase|view|cart|return|rating|hide|other)", r"ledger\.(others|folded)",
    r"choices\.(change|object|switch_off|non_personalised|complaint|responsible|contact|address)",
    r"choices\.missing_(links|name|contact)", r"data\.(purpose|retention)",
)  # fmt: skip


def sentences(locale: str) -> dict[str, str]:
    """Keys of one form each: in Chinese every plural is `other`."""
    keys = message_keys(locale)
    return {key: text for key, text in keys.items() if not (key.endswith(".one") and f"{key[:-4]}.other" in keys)}


@pytest.mark.parametrize("locale", [tag for tag in LOCALES if tag != "en"])
def test_every_language_has_the_same_sentences_with_the_same_gaps(locale: str) -> None:
    english, other = sentences("en"), sentences(locale)
    assert english.keys() == other.keys()
    for key, text in english.items():
        assert set(GAP.findall(text)) - {"n"} == set(GAP.findall(other[key])) - {"n"}, key
        assert other[key].strip()


@pytest.mark.parametrize("locale", LOCALES)
def test_gaps_are_plain_names(locale: str) -> None:
    for key, text in message_keys(locale).items():
        assert re.sub(r"\{[a-z_]+\}", "", text).count("{") == 0, key
        assert "{}" not in text


def test_plural_forms_of_one_sentence_have_the_same_gaps() -> None:
    keys = message_keys("en")
    plurals = [key for key in keys if key.endswith(".one") and f"{key[:-4]}.other" in keys]
    assert len(plurals) >= 12
    for key in plurals:
        one, many = set(GAP.findall(keys[key])), set(GAP.findall(keys[f"{key[:-4]}.other"]))
        assert one - {"n", "what"} <= many
        assert many - one <= {"n"}, key


def code(repository: Path) -> str:
    parts = [*(repository / "reportgen").rglob("*.py"), *(repository / "templates").glob("*.html")]
    return "\n".join(path.read_text("utf-8") for path in parts)


def test_every_sentence_is_used(repository: Path) -> None:
    text = code(repository)
    keys = {re.sub(r"\.(one|other)$", "", key) if key not in ("head.other", "because.other", "event.other") else key
            for key in message_keys("en")}  # fmt: skip
    unused = [
        key for key in sorted(keys)
        if f'"{key}' not in text and not any(re.fullmatch(p, key) or re.fullmatch(p, f"{key}.one") for p in BUILT)
    ]  # fmt: skip
    assert unused == []


def test_no_sentence_is_missing(repository: Path) -> None:
    text = code(repository)
    english = words("en")
    said = set(re.findall(r'say\(\s*"([a-z_.]+)"', text)) | set(
        re.findall(r'else "((?:item|lead|page|ledger|method)\.[a-z_]+)"', text)
    )
    assert len(said) > 40
    assert [key for key in sorted(said) if key not in english] == []


@pytest.mark.parametrize("locale", ["xx", "", "en-GB", "zh", "../en", "EN"])
def test_an_unknown_language_names_those_that_are_there(locale: str, fitted: list) -> None:
    with pytest.raises(ConfigError, match="use one of en, zh-CN"):
        build_report(fitted[0], locale=locale)


def test_figures_in_the_readers_language() -> None:
    english, chinese = words("en"), words("zh-CN")
    assert english.number(-0.5, 2) == "\u22120.50"
    assert english.number(-0.001, 2) == "0.00"
    assert (english.percent(7), chinese.percent(100)) == ("7%", "100%")
    assert english.count(1234567) == "1,234,567"
    assert (english.date(0), chinese.date(0)) == ("Jan 1, 1970", "1970年1月1日")
    assert (english.list(["a", "b", "c"]), chinese.list(["a", "b", "c"])) == ("a, b, and c", "a、b和c")
    assert (english.price(1234.5, "EUR"), chinese.price(5, "CNY")) == ("€1,234.50", "¥5.00")
    assert (english.price(1234.5, ""), english.price(3, "$$$")) == ("1,234.50", "3.00")


def test_a_plural_form_that_a_language_lacks_falls_back() -> None:
    assert words("zh-CN").say("ledger.others", 1) == "其他 1 件商品"
    assert words("en").say("ledger.others", 1) == "1 other item"
    assert words("en").say("ledger.others", 2000) == "2,000 other items"


def test_a_filled_in_text_is_never_a_pattern_itself() -> None:
    hostile = "{0.__class__} {n} %(x)s ${y}"
    assert words("en").say("page.for_name", name=name(hostile)) == f"For {ISOLATE}{hostile}{END_ISOLATE}"
