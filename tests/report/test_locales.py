"""Languages: complete, alike in their gaps, used, and an unknown one is an error with a remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.lists import format_list

from reportgen.config import Config
from reportgen.errors import ConfigError
from reportgen.languages import choose_locale
from reportgen.report.build import build_report
from reportgen.report.html import render_html
from reportgen.report.words import END_ISOLATE, ISOLATE, LOCALES, Words, message_keys, name, words

GAP = re.compile(r"\{(\w*)\}")
#: Keys that code puts together, as patterns over what it is put together from.
BUILT = (
    r"because\.(together|next|via|category|brand|price|tags|title|other)(_one)?",
    r"head(_short)?\.(together|next|via|again|category|brand|price|tags|title|folded)", r"head\.other",
    r"reason\.(purchase|view|cart|rating|mixed)\.(one|two)", r"reason\.again\.(purchase|view|cart|rating|mixed)",
    r"event\.(purchase|view|cart|return|rating|hide|other)", r"ledger\.(others|folded)",
    r"choices\.(change|object|switch_off|non_personalised|complaint|responsible|contact|address)",
    r"choices\.missing_(links|name|contact)", r"data\.(purpose|retention)",
    r"foreign\.(caption|history|feature)_(attention|contribution)(_plain)?", r"given\.points_(one|two)",
    r"mail\.((given|attention|contribution)_)?(subject|preheader|shares)",
    r"foreign\.by_(callback|ablation|closed_form)", r"foreign\.(base|gap|total)", r"foreign\.what_(attention|contribution)",
    r"foreign\.(heads|layers)_(mean|max|last|one)",
    r"index\.(with_report|opted_out|set_aside|not_chosen|no_rows|no_problems)",
    # of the audit report: what its tables hold is asked by `tests/audit/test_audit_report.py`
    r"audit\.looked_(attention|contribution)\.(lead|strongest|tenths)", r"audit\.spread\.(lead|strongest|tenths)",
    r"audit\.(looked_)?age\.(lead|heading)",
    r"audit\.looked\.(heading|what|caption|lead|card|card_limits)_(attention|contribution)",
    r"audit\.looked\.(weighted|strongest|effective|same_category|same_brand|elsewhere|no_event|hidden|whole|adds_up)(_what)?",
    r"audit\.looked\.(tau|first_agrees|top3|effect_strongest)(_what)?",
    r"audit\.(column|rule|severity|stratum|measure|fidelity|outcome|event|status)\.[a-z0-9_]+", r"audit\.trust\.(higher|lower)",
    r"audit\.(spread\.(coverage|top|tail|gini|entropy)(_what)?|paid\.(no_)?(sponsored|priced)(_caption|_foreign)?)",
    r"audit\.(private\.(folded|mostly_folded|excluded)_people|data\.sensitive_(fold|exclude|show))",
    r"audit\.(stable\.(top3|first_reason|first_item|same_sign|flipped)|model\.(id|kinds|half_lives|learnt|floor|cap|purpose))",
)  # fmt: skip


CATEGORIES = ("zero", "one", "two", "few", "many", "other")
#: Counts that are never below two, so that a form for one would never be read.
MANY = ("lead.spread",)
#: Sentences of fixed pairs that are no plural forms, although their keys end alike.
NO_PLURAL = re.compile(r"reason\.(purchase|view|cart|rating|mixed)|(head|because|event)")


def plural_keys(locale: str) -> dict[str, dict[str, str]]:
    """Sentences with plural forms: key -> form -> text."""
    found: dict[str, dict[str, str]] = {}
    for key, text in message_keys(locale).items():
        stem, _, last = key.rpartition(".")
        if last in CATEGORIES and not NO_PLURAL.fullmatch(stem):
            found.setdefault(stem, {})[last] = text
    return found


def sentences(locale: str) -> dict[str, str]:
    """One text per sentence: of plural forms `other`, which every language has."""
    plurals = plural_keys(locale)
    single = {key: text for key, text in message_keys(locale).items() if key.rpartition(".")[0] not in plurals}
    return single | {key: forms["other"] for key, forms in plurals.items()}


@pytest.mark.parametrize("locale", [tag for tag in LOCALES if tag != "en"])
def test_every_language_has_the_same_sentences_with_the_same_gaps(locale: str) -> None:
    english, other = sentences("en"), sentences(locale)
    assert english.keys() == other.keys()
    assert plural_keys("en").keys() == plural_keys(locale).keys()
    for key, text in english.items():
        assert set(GAP.findall(text)) - {"n"} == set(GAP.findall(other[key])) - {"n"}, key
        assert other[key].strip()


@pytest.mark.parametrize("locale", LOCALES)
def test_every_plural_form_of_a_language_is_there(locale: str) -> None:
    """What CLDR tells apart in that language, no more and no less."""
    plurals, wanted = plural_keys(locale), words(locale).plural_categories
    assert len(plurals) >= 20
    for key, forms in plurals.items():
        assert set(forms) == (wanted - {"one"} if key in MANY else wanted), key


@pytest.mark.parametrize("locale", LOCALES)
def test_gaps_are_plain_names(locale: str) -> None:
    for key, text in message_keys(locale).items():
        assert re.sub(r"\{[a-z_]+\}", "", text).count("{") == 0, key
        assert "{}" not in text


@pytest.mark.parametrize("locale", LOCALES)
def test_plural_forms_of_one_sentence_have_the_same_gaps(locale: str) -> None:
    for key, forms in plural_keys(locale).items():
        wanted = set(GAP.findall(forms["other"])) | {"n"}
        if key == "data.capped":
            assert "cap" in wanted
        for form, text in forms.items():
            assert set(GAP.findall(text)) | {"n"} == wanted, (key, form)


def code(repository: Path, but: str = "nothing") -> str:
    parts = [*(repository / "reportgen").rglob("*.py"), *(repository / "templates").glob("*.html")]
    return "\n".join(path.read_text("utf-8") for path in parts if not path.name.startswith(but))


def test_every_sentence_is_used(repository: Path) -> None:
    text = code(repository)
    unused = [
        key for key in sorted(sentences("en"))
        if f'"{key}' not in text and not any(re.fullmatch(p, key) for p in BUILT)
    ]  # fmt: skip
    assert unused == []


def test_no_sentence_is_missing(repository: Path) -> None:
    text = code(repository, but="answer")  # an answer pack has words of its own
    english = words("en")
    said = set(re.findall(r'say\(\s*"([a-z_.]+)"', text)) | set(
        re.findall(r'else "((?:item|lead|page|ledger|method)\.[a-z_]+)"', text)
    )
    assert len(said) > 40
    whole = {key for key in said if not key.endswith(".")}  # the others are put together: see `BUILT`
    assert [key for key in sorted(whole) if key not in english] == []


@pytest.mark.parametrize(
    "locale", ["xx", "", " ", "fr", "../en", "e", "english", "zh-TW", "zh-Hant", "en-Shaw", "\ud800", "en" * 5000]
)
def test_an_unknown_language_names_those_that_are_there(locale: str, fitted: list) -> None:
    with pytest.raises(ConfigError, match="is not available; use one of en, zh-CN"):
        build_report(fitted[0], locale=locale)


SERVED = {
    "en": ("en", "EN", "en-GB", "en_US", "en_US.UTF-8", "en-Latn", "en-US-x-twain", "en-GB-oxendict", "en_GB@euro", " en "),
    "zh-CN": ("zh", "zh-CN", "zh_CN", "ZH-cn", "zh-Hans", "zh-Hans-CN", "zh-Hans-HK", "zh-SG", "zh_CN.UTF-8", "cmn",
              "zh-cmn-Hans-CN", "zh-MY", "zh-Hans-TW"),
    None: ("zh-TW", "zh-HK", "zh-MO", "zh-Hant", "zh-Hant-CN", "zh_TW.Big5", "zh-yue", "yue", "zh-Latn", "zh-cmn-Hant",
           "zh-min-nan", "en-Brai", "eng", "e", "fr", "de-CH", "C", "POSIX", "", "-", "en-", "x-en", "i-klingon", "zh--CN",
           "en\n", "en;q=1", "ｅｎ"),
}  # fmt: skip


@pytest.mark.parametrize(("served", "tag"), [(served, tag) for served, tags in SERVED.items() for tag in tags])
def test_a_tag_is_served_by_the_language_that_its_reader_can_read(served: str | None, tag: str) -> None:
    if tag == "en\n":  # white space around a tag is no part of it
        served = "en"
    assert choose_locale(tag) == served
    if served:
        assert words(tag) is words(served)


def test_a_page_names_the_language_it_is_written_in(fitted: list) -> None:
    report = build_report(fitted[0], locale="zh_Hans")
    assert report.locale == "zh-CN"
    assert '<html lang="zh-CN" dir="ltr">' in render_html(report)


def test_the_configuration_takes_what_a_reader_would_write() -> None:
    for given, kept in (("en-GB", "en"), ("zh", "zh-CN"), ("zh_Hans", "zh-CN")):
        assert Config.from_dict({"report": {"locale": given}}).report.locale == kept
    for given in ("zh-TW", "fr", "", "english"):
        with pytest.raises(ConfigError, match=r"\[report\] locale: .* is not available; use one of en, zh-CN"):
            Config.from_dict({"report": {"locale": given}})


def test_figures_in_the_readers_language() -> None:
    english, chinese = words("en"), words("zh-CN")
    assert english.number(-0.5, 2) == "\u22120.50"
    assert english.number(-0.001, 2) == "0.00"
    assert [english.percent(share) for share in (0, 7, 29, 57, 58, 100)] == ["0%", "7%", "29%", "57%", "58%", "100%"]
    assert chinese.percent(100) == "100%"
    assert (english.count(1234567), chinese.count(1234567)) == ("1,234,567", "1,234,567")
    assert (english.date(0), chinese.date(0)) == ("Jan 1, 1970", "1970年1月1日")
    assert (english.date(-1), chinese.date(-1)) == ("Dec 31, 1969", "1969年12月31日")
    assert [english.list(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b, and c"]
    assert [chinese.list(list("abc")[:n]) for n in range(4)] == ["", "a", "a和b", "a、b和c"]


#: Amount, currency: English, Chinese. Decimals and grouping are those of the currency and the language.
PRICES = {
    (1234.5, "EUR"): ("€1,234.50", "€1,234.50"), (5.0, "CNY"): ("CN¥5.00", "¥5.00"), (5.0, "USD"): ("$5.00", "US$5.00"),
    (1234.6, "JPY"): ("¥1,235", "JP¥1,235"), (1.2345, "KWD"): ("KWD\xa01.234", "KWD\xa01.234"), (5.0, "eur"): ("€5.00", "€5.00"),
    (-5.0, "EUR"): ("-€5.00", "-€5.00"), (0.0, "EUR"): ("€0.00", "€0.00"), (1e15, "EUR"): ("€1,000,000,000,000,000.00",) * 2,
    (1234.5, ""): ("Price: 1,234.50", "价格：1,234.50"), (3.0, "$$$"): ("Price: 3.00", "价格：3.00"),
    (3.0, "RMB¥"): ("Price: 3.00", "价格：3.00"), (3.0, "ABC"): ("ABC\xa03.00", "ABC\xa03.00"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "wanted"), PRICES.items())
def test_prices_are_in_the_currency_of_the_data(given: tuple[float, str], wanted: tuple[str, str]) -> None:
    assert (words("en").price(*given), words("zh-CN").price(*given)) == wanted


@pytest.mark.parametrize("babel", ["en", "zh_Hans_CN", "he", "ar", "es", "th", "ja", "fr"])
def test_lists_are_those_of_babel(babel: str) -> None:
    told = Words(babel, message_keys("en"), babel)
    parts = ["{0}", "b{1}", "c", "d", "e"]
    for n in range(len(parts) + 1):
        assert told.list(parts[:n]) == format_list(parts[:n], locale=babel)


def test_a_plural_form_that_a_language_lacks_falls_back() -> None:
    assert words("zh-CN").say("ledger.others", 1) == "其他 1 件商品"
    assert words("en").say("ledger.others", 1) == "1 other item"
    assert words("en").say("ledger.others", 2000) == "2,000 other items"


def test_a_filled_in_text_is_never_a_pattern_itself() -> None:
    hostile = "{0.__class__} {n} %(x)s ${y}"
    assert words("en").say("page.for_name", name=name(hostile)) == f"For {ISOLATE}{hostile}{END_ISOLATE}"


# -- how Chinese is written: docs/words.md --------------------------------------------------------------------------

_HAN, _WIDE = "\u4e00-\u9fff", "，。：；、（）“”？！"
#: Filled in with digits or Latin letters, which stand apart from Chinese by a space. Everything else is Chinese or quoted.
_DIGITS = ("n|cap|top|list|users|items_fitted|share|share_a|share_b|head_share|lost|lost_random|strong|weak|points|before|after|"
           "tool|version|hash|key|model")  # fmt: skip
_QUOTED = "date|first|last|what|feature|head|heads|a|b|items|pick"
_MESSY = (
    (rf"[{_HAN}]\{{({_DIGITS})\}}|\{{({_DIGITS})\}}[{_HAN}]", "no space between Chinese and a figure"),
    (rf"[{_HAN}][0-9A-Za-z]|[0-9A-Za-z%][{_HAN}]", "no space between Chinese and Latin"),
    (rf" \{{({_QUOTED})\}}(?! 件)|\{{({_QUOTED})\}} (?!件)", "a space beside Chinese or a quoted title"),
    (rf" [{_WIDE}]|[{_WIDE}] ", "a space beside a full-width sign"),
    (rf"[{_HAN}] [{_HAN}]", "a space inside Chinese"),
    (r"[,;:!?()\"'「」]", "a half-width sign or a bracket of another rule"),
    (r"你|她|(?<!其)他|会喜欢|一定|购买过", "a word that is not ours"),
)  # fmt: skip


def messy(text: str) -> list[str]:
    return [what for pattern, what in _MESSY if re.search(pattern, text)]


def test_chinese_is_written_by_one_rule() -> None:
    found = {key: messy(text) for key, text in message_keys("zh-CN").items()}
    assert {key: what for key, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "bad",
    [
        "有{n} 位",
        "截至 {date}",
        "占 {share}的",
        "共 {n} 位 。",
        "商品:{items}",
        "因为 您",
        "买过「{a}」",
        "第1件",
        "你买过",
    ],
)
def test_the_rule_for_chinese_finds_what_breaks_it(bad: str) -> None:
    assert messy(bad)


#: What no sentence says: docs/words.md.
_CLAIMS = re.compile(
    r"\b(often|usually|most shoppers|many shoppers|people like you|you (like|love|want|need)|probably|perhaps|maybe|might|compliant|"
    r"complies|recommended for you|best|perfect|hers?|his|he|she)\b|!",
    re.IGNORECASE,
)


def test_no_sentence_claims_more_than_was_counted() -> None:
    found = {key: _CLAIMS.findall(text) for key, text in message_keys("en").items() if key != "method.limits"}
    assert {key: claims for key, claims in found.items() if claims} == {}
    assert _CLAIMS.search("Because you like lamps")
    assert _CLAIMS.search("shoppers who bought it often buy this too")
    assert "does not say that you like or need" in message_keys("en")["method.limits"]


def test_sentences_follow_each_other_and_titles_stand_as_the_language_has_it() -> None:
    assert words("en").join(["One.", "Two.", "Three."]) == "One. Two. Three."
    assert words("zh-CN").join(["一。", "二。"]) == "一。二。"
    assert (words("en").join([]), words("en").join(["One."])) == ("", "One.")
    assert words("en").title("Lamp") == f"{ISOLATE}Lamp{END_ISOLATE}"
    assert words("zh-CN").title("台灯") == f"“{ISOLATE}台灯{END_ISOLATE}”"
